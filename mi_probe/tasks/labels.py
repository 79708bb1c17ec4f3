"""A column of labels as Y: classes with names, or scores."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float64, Int64

from mi_probe.errors import InputError
from mi_probe.tasks.delimited import NUMBER

LabelKind: TypeAlias = Literal["classes", "scores"]

# Other signs that are printed for a minus: of mathematics, full-width, small, a dash.
_MINUS = str.maketrans(dict.fromkeys("\u2212\uff0d\ufe63\u2010\u2013", "-"))
# Deliberately without 'nan' and 'inf', which float() takes: in a file they are words.
_LEADING_ZERO = re.compile(r"[+-]?0\d")
# Among numbers only; a class may be called so.
_NO_NUMBER = (
    *("nan", "na", "n/a", "#n/a", "<na>", "none", "null", "missing", "?", "-", "--", "."),
    *("inf", "+inf", "-inf"),
)
_SPACED = r"[ \u00a0\u202f\u2009']"
_OTHER_NUMBERS = {
    "a percent sign": re.compile(r"[+-]?\d+(?:[.,]\d+)?\s?%"),
    "a currency sign": re.compile(
        r"[+-]?[$\u20ac\u00a3\u00a5]\s?[\d.,]+|[+-]?[\d.,]+\s?[\u20ac$]"
    ),
    "a decimal comma": re.compile(
        rf"[+-]?(?:\d+,\d{{1,2}}|\d+,\d{{4,}}|0,\d+|\d{{1,3}}(?:(?:\.|{_SPACED})\d{{3}})+,\d+)"
    ),
    "commas that group thousands, or stand for the point": re.compile(
        r"[+-]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?"
    ),
    "blanks or other marks that group thousands": re.compile(
        rf"[+-]?\d{{1,3}}(?:(?:{_SPACED}\d{{3}})+(?:\.\d+)?|(?:\.\d{{3}}){{2,}})"
    ),
}
"""Numbers as people write them, which are told apart by convention only."""
_MOSTLY = 0.8
"""Share of numbers from which a column is of numbers, and others in it are mistakes."""
_MANY = 10
"""Whole numbers above which it is said that they were taken as classes."""


class Labels(NamedTuple):
    """Y, and how it was read."""

    values: Int64[np.ndarray, " n"] | Float64[np.ndarray, " n"]
    names: tuple[str, ...] | None
    """The classes', in the order of the values; None for scores."""
    notes: tuple[str, ...] = ()


def classes_or_scores(
    values: Sequence[Any], column: str, kind: LabelKind | None = None
) -> Labels:
    """Y by one rule: labels are text, unless scores are asked for or plainly meant.

    * Scores are plainly meant where all labels are numbers, at least one of them has a
      fraction (``0.5``), and none has a leading zero (``007``).
    * All else is classes, which are called what the file says: ``007`` and ``7`` are two,
      ``1e5`` and ``100000`` too, and ``1.0`` is not renamed to ``1``. Whole numbers are
      classes, ``1.0`` too; a note says so where they may be meant as scores. Classes are
      in numerical order where all are numbers, else in alphabetical order.
    * Numbers that are written otherwise are never taken for words: with a percent sign, a
      decimal comma or grouped thousands they are refused by name, while a minus sign of
      another kind is read as a minus.
    * Where all other rows are numbers, ``nan``, ``NA``, ``?`` and their like are no
      words, but gaps; and where nearly all are numbers with a fraction, so are other words.

    Args:
        values: the column, without gaps: texts, numbers or truth values.
        column: its name, for messages.
        kind: ``classes`` takes every text as it is, ``scores`` every number.

    Raises:
        InputError: if values are neither words, numbers nor truth values, or of mixed
            types; some stand for a missing number; a score is not a finite number, or not
            written as one; all rows have one class or one score; two classes differ in
            blanks only; or nearly every row has a class of its own.
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
    if kind == "classes":
        return _classes(values, column, may_be_scores=False)
    numbers = [_number(v) for v in values]
    _check_numbers(values, numbers, column, kind)
    if kind == "scores" or plain_scores(values) is not None:
        return Labels(_scores(values, numbers, column), None)
    return _classes(values, column, may_be_scores=are_numbers(values))


def are_numbers(values: Sequence[Any]) -> bool:
    """Whether all are numbers, whole ones too."""
    return all(_number(v) is not None for v in values)


def plain_scores(values: Sequence[Any]) -> list[float] | None:
    """The numbers where scores are plainly meant, as `classes_or_scores` has it.

    None for anything else, whole numbers too, which may be ids.
    """
    numbers = [n for n in map(_number, values) if n is not None]
    if len(numbers) < len(values) or all(n.is_integer() for n in numbers):
        return None
    leading = any(_LEADING_ZERO.match(str(v).strip()) for v in values)
    return None if leading else numbers


def _number(value: Any) -> float | None:
    """The value as a number, or None where it is a word or a truth value."""
    if isinstance(value, str):
        plain = value.strip().translate(_MINUS)
        return float(plain) if NUMBER.fullmatch(plain) else None
    if isinstance(value, bool | np.bool_):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
    except OverflowError:  # a whole number of hundreds of digits
        return math.inf


def _exact(text: str) -> Decimal | None:
    """The number in all its digits: two of nineteen may be one as floats."""
    plain = text.strip().translate(_MINUS)
    try:
        return Decimal(plain) if NUMBER.fullmatch(plain) else None
    except InvalidOperation:  # an exponent beyond all bounds
        return None


def _check_numbers(
    values: Sequence[Any],
    numbers: Sequence[float | None],
    column: str,
    kind: LabelKind | None,
) -> None:
    """Raise where numbers have gaps written as words, or are written as none of ours.

    Raises:
        InputError: at the first.
    """
    words = [i for i, number in enumerate(numbers) if number is None]
    if not words or not isinstance(values[words[0]], str):
        return
    texts = {i: values[i].strip().translate(_MINUS) for i in words}
    otherwise = {
        i: next((w for w, p in _OTHER_NUMBERS.items() if p.fullmatch(text)), None)
        for i, text in texts.items()
    }
    what = otherwise[words[0]]
    if what is not None and (kind == "scores" or all(otherwise.values())):
        raise InputError(
            f"label-column '{column}' must have numbers written plainly, as 1234.5; "
            f"{sum(w is not None for w in otherwise.values())} of {len(values)} have "
            f"{what} or the like, the first '{values[words[0]]}' in data row "
            f"{words[0] + 1}. Rewrite them"
            + (", or say --label-kind classes." if kind is None else ".")
        )
    missing = all(text.lower() in _NO_NUMBER for text in texts.values())
    fraction = any(n is not None and not n.is_integer() for n in numbers)
    mostly = fraction and len(words) < (1 - _MOSTLY) * len(values)
    if kind is None and len(words) < len(values) and (missing or mostly):
        raise InputError(
            f"label-column '{column}' must be filled in every row; {len(words)} of "
            f"{len(values)} hold a word such as '{values[words[0]]}' where the others are "
            f"numbers, the first in data row {words[0] + 1}. Fill or remove them, or say "
            "--label-kind classes."
        )


def _classes(values: Sequence[Any], column: str, *, may_be_scores: bool) -> Labels:
    texts = [str(v) for v in values]
    exact = {name: _exact(name) for name in set(texts)}
    numeric = all(number is not None for number in exact.values())
    names = sorted(exact, key=lambda name: (exact[name] if numeric else 0, name))
    if len(names) == 1 and len(values) > 1:
        raise InputError(
            f"label-column '{column}' must hold two classes or more; all {len(values)} "
            f"rows are '{names[0]}', so H(Y) = 0 and there is nothing to know."
        )
    if alike := _alike(names, [" ".join(name.split()) for name in names]):
        raise InputError(
            f"label-column '{column}' must have classes that differ in more than blanks; "
            f"got {' and '.join(map(repr, alike))}. Write them alike."
        )
    if len(values) > 20 and len(names) > len(values) / 2:
        raise InputError(
            f"label-column '{column}' must have several rows a class; got {len(names)} "
            f"classes in {len(values)} rows. Name another column"
            + (", or say --label-kind scores." if may_be_scores else ".")
        )
    notes = []
    if may_be_scores and (len(names) > _MANY or any("." in name for name in names)):
        notes.append(
            f"labels {names[0]} ... {names[-1]} are whole numbers, taken as {len(names)} "
            "classes; if they are scores, say --label-kind scores"
        )
    if alike := _alike(names, [exact[n] if may_be_scores else n for n in names]):
        notes.append(f"classes {' and '.join(alike)} are one number, written in two ways")
    if alike := _alike(names, [name.casefold() for name in names]):
        notes.append(f"classes {' and '.join(alike)} differ in the case of letters only")
    position = {name: i for i, name in enumerate(names)}
    found = np.array([position[text] for text in texts], dtype=np.int64)
    return Labels(found, tuple(names), tuple(notes))


def _alike(names: Sequence[str], keys: Sequence[Any]) -> list[str]:
    """The names of the first key that several have."""
    if len(set(keys)) == len(keys):
        return []
    same = next(key for key, n in Counter(keys).items() if n > 1)
    return [name for name, key in zip(names, keys, strict=True) if key == same]


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
