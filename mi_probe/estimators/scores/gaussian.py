"""Mutual information of a Gaussian copula, from shrunk canonical correlations."""

from dataclasses import dataclass

import numpy as np

from mi_probe.estimators.core.admission import admitted
from mi_probe.estimators.core.assembly import assembled
from mi_probe.estimators.core.base import Estimate, Nature, States
from mi_probe.estimators.core.parameters import Parameters
from mi_probe.estimators.core.split import Groups
from mi_probe.estimators.core.targets import Scores, Target
from mi_probe.estimators.models.normal_scores import normal_scores, varying
from mi_probe.estimators.scores.canonical import (
    FUNCTION,
    NestedCanonical,
    held_out_ratios,
)
from mi_probe.estimators.scores.limits import canonical_limit


@dataclass(frozen=True, kw_only=True, repr=False)
class GaussianCopula(Parameters):
    r"""I(Y;X) if normal scores of X and Y are jointly Gaussian. Settings only.

    Each row's :math:`\log \frac{p(x, y)}{p(x) p(y)}` is by the canonical directions of rows
    outside its fold, with each pair's correlation as rows that did not choose the
    directions show it (`canonical`): never the sample's own canonical correlations, which
    reach several nats where X and Y are independent.

    Exact for Gaussians under any monotone map of each column, also for 10 nats, far above
    log n. What is neither Gaussian nor monotone it does not see (XOR, a spiral), and then
    the value is neither a lower nor an upper bound: it is a difference of cross-entropies,
    a lower bound only where the scores of Y alone are Gaussian. ``extrapolated`` takes the
    loss of learning the directions out (`canonical_limit`).
    """

    name: str = "gaussian"
    n_folds: int = 5

    @property
    def nature(self) -> Nature:
        """What it is and what it takes."""
        return Nature(
            family="closed form",
            bound="neither",
            takes=frozenset({"scores"}),
            sequences=False,
            ceiling="none",
            summary="canonical correlations of normal scores, held out and shrunk",
            reference="Hotelling 1936; Bao et al. 2019, arXiv 1704.02408",
        )

    def estimate(
        self, x: States, y: Target, *, groups: Groups | None = None, seed: int = 0
    ) -> Estimate:
        """Estimate I(Y;X), in nats; see `Estimator.estimate`.

        Raises:
            InputError: for what `admitted` refuses, and for a number of folds that cannot
                nest.
        """
        states, target, split = admitted(
            self, x, y, groups=groups, seed=seed, n_folds=self.n_folds
        )
        assert isinstance(states, np.ndarray)
        assert isinstance(target, Scores)
        x_scores = normal_scores(varying(states))
        y_scores = normal_scores(varying(target.values))
        starts = list(NestedCanonical(x_scores, y_scores, split.fold).starts())
        pointwise = held_out_ratios(starts, split.fold)
        history = [
            {
                "n_train": len(split.rows(k)),
                "n_test": len(split.held_out(k)),
                "ridge": start.ridge,
                "correlations": start.ratio.correlations.tolist(),
            }
            for k, start in enumerate(starts)
        ]
        return assembled(
            self,
            states,
            target,
            split,
            pointwise=pointwise,
            history=history,
            saturated=any(max(r["correlations"], default=0.0) > FUNCTION for r in history),
            extrapolated=canonical_limit(x_scores, y_scores, split, starts, pointwise),
        )
