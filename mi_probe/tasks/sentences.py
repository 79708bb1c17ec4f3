"""Readers of sentences with a sentiment: SST-2 and Rotten Tomatoes."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from mi_probe.errors import InputError
from mi_probe.tasks.columns import class_of, need
from mi_probe.tasks.decoded import lines_of
from mi_probe.tasks.delimited import separated
from mi_probe.tasks.entry import Table
from mi_probe.tasks.tables import Rows, checked


def sst2(rows: Rows, path: Path | str = "sst2") -> Table:
    """Rows with ``sentence`` and ``label``, 0 negative or 1 positive."""
    name = path.name if isinstance(path, Path) else path
    return Table(
        [
            {
                "sentence": row["sentence"].strip(),
                "label": class_of(row["label"], ("0", "1"), name),
            }
            for row in need(rows, ("sentence", "label"), path)
        ]
    )


def sst2_table(files: Mapping[str, Path]) -> Table:
    """The first file: TSV with a header; quotation marks are characters."""
    path = next(iter(files.values()))
    return sst2(checked(path, lambda p: separated(p, "\t", quoting="none")), path)


def is_glue(folder: Path) -> bool:
    """Whether this is GLUE's own SST-2 folder, whose test file has no labels.

    Its ``dev.tsv`` is the labelled set of 872 sentences that other copies call test.
    """
    path = folder / "test.tsv"
    if not path.is_file():
        return False
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        return "label" not in file.readline().rstrip().split("\t")


def is_not_glue(folder: Path) -> bool:
    """The other copies, whose files are what their names say."""
    return not is_glue(folder)


def sst2_lines(files: Mapping[str, Path]) -> Table:
    """One sentence a line after its label and one blank; no header.

    Raises:
        InputError: if a line does not begin with a label.
    """
    (path,) = files.values()
    found = []
    lines = checked(path, lambda p: [{"line": line} for line in lines_of(p)])
    for number, row in enumerate(lines, 1):
        # At the first blank only: a few sentences hold others, no-break ones too.
        label, blank, sentence = row["line"].partition(" ")
        if not blank or not sentence.strip():
            raise InputError(
                f"line {number} of {path.name} must be a label, a blank and a sentence; "
                f"got {row['line'][:60]!r}. Is it the right file?"
            )
        label = class_of(label, ("0", "1"), f"{path.name}, line {number}")
        found.append({"sentence": sentence.strip(), "label": label})
    return Table(found)


def rotten_tomatoes(path: Path) -> Table:
    """Reviews of one verdict; plots, contradictions and later copies are left out."""
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    table["id"] = [f"row-{row}" for row in range(len(table))]
    plots = table.category == "plot"
    table = table.loc[~plots]
    sides = table.groupby("text").category.transform("nunique")
    table, contradicting = table.loc[sides == 1], int((sides > 1).sum())
    kept = table.drop_duplicates("text")
    copies = len(table) - len(kept)
    kept = kept.assign(label=(kept.category == "fresh").astype(int))
    # Not the raw verdict: a prompt that shows it gives Y away.
    return Table(
        kept.drop(columns="category").to_dict("records"),
        (
            f"{int(plots.sum())} plot summaries dropped (no verdict)",
            f"{contradicting} rows whose text has both verdicts dropped",
            f"{copies} later copies of a duplicate text dropped",
        ),
    )
