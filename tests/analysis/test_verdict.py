import math

import numpy as np
import pytest

from mi_probe.analysis import conditional, nested_gap
from mi_probe.analysis.randomisation import Randomisation
from mi_probe.analysis.verdict import gap_verdict
from mi_probe.estimators import ESTIMATORS, Auto


def said(nats, ci, **more):
    known = {"p_value": 0.002, "n_draws": 499, "entropy_y": 0.7, "sigma": 0.0, **more}
    return gap_verdict("C", nats, ci, **known)


def test_a_gap_whose_interval_holds_nothing_has_no_amount():
    words = said(-0.002, (-0.01, 0.02))
    assert words.startswith(
        "A gap is shown by the test; its amount is not told from 0 by critics of these rows"
    )
    assert "at least" not in words


@pytest.mark.parametrize(
    ("low", "least"), [(0.05, "0.050 nats"), (0.0005, "0.001 nats"), (0.00012, "0.0001")]
)
def test_the_least_amount_is_never_nothing(low, least):
    assert f"A gap is shown: I(Y;Z|C) is at least {least}" in said(0.1, (low, 0.2))


def test_a_gap_by_the_test_says_what_the_test_rests_on():
    assert "a rough E[Z|C] that neither follows can be taken" in said(0.1, (0.05, 0.2))
    assert "rough" not in said(0.1, (0.05, 0.2), p_value=None)


@pytest.mark.parametrize("kind", ["classes", "scores"])
def test_where_no_planted_gap_is_seen_all_that_there_can_be_is_let_in(kind, monkeypatch):
    unseen = Randomisation(0.5, 19, 0.1, "one feature", smallest_shown=None)
    monkeypatch.setattr(nested_gap, "randomisation_test", lambda *_: unseen)
    rng = np.random.default_rng(0)
    z, c = rng.normal(size=(2, 80, 1))
    y = c[:, 0] + rng.normal(size=80)
    quick = Auto(extrapolate=False)
    if kind == "classes":
        y, quick = (y > 0).astype(int), ESTIMATORS["linear"]
    gap = conditional(z, y, c, estimator=quick, n_draws=19)
    assert gap.ci[1] == (math.inf if kind == "scores" else gap.full.entropy_y)
    assert "is not known" in gap.verdict
