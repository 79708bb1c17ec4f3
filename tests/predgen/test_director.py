import numpy as np
import pytest
import torch
from torch.nn import functional

from mi_probe.errors import InputError
from mi_probe.predgen.director import DIRECTORS, LogitsAdapter, TaskAdapter

ADAPTERS = {
    "task": lambda **given: TaskAdapter(8, 3, width=16, **given),
    "logits": lambda **given: LogitsAdapter(8, 3, **given),
}


def stirred(adapter):
    """The adapter with weights where nothing is 0."""
    generator = torch.Generator().manual_seed(5)
    for parameter in adapter.parameters():
        parameter.data += 0.5 * torch.randn(parameter.shape, generator=generator)
    return adapter.eval()


def answers(seed: int = 0):
    values = torch.randn(4, 5, 8, generator=torch.Generator().manual_seed(seed))
    mask = torch.arange(5) < torch.tensor([[5], [3], [1], [2]])
    return values, mask


@pytest.mark.parametrize("kind", sorted(ADAPTERS))
@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_changes_nothing(kind, side):
    adapter, (values, mask) = stirred(ADAPTERS[kind]()), answers()
    padded = torch.full((4, 9, 8), torch.nan)
    wider = torch.zeros(4, 9, dtype=torch.bool)
    for row, length in enumerate(mask.sum(1)):
        place = slice(length) if side == "right" else slice(9 - length, 9)
        padded[row, place], wider[row, place] = values[row, :length], True
    outputs = adapter(padded, wider)
    alone = [adapter(v[m][None], m[m][None])[0] for v, m in zip(values, mask, strict=True)]
    assert torch.allclose(outputs, torch.stack(alone), atol=1e-6)
    outputs.sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in adapter.parameters())


@pytest.mark.parametrize("kind", sorted(ADAPTERS))
def test_every_token_of_the_answer_is_read(kind):
    adapter, (values, mask) = stirred(ADAPTERS[kind]()), answers()
    values.requires_grad_()
    adapter(values, mask).square().sum().backward()
    assert values.grad is not None
    assert torch.equal(values.grad.abs().sum(2) > 0, mask)


@pytest.mark.parametrize("kind", sorted(ADAPTERS))
def test_an_answer_without_tokens_gives_a_number(kind):
    adapter, (values, mask) = stirred(ADAPTERS[kind]()), answers()
    mask[1] = False
    outputs = adapter(values, mask)
    outputs.sum().backward()
    assert outputs.isfinite().all()
    assert all(p.grad.isfinite().all() for p in adapter.parameters())


@pytest.mark.parametrize("kind", sorted(ADAPTERS))
def test_weights_depend_on_the_seed_and_leave_the_global_state(kind):
    before = torch.random.get_rng_state()
    one, same, other = (ADAPTERS[kind](seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(one.hidden.weight, same.hidden.weight)
    assert not torch.equal(one.hidden.weight, other.hidden.weight)


@pytest.mark.parametrize("kind", sorted(ADAPTERS))
def test_states_in_16_bits_are_read_in_the_weights_precision(kind):
    adapter, (values, mask) = stirred(ADAPTERS[kind]()), answers()
    wide = adapter(values.bfloat16().float(), mask)
    assert torch.equal(adapter(values.bfloat16(), mask), wide)


def test_task_adapter_first_predicts_nothing_of_any_answer():
    assert torch.equal(TaskAdapter(8, 3)(*answers()), torch.zeros(4, 3))


def test_logits_adapter_is_one_linear_map_of_the_mean_logits():
    adapter, (logits, mask) = stirred(ADAPTERS["logits"]()), answers()
    both = adapter.output.weight @ adapter.hidden.weight
    for row in range(4):
        mean = logits[row][mask[row]].mean(0)
        assert torch.allclose(adapter(logits, mask)[row], both @ mean, atol=1e-5)


def test_task_adapter_learns_what_only_one_token_tells():
    # The class is the sign of one unit at the second token of four, and that token is
    # marked. From the mean of four no reader is right more often than 2 times in 3.
    rng = np.random.default_rng(0)
    states = torch.as_tensor(rng.normal(size=(256, 4, 8)), dtype=torch.float32)
    labels = (states[:, 1, 0] > 0).long()
    states[:, 1, 7] = 4.0
    mask = torch.ones(256, 4, dtype=torch.bool)
    adapter = TaskAdapter(8, 2, width=16)
    optimiser = torch.optim.Adam(adapter.parameters(), lr=0.02)
    for _ in range(80):
        optimiser.zero_grad()
        DIRECTORS["cross_entropy"](adapter(states, mask), labels).backward()
        optimiser.step()
    right = adapter(states, mask).argmax(1) == labels
    assert right.float().mean() > 0.85


def draws(c: int):
    generator = torch.Generator().manual_seed(3)
    return torch.randn(6, c, generator=generator), torch.randn(6, c, generator=generator)


def test_cross_entropy_is_minus_the_log_probability():
    outputs, _ = draws(3)
    labels = torch.tensor([0, 2, 1, 1, 0, 2])
    expected = -outputs.log_softmax(1)[torch.arange(6), labels].mean()
    assert torch.allclose(DIRECTORS["cross_entropy"](outputs, labels), expected)


@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("mse", lambda e: e.square()),
        ("mae", lambda e: e.abs()),
        ("huber", lambda e: torch.where(e.abs() < 1, e.square() / 2, e.abs() - 0.5)),
    ],
)
def test_regression_losses_pair_each_output_with_its_label(name, reference, flat):
    outputs, labels = draws(1)
    expected = reference(outputs - labels).mean()
    given = labels[:, 0] if flat else labels
    assert torch.allclose(DIRECTORS[name](outputs, given), expected)


def test_bce_takes_a_class_a_probability_or_a_number_for_each_output():
    outputs, _ = draws(3)
    classes = torch.tensor([0, 2, 1, 1, 0, 2])
    each = functional.one_hot(classes, 3).float()
    p = outputs.sigmoid()
    expected = -(each * p.log() + (1 - each) * (1 - p).log()).mean()
    for labels in (classes, each):
        assert torch.allclose(DIRECTORS["bce"](outputs, labels), expected)
    one, share = outputs[:, :1], torch.tensor([0.0, 1.0, 0.3, 1.0, 0.0, 0.5])
    q = one[:, 0].sigmoid()
    expected = -(share * q.log() + (1 - share) * (1 - q).log()).mean()
    assert torch.allclose(DIRECTORS["bce"](one, share), expected)
    hard = (share > 0.4).long()
    assert torch.equal(DIRECTORS["bce"](one, hard), DIRECTORS["bce"](one, hard.float()))


@pytest.mark.parametrize("name", ["mse", "mae", "huber", "bce"])
def test_labels_of_another_shape_are_refused(name):
    with pytest.raises(InputError, match=r"\(6, 2\); got \(6, 3\)"):
        DIRECTORS[name](draws(2)[0], draws(3)[1])
    with pytest.raises(InputError, match="labels must"):
        DIRECTORS["mse"](draws(2)[0], draws(1)[1][:, 0])
