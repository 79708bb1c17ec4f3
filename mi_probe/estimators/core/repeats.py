"""Any estimator over several splits: less noise of the folds; its spread in the error."""

import math
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from mi_probe.errors import InputError
from mi_probe.estimators.core.base import (
    Estimate,
    Estimator,
    Extrapolation,
    Nature,
    States,
)
from mi_probe.estimators.core.parameters import Parameters
from mi_probe.estimators.core.split import Groups
from mi_probe.estimators.core.targets import Target


@dataclass(frozen=True, kw_only=True, repr=False)
class Repeated(Parameters):
    r"""The mean of an estimator's values over splits that are drawn anew.

    Which rows share a fold moves a cross-fitted value; its standard error over rows knows
    nothing of that. Here each row's term is the mean over splits, and the spread of the
    splits' values is added to the error:

    .. math:: \mathrm{se}^2 = \mathrm{se}_\text{rows}^2 + s_\text{splits}^2 / R
    """

    estimator: Estimator
    """What is repeated."""
    repeats: int = 5
    """Number of splits, 2 at least."""

    @property
    def name(self) -> str:
        """The estimator's own."""
        return self.estimator.name

    @property
    def nature(self) -> Nature:
        """The estimator's own; hints are of one split, and would tell others its rows."""
        return replace(self.estimator.nature, hints=False)

    def estimate(
        self, x: States, y: Target, *, groups: Groups | None = None, seed: int = 0
    ) -> Estimate:
        """Estimate I(Y;X), in nats; see `Estimator.estimate`.

        Raises:
            InputError: for fewer than 2 repeats, and what the estimator refuses.
        """
        if self.repeats < 2:
            raise InputError(f"repeats must be 2 or more; got {self.repeats}.")
        seeds = [seed, *np.random.SeedSequence([seed, 6]).generate_state(self.repeats - 1)]
        found = [
            self.estimator.estimate(x, y, groups=groups, seed=int(one)) for one in seeds
        ]
        first = found[0]
        assert first.split is not None
        pointwise = np.mean([one.pointwise for one in found], axis=0)
        values = np.array([one.nats for one in found])
        rows = float(np.mean([one.stderr for one in found]))
        stderr = math.hypot(rows, float(values.std(ddof=1)) / math.sqrt(self.repeats))
        nats, wider = float(values.mean()), stderr / max(first.stderr, 1e-12)
        worst = [one.status for one in found if one.status != "ok"]
        low, high = (nats + (end - first.nats) * wider for end in first.ci)
        return replace(
            first,
            nats=nats,
            stderr=stderr,
            ci=(low, high),
            pointwise=pointwise,
            influence=_mean_influence(found),
            estimator=self,
            status=worst[0] if worst else "ok",
            extrapolated=_middle_limit(found),
            log_posterior=None,
            inner=None,
        )


def _mean_influence(found: list[Estimate]) -> Float[np.ndarray, " n"] | None:
    """Of each row on the mean over splits; None where each split's terms are their own."""
    terms = [one.pointwise if one.influence is None else one.influence for one in found]
    if all(one.influence is None for one in found):
        return None
    return np.mean(terms, axis=0)


def _middle_limit(found: list[Estimate]) -> Extrapolation | None:
    """The splits' extrapolation of middle value: its claim and interval belong together."""
    limits = [one.extrapolated for one in found if one.extrapolated is not None]
    if len(limits) < len(found):
        return None
    return sorted(limits, key=lambda limit: limit.nats)[(len(limits) - 1) // 2]
