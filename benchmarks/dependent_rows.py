"""Rows that know one another: what is made of nothing, with groups and without.

    python benchmarks/dependent_rows.py [--draws 8] [--rows 600] [--estimators auto lda]

The labels know nothing of other groups, so the true value for new groups is 0. Writes
`dependent_rows.md`, and prints it.
"""

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.signal import lfilter

from mi_probe.estimators import ESTIMATORS, Auto, Blocks
from mi_probe.provenance import code_version

Draw = Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray, Any]]

_A_DOCUMENT = 25


def near_copies(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, Any]:
    """Each row twice, with a little noise, in 576 columns."""
    x, y = rng.normal(size=(n // 2, 576)), rng.integers(0, 2, n // 2)
    order = rng.permutation(2 * (n // 2))
    both = np.concatenate([x, x + 0.2 * rng.normal(size=x.shape)])
    return both[order], np.r_[y, y][order], np.r_[: n // 2, : n // 2][order]


def speakers(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, Any]:
    """Ten rows a speaker, who has one label, in 32 columns."""
    who = rng.permutation(np.arange(n) // 10)
    x = rng.normal(size=(n // 10 + 1, 32))[who] + rng.normal(size=(n, 32))
    return x, rng.permutation(np.arange(n // 10 + 1) % 2)[who], who


def drift(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, Any]:
    """Slow columns and a slow label, each on its own."""
    slow = lfilter([math.sqrt(1 - 0.98**2)], [1, -0.98], rng.normal(size=(n + 200, 17)), 0)
    slow = slow[200:]
    return slow[:, :16], (slow[:, 16] > np.median(slow[:, 16])).astype(int), Blocks(20)


def alone(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, Any]:
    """Independent rows and labels, in 64 columns."""
    return rng.normal(size=(n, 64)), rng.integers(0, 2, n), np.arange(n)


KINDS: dict[str, Draw] = {
    "near copies, d = 576": near_copies,
    "speakers of 10 rows, d = 32": speakers,
    "drift, d = 16, in 20 blocks": drift,
    "independent, d = 64": alone,
}


def documents(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, Any]:
    """Rows of a document share most of what tells Y, which is drawn a row."""
    who = np.arange(n) // _A_DOCUMENT
    told = rng.normal(size=who[-1] + 1)[who] + 0.5 * rng.normal(size=n)
    x = np.c_[told, rng.normal(size=(n, 3))]
    return x, (rng.random(n) < 1 / (1 + np.exp(-2 * told))).astype(int), who


def main() -> None:
    """Run and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--draws", type=int, default=8)
    parser.add_argument("--rows", type=int, default=600)
    parser.add_argument("--estimators", nargs="+", default=["auto", "lda"])
    parser.add_argument("--coverage-draws", type=int, default=60)
    told = parser.parse_args()
    lines = [
        f"# Rows that know one another, n = {told.rows:,}, {told.draws} draws a line",
        "",
        "Labels know nothing of other groups: the true value is 0 in every line.",
        f"Made with mi_probe {code_version()}.",
        "",
        "| kind | estimator | without groups: mean | flagged or noted | with groups: mean "
        "| interval holds 0 |",
        "|---|---|---|---|---|---|",
    ]
    for kind, draw in KINDS.items():
        for name in told.estimators:
            estimator = ESTIMATORS[name]
            if isinstance(estimator, Auto):
                estimator = Auto(extrapolate=False)
            plain, noted, grouped, holds = [], [], [], []
            for seed in range(told.draws):
                x, y, groups = draw(np.random.default_rng(seed), told.rows)
                without = estimator.estimate(x, y)
                found = estimator.estimate(x, y, groups=groups)
                plain.append(without.nats)
                noted.append(bool(without.notes))
                grouped.append(found.nats)
                holds.append(found.ci[0] <= 0 <= found.ci[1])
            lines.append(
                f"| {kind} | {name} | {np.mean(plain):.3f} | {np.mean(noted):.0%} | "
                f"{np.mean(grouped):.4f} | {np.mean(holds):.0%} |"
            )
            print(lines[-1], flush=True)
    values: dict[bool, list[tuple[float, float, float]]] = {False: [], True: []}
    for seed in range(told.coverage_draws):
        x, y, groups = documents(np.random.default_rng(seed), 2 * told.rows)
        for named, given in ((False, np.arange(len(y))), (True, groups)):
            found = ESTIMATORS["lda"].estimate(x, y, groups=given)
            values[named].append((found.nats, *found.ci))
    lines.append("")
    for named, found in values.items():
        table = np.array(found)
        mean = table[:, 0].mean()
        covered = np.mean((table[:, 1] <= mean) & (mean <= table[:, 2]))
        lines.append(
            f"Documents of {_A_DOCUMENT} rows, n = {2 * told.rows:,}, `lda`, "
            f"{told.coverage_draws} draws, groups {'named' if named else 'not named'}: "
            f"intervals hold the mean estimate, {mean:.3f} nats, in {covered:.0%}."
        )
    text = "\n".join(lines) + "\n"
    print(text)
    (Path(__file__).parent / "dependent_rows.md").write_text(text)


if __name__ == "__main__":
    main()
