"""Whether information orders systems as their answers do.

Systems of one task and seed are trained on the same rows and measured on the same rows, so
each two of them are a pair: it is *concordant* where the one whose states know more also
answers better. Pairs of other seeds or tasks are of other rows, and are not formed.
"""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TypeAlias

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from mi_probe.analysis.scored import Scored
from mi_probe.estimators.core.split import codes_of
from mi_probe.study.endpoints import matches, wanted_of
from mi_probe.study.evaluated import over_critics
from mi_probe.study.gathered import Measured

COLUMNS = ("task", "tau", "low", "high", "p_value", "pairs", "seeds", "n")
ALL = "all tasks"
"""What stands in the column ``task`` where the pairs of all are counted."""
_DRAWS, _SHUFFLES = 1000, 4999


_Totals: TypeAlias = tuple[Float[np.ndarray, " k"], Float[np.ndarray, " k"]]


@dataclass(frozen=True, eq=False)
class _Together:
    """Trainings of one task and seed: what each knows and answers at each group of rows."""

    information: Float[np.ndarray, "k g"]
    score: Float[np.ndarray, "k g"]
    n: int
    """Number of rows."""

    def totals(self, at: Int[np.ndarray, " g"] | None = None) -> "_Totals":
        """Sums over groups; over those at some places, which may come several times."""
        at = np.arange(self.score.shape[1]) if at is None else at
        return self.information[:, at].sum(1), self.score[:, at].sum(1)


def ordering(entries: Sequence[Measured], *, seed: int = 0) -> pd.DataFrame:
    r"""A line a task, and one of all: Kendall's tau between information and score.

    With C pairs that are concordant and D that are not, tau = (C - D) / (all pairs): 1
    where information orders the systems just as their answers do, 0 where it says nothing
    of it. The interval is a bootstrap over seeds and, within them, groups of rows;
    ``p_value`` is two-sided, of systems whose scores are shuffled within their task and
    seed.

    Not to be trusted where systems hardly differ: what orders them then is the noise of the
    rows, which draws tau towards 0.

    Args:
        entries: what was measured; information is that of all the prompt's tokens at
            ``final_norm``.
        seed: of the bootstrap and the shuffles.

    Returns:
        `COLUMNS`; no line of a task in which no two systems have both values.

    References:
        Kendall 1938, A New Measure of Rank Correlation, Biometrika 30.
    """
    tasks = {
        task: [one for one in by.values() if len(one.information) > 1]
        for task, by in _together(entries).items()
    }
    tasks = {task: sets for task, sets in tasks.items() if sets}
    if len(tasks) > 1:
        tasks[ALL] = [one for sets in tasks.values() for one in sets]
    rng = np.random.default_rng([seed, 11])
    lines = [{"task": task, **_line(sets, rng)} for task, sets in tasks.items()]
    return pd.DataFrame(lines, columns=list(COLUMNS))


def _together(entries: Sequence[Measured]) -> dict[str, dict[object, _Together]]:
    wanted = wanted_of("information", {"site": "final_norm"})
    trained = [one for one in entries if one.told["system"]]
    states = [e for e in trained if e.of == "information" and matches(e.told, wanted)]
    found: dict[str, dict[object, _Together]] = {}
    for task in dict.fromkeys(entry.told["task"] for entry in states):
        of_task = [one for one in trained if one.told["task"] == task]
        states_of_task = [one for one in states if one.told["task"] == task]
        scores = [one for one in of_task if one.of == "score"]
        for seed in dict.fromkeys(one.told["seed"] for one in of_task):
            pairs = []
            for system in dict.fromkeys(_system(one) for one in of_task):
                side = [
                    over_critics(
                        [e for e in among if (_system(e), e.told["seed"]) == (system, seed)]
                    )
                    for among in (states_of_task, scores)
                ]
                if all(side):
                    pairs.append((side[0][0].scored, side[1][0].scored))
            if pairs:
                found.setdefault(task, {})[seed] = _groups(pairs)
    return found


def _system(entry: Measured) -> tuple[object, ...]:
    return tuple(entry.told[name] for name in ("system", "method", "backbone"))


def _groups(pairs: Sequence[tuple[Scored, Scored]]) -> _Together:
    """Sums over groups of rows, whose mean over all rows is what is compared."""
    n, group = len(pairs[0][0].terms), pairs[0][0].split.group
    group = np.arange(n) if group is None else codes_of(group)

    def sums(side: Sequence[Scored]) -> Float[np.ndarray, "k g"]:
        parts = [one.nats + one.influence - one.influence.mean() for one in side]
        return np.array([np.bincount(group, part) for part in parts])

    information, score = zip(*pairs, strict=True)
    return _Together(sums(information), sums(score), n)


def _line(sets: Sequence[_Together], rng: np.random.Generator) -> dict[str, float]:
    known = [one.totals() for one in sets]
    concordant, pairs = _counted(known)
    drawn = []
    for _ in range(_DRAWS):
        chosen = [sets[i] for i in rng.integers(len(sets), size=len(sets))]
        groups = [one.score.shape[1] for one in chosen]
        places = [rng.integers(g, size=g) for g in groups]
        found = _counted([one.totals(at) for one, at in zip(chosen, places, strict=True)])
        drawn.append(found[0] / found[1])
    shuffled = [
        _counted([(information, rng.permutation(score)) for information, score in known])[0]
        for _ in range(_SHUFFLES)
    ]
    as_far = np.abs(shuffled) >= abs(concordant)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return {
        **{"tau": concordant / pairs, "low": float(low), "high": float(high)},
        "p_value": float(1 + as_far.sum()) / (1 + _SHUFFLES),
        **{"pairs": pairs, "seeds": len(sets), "n": min(one.n for one in sets)},
    }


def _counted(known: Sequence[_Totals]) -> tuple[float, int]:
    """Concordant pairs less the others, and the number of all; a tie is neither."""
    signs = [
        np.sign(information[i] - information[j]) * np.sign(score[i] - score[j])
        for information, score in known
        for i, j in combinations(range(len(score)), 2)
    ]
    return float(np.sum(signs)), len(signs)
