"""A sentence as text, each token on the colour of what it tells of Y."""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportOperatorIssue=false
# pyright: reportOptionalMemberAccess=false

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from mi_probe.errors import InputError, check_known
from mi_probe.plots.colour_scale import NEGATIVE, draw_cell, draw_scale, scale
from mi_probe.plots.controls import noise_note
from mi_probe.plots.glyphs import SEEN, families, shown_in_text
from mi_probe.plots.page import (
    IN_UNIT,
    LINE_SPACING,
    axes_or_current,
    check_table,
    figure_width,
    text_widths,
    wrapped,
)
from mi_probe.plots.style import INK

QUANTITIES: Mapping[str, str] = MappingProxyType(
    {
        "pointwise": "of the token alone, $i(y; z_t)$",
        "increment": "newly readable, $i(y; z_{\\leq t}) - i(y; z_{<t})$",
        "cumulative": "up to the token, $i(y; z_{\\leq t})$",
    }
)
"""What can be shown of a token, all in the same unit."""
LINE = 0.17
"""Inches from one line of text to the next."""
_SIZE = 7.5
_PAD = 0.015
_GAP = 0.03


@dataclass(frozen=True)
class _Box:
    """Where one token stands, in inches from the left and in lines from the top."""

    text: str
    left: float
    width: float
    line: int
    size: float


def token_strip(
    tokens: pd.DataFrame,
    ax: Axes | None = None,
    *,
    quantity: str = "pointwise",
    norm: Normalize | None = None,
) -> Axes:
    """Draw one sentence of `in_unit(tokens)`: a box a token, lines broken between words.

    Pieces of one word touch, a gap is a blank; special tokens are in grey letters. A token
    below 0 has a dashed line under it, so that grey print tells the signs apart. Values
    are single examples', not means: they may be negative, and no interval belongs to
    them.

    Raises:
        InputError: a column missing, no row, several sentences or an unknown quantity.
    """
    _check(tokens, quantity)
    if tokens["row_id"].nunique() > 1:
        raise InputError("tokens must be of one sentence; use token_strips for several.")
    ax = axes_or_current(ax)
    tokens = tokens.sort_values("position", kind="stable")
    values = tokens[quantity].to_numpy(float)
    norm = scale(values) if norm is None else norm
    width = _inches(ax)
    fonts = families(tokens["token"])
    boxes = _placed(tokens, width, fonts)
    for box, value, odd in zip(boxes, values, _special(tokens), strict=True):
        low, high = box.line + 0.08, box.line + 0.92
        place = (box.left, low, box.width, high - low)
        ink = draw_cell(ax, place, float(value), norm, linewidth=0)
        ax.text(
            box.left + box.width / 2,
            box.line + 0.5,
            box.text,
            fontsize=box.size,
            fontfamily=fonts,
            ha="center",
            va="center",
            parse_math=False,
            color="0.45" if odd else ink,
        )
        if value < 0:
            ax.plot(
                [box.left, box.left + box.width],
                [high, high],
                color=INK,
                linewidth=0.7,
                linestyle=NEGATIVE,
            )
    ax.set_xlim(0, width)
    ax.set_ylim(boxes[-1].line + 1, 0)
    ax.set_axis_off()
    return ax


def _check(tokens: pd.DataFrame, quantity: str) -> None:
    check_known("quantity", quantity, QUANTITIES)
    needed = ("row_id", "position", "token", "word", "label", "unit", quantity)
    check_table(tokens, needed, "tokens", IN_UNIT)


def _special(tokens: pd.DataFrame) -> np.ndarray:
    if "special" not in tokens:
        return np.zeros(len(tokens), dtype=bool)
    return tokens["special"].astype(bool).to_numpy()


def _inches(ax: Axes) -> float:
    return float(ax.get_figure().get_figwidth()) - 0.06


def _placed(tokens: pd.DataFrame, room: float, fonts: list[str]) -> list[_Box]:
    texts = [shown_in_text(token) for token in tokens["token"]]
    widths = [w + 2 * _PAD for w in text_widths(texts, fonts, _SIZE)]
    words = list(zip(tokens["word"], _special(tokens), strict=True))
    boxes: list[_Box] = []
    left, line, start = 0.0, 0, 0
    while start < len(texts):
        end = start + 1
        # Special tokens share a number, but belong to no word.
        while end < len(texts) and words[end] == words[start] and not words[start][1]:
            end += 1
        whole = sum(widths[start:end])
        if left and left + whole > room:
            left, line = 0.0, line + 1
        for text, width in zip(texts[start:end], widths[start:end], strict=True):
            if left and left + width > room:
                left, line = 0.0, line + 1
            # Only one token wider than the page is made smaller.
            shrunk = min(1.0, room / width)
            boxes.append(_Box(text, left, width * shrunk, line, _SIZE * shrunk))
            left += width * shrunk
        left += _GAP
        start = end
    return boxes


def token_strips(
    tokens: pd.DataFrame, *, quantity: str = "pointwise", title: str = "", note: str = ""
) -> Figure:
    """`token_strip` of every sentence in the table, under one colour scale.

    Over each stands its label, what was predicted, and -log p(y), which no token's value
    may pass. As wide as `style` says.

    Args:
        tokens: of `in_unit`.
        quantity: of `QUANTITIES`.
        title: whose states they are.
        note: a line at the foot, such as what was left out.

    Raises:
        InputError: as `token_strip`.
    """
    _check(tokens, quantity)
    width = figure_width()
    sentences = [rows for _, rows in tokens.groupby("row_id", sort=False)]
    fonts = families(tokens["token"])
    lines = [
        _placed(rows.sort_values("position"), width - 0.06, fonts)[-1].line + 1
        for rows in sentences
    ]
    titles = [wrapped(_heading(rows), 0.95 * width) for rows in sentences]
    heads = [0.13 * (title.count("\n") + 1) + 0.05 for title in titles]
    tall = [LINE * count for count in lines]
    said = "; ".join(part for part in (_note(tokens, quantity), note) if part)
    note = wrapped(said, 0.95 * width, size=7.0)
    foot = 0.55 + 0.12 * (note.count("\n") + 1)
    whose = wrapped(title, width, size=9.0) if title else ""
    over = 0.16 * (whose.count("\n") + 1) + 0.02 if title else 0.0
    height = over + sum(tall) + sum(heads) + foot
    figure = Figure(figsize=(width, height))
    look = {"parse_math": False, "linespacing": LINE_SPACING}
    figure.suptitle(whose, y=1 - 0.03 / height, **look)
    norm = scale(tokens[quantity].to_numpy(float))
    top = height - 0.02 - over
    for rows, said, head, size in zip(sentences, titles, heads, tall, strict=True):
        top -= head + size
        ax = figure.add_axes((0.03 / width, top / height, 1 - 0.06 / width, size / height))
        token_strip(rows, ax, quantity=quantity, norm=norm)
        ax.set_title(said, loc="left", **look)
    share = min(0.9, 2.4 / width)
    place = ((1 - share) / 2, (foot - 0.19) / height, share, 0.08 / height)
    unit = tokens["unit"].iloc[0]
    words = f"information {QUANTITIES[quantity]} ({unit})"
    draw_scale(figure.add_axes(place), norm, words)
    figure.text(0.5, 0.03 / height, note, ha="center", fontsize=7, linespacing=LINE_SPACING)
    return figure


def _note(tokens: pd.DataFrame, quantity: str) -> str:
    words = ["dashed underline: below 0"]
    if _special(tokens).any():
        words.append("grey letters: special tokens")
    if tokens[quantity].isna().any():
        words.append("hatched: no value")
    blanks = tokens["token"].str.contains(r"^ +$|\S ", regex=True).any()
    blank = f"{SEEN[' ']}:\N{NO-BREAK SPACE}a\N{NO-BREAK SPACE}blank"
    noise = (
        noise_note(tokens[f"random_{quantity}"]) if f"random_{quantity}" in tokens else ""
    )
    return "; ".join([*words, *([blank] if blanks else []), *([noise] if noise else [])])


def _heading(rows: pd.DataFrame) -> str:
    row = rows.iloc[0]
    words = f"{row['row_id']}: label {row['label']}"
    if pd.notna(row.get("predicted")):
        words += f", predicted {row['predicted']}"
    ceiling = row.get("ceiling")
    if ceiling is not None and pd.notna(ceiling):
        words += f", at most -log p(y) = {ceiling:.3f} {row['unit']}"
    return words.replace("-log ", "\N{MINUS SIGN}log\N{NO-BREAK SPACE}")
