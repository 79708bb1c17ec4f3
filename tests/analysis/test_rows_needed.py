"""Rows it takes to see a planted value or gap."""

import pytest

from mi_probe import InputError
from mi_probe.analysis.rows_needed import rows_needed


def test_larger_values_need_fewer_rows():
    large = rows_needed(0.4, shape=(4,), estimator="lda", draws=3)
    small = rows_needed(0.02, shape=(4,), estimator="lda", draws=3, most=1600)
    assert large.rows == 100
    assert large.sentence == "a value of 0.400 nats is seen from about 100 rows on"
    assert small.rows is None or small.rows >= 400
    assert [rows for rows, _ in small.tried] == [
        100 * 2**i for i in range(len(small.tried))
    ]
    assert small.tried[0][1] < 0.8


def test_what_is_not_seen_says_so():
    none = rows_needed(0.005, shape=(8,), estimator="lda", draws=2, most=200)
    assert none.rows is None
    assert "is not seen with 200 rows yet" in none.sentence


@pytest.mark.slow
def test_a_gap_is_planted_where_the_mean_knows_nothing():
    found = rows_needed(0.4, shape=(5, 4), gap=True, draws=2, most=800)
    assert found.rows is not None
    assert "a gap of 0.400 nats" in found.sentence


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"nats": 0.8, "shape": (4,)}, "below H"),
        ({"nats": 0.1, "shape": (4,), "gap": True}, r"must be \(t, d\) for a gap"),
        ({"nats": 0.1, "shape": (4,), "draws": 0}, "draws must be 1"),
    ],
)
def test_what_cannot_be_planted_is_refused(given, message):
    with pytest.raises(InputError, match=message):
        rows_needed(**given)
