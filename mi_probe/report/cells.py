"""Cells of the page's tables: what is shown, and what it is sorted by."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from mi_probe.analysis.reading import STATUS_WORDS
from mi_probe.facts import fixed
from mi_probe.plots.glyphs import SEEN

DASH = "\N{EN DASH}"


@dataclass(frozen=True)
class Cell:
    """What is said, and the number that it is sorted by, where it is one."""

    text: str
    key: str = ""
    flagged: bool = False
    shown: bool = False
    """Whether it is a finding."""


def number(value: Any, digits: int = 3) -> Cell:
    """A number, sorted by its value; a dash where there is none."""
    if value is None or pd.isna(value):
        return Cell(DASH)
    return Cell(fixed(value, digits), repr(float(value)))


def whole(value: Any) -> Cell:
    """A count, or a layer."""
    if value is None or pd.isna(value):
        return Cell(DASH)
    return Cell(f"{float(value):,g}", repr(float(value)))


def interval(low: Any, high: Any) -> Cell:
    """A 95 % interval, sorted by its width."""
    if low is None or high is None or pd.isna(low) or pd.isna(high):
        return Cell(DASH)
    return Cell(f"[{fixed(low)}, {fixed(high)}]", repr(float(high) - float(low)))


def text(value: Any) -> Cell:
    """Words as they are."""
    return Cell(DASH if value is None or pd.isna(value) else str(value))


def token(value: Any) -> Cell:
    """A token with its blanks seen: "the" and " the" are two."""
    return Cell("".join(SEEN.get(character, character) for character in str(value)))


def status(value: Any) -> Cell:
    """Whether to rely on it, marked where not."""
    if value is None or pd.isna(value):
        return Cell(DASH)
    return Cell(STATUS_WORDS.get(str(value), str(value)), flagged=str(value) != "ok")
