"""Shapes are checked in every test, at its first calls."""

import numpy as np
import pytest
import shape_checks
from jaxtyping import TypeCheckError

from mi_probe.analysis.multiplicity import holm
from mi_probe.estimators.core.split import codes_of


def test_a_wrong_type_is_refused_in_the_first_calls_of_each_test():
    with pytest.raises(TypeCheckError, match="holm"):
        holm("p")
    for _ in range(shape_checks.CALLS):
        codes_of(np.arange(3))
    with pytest.raises(ValueError, match="could not convert"):
        holm("p")
    shape_checks.begin()
    with pytest.raises(TypeCheckError, match="holm"):
        holm("p")
