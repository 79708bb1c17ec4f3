"""Text of any script in a figure: blanks seen, no glyph lost, no box for a letter.

The figures' own fonts lack Chinese, Japanese, Korean and most emoji. Fonts that are given
to `style`, and then those that matplotlib finds on the machine, are asked next; a character
that none of them draws stands as its code point, U+4E2D, so that the figure says what was
there and matplotlib has nothing to warn of. `lost_letters` says which those are.
"""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

import matplotlib as mpl
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

from mi_probe.errors import InputError

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

# It draws a box for everything.
_BOXES = "Last Resort"
_BLANKS = " \n\N{NO-BREAK SPACE}"
"""What stays as it is in names; tokens have signs for them."""
_STANDS_FOR = re.compile(r"U\+([0-9A-F]{4,6})")
_WEIGHTS = (300, 550)
"""From light to medium; matplotlib calls fonts medium that do not say what they are."""


def shown(text: str) -> str:
    """`text` as a figure can draw it: blanks as `SEEN`, unknown letters as code points."""
    return "".join(_sign(SEEN.get(character, character)) for character in text)


CONTINUES = "\N{HORIZONTAL ELLIPSIS}"
BEGINS = f"{CONTINUES}: no blank stands before it"
"""What `shown_token` means by its mark."""


def shown_token(token: str) -> str:
    """A token by itself: the blank before it is left out, and its absence is marked."""
    if token[:1] == " " and token.strip():
        return shown(token[1:])
    return f"{CONTINUES}{shown(token)}" if token[:1].isalnum() else shown(token)


def shown_in_text(token: str) -> str:
    """A token in its place, where the gap before it says whether a blank stands there."""
    return shown(token[1:] if token[:1] == " " and token.strip() else token)


def families(texts: Iterable[str]) -> list[str]:
    """Font families that together draw every text of `shown`, the figures' own first."""
    own = list(mpl.rcParams["font.family"])
    found = {_fallback(character) for text in texts for character in text}
    return own + sorted(name for name in found if name and name not in own)


def added_family(path: str | Path) -> str:
    """The family of a font file, which matplotlib knows from now on.

    Raises:
        InputError: not a file with a TrueType font.
    """
    file = str(Path(path).resolve())
    if not _is_truetype(file) or _font(file) is None:
        raise InputError(
            "fonts must be TrueType files (.ttf, or a .ttc of them), which a PDF holds as "
            f"text; {path} is none. OpenType fonts with PostScript outlines (.otf) are not."
        )
    manager = font_manager.fontManager
    if not any(entry.fname == file for entry in manager.ttflist):
        manager.addfont(file)
    return next(entry.name for entry in manager.ttflist if entry.fname == file)


def legible(figure: Figure) -> None:
    """Give every text of a figure the fonts for its letters, and code points for the rest.

    For texts that did not pass through `shown`: names of models, tasks and labels, in
    which blanks stay blanks. Doing it twice changes nothing.
    """
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            names = [label.get_text() for label in axis.get_ticklabels()]
            if not _plain(names):
                # Not their texts alone: the axis writes those anew when it is drawn.
                shown = [_drawable(name) for name in names]
                axis.set_ticks(axis.get_ticklocs(), shown, fontfamily=families(names))
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        words = text.get_text()
        if not _plain([words]):
            more = [name for name in families([words]) if name not in text.get_fontfamily()]
            text.set_fontfamily([*text.get_fontfamily(), *more])
            text.set_text(_drawable(words))


def lost_letters(figure: Figure) -> list[str]:
    """Letters that stand as code points in a figure that was drawn, for want of a font."""
    texts = [str(text.get_text()) for text in figure.findobj(Text)]  # pyright: ignore[reportAttributeAccessIssue]
    found = {chr(int(code, 16)) for t in texts for code in _STANDS_FOR.findall(t)}
    # One that has a font stood in the data as it stands here; controls have none.
    return sorted(x for x in found if x.isprintable() and _sign(x) != x)


def _plain(texts: Iterable[str]) -> bool:
    """Whether the figures' own fonts draw every letter; most texts are ASCII."""
    return all(
        text.isascii() or all(c in _BLANKS or _own(c) for c in text) for text in texts
    )


def _drawable(text: str) -> str:
    return "".join(c if c in _BLANKS else _sign(c) for c in text)


def _sign(character: str) -> str:
    if character.isprintable() and (_own(character) or _fallback(character)):
        return character
    return f"U+{ord(character):04X}"


def _own(character: str) -> bool:
    return any(_draws(_path(name), character) for name in mpl.rcParams["font.family"])


def _fallback(character: str) -> str | None:
    """The first family by name that draws the character, None where none is needed."""
    return None if _own(character) else _found(character, _known())


def _known() -> int:
    """How many fonts matplotlib knows: another number, and what was not found may be."""
    return len(font_manager.fontManager.ttflist)


def _path(name: str) -> str:
    return _found_path(name, _known())


@cache
def _found_path(name: str, _known: int) -> str:
    # A list: a name alone is read as a pattern, in which a dash has a meaning.
    return str(font_manager.findfont(font_manager.FontProperties(family=[name])))


@cache
def _found(character: str, known: int) -> str | None:
    for name, path in _others(known):
        if _draws(path, character):
            return name
    return None


@cache
def _others(_known: int) -> tuple[tuple[str, str], ...]:
    """Upright fonts of normal weight that a PDF can hold as Type 42, by name."""
    entries = {
        entry.name: entry.fname
        for entry in font_manager.fontManager.ttflist
        if entry.style == "normal"
        and _is_normal(entry.weight)
        # Of a collection, the first: others are not found by their file alone.
        and not getattr(entry, "index", 0)
    }
    return tuple(
        (name, entries[name])
        for name in sorted(entries)
        if not name.startswith(_BOXES) and _is_truetype(entries[name])
    )


def _is_normal(weight: int | str) -> bool:
    if isinstance(weight, str):
        weight = font_manager.weight_dict.get(weight, 400)
    return _WEIGHTS[0] <= weight <= _WEIGHTS[1]


def _is_truetype(path: str) -> bool:
    """Type 42 holds TrueType outlines alone, not those of PostScript in an .otf."""
    try:
        with Path(path).open("rb") as file:
            start = file.read(16)
            if start[:4] == b"ttcf":  # a collection: what its first font is
                file.seek(int.from_bytes(start[12:16], "big"))
                start = file.read(4)
            return start[:4] in (b"\0\1\0\0", b"true")
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
