import math

import numpy as np
import pytest
import torch

from mi_probe.predgen.alignment import ALIGNMENTS

FIXED = sorted(set(ALIGNMENTS) - {"uncertainty"})
SIZES = [10.0**k for k in range(-8, 5)]
PAIRS = [(a, b) for a in SIZES for b in SIZES]


def joined(name: str, a: float, b: float, dtype=torch.float32):
    """The joint loss and its two derivatives."""
    writer = torch.tensor(a, dtype=dtype, requires_grad=True)
    director = torch.tensor(b, dtype=dtype, requires_grad=True)
    loss = ALIGNMENTS[name]()(writer, director)
    loss.backward()
    assert writer.grad is not None
    assert director.grad is not None
    return loss.item(), writer.grad.item(), director.grad.item()


def by_hand(name: str, a: float, b: float):
    """The same in Python's floats, from formulas worked out by hand."""
    length = math.hypot(a, b)
    root = math.sqrt(2)
    return {
        "paper": (a * b, b, a),
        "product": (a * b, b, a),
        "code": (
            math.log1p(a) + math.log1p(b) + (1 + a) * (1 + b),
            1 + b + 1 / (1 + a),
            1 + a + 1 / (1 + b),
        ),
        "sum": (a + b, 1.0, 1.0),
        "balanced": (root * length, root * a / length, root * b / length),
    }[name]


@pytest.mark.parametrize("name", FIXED)
def test_value_and_gradient_are_exact_from_1e_minus_8_to_1e4(name):
    found = np.array([joined(name, a, b) for a, b in PAIRS])
    expected = np.array([by_hand(name, a, b) for a, b in PAIRS])
    np.testing.assert_allclose(found, expected, rtol=3e-6)


@pytest.mark.parametrize("name", FIXED)
def test_gradients_agree_with_differences(name):
    module, rng = ALIGNMENTS[name](), np.random.default_rng(0)
    for a, b in np.exp(rng.normal(size=(5, 2))):
        inputs = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in (a, b)]
        assert torch.autograd.gradcheck(module, inputs)


def literal_paper(a, b):
    return torch.maximum(a**2, b**2) * torch.exp(-torch.abs(a.log() - b.log()))


def literal_code(a, b):
    u, v = 1 + a, 1 + b
    return u.log() + v.log() + literal_paper(u, v)


def exponential(a, b):
    s = torch.log1p(a) + torch.log1p(b)
    return s + s.exp()


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("paper", literal_paper),
        ("paper", torch.mul),
        ("code", literal_code),
        ("code", exponential),
    ],
)
def test_published_forms_are_what_the_docstring_proves_them_to_be(name, same):
    rng = np.random.default_rng(1)
    for a, b in [*np.exp(2 * rng.normal(size=(8, 2))), (0.7, 0.7)]:
        other = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in (a, b)]
        value = same(*other)
        value.backward()
        expected = [value.item(), *(x.grad.item() for x in other)]
        assert joined(name, a, b, torch.float64) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", sorted(ALIGNMENTS))
@pytest.mark.parametrize("losses", [(0.0, 0.0), (0.0, 2.0), (2.0, 0.0), (1e4, 1e4)])
def test_losses_of_nothing_give_finite_numbers(name, losses):
    assert all(map(math.isfinite, joined(name, *losses)))


@pytest.mark.parametrize("name", sorted(ALIGNMENTS))
def test_losses_in_16_bits_are_joined_in_32(name):
    loss = ALIGNMENTS[name]()(torch.tensor(300.0).half(), torch.tensor(400.0).half())
    assert loss.dtype == torch.float32
    assert math.isfinite(loss.item())


def test_which_loss_is_pushed_harder():
    harder = {name: joined(name, 2.0, 0.5)[1:] for name in FIXED}
    # The published forms: the smaller one, against what their description says.
    for name in ("paper", "code", "product"):
        assert harder[name][0] < harder[name][1], name
    assert harder["sum"][0] == harder["sum"][1]
    assert harder["balanced"][0] == pytest.approx(4 * harder["balanced"][1])


def test_balanced_is_the_sum_and_a_penalty_on_imbalance():
    assert joined("balanced", 0.3, 0.3) == pytest.approx((0.6, 1.0, 1.0))
    assert joined("balanced", 1.05, 0.95)[0] == pytest.approx(2.0 + 0.1**2 / 4, abs=1e-5)
    assert all(joined("balanced", a, b)[0] >= (a + b) * (1 - 1e-6) for a, b in PAIRS)


def test_balanced_descends_to_equal_losses_where_the_product_does_not():
    # Two tasks that compete for one parameter w: (w - 1)^2 and 4 (w + 1)^2.
    ends = {}
    for name in ("balanced", "product"):
        w = torch.tensor(0.3, requires_grad=True)
        optimiser = torch.optim.SGD([w], lr=0.01)
        for _ in range(400):
            optimiser.zero_grad()
            ALIGNMENTS[name]()((w - 1).square(), 4 * (w + 1).square()).backward()
            optimiser.step()
        ends[name] = (w - 1).square().item(), 4 * (w + 1).square().item()
    assert max(ends["balanced"]) / min(ends["balanced"]) < 2.5
    assert min(ends["product"]) < 1e-3


def test_uncertainty_learns_the_scale_of_each_loss():
    module = ALIGNMENTS["uncertainty"]()
    a, b = torch.tensor(3.0), torch.tensor(0.05)
    optimiser = torch.optim.Adam(module.parameters(), lr=0.1)
    for _ in range(300):
        optimiser.zero_grad()
        module(a, b).backward()
        optimiser.step()
    (name, variances), *others = module.state_dict().items()
    assert (name, others) == ("log_variances", [])
    assert torch.allclose(variances.exp(), torch.stack([a, b]), rtol=0.02)
    expected = 0.5 * (2 + math.log(3.0) + math.log(0.05))
    assert module(a, b).item() == pytest.approx(expected, abs=1e-3)
