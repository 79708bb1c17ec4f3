r"""Real numbers given C: what linear models on features of Z tell beyond a regression on C.

Scores have no posterior to build on, so the offset is a Gaussian about their regression on
C, of normal ranks r; evidence shifts its mean by a cross-fitted T(z) of which C says
nothing,

.. math:: \log \frac{N(r; T, s^2)}{N(r; 0, s_0^2)}

a held-out likelihood ratio, which in expectation is no larger than I(Y;Z|C) up to the error
of the regression on C.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from mi_probe.analysis.redrawn_labels import normal_ranks
from mi_probe.analysis.regressions import (
    GivenC,
    few_columns,
    principal,
    ridge_predictions,
)
from mi_probe.estimators import Estimate
from mi_probe.estimators.core.split import Split
from mi_probe.estimators.core.targets import Scores

_RIDGES = (0.3, 3.0, 30.0)
_COLUMNS = (1, 2, 4)
_FEWEST = 1.0
"""Nats of all rows together that evidence must win."""
_ERRORS = 2.0
"""Standard errors by which the critics' own difference must win on the other folds."""
_WIDEST = 384


def score_terms(
    target: Scores,
    given: GivenC,
    beyond: Mapping[str, Float[np.ndarray, "n _f"]],
    full: Estimate,
    pooled: Estimate,
    split: Split,
) -> Float[np.ndarray, " n"]:
    """Held-out terms of I(Y;Z|C), in nats.

    The difference of the estimator's own critics stands for a fold's rows where, on the
    other folds, it is clearly larger.

    Args:
        target: Y.
        given: the regression on C.
        beyond: features of Z less what C says of them.
        full: I(Y;Z) by the estimator.
        pooled: I(Y;C) by it.
        split: the folds of both.
    """
    residual = given.removed(normal_ranks(target.values))
    terms = _linear_terms(residual, beyond, split)
    own = full.pointwise - pooled.pointwise
    found = terms.copy()
    for k in range(split.n_folds):
        rows = split.held_out(k)
        gain = np.delete(own - terms, rows)
        if gain.mean() > _ERRORS * gain.std() / np.sqrt(len(gain)) + _FEWEST / len(gain):
            found[rows] = own[rows]
    return found


def _linear_terms(
    residual: Float[np.ndarray, "n k"],
    beyond: Mapping[str, Float[np.ndarray, "n _f"]],
    split: Split,
) -> Float[np.ndarray, " n"]:
    blocks = {name: principal(block, _WIDEST) for name, block in beyond.items()}
    every = np.concatenate(list(beyond.values()), axis=1)

    def fits(without: tuple[int, ...]) -> np.ndarray:
        rows = split.rows(*without)
        said = [
            ridge_predictions(b, rows, [residual[rows]], _RIDGES)[0]
            for b in blocks.values()
        ]
        return np.concatenate([*said, few_columns(every, rows, residual[rows], _COLUMNS)])

    pairs = {pair: fits(pair) for pair in split.pairs}
    terms = np.zeros(len(residual))
    for k in range(split.n_folds):
        outside, held = np.flatnonzero(split.fold != k), split.held_out(k)
        whole = fits((k,))
        inner = np.empty((len(whole), len(residual), residual.shape[1]))
        for j in range(split.n_folds):
            if j != k:
                rows = split.held_out(j)
                inner[:, rows] = pairs[min(j, k), max(j, k)][:, rows]
        r = residual[outside]
        # Each piece's best share, and what it wins of all rows.
        said = inner[:, outside]
        share = np.clip((said * r).sum(1) / np.maximum((said**2).sum(1), 1e-12), 0, 1)
        left = ((r - share[:, None] * said) ** 2).mean(1)
        won = 0.5 * np.log((r**2).mean(0) / left).sum(1) * len(r)
        best = int(won.argmax())
        if won[best] < _FEWEST:
            continue
        shift = share[best] * whole[best][held]
        s, s0 = left[best], (r**2).mean(0)
        ratio = residual[held] ** 2 / s0 - (residual[held] - shift) ** 2 / s
        terms[held] = 0.5 * (ratio + np.log(s0 / s)).sum(1)
    return terms
