"""Files as text: packed or not, in the encoding that they are in, line by line."""

import bz2
import codecs
import gzip
import hashlib
from collections.abc import Callable, Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from mi_probe.errors import InputError

PACKED: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open}
"""What opens a packed file, by its ending."""

# The longer first: that of UTF-32 begins like that of UTF-16.
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}

_NO_CHARACTERS = ("idna", "punycode", "unicode_escape", "raw_unicode_escape")
"""Which Python counts among encodings of text, and no file is in."""


def opened(path: Path, encoding: str | None = None) -> TextIOWrapper:
    r"""The file as text, line ends as they are (``\r\n`` is not turned into ``\n``).

    Args:
        path: the file, .gz and .bz2 too.
        encoding: by name; None is UTF-8, or what a byte order mark says.
    """
    return _open(path, "rt", encoding=_encoding(path, encoding), newline="")


def lines_of(path: Path, encoding: str | None = None) -> Iterator[str]:
    r"""The lines without their ends: ``\n`` or ``\r\n``, and no other character.

    Not `str.splitlines`, which also cuts at characters that occur inside texts.
    """
    with _open(path, "rt", encoding=_encoding(path, encoding), newline="\n") as file:
        for line in file:
            yield line.removesuffix("\n").removesuffix("\r")


def check_encoding(name: str) -> None:
    """Raise unless text can be in it.

    Raises:
        InputError: if Python knows none of this name.
    """
    try:
        "a".encode(name)
        if codecs.lookup(name).name.replace("-", "_") in _NO_CHARACTERS:
            raise LookupError
    except (LookupError, ValueError):
        raise InputError(
            "encoding must be one that Python knows, such as utf-8, utf-16, cp1252 or "
            f"shift_jis; got '{name}'."
        ) from None


def undecodable(path: Path, encoding: str | None) -> str:
    """What to say of a file that is not in its encoding: where, and what to do."""
    name = _encoding(path, encoding)
    where = "it is not"
    if name.startswith(("utf-8", "ascii")):
        with _open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    line.decode(name)
                except UnicodeDecodeError as error:
                    where = (
                        f"line {number} is not, at its byte {error.start + 1} "
                        f"(0x{line[error.start]:02x})"
                    )
                    break
    what = "UTF-8" if encoding is None else f"of the encoding '{encoding}'"
    return (
        f"data must be {what}; {path}: {where}. Name the encoding that it is in, such as "
        "--encoding cp1252, or save it as UTF-8."
    )


def sha256_of(path: Path) -> str:
    """The hash of a file's bytes."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            found.update(part)
    return found.hexdigest()


def _open(path: Path, mode: str, **how: Any) -> Any:
    return PACKED.get(path.suffix.lower(), open)(path, mode=mode, **how)


def _encoding(path: Path, name: str | None) -> str:
    if name is not None:
        # The mark, which Excel puts first, is no part of the first column's name.
        return "utf-8-sig" if codecs.lookup(name).name == "utf-8" else name
    with _open(path, "rb") as file:
        start = file.read(4)
    return next((e for mark, e in _MARKS.items() if start.startswith(mark)), "utf-8-sig")
