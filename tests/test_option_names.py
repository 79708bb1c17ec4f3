"""The names that people bring, read as ours; what has none here is said."""

import dataclasses

import pytest

from mi_probe.command_line import parse_settings
from mi_probe.errors import InputError
from mi_probe.estimate_settings import Settings

PROGRAM = "python -m mi_probe.estimate"


def parsed(line):
    return parse_settings(
        Settings, line.split(), program=PROGRAM, description="", positional="checkpoints"
    )


def test_a_command_line_of_lm_eval_with_another_program():
    brought = parsed(
        "--model hf --model_args pretrained=org/name,dtype=bfloat16,revision=main "
        "--tasks sst2 --device cpu --batch_size 8 --limit 100 --output_path results/x "
        "--apply_chat_template"
    )
    ours = parsed(
        "org/name --dtype bfloat16 --revision main --task sst2 --device cpu --batch-size 8 "
        "--rows 100 --out results/x --chat-template"
    )
    assert dataclasses.asdict(brought) == dataclasses.asdict(ours)
    assert brought.checkpoints == ["org/name"]


def test_an_adapter_is_what_is_measured():
    assert parsed("--model_args pretrained=base,peft=mine --task sst2").checkpoints == [
        "mine"
    ]


def test_model_is_a_model_where_it_is_no_kind():
    assert parsed("--model org/name --task sst2").checkpoints == ["org/name"]
    assert parsed("--model_name_or_path=org/name --task sst2").checkpoints == ["org/name"]


def test_values_keep_their_underscores():
    told = parsed("a_b --task sst2 --text_column=my_text --label-column my_label")
    assert told.checkpoints == ["a_b"]
    assert (told.text_column, told.label_column) == ("my_text", "my_label")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--model_args dtype=float32", "pretrained="),
        ("--model_args pretrained=x,parallelize=True", "parallelize=True"),
        ("x --num_fewshot 5", "there is no --num-fewshot"),
        ("x --task sst2 --row 5", "Did you mean '--"),
    ],
)
def test_what_has_no_name_here_is_said(line, said):
    with pytest.raises(InputError, match=said):
        parsed(line)
