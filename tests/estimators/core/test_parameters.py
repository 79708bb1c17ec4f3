import numpy as np
import pytest
from sklearn.base import clone

from mi_probe.errors import InputError
from mi_probe.estimators import ESTIMATORS, Repeated


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_clone_is_another_object_with_equal_settings(name):
    chosen = ESTIMATORS[name]
    copied = clone(chosen)
    assert copied is not chosen
    assert copied == chosen
    assert copied.nature == chosen.nature
    assert copied.get_params(deep=False) == chosen.get_params(deep=False)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_repr_is_short_and_says_the_name(name):
    said = repr(ESTIMATORS[name])
    assert f"'{name}'" in said or said == f"{type(ESTIMATORS[name]).__name__}()"
    assert "summary" not in said
    assert len(said) < 400


def test_a_changed_setting_is_in_a_new_estimator():
    probe = ESTIMATORS["linear"]
    changed = probe.set_params(n_folds=3, classes__whitening=0.5)
    assert (changed.n_folds, changed.classes.whitening) == (3, 0.5)
    assert (probe.n_folds, probe.classes.whitening) == (5, 0.3)
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 60)
    x = rng.standard_normal((120, 2)) + 3 * y[:, None]
    assert len(changed.estimate(x, y).history) == 3


def test_settings_of_a_repeated_estimator_reach_the_one_within():
    repeated = Repeated(estimator=ESTIMATORS["ksg"], repeats=2)
    assert repeated.get_params()["estimator__neighbours"] == 4
    assert repeated.set_params(estimator__neighbours=7).estimator.neighbours == 7


@pytest.mark.parametrize("wrong", ["neighbors", "schedule__max_epochs"])
def test_a_setting_that_there_is_not_is_named(wrong):
    with pytest.raises(InputError, match=rf"neighbours; got '{wrong}'"):
        ESTIMATORS["ksg"].set_params(**{wrong: 3})
