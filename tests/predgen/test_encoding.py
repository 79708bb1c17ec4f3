"""Prompts and answers as tokens, whatever the tokenizer does with blanks, BOS and EOS."""

import numpy as np
import pytest
import torch
from tiny import tiny_model
from tiny_tokenizers import TOKENIZERS, metaspace
from transformers import PreTrainedTokenizerFast

from mi_probe.backbones import wrap_backbone
from mi_probe.errors import InputError
from mi_probe.predgen.encoding import (
    Encoded,
    collate,
    encode,
    encode_parts,
    end_token,
)
from mi_probe.tasks import Task

PROMPTS = ("a charming film:", "bad", "not at all funny; the plot is bad:")
ANSWERS = (" positive", " negative", " negative")


def task(prompts=PROMPTS, answers=ANSWERS):
    return Task(
        name="planted",
        prompts=tuple(prompts),
        answers=tuple(answers),
        labels=np.array([1, 0, 0][: len(prompts)]),
        label_names=("negative", "positive"),
        target="verdict",
        ids=tuple(f"r{i}" for i in range(len(prompts))),
    )


@pytest.mark.parametrize("name", TOKENIZERS)
def test_prompt_and_answer_join_to_what_the_model_reads(name):
    backbone = wrap_backbone(tiny_model("llama"), TOKENIZERS[name]())
    tokenizer = backbone.tokenizer
    end = end_token(tokenizer)
    for row, prompt, answer in zip(
        encode(backbone, task()).rows, PROMPTS, ANSWERS, strict=True
    ):
        assert row.answer[-1] == end
        assert end not in row.answer[:-1]
        # A prompt that was closed would end the text before the answer.
        assert row.prompt[-1] != end
        written = tokenizer.decode([*row.prompt, *row.answer], skip_special_tokens=True)
        assert written.strip() == prompt + answer
        # The answer alone reads as the answer: this is what is parsed.
        alone = tokenizer.decode(row.answer, skip_special_tokens=True)
        assert alone.strip() == answer.strip()
        assert tokenizer.bos_token_id not in row.answer


def test_a_sentencepiece_answer_has_no_blank_of_its_own():
    backbone = wrap_backbone(tiny_model("llama"), metaspace(special=False))
    (row, *_) = encode(backbone, task()).rows
    assert backbone.tokenizer.convert_ids_to_tokens(row.answer) == [
        *("\u2581positive", "</s>")
    ]


def test_without_an_end_and_without_answers(tiny_backbone):
    backbone = tiny_backbone("llama")
    closed = encode(backbone, task()).rows[0]
    assert encode(backbone, task(), ends=False).rows[0].answer == closed.answer[:-1]
    # What does not read them has no use for an end, or for any token.
    empty = task(answers=("", " positive", ""))
    assert [len(r.answer) for r in encode(backbone, empty, answers=False).rows] == [1, 3, 1]
    pieces = metaspace(special=False).backend_tokenizer
    endless = PreTrainedTokenizerFast(tokenizer_object=pieces, pad_token="<unk>")
    bare = wrap_backbone(tiny_model("llama"), endless)
    assert encode(bare, task(), answers=False).rows == encode(bare, task(), ends=False).rows
    assert encode(tiny_backbone("bert"), task(), answers=False).rows[0].answer == ()


@pytest.mark.parametrize("name", TOKENIZERS)
@pytest.mark.parametrize("family", ["llama", "gpt2", "t5"])
def test_a_predictor_reads_the_prompts_of_the_others(name, family):
    backbone = wrap_backbone(tiny_model(family), TOKENIZERS[name]())
    # Beyond the model's limit, which holds the answer, too.
    long = task(("bad " * 200, *PROMPTS[1:]))
    assert encode(backbone, long, answers=False).rows == encode(backbone, long).rows


def test_an_encoder_decoder_writes_a_text_of_its_own(tiny_backbone):
    backbone = tiny_backbone("t5")
    rows = encode(backbone, task()).rows
    text = backbone.tokenizer.decode(rows[0].answer, skip_special_tokens=True)
    assert text == "positive"


def test_long_prompts_leave_room_for_the_answer(tiny_backbone):
    long = task(("bad " * 200, *PROMPTS[1:]))
    found = encode(tiny_backbone("gpt2"), long)
    assert "1 of 3 texts cut" in found.notes[0]
    assert all(len(row.prompt) + len(row.answer) <= 128 for row in found.rows)


def test_a_long_passage_is_cut_and_its_question_is_not(tiny_backbone):
    backbone = tiny_backbone("gpt2")
    question = " Question: is the film good? Answer:"
    asked = task(("bad " * 400 + question, "bad", "good"))
    prompt = encode(backbone, asked, max_tokens=90).rows[0].prompt
    assert len(prompt) == 90
    assert backbone.tokenizer.decode(prompt).endswith(question.strip())


def test_all_parts_leave_room_for_the_longest_answer_of_any(tiny_backbone):
    long = "bad " * 400
    parts = {
        "train": task((long, "a", "b"), (" no" * 9, " no", " no")),
        "test": task((long, "c", "d"), (" no", " no", " no")),
    }
    found = encode_parts(tiny_backbone("gpt2"), parts, max_tokens=128)
    assert found["train"].limit == found["test"].limit < 128 - 9
    # Measured alone, with the limit of the training, the same rows are the same.
    limit = found["test"].limit
    alone = encode(tiny_backbone("gpt2"), parts["test"], max_tokens=limit)
    assert alone.rows == found["test"].rows


def test_an_answer_needs_tokens(tiny_backbone):
    with pytest.raises(InputError, match="2 of 3 have none, the first in row 'r0'"):
        encode(tiny_backbone("llama"), task(answers=("", " positive", "")))


def test_padding_goes_left_of_prompts_and_right_of_answers():
    rows = [Encoded((5,), (7, 8, 2), 1.0), Encoded((5, 6), (2,), 0.0)]
    batch = collate(rows, pad=0, left=True, classes=True)
    assert batch["prompt_ids"].tolist() == [[0, 5], [5, 6]]
    assert batch["prompt_mask"].tolist() == [[False, True], [True, True]]
    assert batch["answer_ids"].tolist() == [[7, 8, 2], [2, 0, 0]]
    assert batch["answer_mask"].tolist() == [[True] * 3, [True, False, False]]
    assert batch["labels"].dtype == torch.int64
    right = collate(rows, pad=0, left=False, classes=False)
    assert right["prompt_ids"].tolist() == [[5, 0], [5, 6]]
    assert right["labels"].dtype == torch.float32
