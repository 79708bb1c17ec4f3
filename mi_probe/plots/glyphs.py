"""Text of any script in a figure: blanks seen, no glyph lost, no box for a letter.

The figures' own fonts lack Chinese, Japanese, Korean and most emoji. Fonts that are found
on the machine are asked next; a character that none of them draws stands as its code
point, U+4E2D, so that the figure says what was there and matplotlib has nothing to warn of.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

import matplotlib as mpl
from matplotlib import font_manager
from matplotlib.ft2font import FT2Font

SEEN: Mapping[str, str] = MappingProxyType(
    {
        " ": "\N{OPEN BOX}",
        "\N{NO-BREAK SPACE}": "\N{OPEN BOX}",
        "\n": "\N{DOWNWARDS ARROW WITH CORNER LEFTWARDS}",
        "\r": "\N{LEFTWARDS ARROW TO BAR}",
        "\t": "\N{RIGHTWARDS ARROW TO BAR}",
    }
)
"""Blanks, and the signs that stand for them."""

_OWN = ("STIXGeneral", "DejaVu Sans")
# It draws a box for everything.
_BOXES = "Last Resort"


def shown(text: str) -> str:
    """`text` as a figure can draw it: blanks as `SEEN`, unknown letters as code points."""
    return "".join(_sign(character) for character in text)


def families(texts: Iterable[str]) -> list[str]:
    """Font families that together draw every text of `shown`, the figures' own first."""
    own = list(mpl.rcParams["font.family"])
    found = {_fallback(character) for text in texts for character in text}
    return own + sorted(name for name in found if name and name not in own)


def _sign(character: str) -> str:
    sign = SEEN.get(character, character)
    if sign.isprintable() and (_own(sign) or _fallback(sign)):
        return sign
    return f"U+{ord(character):04X}"


@cache
def _own(character: str) -> bool:
    return any(_draws(_path(name), character) for name in _OWN)


@cache
def _fallback(character: str) -> str | None:
    """The first family by name that draws the character, None where none is needed."""
    if _own(character):
        return None
    for name, path in _others():
        if _draws(path, character):
            return name
    return None


@cache
def _path(name: str) -> str:
    return str(font_manager.findfont(name))


@cache
def _others() -> tuple[tuple[str, str], ...]:
    """Upright fonts of normal weight that a PDF can hold as Type 42, by name."""
    entries = {
        entry.name: entry.fname
        for entry in font_manager.fontManager.ttflist
        if entry.style == "normal" and entry.weight in (400, "normal", "regular")
    }
    return tuple(
        (name, entries[name])
        for name in sorted(entries)
        if name not in _OWN and not name.startswith(_BOXES) and _is_truetype(entries[name])
    )


def _is_truetype(path: str) -> bool:
    """Type 42 holds TrueType outlines alone, not those of PostScript in an .otf."""
    try:
        with Path(path).open("rb") as file:
            return file.read(4) in (b"\0\1\0\0", b"true")
    except OSError:
        return False


@cache
def _font(path: str) -> FT2Font | None:
    try:
        font = font_manager.get_font(path)
    except (OSError, RuntimeError):  # pictures of fixed sizes, as of colour emoji
        return None
    return font if font.scalable else None


@cache
def _draws(path: str, character: str) -> bool:
    """Whether the font has the letter, and ink for it."""
    font = _font(path)
    if font is None or ord(character) not in font.get_charmap():
        return False
    font.set_size(8, 72)
    try:
        font.load_char(ord(character))
    except RuntimeError:
        return False
    return bool(len(font.get_path()[0])) or character.isspace()
