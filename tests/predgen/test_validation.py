"""Validation reads each prompt once, and says what three readings would say."""

import numpy as np
import pytest
from tiny_systems import system

from mi_probe.predgen import validation
from mi_probe.predgen.encoding import encode
from mi_probe.predgen.inference import answer
from mi_probe.predgen.validation import answers_and_loss
from mi_probe.tasks import Task

N = 7
TASK = Task(
    name="planted",
    prompts=tuple(f"a film {'very ' * i}good:" for i in range(N)),
    answers=tuple(" positive" if i % 3 else " no" for i in range(N)),
    labels=np.array([int(i % 3 > 0) for i in range(N)]),
    label_names=("no", "positive"),
    target="verdict",
    ids=tuple(map(str, range(N))),
)


@pytest.mark.parametrize("objective", ["predictor", "generator", "predgen"])
@pytest.mark.parametrize(
    ("family", "changes"),
    [
        ("llama", {}),
        ("gpt2", {}),
        ("gemma3", {}),
        ("t5", {}),
        ("llama", {"loss_on": "all"}),
    ],
)
def test_once_says_what_apart_would_say(objective, family, changes, monkeypatch):
    built = system(family, objective, answer_tokens=5, **changes)
    if built.head is not None:
        for p in built.head.parameters():
            p.data += 0.1 * p.new_tensor(range(p.numel())).view_as(p).sin()
    rows = encode(built.backbone, TASK)
    found, loss = answers_and_loss(built, TASK, rows, batch_size=3)
    apart = answer(built, TASK, rows, batch_size=2)
    assert found.values.tolist() == pytest.approx(apart.values.tolist(), nan_ok=True)
    assert found.token_ids == apart.token_ids
    assert found.texts == apart.texts
    assert found.by_head == apart.by_head
    monkeypatch.setattr(validation, "can_read_once", lambda *_, **__: False)
    # The loss is of the rows, in whatever batches.
    for size in (1, 2, N):
        other = answers_and_loss(built, TASK, rows, batch_size=size)[1]
        assert other == pytest.approx(loss, rel=2e-5)


def test_each_prompt_is_read_once_the_longest_first():
    built = system("llama", "predgen", answer_tokens=5)
    rows = encode(built.backbone, TASK)
    widths: list[int] = []
    built.model.register_forward_pre_hook(
        lambda _, args, kwargs: widths.append(kwargs["input_ids"].shape[1]),
        with_kwargs=True,
    )
    answers_and_loss(built, TASK, rows, batch_size=1)
    prompts = sorted((len(row.prompt) for row in rows.rows), reverse=True)
    longest_answer = max(5, rows.longest)
    assert [w for w in widths if w > longest_answer] == prompts[:-1]
