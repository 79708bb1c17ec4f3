"""Gaps and conditional information of known size: level, power and what the interval holds.

    python benchmarks/gaps.py [--draws 8] [--rows 400] [--only NAME ...] [--full]

Sequences of 12 tokens x 12 columns, pooled to their mean, and vectors beside a covariate.
Where Y is drawn from the mean alone the gap is 0, however Y follows it: those families say
how often something is found in nothing. Writes `gaps.md`, and prints it.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit

from mi_probe import HiddenStates
from mi_probe.analysis import conditional, dpi_gap, planted
from mi_probe.estimators import ESTIMATORS

_T, _D = 12, 12
_TRUE_GAP, _TRUE_GIVEN = 0.041, 0.185
_TRUTH_ROWS = 400_000
AUTO = replace(ESTIMATORS["auto"], extrapolate=False)

Draw = Callable[[np.random.Generator, int], tuple[Any, ...]]
"""Draws Z and Y, or Z, Y and C."""


def _states(tokens: np.ndarray, mask: np.ndarray | None = None) -> HiddenStates:
    mask = np.ones(tokens.shape[:2], bool) if mask is None else mask
    return HiddenStates(tokens.astype(np.float32), mask)


def _from_mean(
    link: Callable[[np.ndarray], np.ndarray],
    noise: Callable[[np.random.Generator, tuple[int, ...]], np.ndarray] | None = None,
) -> Draw:
    """Y of a few columns of the standardised mean: Z_mean is sufficient."""

    def draw(rng: np.random.Generator, n: int) -> tuple[HiddenStates, np.ndarray]:
        tokens = (noise or (lambda r, s: r.normal(size=s)))(rng, (n, _T, _D))
        mean = tokens.mean(1)
        mean = (mean - mean.mean(0)) / mean.std(0)
        return _states(tokens), (rng.random(n) < expit(link(mean))).astype(int)

    return draw


def _spread(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Tokens spread the more, the larger the mean of the first column is."""
    noise = rng.normal(size=shape)
    centre = rng.normal(size=(shape[0], 1, shape[2])) / np.sqrt(shape[1])
    scale = np.exp(1.5 * np.sqrt(shape[1]) * centre[:, :, :1] / 2)
    return centre + scale * (noise - noise.mean(1, keepdims=True))


def _clusters(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Sequences of five kinds, tokens of each around its own centres."""
    centres = 1.5 * rng.normal(size=(5, *shape[1:]))
    return centres[rng.integers(5, size=shape[0])] + rng.normal(size=shape)


def _rising(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """The last token is a square of the mean of the others, and noise."""
    tokens = rng.normal(size=shape)
    before = np.sqrt(shape[1] - 1) * tokens[:, :-1].mean(1)
    tokens[:, -1] = before**2 - 1 + 0.3 * tokens[:, -1]
    return tokens


NULLS: dict[str, Draw] = {
    "linear": _from_mean(lambda m: 1.2 * m[:, 0]),
    "square": _from_mean(lambda m: 1.2 * (m[:, 0] ** 2 - 1)),
    "product": _from_mean(lambda m: 1.5 * m[:, 0] * m[:, 1]),
    "step": _from_mean(lambda m: 2.5 * np.sign(m[:, 0])),
    "wave": _from_mean(lambda m: 2.0 * np.sin(3 * m[:, 0])),
    "spread by the mean": _from_mean(lambda m: 1.2 * m[:, 0], _spread),
    "heavy tails": _from_mean(
        lambda m: 2.0 * np.tanh(m[:, 0]), lambda r, s: r.standard_t(2.5, size=s)
    ),
    "clusters": _from_mean(lambda m: 1.5 * m[:, 0], _clusters),
    "last token bends": _from_mean(lambda m: 1.5 * m[:, 0] ** 2 - 1, _rising),
}


@lru_cache
def _token_effect() -> float:
    """Of one token's column, on the logit, that makes the gap `_TRUE_GAP`."""
    rng = np.random.default_rng(7)
    mean, own = rng.normal(size=(2, _TRUTH_ROWS))
    nodes, weights = np.polynomial.hermite_e.hermegauss(41)
    weights = weights / weights.sum()

    def gap(size: float) -> float:
        # A token's column, given the standardised mean m of all: m/sqrt(t) and the rest.
        about, rest = mean / np.sqrt(_T), np.sqrt(1 - 1 / _T)
        full = expit(size * (about + rest * own))
        pooled = expit(size * (about[:, None] + rest * nodes)) @ weights
        return float(_entropy(pooled).mean() - _entropy(full).mean())

    return float(brentq(lambda s: gap(s) - _TRUE_GAP, 0.0, 5.0))  # pyright: ignore[reportArgumentType]


def _entropy(p: np.ndarray) -> np.ndarray:
    p = np.clip(p, 1e-12, 1 - 1e-12)
    return -p * np.log(p) - (1 - p) * np.log1p(-p)


def _one_token(rng: np.random.Generator, n: int) -> tuple[HiddenStates, np.ndarray]:
    """The fourth token's second column tells what its mean does not."""
    tokens = rng.normal(size=(n, _T, _D))
    p = expit(_token_effect() * tokens[:, 3, 1])
    return _states(tokens), (rng.random(n) < p).astype(int)


def _order(rng: np.random.Generator, n: int) -> tuple[HiddenStates, np.ndarray]:
    """Which of two marked tokens comes first."""
    known = planted.marker_order(n, (_T, _D), 2, _TRUE_GAP, rng)
    assert isinstance(known.x, HiddenStates)
    return known.x, np.asarray(known.y)


GAPS: dict[str, Draw] = {"one token": _one_token, "order": _order}


@lru_cache
def _given_effect() -> float:
    """Of a column beside C, whose effect is 1.5, that makes I(Y;Z|C) `_TRUE_GIVEN`."""
    rng = np.random.default_rng(8)
    c, own = rng.normal(size=(2, _TRUTH_ROWS))
    nodes, weights = np.polynomial.hermite_e.hermegauss(41)
    weights = weights / weights.sum()

    def gap(size: float) -> float:
        pooled = expit(1.5 * c[:, None] + size * nodes) @ weights
        return float(_entropy(pooled).mean() - _entropy(expit(1.5 * c + size * own)).mean())

    return float(brentq(lambda s: gap(s) - _TRUE_GIVEN, 0.0, 9.0))  # pyright: ignore[reportArgumentType]


def _covariate(
    rng: np.random.Generator, n: int, effect: float, copied: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    c, own = rng.normal(size=(n, 3)), rng.normal(size=(n, 8))
    y = rng.random(n) < expit(1.5 * c[:, 0] + effect * own[:, 0])
    if copied:
        own[:, 1:4] = c + 0.5 * own[:, 1:4]
    return own, y.astype(int), c


GIVEN: dict[str, tuple[float, Draw]] = {
    "beside C": (_TRUE_GIVEN, lambda r, n: _covariate(r, n, _given_effect(), False)),
    "beside C, with a copy": (
        _TRUE_GIVEN,
        lambda r, n: _covariate(r, n, _given_effect(), True),
    ),
    "a noisy copy of C": (0.0, lambda r, n: _covariate(r, n, 0.0, True)),
}


def main() -> None:
    """Run and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--draws", type=int, default=6)
    parser.add_argument("--rows", type=int, default=400)
    parser.add_argument("--given-rows", type=int, default=1500)
    parser.add_argument("--only", nargs="+", help="families, by their names")
    parser.add_argument("--seed", type=int, default=0, help="of the first draw")
    parser.add_argument("--full", action="store_true", help="60 draws a family")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "gaps.md")
    told = parser.parse_args()
    draws = 60 if told.full else told.draws
    lines = [
        f"# Gaps of known size: n = {told.rows:,} ({told.given_rows:,} beside a "
        f"covariate), {draws} draws a line, seeds from {told.seed}",
        "",
        "`shown`: p <= 0.05. `above 0`, `above the truth`: the interval's lower end.",
        "",
        "| family | true | mean | shown | above 0 | above the truth | interval holds it | "
        "least that 80 % show | s a draw |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    families = {
        **{f"none: {name}": (0.0, draw) for name, draw in NULLS.items()},
        **{f"gap: {name}": (_TRUE_GAP, draw) for name, draw in GAPS.items()},
        **{f"given: {name}": one for name, one in GIVEN.items()},
    }
    for name, (truth, draw) in families.items():
        if told.only and not any(part in name for part in told.only):
            continue
        found, begun = [], time.process_time()
        for seed in range(told.seed, told.seed + draws):
            rng = np.random.default_rng([seed, 14])
            rows = told.given_rows if name.startswith("given") else told.rows
            data = draw(rng, rows)
            if len(data) == 3:
                gap = conditional(*data, estimator=AUTO, seed=seed)
            else:
                gap = dpi_gap(*data, estimator=AUTO, seed=seed)
            found.append((gap.nats, *gap.ci, gap.p_value, gap.smallest_shown or np.nan))
        nats, low, high, p, least = np.array(found, dtype=float).T
        holds = (low <= truth + 1e-9) & (truth <= high + 1e-9)
        seconds = (time.process_time() - begun) / draws
        lines.append(
            f"| {name} | {truth:.3f} | {nats.mean():.4f} | {np.mean(p <= 0.05):.0%} | "
            f"{np.mean(low > 1e-9):.0%} | {np.mean(low > truth + 1e-9):.0%} | "
            f"{holds.mean():.0%} | {np.mean(least):.3f} | {seconds:.1f} |"
        )
        print(lines[-1], flush=True)
    text = "\n".join(lines) + "\n"
    if not told.only:
        told.out.write_text(text)


if __name__ == "__main__":
    main()
