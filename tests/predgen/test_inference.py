"""Written answers: the same in any batch, and their states those of the writing itself."""

from dataclasses import replace

import numpy as np
import peft
import pytest
import torch
from tiny import tiny_adapted, tiny_model, tiny_tokenizer

from mi_probe.backbones import Backbone, wrap_backbone
from mi_probe.capture import capture, extract
from mi_probe.errors import InputError
from mi_probe.estimators import ESTIMATORS
from mi_probe.hidden import Role
from mi_probe.predgen.build import build_system
from mi_probe.predgen.design import Design
from mi_probe.predgen.encoding import Rows, encode, end_token
from mi_probe.predgen.inference import Answers, answer, answered, read, write
from mi_probe.tasks import Task

PROMPTS = (
    "a charming and often affecting journey of a film, not at all funny:",
    "bad:",
    "the movie is pretty good but:",
    "unflinchingly bleak:",
)
TASK = Task(
    name="mine",
    prompts=PROMPTS,
    answers=(" yes", " no", " yes", " no"),
    labels=np.array([1, 0, 1, 0]),
    label_names=("no", "yes"),
    target="verdict",
    ids=("a", "b", "c", "d"),
)
PAIRS = ("t5", "bart")


def backbone_of(family: str) -> Backbone:
    if family == "lora":
        config = peft.LoraConfig(task_type="CAUSAL_LM", r=4, init_lora_weights=False)
        model = tiny_adapted(tiny_model("llama", head="CausalLM"), config, seed=1)
    else:
        head = "Seq2SeqLM" if family in PAIRS else "CausalLM"
        model = tiny_model(family, head=head)
    return wrap_backbone(model, tiny_tokenizer(), name=family)


def rows_of(backbone: Backbone) -> Rows:
    return encode(backbone, TASK, max_tokens=64)


def an_end(backbone: Backbone, rows: Rows) -> int:
    """A token that one of the answers has in its middle: random models write no end."""
    free = write(backbone, rows, max_new_tokens=6, eos_id=None)
    return free[1][2]


@pytest.mark.parametrize("family", ["llama", "gpt2", "opt", "qwen2", "bloom", "t5", "bart"])
def test_answers_do_not_depend_on_the_batch_and_stop_at_the_end(family):
    backbone = backbone_of(family)
    rows = rows_of(backbone)
    end = an_end(backbone, rows)
    how = {"max_new_tokens": 6, "eos_id": end}
    alone = write(backbone, rows, **how, batch_size=1)
    for size in (2, 4):
        assert write(backbone, rows, **how, batch_size=size) == alone
    assert alone[1].index(end) == len(alone[1]) - 1 <= 2
    for tokens in alone:
        assert tokens[-1] == end or len(tokens) == 6
        assert end not in tokens[:-1]
    turned = Rows(rows.rows[::-1])
    assert write(backbone, turned, **how, batch_size=2) == alone[::-1]


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2", "t5", "bart", "lora"])
def test_states_read_again_are_those_of_the_writing(family):
    backbone = backbone_of(family)
    rows = rows_of(backbone)
    last = backbone.sites[-1]
    with capture(backbone, last.name) as steps:
        # One row at a time: nothing is padded, and each step is one forward.
        tokens = write(backbone, rows, max_new_tokens=5, eos_id=None, batch_size=1)
    (found,) = steps.values()
    order = sorted(range(len(rows)), key=lambda i: -len(rows[i].prompt))
    data = answered(backbone, TASK, rows, tokens)
    states = extract(backbone, data, sites=[last.name], batch_size=3, progress=False)
    z = states.hidden(last.name)
    assert z.roles is not None
    for place, i in enumerate(order):
        written = (z.roles[i] == Role.GENERATED).nonzero().flatten()
        assert len(written) == 5
        # The first step reads the prompt; the last token is read by none.
        for step in range(1, 5):
            online = found[5 * place + step][0, -1]
            torch.testing.assert_close(
                z.values[i, written[step - 1]], online, rtol=1e-4, atol=1e-5
            )
        opening = found[5 * place][0, -1]
        torch.testing.assert_close(
            z.values[i, written[0] - 1], opening, rtol=1e-4, atol=1e-5
        )


def test_roles_and_token_sets():
    backbone = backbone_of("llama")
    rows = rows_of(backbone)
    tokens = [(7, 8), (9,), (7,), (5, 6, 7)]
    whole = answered(backbone, TASK, rows, tokens)
    n = len(rows[0].prompt)
    assert whole.ids == TASK.ids
    assert whole.input_ids[0] == [*rows[0].prompt, 7, 8]
    assert whole.roles is not None
    assert whole.roles[0] == [Role.PROMPT] * n + [Role.GENERATED] * 2
    apart = answered(backbone, TASK, rows, tokens, token_set="generated")
    assert apart.kept_lengths("text") == [2, 1, 1, 3]
    alone = answered(backbone, TASK, rows, None, token_set="prompt")
    assert [*map(len, alone.input_ids)] == [len(row.prompt) for row in rows.rows]
    with pytest.raises(InputError, match="token_set must be one of"):
        answered(backbone, TASK, rows, tokens, token_set="gold")


def test_right_answers_are_marked_and_refused():
    backbone = backbone_of("llama")
    rows = rows_of(backbone)
    right = [row.answer for row in rows.rows]
    data = answered(backbone, TASK, rows, right, gold=True)
    z = extract(backbone, data, sites="final_norm", progress=False).hidden("final_norm")
    assert z.has_gold
    many = z[[0, 1, 2, 3] * 8]
    with pytest.raises(InputError, match="gold"):
        ESTIMATORS["attention"].estimate(many, np.tile(TASK.labels, 8))


def test_what_texts_say():
    backbone = backbone_of("llama")
    words = backbone.tokenizer([" yes", " no", " maybe", " yes"])["input_ids"]
    end = end_token(backbone.tokenizer)
    said = read(backbone, TASK, [[*ids, end] for ids in words])
    assert said.texts == (" yes", " no", " maybe", " yes")
    assert said.parsed is not None
    assert said.parsed.failed.tolist() == [False, False, True, False]
    found = said.scores(TASK)
    assert found["accuracy"] == 0.5
    assert found["parse_failure_rate"] == 0.25
    assert "text_accuracy" not in found
    by_head = replace(said, values=np.array([1.0, 0, 1, 0]), by_head=True)
    found = by_head.scores(TASK)
    assert (found["accuracy"], found["text_accuracy"]) == (1.0, 0.5)
    assert found["parse_failure_rate"] == 0.25


@pytest.mark.parametrize("family", ["llama", "t5"])
@pytest.mark.parametrize("objective", ["predictor", "generator", "predgen"])
def test_a_system_answers_alike_in_any_batch(objective, family):
    backbone = backbone_of(family)
    design = Design(
        objective, "scores", 1, "mse", mean=2.0, spread=3.0, answer_tokens=4, pooling="mean"
    )
    system = build_system(backbone, design)
    if system.head is not None:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            for weight in system.head.parameters():
                weight.add_(0.3 * torch.randn_like(weight))
    scores = replace(TASK, labels=np.array([1.0, 2.0, 4.0, 0.5]), label_names=None)
    rows = encode(backbone, scores, answers=objective != "predictor")
    system.train()
    alone: Answers = answer(system, scores, rows, batch_size=1)
    together = answer(system, scores, rows, batch_size=3)
    assert system.training
    assert alone.token_ids == together.token_ids
    assert (alone.token_ids is None) == (objective == "predictor")
    np.testing.assert_allclose(alone.values, together.values, rtol=1e-4)
    if objective != "generator":
        assert alone.by_head
        assert len(set(alone.values.round(4))) == 4
    else:
        assert alone.parsed is not None
        np.testing.assert_array_equal(alone.values, alone.parsed.values)


def test_what_cannot_write():
    backbone = wrap_backbone(tiny_model("llama"), tiny_tokenizer(), name="bare")
    with pytest.raises(InputError, match="'bare' was loaded without one"):
        write(backbone, rows_of(backbone), max_new_tokens=2, eos_id=None)
    config = peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3)
    model = tiny_adapted(tiny_model("llama", head="CausalLM"), config)
    prompted = wrap_backbone(model, tiny_tokenizer(), name="prompted")
    with pytest.raises(InputError, match="puts 3 virtual tokens in front"):
        write(prompted, rows_of(prompted), max_new_tokens=2, eos_id=None)
