"""Means over splits: less noise of the folds, and what is left of it in the error."""

import numpy as np
import pytest

from mi_probe import InputError
from mi_probe.estimators import ESTIMATORS, Repeated, with_null
from mi_probe.synthetic import class_gaussians

LDA = ESTIMATORS["lda"]


def test_the_value_is_the_mean_over_splits_and_their_spread_is_in_the_error():
    known = class_gaussians(200, 10, 2, separation=1.5)
    found = Repeated(estimator=LDA, repeats=4).estimate(known.x, known.y, seed=3)
    first = LDA.estimate(known.x, known.y, seed=3)
    assert found.nats == pytest.approx(found.pointwise.mean())
    assert found.nats != first.nats
    assert found.ci[0] < found.nats < found.ci[1]
    assert found.stderr > 0.5 * first.stderr
    again = Repeated(estimator=LDA, repeats=4).estimate(known.x, known.y, seed=3)
    assert again.nats == found.nats


@pytest.mark.slow
def test_splits_move_a_repeated_value_less():
    known = class_gaussians(120, 10, 2, separation=1.0)
    once = [LDA.estimate(known.x, known.y, seed=s).nats for s in range(8)]
    many = Repeated(estimator=LDA, repeats=6)
    often = [many.estimate(known.x, known.y, seed=s).nats for s in range(8)]
    assert np.std(often) < 0.75 * np.std(once)


def test_it_is_an_estimator_like_any_other():
    known = class_gaussians(100, 3, 2, separation=1.0)
    found = with_null(
        Repeated(estimator=LDA, repeats=2), known.x, known.y, n_permutations=3
    )
    assert len(found.null) == 3
    assert not Repeated(estimator=ESTIMATORS["auto"]).nature.hints
    with pytest.raises(InputError, match="repeats must be 2 or more; got 1"):
        Repeated(estimator=LDA, repeats=1).estimate(known.x, known.y)
