"""Names under an axis: broken over lines, slanted where even that is too long."""

import re

_LETTER = 0.055
"""Inches that a letter takes at 8 pt, on average."""


def fitted_names(
    names: list[str], room: float, *, size: float = 8.0
) -> tuple[list[str], float]:
    """Names broken to fit `room` inches each, and the slant that they still need.

    Words are broken only where they are longer than a slanted name may be.

    Args:
        names: in any order.
        room: inches from one name to the next.
        size: of the letters, in points.
    """
    letter = _LETTER * size / 8
    broken = ["\n".join(_pieces(name, int(room / letter))) for name in names]
    longest = max(len(line) for name in broken for line in name.splitlines())
    if longest * letter <= room:
        return broken, 0.0
    # Slanted lines of one name need half an inch to stay clear of the next name's.
    limit = 16 if room > 0.5 else 32
    return ["\n".join(_pieces(name, limit, cut=True)) for name in names], 30.0


def _pieces(name: str, letters: int, *, cut: bool = False) -> list[str]:
    """Lines of at most `letters`, broken after a dash, underscore, comma or blank."""
    lines = [""]
    for part in re.findall(r"[^-_, ]*[-_, ]*", name):
        while cut and len(part) > letters:
            lines += [part[:letters], ""]
            part = part[letters:]
        if len(lines[-1]) + len(part.rstrip()) > letters:
            lines.append("")
        lines[-1] += part
    return [line.strip() for line in lines if line.strip()]
