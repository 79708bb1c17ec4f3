"""Prompt templates: one sentence frame, the same for every row."""

import re
import string
from collections.abc import Iterable, Mapping
from itertools import chain

from mi_probe.errors import InputError


def fill(
    template: str, rows: Iterable[Mapping[str, object]], *, hidden: Iterable[str] = ()
) -> tuple[str, ...]:
    r"""The prompt of each row: the template with ``{column}`` replaced by its value.

    Columns are named as they are, spaces and dots included; ``{{`` and ``}}`` are
    braces. Nothing is evaluated.

    Args:
        template: for instance ``"Review: {text}\nSentiment:"``.
        rows: a mapping of columns to values a row; all have the columns of the first.
        hidden: columns that a prompt must not show, because they hold Y.

    Raises:
        InputError: if the template is malformed, names no column or an unknown one, or
            names a hidden one: the prompt would give Y away.
    """
    rows = iter(rows)
    first = next(rows, None)
    pieces = _pieces(template)
    if first is None:
        return ()
    known = sorted(set(first) - set(hidden))
    if all(field is None for _, field in pieces):
        raise InputError(
            "template must name at least one column as {column}, else every prompt is "
            f"the same; got {template!r}, columns: {', '.join(known)}."
        )
    for _, field in pieces:
        if field in set(hidden):
            raise InputError(
                f"template must not name '{field}', which holds the label: the prompt "
                "would give Y away. Take it out of the template."
            )
        if field is not None and field not in first:
            raise InputError(
                f"template may name the columns {', '.join(known)}; got {{{field}}}."
            )
    return tuple(
        "".join(text + ("" if f is None else str(row[f])) for text, f in pieces)
        for row in chain([first], rows)
    )


def columns_in(template: str) -> tuple[str, ...]:
    """The columns that a template names.

    Raises:
        InputError: if it is malformed.
    """
    return tuple(field for _, field in _pieces(template) if field is not None)


def filled_ranges(template: str, prompt: str) -> list[tuple[int, int]] | None:
    """Where in a prompt the columns' values stand: characters ``start`` to ``end``.

    Where a value holds a piece of the template, its first occurrence is taken for that.

    Returns:
        None where the prompt is no filled template.

    Raises:
        InputError: if the template is malformed.
    """
    pieces = _pieces(template)
    frame = "".join(re.escape(t) + ("" if f is None else "(.*?)") for t, f in pieces)
    found = re.fullmatch(frame, prompt, re.DOTALL)
    if found is None:
        return None
    return [found.span(i + 1) for i in range(found.re.groups)]


def _pieces(template: str) -> list[tuple[str, str | None]]:
    """The template's own text, each part with the column that comes after it."""
    try:
        parsed = list(string.Formatter().parse(template))
    except ValueError as error:
        raise InputError(
            f"template must have its braces in pairs, {{column}}; got {template!r} "
            f"({error}). Write {{{{ or }}}} for a brace."
        ) from None
    # A colon or an exclamation mark is format()'s own language; a column may hold one.
    return [
        (text, None if field is None else _whole(field, spec, conversion))
        for text, field, spec, conversion in parsed
    ]


def _whole(field: str, spec: str | None, conversion: str | None) -> str:
    return field + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "")
