"""Song and Ermon's self-consistency tests of every estimator, into docs/.

    python benchmarks/consistency.py [--only NAME ...]

Writes docs/consistency.csv and docs/consistency.md. Small data, so that all estimators take
a few minutes together: four classes in 8 dimensions (n = 1,000), and two columns of real
numbers that are correlated with X (n = 1,000). An estimator is run on the first data whose
kind of Y it takes. A failure is recorded as a failure.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from mi_probe import InputError
from mi_probe.analysis import consistency
from mi_probe.estimators import ESTIMATORS
from mi_probe.provenance import code_version
from mi_probe.synthetic import class_gaussians, gaussian_pair

DOCS = Path(__file__).resolve().parent.parent / "docs"
SEED = 1
HEAD = """# Self-consistency of the estimators

Song and Ermon (2020, arXiv 1910.06222) ask of an estimator what must hold whatever the
information is: 0 for permuted Y; as much for [X, g(X)] and for [X, noise] as for X; twice
as much for two independent pairs. A cell gives the ratio to what must be said (x 1.00 is
right; for permuted Y the value itself) and whether it holds: the two sides differ by no
more than 0.02 nats and two standard errors. The product of four classes is sixteen, so
additivity asks four times as much learning of the same rows. A test that an estimator
passes by saying little is no merit: compare *I(Y;X)* with the truth.
`mi_probe.analysis.consistency` runs the same tests on your own data.

Written by `python benchmarks/consistency.py`; values in nats.
"""
SHORT = {
    "independence": "permuted Y",
    "data processing, g(X)": "[X, g(X)]",
    "data processing, noise": "[X, noise]",
    "additivity": "two pairs",
}


def measured(names: list[str]) -> pd.DataFrame:
    """A row an estimator and test."""
    data = {
        "classes": class_gaussians(1000, 8, 4, separation=3.0, seed=SEED),
        "scores": gaussian_pair(1000, 2, 0.8, seed=SEED),
    }
    parts = []
    for name in names:
        kind = "classes" if "classes" in ESTIMATORS[name].nature.takes else "scores"
        known = data[kind]
        began = time.process_time()
        try:
            table = consistency(known.x, known.y, estimator=name, seed=SEED)
        except InputError as error:
            table = pd.DataFrame([{"test": "failed", "message": str(error)}])
        table.insert(0, "estimator", name)
        table.insert(1, "y", kind)
        table.insert(2, "truth", round(known.nats, 4))
        table["cpu_seconds"] = round(time.process_time() - began, 2)
        parts.append(table)
        print(table.round(4).to_string(index=False), flush=True)
    return pd.concat(parts, ignore_index=True)


def markdown(table: pd.DataFrame) -> str:
    """One table a kind of Y, a line an estimator."""
    parts = [f"{HEAD}Last run with mi_probe {code_version()}.\n"]
    for kind, rows in table.groupby("y", sort=False):
        what = "Four classes, d = 8" if kind == "classes" else "Two columns of numbers"
        parts.append(f"## {what}, n = 1,000, I(Y;X) = {rows.truth.iloc[0]:.3f}\n")
        parts.append(
            "| estimator | I(Y;X) | " + " | ".join(SHORT.values()) + " | CPU s |\n"
            "|---|---|" + "---|" * (len(SHORT) + 1)
        )
        for name, own in rows.groupby("estimator", sort=False):
            by_test = own.set_index("test")
            cells = [cell(by_test, test) for test in SHORT]
            base = "data processing, g(X)"
            said = f"{by_test.expected[base]:.3f}" if base in by_test.index else "failed"
            seconds = f"{own.cpu_seconds.iloc[0]:.0f}"
            parts.append(f"| `{name}` | {said} | {' | '.join(cells)} | {seconds} |")
        parts.append("")
    return "\n".join(parts)


def cell(by_test: pd.DataFrame, test: str) -> str:
    """Ratio (or value, for permuted Y) and whether the test holds."""
    if test not in by_test.index:
        return "-"
    row = by_test.loc[test]
    value = f"{row.got:.3f}" if np.isnan(row.ratio) else f"x {row.ratio:.2f}"
    return f"{value}, {'yes' if row.holds else '**no**'}"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=list(ESTIMATORS), help="some names")
    only = parser.parse_args().only
    torch.set_num_threads(1)
    path = DOCS / "consistency.csv"
    table = measured(only or list(ESTIMATORS))
    if only and path.exists():  # the others' rows stay
        kept = pd.read_csv(path)
        table = pd.concat([kept[~kept.estimator.isin(only)], table], ignore_index=True)
        place = {name: i for i, name in enumerate(ESTIMATORS)}
        table = table[table.estimator.isin(place)]
        table = table.sort_values("estimator", key=lambda c: c.map(place), kind="stable")
    table.round(5).to_csv(path, index=False)
    (DOCS / "consistency.md").write_text(markdown(table), encoding="utf-8")


if __name__ == "__main__":
    main()
