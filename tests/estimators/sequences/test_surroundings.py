import torch

from mi_probe.estimators.sequences.evidence import log_sum_exp, surroundings


def scores(t: int = 5, spread: float = 1.0) -> torch.Tensor:
    draw = torch.Generator().manual_seed(0)
    return spread * torch.randn(2, t, 3, 4, dtype=torch.float64, generator=draw)


def test_sums_are_of_what_stands_before_and_behind():
    a = scores()
    before, behind, whole = surroundings(a)
    for i in range(1, 5):
        assert torch.allclose(before[:, i], a[:, :i].logsumexp(1), atol=1e-3)
        assert torch.allclose(behind[:, i - 1], a[:, i:].logsumexp(1), atol=1e-3)
    assert torch.allclose(whole, a.logsumexp(1), atol=1e-5)
    # Nothing stands there: a millionth of the largest term.
    top = a.amax(1)
    assert torch.allclose(before[:, 0], top - 13.8155, atol=1e-3)
    assert torch.allclose(behind[:, -1], top - 13.8155, atol=1e-3)


def test_one_token_has_nothing_around_it():
    a = scores(t=1)
    before, behind, whole = surroundings(a)
    assert torch.equal(before, behind)
    assert torch.allclose(whole, a[:, 0], atol=1e-5)


def test_the_written_gradient_is_that_of_plain_sums():
    a = scores(t=4).requires_grad_()
    weights = [torch.randn_like(part) for part in surroundings(a)]
    # What is added to a sum is a share of the largest term, and taken as a number.
    top = a.detach().amax(1, keepdim=True)
    terms = torch.exp(a - top)
    rows = [terms[:, i] for i in range(4)]
    nothing = torch.zeros_like(rows[0])
    before = torch.stack([sum(rows[:i], nothing) for i in range(4)], 1)
    behind = torch.stack([sum(rows[i + 1 :], nothing) for i in range(4)], 1)
    plain = [torch.log(sums + 1e-6) for sums in (before, behind, terms.sum(1))]
    expected, found = (
        torch.autograd.grad(
            sum(
                ((x * w).sum() for x, w in zip(parts, weights, strict=True)), nothing.sum()
            ),
            a,
        )[0]
        for parts in (plain, surroundings(a))
    )
    assert torch.allclose(found, expected, rtol=1e-9)


def test_terms_far_below_the_largest_do_not_underflow():
    a = scores(spread=1.0).float()
    a[:, 2:] -= 1e4
    a.requires_grad_()
    total = sum((part.sum() for part in surroundings(a)), torch.zeros(()))
    (total + log_sum_exp(a).sum()).backward()
    assert a.grad is not None
    assert a.grad.isfinite().all()
    least = torch.finfo(torch.float32).tiny
    assert not ((a.grad != 0) & (a.grad.abs() < least)).any()


def test_log_sum_exp_is_that_over_the_second_axis():
    c = scores()
    assert torch.allclose(log_sum_exp(c), c.logsumexp(1))
