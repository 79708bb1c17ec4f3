"""Whether `auto` is below simpler estimators on states of language models, paired.

    python benchmarks/real_states.py [--seeds 0 1 2] [--others linear lda mine]

A data set is one site and view of an embedded model on a task; a seed draws its rows, and
folds. Each estimator scores the same held-out rows, so the difference `auto` - other has
the error of paired terms; seeds share rows, so the error of their mean is taken to be that
of one. By Holm's method p is that of a difference below 0 among all lines. What was made is
kept in `real_states.csv`, and not made again unless `--again`; the table is in
`real_states.md`.
"""

import argparse
import math
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from golden import Real
from scipy.stats import norm

from mi_probe.estimators import ESTIMATORS
from mi_probe.provenance import code_version

OUT = Path(__file__).with_suffix(".csv")
OTHERS = ("linear", "lda", "mine")
_SMALL, _DEEP = "minilm-l6", "smollm2-135m:12"
CELLS: tuple[tuple[Real, tuple[int, ...]], ...] = (
    (Real(_SMALL, "rotten_tomatoes", 1000, "embed", "mean"), (300, 1000)),
    (Real(_SMALL, "rotten_tomatoes", 1000, "block.2", "mean"), (300, 600, 1000)),
    (Real(_SMALL, "rotten_tomatoes", 1000, "block.5", "last"), (300, 1000)),
    (Real(_DEEP, "rotten_tomatoes", 800, "block.5", "mean"), (300, 600)),
    (Real(_DEEP, "rotten_tomatoes", 800, "block.8", "mean"), (300, 600, 800)),
    (Real(_DEEP, "rotten_tomatoes", 800, "block.8", "last"), (300, 600, 800)),
    (Real(_DEEP, "sst2", 600, "block.8", "mean"), (300, 600)),
    (Real(_DEEP, "sst2", 600, "block.8", "last"), (300, 600)),
    (Real(_SMALL, "hutto_tweets", 1000, "block.2", "mean"), (300, 1000)),
    (Real(_SMALL, "hutto_tweets", 1000, "block.5", "mean"), (300, 1000)),
    (Real(_DEEP, "hutto_movies", 600, "block.8", "mean"), (300, 600)),
)


def measured(real: Real, n: int, seed: int, others: tuple[str, ...]) -> list[dict]:
    """A row for each other estimator: what it says and the paired difference, in nats."""
    x, y = real.draw([one for one, _ in CELLS])
    kept = np.random.default_rng([seed, n]).permutation(len(y))[:n]
    x, y = np.asarray(x)[kept], y[kept]
    kind = "classes" if np.issubdtype(y.dtype, np.integer) else "scores"
    auto = ESTIMATORS["auto"].estimate(x, y, seed=seed)
    rows = []
    for name in others:
        if kind not in ESTIMATORS[name].nature.takes:
            continue
        other = ESTIMATORS[name].estimate(x, y, seed=seed)
        terms = auto.pointwise - other.pointwise
        rows.append(
            {
                "data": real.name,
                "kind": kind,
                "n": n,
                "seed": seed,
                "other": name,
                "auto": auto.nats,
                "nats": other.nats,
                "difference": auto.nats - other.nats,
                "stderr": float(terms.std(ddof=1) / math.sqrt(len(terms))),
            }
        )
    return rows


def holm(p: np.ndarray) -> np.ndarray:
    """P values, corrected for the number of them."""
    order = np.argsort(p)
    steps = np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p))))
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(steps, 1.0)
    return corrected


def table(found: pd.DataFrame) -> str:
    """The page: means, one line a data set and size, and what they come to."""
    keys = ["kind", "data", "n", "other"]
    groups = found.groupby(keys, sort=False)
    lines = pd.DataFrame(groups.mean(numeric_only=True)).reset_index()
    lines["p"] = norm.cdf(lines.difference / lines.stderr.clip(lower=1e-12))
    lines["holm"] = holm(lines.p.to_numpy())
    head = "data | n | other | `auto` | other | `auto` - other | error | p that it is below"
    page = [
        "# `auto` beside simpler estimators on states of language models",
        f"Made with mi_probe {code_version()}. Nats; means over up to "
        f"{found.seed.nunique()} draws of rows; p by Holm's method.",
        "\n".join(
            f"- {kind}, against `{other}`: mean difference {part.difference.mean():+.4f}, "
            f"lowest {part.difference.min():+.4f}; of {len(part)} lines "
            f"{(part.difference < 0).sum()} below 0, {(part.holm < 0.05).sum()} after Holm"
            for (kind, other), part in lines.groupby(["kind", "other"], sort=False)
        ),
        f"| {head} |\n|{'---|' * 8}\n"
        + "\n".join(
            f"| {row.data} | {row.n} | {row.other} | {row.auto:.4f} | {row.nats:.4f} "
            f"| {row.difference:+.4f} | {row.stderr:.4f} | {row.holm:.2f} |"
            for row in lines.itertuples()
        ),
    ]
    return "\n\n".join(page) + "\n"


def main() -> None:
    """Measure what is missing, and write both files."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--others", nargs="+", choices=list(ESTIMATORS), default=OTHERS)
    parser.add_argument("--again", action="store_true", help="measure everything anew")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[dict] = []
    if OUT.exists() and not asked.again:
        rows = pd.read_csv(OUT).to_dict("records")
    done = {(row["data"], row["n"], row["seed"], row["other"]) for row in rows}
    for seed in asked.seeds:
        for real, sizes in CELLS:
            for n in sizes:
                left = [o for o in asked.others if (real.name, n, seed, o) not in done]
                if not left:
                    continue
                began = time.process_time()
                rows += measured(real, n, seed, tuple(left))
                seconds = time.process_time() - began
                print(real.name, n, seed, f"{seconds:.1f} CPU s", flush=True)
                pd.DataFrame(rows).round(6).to_csv(OUT, index=False)
    page = table(pd.DataFrame(rows))
    OUT.with_suffix(".md").write_text(page)
    print(page)


if __name__ == "__main__":
    main()
