"""Multinomial logistic regression along a path of ridge penalties: the convex probe.

It models p(y|x) alone, where the Gaussian discriminants model p(x|y): two families that
err in different ways, so that their agreement means something.
"""

import warnings

import numpy as np
from jaxtyping import Float, Int
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from mi_probe.estimators.models.gaussian import Linear, Subspace

INVERSE_RIDGES = (0.001, 0.01, 0.1)
"""scikit-learn's C, for whitened coordinates; smaller is stronger."""


def logistic_path(
    whitening: Subspace,
    x: Float[np.ndarray, "n d"],
    y: Int[np.ndarray, " n"],
    log_prior: Float[np.ndarray, " c"],
) -> list[Linear]:
    """One regression a penalty, each started from the one before.

    A class without rows here gets no evidence, only its prior.
    """
    u = whitening(x)
    model = LogisticRegression(warm_start=True, max_iter=100, tol=1e-3)
    path = []
    for inverse_ridge in INVERSE_RIDGES:
        model.set_params(C=inverse_ridge)
        with warnings.catch_warnings():
            # A fit stopped early is still a fit; the path is judged on other rows.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(u, y)
        weights, bias = model.coef_, model.intercept_
        if len(model.classes_) == 2:
            # One row for the second class against the first.
            weights = np.concatenate([-weights / 2, weights / 2])
            bias = np.concatenate([-bias / 2, bias / 2])
        coefficients = np.zeros((u.shape[1], len(log_prior)))
        intercept = log_prior.copy()
        coefficients[:, model.classes_] = weights.T
        intercept[model.classes_] = bias
        projected = whitening.projection @ coefficients
        path.append(Linear(projected, intercept - whitening.centre @ projected))
    return path
