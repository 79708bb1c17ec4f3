"""`mutual_information` of what newcomers hand in: the same number, or a word on it."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import csr_matrix

from mi_probe import InputError, mutual_information

RNG = np.random.default_rng(0)
Y = np.repeat([0, 1], 60)
X = RNG.standard_normal((120, 3)) + 2 * Y[:, None]


def nats(x, y, **told):
    return mutual_information(x, y, estimator="lda", **told).nats


def test_the_kind_of_array_changes_nothing():
    expected = nats(X, Y)
    frame = pd.DataFrame(X, columns=list("abc"))
    for x in (torch.tensor(X, requires_grad=True), frame, X.tolist()):
        assert nats(x, Y) == pytest.approx(expected)
    for y in (pd.Series(Y), Y.tolist(), torch.tensor(Y), Y[:, None], Y.astype(bool)):
        assert nats(X, y) == pytest.approx(expected)
    assert nats(X, Y.astype(float), discrete=True) == pytest.approx(expected)
    groups = np.arange(120) // 3
    assert nats(X, Y, groups=pd.Series(groups)) == nats(X, Y, groups=groups)


@pytest.mark.parametrize(
    ("x", "told", "said"),
    [
        (csr_matrix(X), {}, r"dense array; got csr_matrix. Pass x.toarray\(\)"),
        (pd.DataFrame({"a": X[:, 0], "b": "u"}), {}, "columns b do not. Leave them out"),
        (X, {"estimator": "linaer"}, "got 'linaer'. Did you mean 'linear'"),
    ],
)
def test_what_cannot_be_measured_is_said(x, told, said):
    with pytest.raises(InputError, match=said):
        mutual_information(x, Y, **told)
