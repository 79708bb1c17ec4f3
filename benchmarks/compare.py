"""Our estimators and the peers' on the same known answers: `make bench`.

Every cell (task, view, method) runs in a process of its own, in the package's own
environment under `benchmarks/.peers`, on one thread; finished cells are kept in
`known_answers.csv`, so an interrupted run goes on where it was. A failure, a time-out and a
refusal are rows too.

    python benchmarks/compare.py                 # the default tasks, seed 0
    python benchmarks/compare.py --full          # every task, view and estimator, two seeds
    python benchmarks/compare.py --packages mi_probe --tasks order --n 2000 --out trial.csv
"""

import argparse
from pathlib import Path

import pandas as pd
from comparing.cells import DEFAULT_TASKS, DEFAULT_VIEWS, METHODS, cells
from comparing.running import run
from comparing.summary import markdown, summary
from errors_figure import benchmark_figure, error_points

from mi_probe.estimators import ESTIMATORS
from mi_probe.plots.saving import save
from mi_probe.plots.style import style
from mi_probe.synthetic import GROUPS, ZOO

_HERE = Path(__file__).parent
FULL: dict[str, tuple[str, ...]] = {
    **METHODS,
    "mi_probe": tuple(ESTIMATORS),
    "benchmark-mi": (*METHODS["benchmark-mi"], "infonce"),
    "torch-mist": (*METHODS["torch-mist"], "infonce", "nwj", "js"),
}


def main() -> None:
    """Run what is not finished, then write the tables and the figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--tasks", nargs="+", choices=list(ZOO))
    parser.add_argument("--packages", nargs="+", choices=list(FULL), default=list(FULL))
    parser.add_argument("--estimators", nargs="+", help="some of the packages' methods")
    parser.add_argument("--seeds", type=int, nargs="+")
    parser.add_argument("--n", type=int, help="rows, instead of each task's own number")
    parser.add_argument("--limit", type=float, default=60, help="CPU seconds a cell")
    parser.add_argument("--again", nargs="+", default=[], help="packages to run anew")
    parser.add_argument("--out", type=Path, default=_HERE / "known_answers.csv")
    asked = parser.parse_args()
    methods = {
        package: tuple(
            name
            for name in (FULL if asked.full or asked.estimators else METHODS)[package]
            if asked.estimators is None or name in asked.estimators
        )
        for package in asked.packages
    }
    tasks = asked.tasks or (list(ZOO) if asked.full else DEFAULT_TASKS)
    seeds = asked.seeds or ([0, 1] if asked.full else [0])
    todo = cells(tasks, None if asked.full else DEFAULT_VIEWS, seeds, methods)
    if asked.out.exists() and asked.again:
        kept = pd.read_csv(asked.out)
        kept[~kept.package.isin(asked.again)].to_csv(asked.out, index=False)
    table = run(todo, asked.out, _HERE / ".data", limit=asked.limit, n=asked.n)
    by_group = summary(table)
    by_group.round(4).to_csv(
        asked.out.with_name(f"{asked.out.stem}_by_group.csv"), index=False
    )
    text = markdown(by_group)
    asked.out.with_name(f"{asked.out.stem}_by_group.md").write_text(text)
    with style("acl", "page"):
        points = error_points(table)
        figure = benchmark_figure(points, GROUPS)
        save(figure, points, f"{asked.out.stem}_errors", asked.out.parent)
    print(text)


if __name__ == "__main__":
    main()
