"""What the model itself says, in nats: its own label probabilities, no critic.

H(Y) minus the cross-entropy of the model's log q(y|x). As they are, nothing is learned from
the rows; calibrated, one slope and an offset a class are, on rows of other folds (Platt):
a model that leans to one word, or is too sure, knows more than it says.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import log_softmax

from mi_probe.estimators import Estimate, Nature
from mi_probe.estimators.core.admission import admitted
from mi_probe.estimators.core.assembly import assembled
from mi_probe.estimators.core.base import States
from mi_probe.estimators.core.split import Groups
from mi_probe.estimators.core.targets import Classes, Target
from mi_probe.estimators.engine.mixing import marginal_weight, mixed, platt

_LEAST = -30.0
"""Nats below which a log probability is not told from another when calibrating."""


@dataclass(frozen=True, kw_only=True)
class OwnAnswer:
    """H(Y) minus the cross-entropy of a model's own label probabilities, in nats.

    A lower bound of what its answer tells, and so of I(Y;Z). Not to be trusted as what it
    *knows*: of other words for the labels, or another template, it says something else.
    """

    name: str = "answer"
    calibrated: bool = False
    """Whether a slope and an offset a class are fitted, on rows of other folds."""
    n_folds: int = 5

    @property
    def nature(self) -> Nature:
        """What it is and what it takes."""
        return Nature(
            family="closed form",
            bound="lower bound",
            takes=frozenset({"classes"}),
            sequences=False,
            ceiling="H(Y)",
            summary="a model's own label probabilities, as they are or calibrated",
            reference="",
        )

    def estimate(
        self, x: States, y: Target, *, groups: Groups | None = None, seed: int = 0
    ) -> Estimate:
        """H(Y) - E[-log q(y|x)] in nats.

        Args:
            x: log probabilities (n, c), a column a label 0 ... c-1.
            y: those labels (n,).
            groups: which rows depend on one another.
            seed: of the folds.

        Raises:
            InputError: for what `admitted` refuses.
        """
        said, target, split = admitted(
            self, x, y, groups=groups, seed=seed, n_folds=self.n_folds
        )
        assert isinstance(said, np.ndarray)
        assert isinstance(target, Classes)
        # Over the labels that occur, since H(Y) knows no others.
        said = log_softmax(said[:, [int(name) for name in target.names]], axis=1)
        log_q, prior = said, target.log_prior
        history = []
        if self.calibrated:
            log_q, margins = np.empty_like(said), np.maximum(said, _LEAST)
            for k in range(split.n_folds):
                test, others = split.held_out(k), split.rows(k)
                own = target.index[others]
                fitted = platt(margins[others], prior, own)
                gain = fitted.apply(margins[others]) - prior
                weight = marginal_weight(gain[np.arange(len(others)), own])
                log_q[test] = mixed(fitted.apply(margins[test]) - prior, weight) + prior
                history.append({**fitted.notes, "prior_weight": weight})
        rows = np.arange(len(target))
        found = assembled(
            self,
            said,
            target,
            split,
            pointwise=log_q[rows, target.index] - prior[target.index],
            history=history,
            log_posterior=log_q,
        )
        # Far below 0 is no failure of a training: there was none.
        bad = found.status == "diverged" and np.isfinite(found.pointwise).all()
        return replace(found, status="ok") if bad else found
