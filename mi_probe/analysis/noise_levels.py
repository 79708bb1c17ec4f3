"""The gap against noise: I(Y; Z + sigma*RMS*eps) and its pooled twin, over sigma.

At every sigma above 0 the data processing inequality holds strictly for the noised states,
and no argument from injectivity applies: a gap is one of Shannon information, up to what
the critics miss.
"""

from collections.abc import Sequence

import pandas as pd

from mi_probe.analysis.capacity import Ladder
from mi_probe.analysis.dpi import dpi_gap
from mi_probe.analysis.gap import Gap
from mi_probe.analysis.gap_inputs import DRAWS
from mi_probe.errors import InputError
from mi_probe.estimators import Estimator
from mi_probe.estimators.core.split import Groups
from mi_probe.estimators.core.targets import Target
from mi_probe.hidden import HiddenStates


def noise_ladder(
    z: HiddenStates,
    y: Target,
    *,
    pooling: str = "mean",
    sigmas: Sequence[float] = (0.0, 0.1, 0.3, 1.0, 3.0),
    estimator: str | Estimator = "auto",
    groups: Groups | None = None,
    seed: int = 0,
    n_draws: int = DRAWS,
) -> Ladder:
    """I(Y;Z), I(Y;Z_p) and their gap, in nats, with noise added before pooling.

    Args:
        z: the states of all tokens.
        y: classes, or real numbers.
        pooling: a name, or names joined by ``+``.
        sigmas: noise levels in units of the states' root mean square; 0 is no noise.
        estimator: a name of `ESTIMATORS`, or one of your own.
        groups: which rows depend on one another; see `Estimator.estimate`.
        seed: of the folds, the critics and the noise, which is the same draw at every
            sigma, so that rungs differ by its size alone.
        n_draws: of Y' in the conditional randomisation test.

    Returns:
        A `Ladder`. Its table has a row a sigma, as `Gap.table`; ``chosen`` is the least
        sigma above 0 at which a gap is shown, and ``nats`` and ``ci`` are that rung's (the
        least noise's where none is).

    Raises:
        InputError: for no sigma above 0, and what `dpi_gap` refuses.

    Examples:
        >>> from mi_probe.analysis import noise_ladder
        >>> from mi_probe.analysis.capacity import RUNGS
        >>> from mi_probe.synthetic import order
        >>> known = order(300, t=4, d=3, vary=False, seed=0)
        >>> quick = RUNGS["linear on views"]
        >>> ladder = noise_ladder(
        ...     known.x, known.y, sigmas=(0.1, 1.0), estimator=quick, n_draws=0
        ... )
        >>> ladder.table.sigma.tolist(), bool(ladder.table.gap[0] > 0.2)
        ([0.1, 1.0], True)
    """
    if not isinstance(pooling, str):
        raise InputError(
            f"pooling of a ladder must be one name, or names joined by '+'; got {pooling}. "
            "Make a ladder for each, or use dpi_gap for several."
        )
    if not any(sigma > 0 for sigma in sigmas):
        raise InputError(
            f"sigmas must hold a value above 0; got {list(sigmas)}. Without noise, "
            "use dpi_gap."
        )
    gaps = [
        dpi_gap(
            z,
            y,
            pooling=pooling,
            estimator=estimator,
            groups=groups,
            seed=seed,
            n_draws=n_draws,
            sigma=float(sigma),
        )
        for sigma in sorted(set(sigmas))
    ]
    noised = [gap for gap in gaps if gap.sigma > 0]
    found = [gap for gap in noised if gap.shown]
    lead = found[0] if found else noised[0]
    return Ladder(
        table=pd.concat([gap.table() for gap in gaps], ignore_index=True),
        chosen=f"sigma = {lead.sigma:g}" if found else "none",
        saturated=None,
        nats=lead.nats,
        ci=lead.ci,
        verdict=_verdict(noised, found, lead),
    )


def _verdict(noised: list[Gap], found: list[Gap], lead: Gap) -> str:
    if not found:
        return f"No noise level shows a gap. With the least noise: {lead.verdict}"
    levels = ", ".join(f"{gap.sigma:g}" for gap in found)
    return f"A gap is shown at sigma = {levels} of {len(noised)} levels. {lead.verdict}"
