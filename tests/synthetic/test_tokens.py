"""Truths of sequence tasks against brute force: enumerated codes and Bayes' rule."""

import numpy as np
import pytest

from mi_probe.pooling import pool
from mi_probe.synthetic import (
    counting,
    first_against_last,
    majority,
    mean_sufficient,
    needle,
    order,
    parity_of_ends,
)
from mi_probe.synthetic.marked_tokens import _counting_source, _needle_source, _order_source
from mi_probe.synthetic.means_and_ends import _majority_source, _parity_source
from mi_probe.synthetic.token_source import TokenSource, _flipped, _pooled, truths

DRAWS = 400_000


def enumerated(source: TokenSource) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The different sequences of codes, their masks, and p(codes, y): (m, c)."""
    codes, mask, y = source.draw(np.random.default_rng(0), DRAWS)
    flat = np.concatenate([codes.reshape(len(codes), -1), mask], axis=1)
    unique, first, index = np.unique(flat, axis=0, return_index=True, return_inverse=True)
    joint = np.zeros((len(unique), source.n_classes))
    np.add.at(joint, (index.ravel(), y), 1 / DRAWS)
    return codes[first], mask[first], joint


def plug_in(joint: np.ndarray) -> float:
    """I in nats of a table of probabilities, less Miller and Madow's bias."""
    x, y = joint.sum(1, keepdims=True), joint.sum(0, keepdims=True)
    kept = joint > 0
    nats = (joint[kept] * np.log(joint[kept] / (x * y)[kept])).sum()
    cells = kept.sum() - (x > 0).sum() - (y > 0).sum() + 1
    return float(nats - cells / (2 * DRAWS))


def merged(values: np.ndarray, joint: np.ndarray) -> np.ndarray:
    _, index = np.unique(values.round(6), axis=0, return_inverse=True)
    table = np.zeros((index.max() + 1, joint.shape[1]))
    np.add.at(table, index.ravel(), joint)
    return table


SOURCES = {
    "order": lambda noise: _order_source(5, noise, 0.0, True),
    "needle": lambda noise: _needle_source(3, noise, 0.0),
    "majority": lambda noise: _majority_source(7, noise),
    "counting": lambda noise: _counting_source(8, noise),
    "parity of ends": lambda noise: _parity_source(5, noise, 0.0),
}


@pytest.mark.parametrize("name", SOURCES)
def test_without_noise_truths_are_those_of_enumeration(name):
    source = SOURCES[name](0.02)
    codes, mask, joint = enumerated(source)
    found = truths(source, 20_000)
    flat = np.concatenate([codes.reshape(len(codes), -1), mask], axis=1)
    assert found["full"][0] == pytest.approx(plug_in(merged(flat, joint)), abs=0.006)
    for view in source.views:
        pooled = plug_in(merged(_pooled(codes, mask, view), joint))
        assert found[view][0] == pytest.approx(pooled, abs=0.004 + 5 * found[view][1]), view


@pytest.mark.parametrize("name", SOURCES)
def test_with_noise_posteriors_are_bayes_rule(name):
    source = SOURCES[name](0.9)
    codes, mask, joint = enumerated(source)
    rng = np.random.default_rng(1)
    some = rng.choice(len(codes), size=30, p=joint.sum(1) / joint.sum())
    z = codes[some] + 0.9 * rng.normal(size=codes[some].shape)
    z *= mask[some][..., None]
    # The mask is seen too, so only sequences of its length are possible.
    square = ((z[:, None] - codes) ** 2).sum((2, 3)) / 0.9**2
    same = (mask[some][:, None] == mask).all(2)
    density = np.where(same, np.exp(-0.5 * square), 0.0) @ joint
    expected = density / density.sum(1, keepdims=True)
    found = np.exp(_flipped(source, source.log_likelihood(z, mask[some])))
    np.testing.assert_allclose(found, expected, atol=0.02)


@pytest.mark.parametrize("name", SOURCES)
def test_with_noise_pooled_posteriors_are_bayes_rule(name):
    source = SOURCES[name](0.9)
    codes, mask, joint = enumerated(source)
    rng = np.random.default_rng(2)
    for view, mixture in source.views.items():
        centres = _pooled(codes, mask, view)
        sd = 0.9 / np.sqrt(mask.sum(1)) if view == "mean" else np.full(len(codes), 0.9)
        x = centres[rng.choice(len(codes), size=30)]
        x = x + 0.9 * rng.normal(size=x.shape)
        k = x.shape[1]
        square = ((x[:, None] - centres) ** 2).sum(2) / sd**2
        density = (np.exp(-0.5 * square) / sd**k) @ joint
        expected = density / density.sum(1, keepdims=True)
        # Some views' mixtures leave out coordinates that tell nothing.
        likelihood = mixture.log_likelihood(x[:, : mixture.centres.shape[1]])
        np.testing.assert_allclose(
            np.exp(_flipped(source, likelihood)), expected, atol=0.03, err_msg=view
        )


def test_flips_lower_the_truth_by_the_entropy_they_add():
    p = 0.1
    entropy = -p * np.log(p) - (1 - p) * np.log(1 - p)
    known = parity_of_ends(100, noise=0.05, flips=0.2)
    assert known.nats == pytest.approx(np.log(2) - entropy, abs=1e-6)
    many = parity_of_ends(50_000, noise=0.05, flips=0.2)
    assert many.sample_nats == pytest.approx(known.nats, abs=0.02)
    # The ends' product in any basis has the sign of their parity: 1 in 10 disagrees.
    ends = (pool(many.x, "first") * pool(many.x, "last")).sum(1).numpy()
    assert ((ends > 0) != (many.y == 1)).mean() == pytest.approx(p, abs=0.01)


def test_equal_lengths_make_the_mean_sufficient_and_varying_ones_do_not():
    equal, varying = (mean_sufficient(100, vary=vary) for vary in (False, True))
    assert equal.pooled_nats["mean"] == pytest.approx(equal.nats, abs=1e-3)
    assert varying.pooled_nats["mean"] < varying.nats - 0.003
    # Two normals at distance 1.5, by integration.
    x = np.linspace(-9, 9, 4001)
    p = 1 / (1 + np.exp(-1.5 * x))
    density = (np.exp(-0.5 * (x - 0.75) ** 2) + np.exp(-0.5 * (x + 0.75) ** 2)) / 2
    density /= np.sqrt(2 * np.pi)
    entropy = -p * np.log(p) - (1 - p) * np.log1p(-p)
    truth = np.log(2) - np.trapezoid(density * entropy, x)
    assert equal.nats == pytest.approx(truth, abs=5 * equal.stderr)


def test_first_against_last_in_closed_form():
    known = first_against_last(100_000, t=6, d=3)
    assert known.nats == np.log(2)
    assert known.pooled_nats["first"] == pytest.approx(np.log(2) - 0.5, abs=1e-6)
    noisy = first_against_last(100_000, t=6, d=3, noise=1.0)
    # With a - b of variance 2 and probit noise 1, by Monte Carlo on the rows drawn.
    assert noisy.sample_nats == pytest.approx(noisy.nats, abs=0.01)
    assert noisy.pooled_nats["first"] < noisy.nats


@pytest.mark.parametrize(
    "make", [order, needle, majority, counting, parity_of_ends, first_against_last]
)
def test_rows_are_sequences_whose_pads_are_zero(make):
    known = make(300, d=8, seed=1)
    mask = known.x.mask
    assert known.x.values.shape[2] == 8
    assert (known.x.values[~mask] == 0).all()
    lengths = mask.sum(1)
    assert lengths.min() < lengths.max()
    # True positions come first.
    assert (mask.long().diff(dim=1) <= 0).all()
    again = make(300, d=8, seed=1)
    assert (again.x.values == known.x.values).all()
    assert (make(300, d=8, seed=2).y != known.y).any()
