"""Many cells at once: bands, the set of the best, and the best one's own value."""

import math

import numpy as np
import pytest
from fakes import estimate_of as estimate

from mi_probe.analysis.many_cells import band_of, best_estimate, simultaneous
from mi_probe.analysis.scored import scored
from mi_probe.errors import InputError


def skewed(rng, n, k, shift=0.0):
    """Held-out terms as critics of two classes give them: bounded above, a tail below."""
    return math.log(2) - np.logaddexp(0, -(1 + shift + 1.3 * rng.standard_normal((n, k))))


VALUE = float(skewed(np.random.default_rng(9), 10**6, 1).mean())
"""The mean of those terms, to .0005."""


def cells(terms, **more):
    return [estimate(column, **more) for column in terms.T]


def test_the_band_is_wider_than_each_interval_and_longer_below():
    one = cells(skewed(np.random.default_rng(0), 300, 30))
    found = simultaneous(one)
    ci = np.array([cell.ci for cell in one])
    assert (found.low < ci[:, 0]).all()
    assert (found.high > ci[:, 1]).all()
    value = np.array([cell.nats for cell in one])
    above, below = found.high - value, value - found.low
    # Where the terms' long tail was missed, the mean is too high and its error too small.
    assert (below > above).mean() > 0.9


def test_one_cell_has_about_its_own_interval():
    (one,) = cells(skewed(np.random.default_rng(0), 1000, 1))
    found = simultaneous([one])
    assert found.low[0] == pytest.approx(one.ci[0], abs=0.01)
    assert found.high[0] == pytest.approx(one.ci[1], abs=0.01)
    assert found.best.tolist() == [0]
    assert found.best_estimate.chosen == (0, 0)
    assert found.best_estimate.nats == pytest.approx(one.nats)


def test_the_band_holds_all_of_many_cells():
    held = []
    for i in range(30):
        terms = skewed(np.random.default_rng(i), 300, 40)
        found = band_of([scored(cell) for cell in cells(terms)])
        held.append(((found.low <= VALUE) & (found.high >= VALUE)).all())
    assert np.mean(held) >= 0.85


def test_the_largest_of_equal_cells_leans_high_and_the_best_estimate_does_not():
    largest, best, held = [], [], []
    for i in range(30):
        terms = skewed(np.random.default_rng(i), 300, 40)
        found = best_estimate([scored(cell) for cell in cells(terms)])
        largest.append(terms.mean(0).max())
        best.append(found.nats)
        held.append(found.ci[0] <= VALUE <= found.ci[1])
    assert np.mean(largest) - VALUE > 0.05
    assert np.mean(best) == pytest.approx(VALUE, abs=0.02)
    assert np.mean(held) >= 0.85


def test_a_clear_best_is_alone_and_is_chosen_on_both_halves():
    rng = np.random.default_rng(0)
    terms = skewed(rng, 600, 5)
    terms[:, 3] = skewed(rng, 600, 1, shift=1.5)[:, 0]
    fold = np.arange(600) % 5
    found = simultaneous(cells(terms, fold=fold))
    assert found.best.tolist() == [3]
    assert found.best_estimate.chosen == (3, 3)
    # Then its estimate is that of all rows.
    assert float(found.best_estimate) == pytest.approx(terms[:, 3].mean())


def test_paired_differences_make_the_set_small():
    rng = np.random.default_rng(0)
    shared = skewed(rng, 400, 1)
    terms = shared + np.array([0.0, 0.02, 0.05]) + 0.05 * rng.standard_normal((400, 3))
    assert simultaneous(cells(terms)).best.tolist() == [2]


def test_p_is_small_where_a_bound_is_above_0_and_counts_the_family():
    rng = np.random.default_rng(0)
    terms = rng.standard_normal((300, 20))
    terms -= terms.mean(0) - 0.1  # each alone: t of about 1.7
    alone = simultaneous(cells(terms[:, :1]))
    many = simultaneous(cells(terms))
    assert alone.p_family[0] == pytest.approx(0.04, abs=0.02)
    assert (many.p_family > 0.3).all()
    assert (many.p_fdr < 0.1).all()  # all of them are this large
    terms[:, 5] += 1
    assert simultaneous(cells(terms)).p_family[5] < 0.002


def test_cells_without_any_term_keep_their_interval():
    terms = skewed(np.random.default_rng(0), 100, 3)
    terms[:, 1] = 0.0
    found = simultaneous(cells(terms))
    assert (found.low[1], found.high[1]) == (0.0, 0.0)
    assert 1 not in found.best


def test_groups_count_once_and_halves_keep_them_whole():
    rng = np.random.default_rng(0)
    own = skewed(rng, 40, 4)
    group = np.repeat(np.arange(40), 5)
    grouped = simultaneous(cells(np.repeat(own, 5, axis=0), group=group))
    alone = simultaneous(cells(own))
    assert grouped.best_estimate.stderr == pytest.approx(
        alone.best_estimate.stderr, rel=0.35
    )


def test_it_is_the_same_every_time_and_refuses_what_it_cannot():
    one = cells(skewed(np.random.default_rng(0), 100, 3))
    first, second = simultaneous(one), simultaneous(one)
    assert first.low.tolist() == second.low.tolist()
    assert simultaneous(one, seed=1).low.tolist() != first.low.tolist()
    with pytest.raises(InputError, match="at least 1; got none"):
        simultaneous([])
    with pytest.raises(
        InputError, match=r"estimate 0 \(fake\) and estimate 3 \(fake\) have"
    ):
        simultaneous([*one, *cells(np.ones((99, 1)))])


def test_many_rows_are_drawn_in_pieces_of_the_same_mean_and_error():
    terms = skewed(np.random.default_rng(0), 4000, 3)
    found = simultaneous(cells(terms))
    (one, two) = ((e - terms.mean(0)) for e in (found.low, found.high))
    error = terms.std(0, ddof=1) / math.sqrt(4000)
    # The largest of three standard normal variables, two-sided at 95 %.
    assert two / error == pytest.approx([2.39] * 3, abs=0.2)
    assert -one / error == pytest.approx([2.39] * 3, abs=0.2)
