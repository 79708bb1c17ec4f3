"""``python -m mi_probe.compare RESULTS [RESULTS ...]``: paired differences of estimates.

Two estimates of the same rows are compared row by row (`mi_probe.analysis.comparisons`):
whether their own intervals overlap says little. Reads result folders, prints a table on
stdout, writes ``comparisons.csv`` beside the results; everything else goes to stderr.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from mi_probe.analysis.comparisons import BETWEEN, EACH, compare_results
from mi_probe.analysis.printed import format_comparisons
from mi_probe.atomic import check_writable, write_atomically
from mi_probe.command_line import command_of, say
from mi_probe.errors import InputError
from mi_probe.options import about, listed

PROGRAM = "python -m mi_probe.compare"
TABLE = "comparisons.csv"


@dataclass(frozen=True)
class Settings:
    """What the command takes; see ``--help``."""

    results: list[str] = about("folders of results; usually given bare", [])
    between: str | list[str] = about(
        f"what two sides differ in, of {', '.join(BETWEEN)}; in all else they agree",
        ",".join(EACH),
    )
    baseline: str | None = about(
        "only pairs with this model, system, site, view or estimator on one side, as what "
        "the other is compared with"
    )
    level: float = about("of the intervals", 0.95)
    out: str | None = about(f"folder for {TABLE}; by default the first of the results")


def comparisons(settings: Settings) -> None:
    """Read, compare, print and write.

    Raises:
        InputError: as `compare_results`; also where no folder is given.
    """
    if not settings.results:
        raise InputError(
            "results must name at least one folder that `python -m mi_probe.estimate "
            "--out` wrote; got none."
        )
    out = Path(settings.out or settings.results[0])
    check_writable(out)
    table = compare_results(
        *settings.results,
        between=listed(settings.between, "between"),
        baseline=settings.baseline,
        level=settings.level,
        say=lambda line: say(f"left out: {line}"),
    )
    out.mkdir(parents=True, exist_ok=True)
    write_atomically(out / TABLE, table.to_csv(index=False).encode())
    print(format_comparisons(table))
    print(f"Table: {out / TABLE}")


main = command_of(
    comparisons,
    Settings,
    program=PROGRAM,
    description="Compare estimates of the same rows, two at a time, in nats.",
    positional="results",
)

if __name__ == "__main__":
    sys.exit(main())
