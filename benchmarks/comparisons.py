"""Paired comparisons, bands over many cells, the best of many: how often they are right.

    python benchmarks/comparisons.py [--pairs 1000] [--cells 100]

Held-out terms are drawn as calibrated, overconfident and heavy-tailed critics of two
classes give them: log 2 - log(1 + exp(-s)), s the critic's log-odds of the row's own class.
True values are integrals. Writes `comparisons.md`, and prints it.
"""

import argparse
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.stats import norm
from scipy.stats import t as student_t
from tqdm.auto import tqdm

from mi_probe.analysis.many_cells import band_of, best_estimate, may_be_best
from mi_probe.analysis.paired import compare
from mi_probe.analysis.scored import Scored, rows_alone

LOG_2 = math.log(2)
CELLS = 155
"""Layers times views of a network of 31 sites and five views."""


SET = 20
"""Of which the set of the best is taken: its work grows with their square."""


@dataclass(frozen=True)
class Critic:
    """The law of a critic's log-odds of the right class, on rows that it never saw."""

    mean: float = 1.0
    spread: float = 1.3
    sure: float = 1.0
    """By what the log-odds are multiplied: above 1, overconfident."""
    freedom: int = 0
    """Of Student's t; 0: normal."""
    shared: float = 0.0
    """Share of the variance that all cells have in common, since rows are easy or hard."""
    group: float = 0.0
    """Share of it that the rows of a group have in common, in each cell."""

    def terms(
        self, rng: np.random.Generator, n: int, k: int, size: int = 1, more: float = 0.0
    ) -> np.ndarray:
        """Terms (n, k) in nats, of groups of so many rows; `more` is added to the mean."""
        units = -(-n // size)

        def normal(columns: int) -> np.ndarray:
            groups = rng.standard_normal((units, columns)).repeat(size, 0)[:n]
            rows = rng.standard_normal((n, columns))
            return math.sqrt(self.group) * groups + math.sqrt(1 - self.group) * rows

        z = math.sqrt(self.shared) * normal(1) + math.sqrt(1 - self.shared) * normal(k)
        if self.freedom:
            scale = rng.chisquare(self.freedom, (n, k)) / (self.freedom - 2)
            z = z / np.sqrt(scale)
        return LOG_2 - np.logaddexp(0, -self.sure * (self.mean + more + self.spread * z))

    def value(self, more: float = 0.0) -> float:
        """The mean of the terms in nats, as an integral."""
        unit = math.sqrt((self.freedom - 2) / self.freedom) if self.freedom else 1.0
        law = student_t(self.freedom, scale=unit) if self.freedom else norm()

        def weighted(z: float) -> float:
            odds = self.sure * (self.mean + more + self.spread * z)
            return (LOG_2 - np.logaddexp(0, -odds)) * law.pdf(z)

        return float(quad(weighted, -60, 60, limit=500, points=[0.0])[0])


def cell(terms: np.ndarray, size: int = 1) -> Scored:
    """Terms as an estimate of five folds has them, with its interval."""
    n = len(terms)
    group = None if size == 1 else np.arange(n) // size
    split = rows_alone(n, 0, fold=np.arange(n) // size % 5, group=group)
    nats = float(terms.mean())
    missing = (nats + LOG_2) / split.units
    error = math.hypot(split.standard_error(terms), missing)
    reach = split.reach(error)
    ci = (nats - max(missing, 0.0) - reach, nats + reach)
    return Scored(
        name="cell",
        nats=nats,
        stderr=error,
        ci=ci,
        terms=terms,
        influence=terms,
        split=split,
        entropy_y=LOG_2,
    )


PAIRS = {
    "calibrated": (Critic(shared=0.6), Critic(shared=0.6)),
    "heavy tails (4 dof)": (Critic(shared=0.6, freedom=4), Critic(shared=0.6, freedom=4)),
    "one overconfident": (Critic(shared=0.6), Critic(shared=0.6, sure=2.0)),
}
GROUPED = {
    "calibrated": Critic(shared=0.6, group=0.3),
    "heavy tails (4 dof)": Critic(shared=0.6, group=0.3, freedom=4),
    "strong groups": Critic(shared=0.6, group=0.8),
}


def two_networks(draws: int, n: int) -> list[str]:
    """How often a difference of nothing, and one of .065 nats, is shown."""
    lines = [
        f"## Two networks, n = {n}, {draws:,} draws a line",
        "",
        "| critics | groups of | true difference | shown (p <= .05) | interval holds it "
        "| intervals of their own are apart |",
        "|---|---|---|---|---|---|",
    ]
    asked = [(name, 1, pair) for name, pair in PAIRS.items()]
    asked += [(name, 10, (one, one)) for name, one in GROUPED.items()]
    for name, size, (one, two) in asked:
        for wanted in (0.0, 0.065):
            if wanted and (size > 1 or name != "calibrated"):
                continue
            more = _more_for(one, wanted)
            truth = one.value(more) - two.value()
            shown, held, apart = 0, 0, 0
            for i in tqdm(range(draws), desc=name, leave=False, disable=None):
                # One seed for both draws what they share.
                a, b = (
                    _side(critic, i, side, n, size, more * (side == 0))
                    for side, critic in enumerate((one, two))
                )
                # What is not nothing is moved, so that the level is that of no difference.
                shift = 0.0 if wanted else truth
                found = compare([cell(a - shift, size)], [cell(b, size)])
                own = [cell(terms, size).ci for terms in (a, b)]
                shown += found.p_value <= 0.05
                held += found.ci[0] <= truth - shift <= found.ci[1]
                apart += own[0][0] > own[1][1] or own[1][0] > own[0][1]
            lines.append(
                f"| {name} | {size} | {truth if wanted else 0:.3f} | {shown / draws:.1%} | "
                f"{held / draws:.1%} | {f'{apart / draws:.1%}' if wanted else ''} |"
            )
    return lines


def _side(
    critic: Critic, seed: int, side: int, n: int, size: int, more: float
) -> np.ndarray:
    """One of two columns that share their first component."""
    rng = np.random.default_rng([1, seed])
    return critic.terms(rng, n, 2, size, more)[:, side]


def _more_for(critic: Critic, difference: float) -> float:
    """What the mean log-odds must be raised by for so many nats more."""
    wanted = critic.value() + difference
    return float(brentq(lambda more: critic.value(more) - wanted, 0.0, 2.0))


MANY = {
    "calibrated": Critic(),
    "overconfident": Critic(sure=2.0),
    "heavy tails (4 dof)": Critic(freedom=4),
    "near H(Y)": Critic(mean=3.0, spread=2.0),
    "cells with .7 in common": Critic(shared=0.7),
}


def many_cells(draws: int, n: int) -> list[str]:
    """Bands over cells of one value, and the best of them."""
    lines = [
        f"## {CELLS} cells of one value, n = {n:,}, {draws} draws a line",
        "",
        "| critics | value | band holds all | each alone holds all | largest, minus the "
        "value | best estimate, minus the value | its interval holds it | the set of "
        f"{SET} cells holds a given best |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, critic in MANY.items():
        value = critic.value()
        found = []
        for i in tqdm(range(draws), desc=name, leave=False, disable=None):
            terms = critic.terms(np.random.default_rng([2, i]), n, CELLS)
            cells = [cell(column) for column in terms.T]
            many, best = band_of(cells, seed=i), best_estimate(cells, seed=i)
            own = np.array([one.ci for one in cells])
            found.append(
                (
                    ((many.low <= value) & (value <= many.high)).all(),
                    ((own[:, 0] <= value) & (value <= own[:, 1])).all(),
                    max(one.nats for one in cells) - value,
                    best.nats - value,
                    best.ci[0] <= value <= best.ci[1],
                    len(may_be_best(cells[:SET], seed=i)) / SET,
                )
            )
        band, alone, largest, chosen, held, kept = np.mean(found, axis=0)
        lines.append(
            f"| {name} | {value:.3f} | {band:.1%} | {alone:.1%} | {largest:+.3f} | "
            f"{chosen:+.4f} | {held:.1%} | {kept:.1%} |"
        )
    return lines


def main() -> None:
    """Run, write and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--pairs", type=int, default=1000, help="draws of two networks")
    parser.add_argument("--cells", type=int, default=100, help="draws of many cells")
    given = parser.parse_args()
    lines = ["# Comparisons: how often they are right", ""]
    parts = [lambda: two_networks(given.pairs, 300)]
    parts += [lambda n=n: many_cells(given.cells, n) for n in (300, 1000)]
    for part in parts:
        made = part()
        print("\n".join(made), flush=True)
        lines += [*made, ""]
    Path(__file__).with_suffix(".md").write_text("\n".join(lines))


if __name__ == "__main__":
    main()
