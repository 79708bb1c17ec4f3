"""KSG and Ross against slow, readable references and known answers."""

import numpy as np
import pytest
from scipy.special import digamma

from mi_probe import InputError
from mi_probe.estimators import ESTIMATORS, NearestNeighbours
from mi_probe.estimators.scores import knn
from mi_probe.estimators.scores.knn import ksg_terms, ross_terms
from mi_probe.synthetic import class_gaussians, gaussian_pair


def ksg_reference(x, y, k, norm):
    """Equation 8 of Kraskov et al. (2004), a row at a time."""
    terms = []
    for i in range(len(x)):
        apart_x, apart_y = norm(x - x[i]), norm(y - y[i])
        reach = sorted(np.delete(np.maximum(apart_x, apart_y), i))[k - 1]
        n_x = (np.delete(apart_x, i) < reach).sum()
        n_y = (np.delete(apart_y, i) < reach).sum()
        terms.append(digamma(k) + digamma(len(x)) - digamma(n_x + 1) - digamma(n_y + 1))
    return np.array(terms)


def ross_reference(x, classes, k, norm):
    """Equation 1 of Ross (2014), a row at a time."""
    terms = []
    for i in range(len(x)):
        apart, own = norm(x - x[i]), classes == classes[i]
        own[i] = False
        count = min(k, own.sum())
        if not count:
            terms.append(0.0)
            continue
        reach = sorted(apart[own])[count - 1]
        m = (np.delete(apart, i) <= reach).sum()
        terms.append(digamma(len(x)) - digamma(own.sum() + 1) + digamma(count) - digamma(m))
    return np.array(terms)


def largest(difference):
    return np.abs(difference).max(1)


def euclidean(difference):
    return np.sqrt((difference**2).sum(1))


@pytest.mark.parametrize(("d", "norm"), [(1, largest), (3, largest), (12, euclidean)])
def test_terms_are_those_of_the_papers(d, norm):
    rng = np.random.default_rng(d)
    x = rng.normal(size=(90, d))
    y = x[:, :2] + rng.normal(size=(90, min(d, 2)))
    assert ksg_terms(x, y, 3) == pytest.approx(ksg_reference(x, y, 3, norm))
    classes = np.r_[7, 8, 8, rng.integers(3, size=87)]
    assert ross_terms(x, classes, 3) == pytest.approx(ross_reference(x, classes, 3, norm))


def test_many_dimensions_are_scored_in_parts_alike(monkeypatch):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(80, 9)), rng.normal(size=(80, 9))
    whole = ksg_terms(x, y), ross_terms(np.c_[x, y], np.arange(80) % 2)
    monkeypatch.setattr(knn, "_CHUNK", 7)
    assert ksg_terms(x, y) == pytest.approx(whole[0])
    assert ross_terms(np.c_[x, y], np.arange(80) % 2) == pytest.approx(whole[1])


def test_one_dimensional_pairs_are_right_whatever_their_margins():
    known = gaussian_pair(3000, 1, 0.8, seed=1)
    plain = ESTIMATORS["ksg"].estimate(known.x, known.y)
    assert plain.nats == pytest.approx(known.nats, abs=3 * plain.stderr)
    bent = ESTIMATORS["ksg"].estimate(np.exp(9 * known.x), known.y**3)
    assert bent.pointwise == pytest.approx(plain.pointwise)


def test_ross_is_right_in_few_dimensions():
    known = class_gaussians(3000, 2, 3, separation=3.0, seed=1)
    estimate = ESTIMATORS["ross"].estimate(known.x, known.y)
    assert estimate.nats == pytest.approx(known.nats, abs=0.03)


def test_ties_and_codes_are_no_obstacle():
    # Y has eight values and X is a noisy copy: I(X;Y) = H(Y) - H(Y|X), exactly.
    rng = np.random.default_rng(0)
    y = rng.integers(8, size=3000)
    x = np.where(rng.random(3000) < 0.2, rng.integers(8, size=3000), y)
    p = np.full(8, 0.2 / 8)
    p[0] += 0.8
    truth = np.log(8) + (p * np.log(p)).sum()
    for name, target in (("ksg", y.astype(float)), ("ross", y)):
        estimate = ESTIMATORS[name].estimate(x.astype(float), target)
        assert estimate.nats == pytest.approx(truth, abs=0.1), name


def test_a_row_alone_in_its_class_says_nothing():
    known = class_gaussians(60, 2, 2, separation=3.0)
    classes = known.y.copy()
    classes[11] = 5
    assert ross_terms(known.x, classes)[11] == 0


def test_too_many_neighbours_are_refused():
    known = gaussian_pair(20, 1, 0.5)
    with pytest.raises(InputError, match=r"neighbours must lie in 1 \.\.\. 19 .* got 20"):
        NearestNeighbours(name="ksg", neighbours=20).estimate(known.x, known.y)
