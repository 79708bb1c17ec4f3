"""What a system's losses are: of the answer, under any padding, of its own tokens."""

import numpy as np
import pytest
import torch
from tiny_systems import ROWS, batch, system

from mi_probe.errors import InputError
from mi_probe.predgen.encoding import collate
from mi_probe.predgen.one_reading import ReadPrompt
from mi_probe.predgen.own_answers import OwnAnswers
from mi_probe.predgen.schedules import Schedule


@pytest.mark.parametrize("family", ["llama", "gpt2", "opt", "t5", "bart"])
def test_the_writer_s_loss_is_the_mean_over_answer_tokens(family):
    built = system(family, "generator")
    total, n = 0.0, 0
    for row in ROWS:
        ids = torch.tensor([row.prompt]), torch.tensor([row.answer])
        with torch.no_grad():
            if family in ("t5", "bart"):
                start = built.backbone.base.config.decoder_start_token_id
                fed = torch.tensor([[start, *row.answer[:-1]]])
                logits = built.model(input_ids=ids[0], decoder_input_ids=fed).logits[0]
            else:
                whole = built.model(input_ids=torch.cat(ids, 1)).logits[0]
                logits = whole[len(row.prompt) - 1 : -1]
        nats = torch.nn.functional.cross_entropy(logits, ids[1][0], reduction="sum")
        total, n = total + float(nats), n + len(row.answer)
    assert built(**batch(family=family))["loss"].item() == pytest.approx(
        total / n, rel=1e-5
    )


@pytest.mark.parametrize("family", ["llama", "gpt2", "t5"])
@pytest.mark.parametrize("objective", ["predictor", "predgen"])
def test_a_row_s_outputs_do_not_depend_on_its_batch(family, objective):
    built = system(family, objective)
    # The adapter's last layer starts at zero, which would hide everything.
    torch.nn.init.ones_(next(p for p in built.head.parameters() if p.ndim == 2))
    for p in built.head.parameters():
        p.data += 0.1 * torch.arange(p.numel()).view_as(p).sin()

    def outputs(rows):
        given = batch(rows, family, objective)
        fed = (given["answer_ids"], given["answer_mask"]) if objective == "predgen" else ()
        with torch.no_grad():
            return built.outputs(given["prompt_ids"], given["prompt_mask"], *fed)

    together = outputs(ROWS)
    alone = torch.cat([outputs([row]) for row in ROWS])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
    assert float(together.std(0).max()) > 1e-3


def test_the_adapter_reads_the_states_of_the_fed_tokens():
    built = system()
    given = batch(ROWS[:1])
    read = built.read(
        *(given[k] for k in ("prompt_ids", "prompt_mask", "answer_ids", "answer_mask"))
    )
    ids = torch.tensor([ROWS[0].prompt + ROWS[0].answer])
    with torch.no_grad():
        whole = built.model(input_ids=ids, output_hidden_states=True).hidden_states[-1]
    torch.testing.assert_close(read.states.detach(), whole[:, -3:], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", ["llama", "t5"])
def test_the_published_adapter_reads_the_logits_at_the_answer_s_tokens(family):
    """After each token, so that the last one counts; the writer's are one place before."""
    built = system(family, adapter="logits")
    given = batch(ROWS[:1], family)
    names = ("prompt_ids", "prompt_mask", "answer_ids", "answer_mask")
    with torch.no_grad():
        read = built.read(*(given[name] for name in names))
        torch.testing.assert_close(read.answer_logits[:, :-1], read.logits[:, 1:])
        first = built.outputs(*(given[name] for name in names))
        given["answer_ids"][0, -1] = 60
        other = built.outputs(*(given[name] for name in names))
        again = built.read(*(given[name] for name in names))
    assert not torch.equal(first, other)
    torch.testing.assert_close(read.logits, again.logits)


def test_after_an_own_end_nothing_is_to_be_written():
    built = system(objective="generator")
    given = batch(ROWS[:1])
    fed = torch.tensor([[50, 2, 0]]), torch.tensor([[True, True, False]])
    short = built(**given, fed_ids=fed[0], fed_mask=fed[1])["loss"].item()
    with torch.no_grad():
        ids = torch.tensor([[*ROWS[0].prompt, 50]])
        logits = built.model(input_ids=ids).logits[0, -2:]
    expected = torch.nn.functional.cross_entropy(logits, torch.tensor([50, 51]))
    assert short == pytest.approx(float(expected), rel=1e-5)


def test_the_prompt_s_tokens_are_trained_where_asked_for():
    built = system(objective="generator", loss_on="all")
    row = ROWS[0]
    ids = torch.tensor([row.prompt + row.answer])
    with torch.no_grad():
        logits = built.model(input_ids=ids).logits[0, :-1]
    expected = torch.nn.functional.cross_entropy(logits, ids[0, 1:])
    assert built(**batch([row]))["loss"].item() == pytest.approx(float(expected), rel=1e-5)
    # Padding changes nothing of it.
    both = built(**batch([row, ROWS[1]]))["loss"]
    other = built(**batch([ROWS[1]]))["loss"]
    n = [len(r.prompt) + len(r.answer) - 1 for r in (row, ROWS[1])]
    mixed = (n[0] * float(expected) + n[1] * other.item()) / sum(n)
    assert both.item() == pytest.approx(mixed, rel=1e-5)
    with pytest.raises(InputError, match="loss_on must be 'answer'"):
        system("t5", "generator", loss_on="all")


@pytest.mark.parametrize("unit", ["batch", "token"])
@pytest.mark.parametrize("family", ["llama", "t5"])
def test_own_answers_are_a_function_of_seed_step_and_place(unit, family):
    built = system(family).train()
    given = batch(family=family)
    own = OwnAnswers(Schedule("always"), 10, unit=unit, sampled=True, seed=3)

    def fed(step, place):
        told = own.fed(built, given, step=step, place=place)
        if unit == "batch" and family == "llama":  # which writes as it learns
            ids, mask = given["prompt_ids"], given["prompt_mask"]
            return ReadPrompt(built.model, ids, mask).write(told["writing"])[0].tolist()
        return told["fed_ids"].tolist()

    first = fed(4, 0)
    torch.manual_seed(1)
    assert fed(4, 0) == first
    assert fed(5, 0) != first
    assert fed(4, 1) != first
    assert built.training
    assert built.model.training


def test_the_schedule_decides_whether_answers_are_its_own():
    built, given = system(), batch()
    never = OwnAnswers(Schedule("never"), 10)
    assert never.fed(built, given, step=9, place=0) == {}
    half = OwnAnswers(Schedule("linear"), 100, seed=1)
    share = np.mean(
        [bool(half.fed(built, given, step=s, place=0)) for s in range(0, 100, 4)]
    )
    assert 0.2 < share < 0.8
    assert [bool(half.fed(built, given, step=50, place=p)) for p in range(4)] in (
        [True] * 4,
        [False] * 4,
    )


def test_scores_are_on_their_own_scale():
    built = system(
        objective="predictor",
        kind="scores",
        n_outputs=1,
        director="mse",
        mean=3.0,
        spread=2.0,
    )
    torch.nn.init.zeros_(built.head.linear.weight)
    given = collate(ROWS, pad=0, left=False, classes=False)
    outputs = built.outputs(given["prompt_ids"], given["prompt_mask"])
    assert built.values(outputs).tolist() == [3.0] * 3
    y = (given["labels"] - 3.0) / 2.0
    assert built(**given)["loss"].item() == pytest.approx(float(y.square().mean()))


def test_a_generator_has_no_head(tiny_backbone):
    built = system(objective="generator")
    given = batch()
    with pytest.raises(InputError, match="no head"):
        built.outputs(given["prompt_ids"], given["prompt_mask"])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"director": "mse"}, "cross_entropy, bce; got 'mse'"),
        ({"alignment": "no"}, "alignment must be one of paper"),
        ({"adapter": "no"}, "adapter must be one of states, logits"),
    ],
)
def test_a_design_that_does_not_fit_is_refused(changes, said):
    with pytest.raises(InputError, match=said):
        system(**changes)
