"""Prompt templates: one sentence frame, the same for every row."""

import string
from collections.abc import Iterable, Mapping

from mi_probe.errors import InputError


def fill(
    template: str, rows: Iterable[Mapping[str, object]], *, hidden: Iterable[str] = ()
) -> tuple[str, ...]:
    r"""The prompt of each row: the template with ``{column}`` replaced by its value.

    Columns are named as they are, spaces and dots included; ``{{`` and ``}}`` are
    braces. Nothing is evaluated.

    Args:
        template: for instance ``"Review: {text}\nSentiment:"``.
        rows: a mapping of columns to values a row.
        hidden: columns that a prompt must not show, because they hold Y.

    Raises:
        InputError: if the template is malformed, names no column or an unknown one, or
            names a hidden one: the prompt would give Y away.
    """
    rows = list(rows)
    try:
        parsed = list(string.Formatter().parse(template))
    except ValueError as error:
        raise InputError(
            f"template must have its braces in pairs, {{column}}; got {template!r} "
            f"({error}). Write {{{{ or }}}} for a brace."
        ) from None
    fields = [field for _, field, _, _ in parsed if field is not None]
    # A colon or an exclamation mark is format()'s own language; a column may hold one.
    pieces = [
        (text, None if field is None else _whole(field, spec, conversion))
        for text, field, spec, conversion in parsed
    ]
    known = sorted(set(rows[0]) - set(hidden)) if rows else []
    if not fields:
        raise InputError(
            "template must name at least one column as {column}, else every prompt is "
            f"the same; got {template!r}, columns: {', '.join(known)}."
        )
    for _, field in pieces:
        if field is not None and rows and field not in rows[0]:
            raise InputError(
                f"template may name the columns {', '.join(known)}; got {{{field}}}."
            )
        if field in set(hidden):
            raise InputError(
                f"template must not name '{field}', which holds the label: the prompt "
                "would give Y away. Take it out of the template."
            )
    return tuple(
        "".join(text + ("" if f is None else str(row[f])) for text, f in pieces)
        for row in rows
    )


def _whole(field: str, spec: str | None, conversion: str | None) -> str:
    return field + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "")
