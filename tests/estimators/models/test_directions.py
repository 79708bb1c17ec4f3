"""The few directions that tell most."""

import numpy as np
import pytest
from scipy.special import log_softmax

from mi_probe.estimators.models.directions import telling_subspace
from mi_probe.estimators.models.gaussian import quadratics
from mi_probe.estimators.models.interface import ClassRows
from mi_probe.synthetic import xor


@pytest.mark.parametrize("d", [16, 150])
def test_three_directions_hold_a_hidden_parity(d):
    known = xor(6000, d, seed=4)
    train, test = slice(0, 5000), slice(5000, None)
    rows = ClassRows.of(known.x[train], known.y[train], 2)
    subspace = telling_subspace(rows, 3)
    assert subspace.width == 3
    [found] = quadratics(subspace(rows.vectors), rows.y, 2, [(3, 0.02)])
    posterior = log_softmax(found(subspace(known.x[test])), axis=1)
    terms = posterior[np.arange(1000), known.y[test]]
    assert np.log(2) + terms.mean() > 0.6
