"""The table of estimators, from what each says of itself: for the documents.

``python benchmarks/estimator_table.py docs/estimators.md`` writes the tables of
these files again, with the columns that each of them shows.
"""

import re
import sys
from collections.abc import Mapping
from pathlib import Path

from mi_probe.errors import InputError, check_known
from mi_probe.estimators.core.base import Estimator

_TABLE = re.compile(r"^(\| name \| what it is \|.*)\n\|[-| ]+\|\n(?:\|.*\n)*", re.M)


def rows(estimators: Mapping[str, Estimator]) -> list[dict[str, str]]:
    """One row an estimator: its cells by column."""
    return [_row(name, estimator) for name, estimator in estimators.items()]


def refreshed(text: str, estimators: Mapping[str, Estimator]) -> str:
    """The text with its table of estimators written again, with the columns it has.

    Raises:
        InputError: for a text without such a table, or an unknown column.
    """
    found = _TABLE.search(text)
    if not found:
        raise InputError(
            "text must hold a table that starts with '| name | what it is |'; got none."
        )
    columns = [cell.strip() for cell in found[1].strip("|").split("|")]
    cells = rows(estimators)
    check_known("columns", tuple(columns), cells[0])
    lines = [columns, *([row[column] for column in columns] for row in cells)]
    written = [f"| {' | '.join(line)} |\n" for line in lines]
    written.insert(1, f"|{'---|' * len(columns)}\n")
    return text[: found.start()] + "".join(written) + text[found.end() :]


def _row(name: str, estimator: Estimator) -> dict[str, str]:
    nature = estimator.nature
    paper = re.sub(
        r"arXiv (\S+\d)", r"[arXiv \1](https://arxiv.org/abs/\1)", nature.reference
    )
    return {
        "name": f"`{name}`",
        "what it is": f"{nature.bound}: {nature.summary}",
        "family": nature.family,
        "Y": ", ".join(k for k in ("classes", "scores", "tokens") if k in nature.takes),
        "X": "vectors, sequences" if nature.sequences else "vectors",
        "ceiling": nature.ceiling,
        "paper": paper or "-",
    }


if __name__ == "__main__":
    from mi_probe.estimators import ESTIMATORS

    for path in map(Path, sys.argv[1:]):
        text = refreshed(path.read_text(encoding="utf-8"), ESTIMATORS)
        path.write_text(text, encoding="utf-8")
