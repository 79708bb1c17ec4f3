r"""The conditional randomisation test of Y independent of Z given C, by cheap refits.

.. math:: H_0: I(Y; Z \mid C) = 0, \qquad Y' \sim q(y \mid C), \qquad
   p = \frac{1 + \#\{b: S(Y'_b, Z, C) \ge S(Y, Z, C)\}}{1 + B}

Under H_0 the real Y is one more draw from the posterior given C, so its statistic is as
likely to have any rank as a drawn one's, whatever the statistic is. Here it is made of what
can be fitted again to every draw, since label-free features of Z are made and factorised
once: how much of the residual :math:`Y - E_q[Y|C]` a ridge regression on each block of
features fits, and how much the best single feature does. Neither the posterior q nor the
critic of Z is fitted again. Each statistic's cube root, which is about normal, is
standardised over all B + 1 label sets, as it is and as a share of the residual's energy;
the smaller of the two counts, and of all statistics the largest: all label sets are treated
alike, and a posterior that is too sure, or not sure enough, makes no finding.

q is an estimate. Its error would be taken for information in Z wherever features of Z also
tell C; so features and residuals are first regressed on C and on random features of it,
and an error of q matters only where both that regression and q fail (Shah and Peters
2020, Li and Liu 2022). The trained critic of Z is no part of the statistic: its own errors
and those of q come from the same rows, and would be taken for information.

`Randomisation.smallest_shown` is the gap that the same test would show on these rows in
80 % of draws: labels are planted along directions of the test's own features.

References:
    Panning for Gold (Candes et al., 2018), https://arxiv.org/abs/1610.02351
    The Hardness of Conditional Independence Testing and the Generalised Covariance Measure
    (Shah and Peters, 2020), https://arxiv.org/abs/1804.07203
    Maxway CRT (Li and Liu, 2022), https://arxiv.org/abs/2203.06496
    Bootstrap-based improvements for inference with clustered errors (Cameron et al., 2008)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from mi_probe.analysis.redrawn_labels import Labels
from mi_probe.analysis.regressions import GivenC, scaled, spectrum
from mi_probe.analysis.sequence_features import merged

_RIDGES = (0.03, 0.3, 3.0)
"""Of the refits, in units of the features' mean eigenvalue."""
_LEVEL, _POWER = 0.05, 0.8
_PLANTED = 48
"""Label sets that are planted for each size."""
_SIZES = np.geomspace(1.0, 12.0, 9)
"""Of planted effects, in standard errors of one feature's."""


@dataclass(frozen=True)
class Randomisation:
    """What the test found."""

    p_value: float
    """At least 1 / (1 + number of draws)."""
    n_draws: int
    statistic: float
    """Of the real Y: standard deviations above the mean of all label sets."""
    strongest: str
    """The block of features where it was largest."""
    smallest_shown: float | None
    """Nats of I(Y;Z|C) that these rows would show, at p <= 0.05, in 80 % of draws; None
    where no planted size was shown so often."""


def residual_features(
    blocks: Mapping[str, Float[np.ndarray, "n _f"]], given: GivenC
) -> dict[str, Float[np.ndarray, "n _f"]]:
    """Blocks of features, scaled, less what C says of them."""
    return {name: given.removed(scaled(block)) for name, block in blocks.items()}


def randomisation_test(
    features: Mapping[str, Float[np.ndarray, "n _f"]],
    labels: Labels,
    given: GivenC,
    n_draws: int,
    rng: np.random.Generator,
) -> Randomisation:
    """Compare the real Y's residual with the drawn ones.

    Args:
        features: of `residual_features`.
        labels: Y, whose residual is drawn anew.
        given: the regression on C.
        n_draws: of Y'.
        rng: of the draws, of planted directions and of ties.
    """
    residuals = labels.residuals(n_draws, rng)
    fits = _Fits(features)
    names, *tables = fits.statistics(_flat(residuals, given))
    scores = _standardised(tables, tables)
    statistic, ties = scores.max(0), rng.random(n_draws + 1)
    real = (statistic[0], ties[0])
    as_large = sum(bool(pair >= real) for pair in zip(statistic[1:], ties[1:], strict=True))
    threshold = float(np.quantile(statistic[1:], 1 - _LEVEL))
    planted = []
    nats = np.empty((len(_SIZES), _PLANTED))
    drawn = residuals[1:]
    for number in range(_PLANTED):
        along = fits.direction(rng)
        stream = int(rng.integers(2**31))
        for place, size in enumerate(_SIZES):
            shift, nats[place, number] = labels.planted(
                size * along, np.random.default_rng(stream)
            )
            planted.append(drawn[number % len(drawn)] + shift)
    _, *reached = fits.statistics(_flat(np.stack(planted), given))
    reached = _standardised(reached, tables).max(0)
    shown = (reached.reshape(_PLANTED, len(_SIZES)) > threshold).mean(0)
    return Randomisation(
        p_value=float(1 + as_large) / (1 + n_draws),
        n_draws=n_draws,
        statistic=float(statistic[0]),
        strongest=names[int(scores[:, 0].argmax())],
        smallest_shown=_where(shown, nats.mean(1)),
    )


def _where(shown: Float[np.ndarray, " s"], nats: Float[np.ndarray, " s"]) -> float | None:
    """The size at which the share that is shown first reaches the power asked for."""
    enough = np.flatnonzero(shown >= _POWER)
    if not len(enough):
        return None
    place = int(enough[0])
    if place == 0:
        return float(nats[0])
    low, high = shown[place - 1], shown[place]
    part = (_POWER - low) / max(high - low, 1e-12)
    return float(nats[place - 1] + part * (nats[place] - nats[place - 1]))


def _flat(
    residuals: Float[np.ndarray, "b n k"], given: GivenC
) -> Float[np.ndarray, "b n k"]:
    """The label sets' residuals less their regression on C."""
    n_sets, n, k = residuals.shape
    flat = residuals.transpose(1, 0, 2).reshape(n, n_sets * k).astype(np.float64)
    return given.removed(flat).reshape(n, n_sets, k).transpose(1, 0, 2)


class _Fits:
    """Blocks of features, factorised: what each fits of any residual."""

    def __init__(self, features: Mapping[str, Float[np.ndarray, "n _f"]]) -> None:
        self._features = dict(features)
        self._factors = {name: spectrum(block) for name, block in features.items()}
        for kind, block in merged(features).items():
            if kind not in features:
                self._factors[kind] = spectrum(block)

    def direction(self, rng: np.random.Generator) -> Float[np.ndarray, " n"]:
        """A column, or a random combination of columns, of one block; of spread 1."""
        blocks = [b for b in self._features.values() if np.ptp(b)]
        if not blocks:
            return np.zeros(len(next(iter(self._features.values()))))
        block = blocks[int(rng.integers(len(blocks)))]
        column = block[:, int(rng.integers(block.shape[1]))]
        mixed = block @ rng.normal(size=block.shape[1])
        along = mixed if rng.random() < 0.5 or not np.ptp(column) else column
        return along / max(along.std(), 1e-12)

    def statistics(
        self, residuals: Float[np.ndarray, "b n k"]
    ) -> tuple[list[str], Float[np.ndarray, "s b"], Float[np.ndarray, "s b"]]:
        """Names, and each statistic's cube root for each label set, and that of its share.

        The share is of the residual's own energy: a posterior that is too sure draws labels
        that leave less of it than the real ones do.
        """
        n_sets, n, k = residuals.shape
        flat = np.ascontiguousarray(residuals.transpose(1, 0, 2)).reshape(n, -1)
        found: list[tuple[str, np.ndarray]] = []
        for name, (basis, values) in self._factors.items():
            energy = ((basis.T @ flat) ** 2).reshape(-1, n_sets, k).sum(2)
            mean = values.mean() if len(values) else 1.0
            for ridge in _RIDGES:
                found.append((name, (values / (values + ridge * mean)) @ energy))
        best = np.zeros(n_sets)
        for block in self._features.values():
            length = (block**2).sum(0)
            told = length > 1e-9 * n
            if told.any():
                energy = ((block[:, told].T @ flat) ** 2).reshape(-1, n_sets, k).sum(2)
                best = np.maximum(best, (energy / length[told, None]).max(0))
        found.append(("one feature", best))
        energy = np.maximum((residuals**2).sum((1, 2)), 1e-12)
        table = np.stack([value for _, value in found])
        return [name for name, _ in found], np.cbrt(table), np.cbrt(table / energy)


def _standardised(
    tables: Sequence[Float[np.ndarray, "s b"]], known: Sequence[Float[np.ndarray, "s c"]]
) -> Float[np.ndarray, "s b"]:
    """Statistics by the mean and spread that ``known`` label sets give, of each table.

    Of both tables the smaller, so that neither kind of posterior makes a finding.
    """
    found = []
    for table, own in zip(tables, known, strict=True):
        spread = own.std(1, keepdims=True)
        # What does not vary (features that are constant) says nothing.
        level = np.maximum(np.abs(own).max(1, keepdims=True), 1e-30)
        spread = np.where(spread > 1e-9 * level, spread, np.inf)
        found.append((table - own.mean(1, keepdims=True)) / spread)
    return np.minimum.reduce(found)
