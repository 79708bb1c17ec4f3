"""Texts of anybody, as a page and a figure can show them.

A model's or a task's name may hold what ends a page (a lone surrogate), what a terminal
obeys (ESC), what turns the letters after it around (a direction override), or a million
letters.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import pandas as pd

LONGEST = 2000
"""Letters of one text that are shown."""
# Controls but blanks; overrides and isolates of direction; halves of a pair; no characters.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
    "\ud800-\udfff\ufeff\ufffe\uffff]"
)


def legible(text: str) -> str:
    """The text with code points (U+202E) for what cannot be seen, and of bounded length.

    Texts that differ stay different: of what is cut off, a hash is left.
    """
    if len(text) > LONGEST:
        sha = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
        text = (
            f"{text[: LONGEST // 10]}\N{HORIZONTAL ELLIPSIS} ({len(text)} letters, {sha})"
        )
    return _UNSEEN.sub(lambda found: f"U+{ord(found[0]):04X}", text)


def legible_within(value: Any) -> Any:
    """The same of every text in what JSON knows."""
    if isinstance(value, str):
        return legible(value)
    if isinstance(value, Mapping):
        return {legible(str(k)): legible_within(v) for k, v in value.items()}
    if isinstance(value, list):
        return [legible_within(v) for v in value]
    return value


def legible_table(table: pd.DataFrame) -> pd.DataFrame:
    """The same of every text in a table's cells."""
    changed = {}
    for name in table.columns:
        # Settings are ASCII, and parsed.
        if name != "settings" and not pd.api.types.is_numeric_dtype(table[name]):
            texts = [v for v in table[name].unique() if isinstance(v, str)]
            shown = {v: new for v in texts if (new := legible(v)) != v}
            if shown:
                changed[name] = [shown.get(v, v) for v in table[name].astype(object)]
    return table.assign(**changed) if changed else table
