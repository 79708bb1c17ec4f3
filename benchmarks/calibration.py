"""Do intervals cover, do limits hold, does the null reject 5 %? `make bench-calibration`.

Every repeat draws a data set of its own. Settings take turns, so a run that ends early has
as many repeats of each; finished repeats stay in `calibration.csv` and are not run again.

    python benchmarks/calibration.py                       # 200 repeats of every setting
    python benchmarks/calibration.py --cpu-minutes 10      # as many as that allows
    python benchmarks/calibration.py --kinds null --estimator auto
    python benchmarks/calibration.py --kinds law order radius direction other --rows 600
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from families import FAMILIES
from scipy.stats import beta

from mi_probe.analysis.threads import limited_threads
from mi_probe.estimators import ESTIMATORS, Estimator, with_null
from mi_probe.provenance import code_version
from mi_probe.synthetic import Known, class_gaussians, independent

_HERE = Path(__file__).parent
_ROWS = (300, 1_000, 5_000)
_FAMILY_ROWS = (600, 1_500)
_BROKEN = ("law", "order", "radius", "direction", "other")
"""What of the laws a family breaks; see `families`."""
_PERMUTATIONS = 19
"""The fewest with which p can be 0.05."""


@dataclass(frozen=True)
class Setting:
    """What is repeated: a kind of question, and data for a number of rows and a seed."""

    kind: str
    name: str
    draw: Callable[[int, int], Known]
    n: int


def settings() -> list[Setting]:
    """Intervals where the estimator is consistent and where it is loose; null; limits."""
    data: list[tuple[str, str, Callable[[int, int], Known]]] = [
        ("interval", "2 classes, d=2", lambda n, s: _classes(n, 2, 2, 2.0, s)),
        ("interval", "4 classes, d=2", lambda n, s: _classes(n, 2, 4, 3.0, s)),
        ("interval", "3 classes, d=8", lambda n, s: _classes(n, 8, 3, 3.0, s)),
        ("loose", "4 classes, d=64", lambda n, s: _classes(n, 64, 4, 3.0, s)),
        ("loose", "4 classes, d=768", lambda n, s: _classes(n, 768, 4, 3.0, s)),
        ("null", "2 classes, d=20", lambda n, s: independent(n, 20, 2, seed=s)),
        ("null", "4 classes, d=768", lambda n, s: independent(n, 768, 4, seed=s)),
    ]
    known = [Setting(*one, n) for n in _ROWS for one in data]
    return known + [
        Setting(family.departs, name, family.draw, n)
        for n in _FAMILY_ROWS
        for name, family in FAMILIES.items()
    ]


def _classes(n: int, d: int, c: int, separation: float, seed: int) -> Known:
    return class_gaussians(n, d, c, separation=separation, seed=seed)


def measured(setting: Setting, estimator: Estimator, repeat: int) -> dict[str, object]:
    """One repeat's row."""
    # Data and folds are drawn from different streams; repeats share neither.
    known = setting.draw(setting.n, 10_000 + repeat)
    began = time.process_time()
    row: dict[str, object] = {
        "kind": setting.kind,
        "data": setting.name,
        "n": setting.n,
        "repeat": repeat,
        "estimator": estimator.name,
        "true": known.nats,
    }
    if setting.kind == "null":
        found = with_null(
            estimator, known.x, known.y, n_permutations=_PERMUTATIONS, seed=repeat
        )
        assert found.p_value is not None
        row |= {"p_value": found.p_value, "rejects": found.p_value <= 0.05}
    else:
        found = estimator.estimate(known.x, known.y, seed=repeat)
        row["covers"] = found.ci[0] <= known.nats <= found.ci[1]
    row |= {"nats": found.nats, "ci_low": found.ci[0], "ci_high": found.ci[1]}
    row["above"] = found.ci[0] > known.nats
    if found.extrapolated is not None:
        low, high = found.extrapolated.ci
        row |= {"extrapolated": found.extrapolated.nats}
        two_sided = found.extrapolated.claim == "two_sided"
        row |= {"extrapolated_low": low}
        row |= {"extrapolated_high": high if two_sided else None}
        row |= {"two_sided": two_sided, "too_high": low > known.nats}
        row["missed"] = not low <= known.nats <= high if two_sided else None
    row["cpu_seconds"] = round(time.process_time() - began, 3)
    return row


def rates(rows: pd.DataFrame) -> pd.DataFrame:
    """The shares asked for, each with its 95 % binomial interval (Clopper-Pearson)."""
    limits = ("too_high", "two_sided", "missed")
    asked = {"interval": ("covers", "above"), "loose": ("above",), "null": ("rejects",)}
    asked = {kind: (*what, *limits) for kind, what in asked.items()}
    asked |= dict.fromkeys(_BROKEN, ("above", *limits))
    asked["null"] = ("rejects",)
    broken = rows[rows.kind.isin(_BROKEN)]
    every = broken.assign(data="every family: " + broken.kind)
    rows = pd.concat([rows, every], ignore_index=True)
    found = []
    for (kind, data, n, estimator), part in rows.groupby(
        ["kind", "data", "n", "estimator"], sort=False
    ):
        for what in asked[str(kind)]:
            if what not in part or part[what].isna().all():
                continue
            held = part[what].dropna().astype(bool)
            if held.empty:
                continue
            low, high = binomial_interval(int(held.sum()), len(held))
            found.append(
                {
                    "kind": kind,
                    "data": data,
                    "n": n,
                    "estimator": estimator,
                    "what": what,
                    "repeats": len(held),
                    "rate": held.mean(),
                    "low": low,
                    "high": high,
                    "bias": (part.nats - part.true).mean(),
                    "cpu_seconds": part.cpu_seconds.median(),
                }
            )
    return pd.DataFrame(found).sort_values(["kind", "data", "what", "n"])


def binomial_interval(k: int, n: int) -> tuple[float, float]:
    """Of a share of k in n, 95 %, exact."""
    low = beta.ppf(0.025, k, n - k + 1) if k else 0.0
    high = beta.ppf(0.975, k + 1, n - k) if k < n else 1.0
    return float(low), float(high)


def markdown(table: pd.DataFrame) -> str:
    """The rates as text."""
    lines = [
        "# Calibration",
        "",
        f"Made with mi_probe {code_version()}.",
        "Written by `make bench-calibration`. Of the value at n -> infinity: `too_high`,",
        "its lower end is above the truth, whatever it claims; `two_sided`, it claims both",
        "ends; `missed`, the truth lies outside both ends, of those that claim them.",
        "Families break the laws in second-order moments (`order`), the radius, a single",
        "direction, or otherwise (`families.py`); those of `law` follow them. Of the",
        "held-out bound, which few rows leave low,",
        "`above`: its interval lies above the truth, as a bound's should not;",
        "`covers`: it holds the truth, as it should where the bound is tight. `rejects`:",
        "p <= 0.05 with 19 permutations of independent data. Brackets: 95 % binomial",
        "interval of the rate.",
        "",
        "| data | n | estimator | what | repeats | rate | mean error (nats) | CPU s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in table.itertuples():
        rate = f"{row.rate:.3f} [{row.low:.3f}, {row.high:.3f}]"
        cells = [row.data, f"{row.n:,}", row.estimator, row.what, row.repeats, rate]
        cells += [f"{row.bias:+.4f}", f"{row.cpu_seconds:.2f}"]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines) + "\n"


def finished(path: Path) -> list[dict[str, object]]:
    """The rows that are there; pandas would read the kind "null" as a missing one."""
    if not path.exists():
        return []
    return pd.read_csv(path, keep_default_na=False, na_values=[""]).to_dict("records")


def main() -> None:
    """Run what is not finished, write rows and rates."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument(
        "--kinds", nargs="+", default=["interval", "loose", "null", *_BROKEN]
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[*_ROWS, *_FAMILY_ROWS])
    parser.add_argument("--estimator", choices=list(ESTIMATORS), default="auto")
    parser.add_argument("--cpu-minutes", type=float, default=float("inf"))
    parser.add_argument("--out", type=Path, default=_HERE / "calibration.csv")
    asked = parser.parse_args()
    rows = finished(asked.out)
    names = ("kind", "data", "n", "estimator", "repeat")
    done = {tuple(row[name] for name in names) for row in rows}
    todo = [s for s in settings() if s.kind in asked.kinds and s.n in asked.rows]
    if not todo:
        parser.error(
            "kinds and rows must name a setting: families have "
            f"{_FAMILY_ROWS} rows, the others {_ROWS}."
        )
    estimator = ESTIMATORS[asked.estimator]
    with limited_threads(1):
        for repeat in range(asked.repeats):
            for one in todo:
                if (one.kind, one.name, one.n, estimator.name, repeat) in done:
                    continue
                if time.process_time() > 60 * asked.cpu_minutes:
                    break
                rows.append(measured(one, estimator, repeat))
            pd.DataFrame(rows).to_csv(asked.out, index=False)
    text = markdown(rates(pd.DataFrame(rows)))
    asked.out.with_suffix(".md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
