"""A column of labels as Y: classes with names, or scores."""

import math
import re
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
from jaxtyping import Float64, Int64

from mi_probe.errors import InputError

LabelKind: TypeAlias = Literal["classes", "scores"]

# Deliberately without 'nan' and 'inf', which float() takes: in a file they are words.
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
# Among numbers only; a class may be called so.
_NO_NUMBER = ("nan", "na", "n/a", "none", "null", "inf", "+inf", "-inf")


def _number(value: Any) -> float | None:
    """The value as a number, or None where it is a word or a truth value."""
    if isinstance(value, str):
        return float(value) if _NUMBER.fullmatch(value.strip()) else None
    if isinstance(value, bool | np.bool_):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
    except OverflowError:  # a whole number of hundreds of digits
        return math.inf


def classes_or_scores(
    values: Sequence[Any], column: str, kind: LabelKind | None = None
) -> tuple[Int64[np.ndarray, " n"] | Float64[np.ndarray, " n"], tuple[str, ...] | None]:
    """Y and its classes' names; the names are None for scores.

    Whole numbers are classes, in numerical order (``1.0`` is the class ``1``); words
    and truth values are classes in alphabetical order; other numbers are scores. Where all
    other rows are numbers, ``nan``, ``NA``, ``null`` and their like are no words, but gaps.

    Args:
        values: the column, without gaps.
        column: its name, for messages.
        kind: ``classes`` or ``scores`` to overrule that reading.

    Raises:
        InputError: if values are neither words, numbers nor truth values, or of mixed
            types; some stand for a missing number; a score is not a finite number; all
            rows have one class or one score; two classes differ in blanks only; or nearly
            every row has a class of its own.
    """
    kinds = {
        "words" if isinstance(v, str)
        else "truth values" if isinstance(v, bool | np.bool_)
        else "numbers" if _number(v) is not None
        else type(v).__name__
        for v in values
    }  # fmt: skip
    if not kinds <= {"words", "truth values", "numbers"} or len(kinds) > 1:
        raise InputError(
            f"label-column '{column}' must hold words, numbers or truth values, all of "
            f"one type; got {' and '.join(sorted(kinds))}."
        )
    numbers = [_number(v) for v in values]
    if kind is None:
        _check_numbers(values, numbers, column)
    numeric = all(n is not None for n in numbers)
    whole = numeric and all(float(n).is_integer() for n in numbers if n is not None)
    if (kind or ("scores" if numeric and not whole else "classes")) == "scores":
        return _scores(values, numbers, column), None
    keys = [
        int(n) if whole and n is not None else str(v)
        for v, n in zip(values, numbers, strict=True)
    ]
    names = sorted(set(keys))  # type: ignore[type-var]
    if len(names) == 1 and len(values) > 1:
        raise InputError(
            f"label-column '{column}' must hold two classes or more; all {len(values)} "
            f"rows are '{names[0]}', so H(Y) = 0 and there is nothing to know."
        )
    plain = [" ".join(name.split()) for name in map(str, names)]
    if len(set(plain)) < len(plain):
        same = next(name for name in plain if plain.count(name) > 1)
        alike = [repr(n) for n, p in zip(names, plain, strict=True) if p == same]
        raise InputError(
            f"label-column '{column}' must have classes that differ in more than blanks; "
            f"got {' and '.join(alike)}. Write them alike."
        )
    if len(values) > 20 and len(names) > len(values) / 2:
        raise InputError(
            f"label-column '{column}' must have several rows a class; got {len(names)} "
            f"classes in {len(values)} rows. Name another column"
            + (", or say --label-kind scores." if numeric else ".")
        )
    position = {name: i for i, name in enumerate(names)}
    return (
        np.array([position[key] for key in keys], dtype=np.int64),
        tuple(str(name) for name in names),
    )


def _check_numbers(
    values: Sequence[Any], numbers: Sequence[float | None], column: str
) -> None:
    """Raise where numbers have gaps that are written as words.

    Raises:
        InputError: at the first.
    """
    words = [i for i, number in enumerate(numbers) if number is None]
    missing = all(str(values[i]).strip().lower() in _NO_NUMBER for i in words)
    if words and missing and len(words) < len(values):
        raise InputError(
            f"label-column '{column}' must be filled in every row; {len(words)} of "
            f"{len(values)} hold a word such as '{values[words[0]]}' where the others are "
            f"numbers, the first in data row {words[0] + 1}. Fill or remove them, or say "
            "--label-kind classes."
        )


def _scores(
    values: Sequence[Any], numbers: Sequence[float | None], column: str
) -> Float64[np.ndarray, " n"]:
    words = [v for v, n in zip(values, numbers, strict=True) if n is None]
    if words:
        raise InputError(
            f"label-column '{column}' must hold numbers to be scores; "
            f"{len(words)} of {len(values)} are not, for instance {words[0]!r}."
        )
    scores = np.array(numbers, dtype=np.float64)
    if not np.isfinite(scores).all():
        raise InputError(
            f"label-column '{column}' must hold finite scores; "
            f"{int((~np.isfinite(scores)).sum())} of {len(scores)} are not."
        )
    if len(scores) > 1 and np.ptp(scores) == 0:
        raise InputError(
            f"label-column '{column}' must vary; all {len(scores)} rows are "
            f"{scores[0]:g}, so there is nothing to know."
        )
    return scores
