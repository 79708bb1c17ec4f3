"""What single vectors keep: poolings, also learned ones, of needles and orders.

    python benchmarks/single_vectors.py [--draws 2] [--rows 600] [--only NAME ...]

`needle`: Y is written at one marked token among decoys. `order`: Y is which of two marked
tokens comes first: an attention head tells it by where it looks first, since its scores
know places; by what tokens hold alone no weighted mean could, since it does not change when
two tokens change places. `nothing`: Y is drawn at random, so that every gap is 0. Rows that
teach a learned pooling are not measured, so I(Y;Z) is of fewer rows there. Writes
`single_vectors.md`, and prints it.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from mi_probe.analysis import dpi_gap
from mi_probe.estimators import ESTIMATORS
from mi_probe.synthetic import needle, order
from mi_probe.synthetic.known import Known

AUTO = replace(ESTIMATORS["auto"], extrapolate=False)
POOLINGS = ("mean", "last", "attention", "attention4")


def _nothing(n: int, *, seed: int) -> Known:
    known = order(n, seed=seed)
    y = np.random.default_rng([seed, 15]).integers(2, size=n)
    return replace(known, y=y, nats=0.0)


FAMILIES: dict[str, Callable[..., Known]] = {
    "needle": needle,
    "order": order,
    "nothing": _nothing,
}


def main() -> None:
    """Run and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--draws", type=int, default=2)
    parser.add_argument("--rows", type=int, default=600)
    parser.add_argument("--only", nargs="+", choices=FAMILIES)
    parser.add_argument("--pooling", nargs="+", default=POOLINGS)
    parser.add_argument("--seed", type=int, default=0, help="of the first draw")
    here = Path(__file__).parent
    parser.add_argument("--out", type=Path, default=here / "single_vectors.md")
    told = parser.parse_args()
    lines = [
        f"# What single vectors keep: n = {told.rows:,}, {told.draws} draws a line, nats",
        "",
        "| family | I(Y;Z), true | Z_p | rows measured | I(Y;Z) | I(Y;Z_p) | gap | shown | "
        "s a draw |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for family in told.only or FAMILIES:
        for name in told.pooling:
            found, rows, truth, begun = [], 0, 0.0, time.process_time()
            for seed in range(told.seed, told.seed + told.draws):
                known = FAMILIES[family](told.rows, seed=seed)
                gap = dpi_gap(
                    *(known.x, known.y), pooling=name, estimator=AUTO, seed=seed, n_draws=99
                )
                rows, truth = len(gap.pointwise), known.nats
                shown = gap.p_value is not None and gap.p_value <= 0.05
                found.append((gap.full.nats, gap.pooled.nats, gap.nats, shown))
            full, pooled, nats, shown = np.mean(found, axis=0)
            seconds = (time.process_time() - begun) / told.draws
            lines.append(
                f"| {family} | {truth:.3f} | {name} | {rows} | {full:.3f} | {pooled:.3f} | "
                f"{nats:.3f} | {shown:.0%} | {seconds:.0f} |"
            )
            print(lines[-1], flush=True)
    if told.only is None and tuple(told.pooling) == POOLINGS:
        told.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
