"""The answer as text: how Y is written after the prompt, and read back from a model's.

Reading never guesses: what holds no answer is a failure, counted as such, and no number
is made up in its place. A generated text may run on after the answer; the first answer in
it counts.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float64

from mi_probe.tasks.ties import levelled

LETTERS = "ABCDEFGH"


@runtime_checkable
class AnswerForm(Protocol):
    """How labels become text and text becomes labels."""

    def write(self, label: int | float, options: Sequence[str] = ()) -> str:
        """What a model should write right after the prompt, the blank before it included.

        Args:
            label: the class 0 ... c-1, or the score.
            options: the texts of the row's options, where it has some.
        """
        ...

    def read(self, text: str, options: Sequence[str] = ()) -> float | None:
        """The label in a generated text, or None where there is none."""
        ...


@dataclass(frozen=True)
class Words:
    """A class is a word or a few: ``positive``, ``negative``.

    Read as the first of these words that stands alone; case of letters and the width of
    blanks aside, unless only they tell two classes apart.
    """

    words: tuple[str, ...]
    """One a class, in the order of the labels."""
    synonyms: tuple[tuple[str, ...], ...] = ()
    """Other words a class, that are read but never written."""

    def write(self, label: int | float, options: Sequence[str] = ()) -> str:
        """The class's word."""
        return f" {self.words[int(label)]}"

    def read(self, text: str, options: Sequence[str] = ()) -> float | None:
        """The class whose word comes first; of two at one place, the longer one's.

        Of two words that differ in case only, the one that is written so; None where
        neither is.
        """
        text = text.replace("\u2212", "-")
        found: list[tuple[tuple[int, int, int], int]] = []
        for label, word in enumerate(self.words):
            others = self.synonyms[label] if self.synonyms else ()
            for known in (word, *others):
                for place in _word(known).finditer(text):
                    same = (place[0] == known, place[0].split() == known.split())
                    size = len(" ".join(place[0].split()))
                    found.append(((place.start(), -size, -sum(same)), label))
        labels = {label for place, label in found if place == min(found)[0]}
        return float(labels.pop()) if len(labels) == 1 else None


@cache
def _word(known: str) -> re.Pattern[str]:
    known = known.replace("\u2212", "-")
    # A digit's word does not start inside of a number, or after its sign.
    start = r"(?<!\w)" + (r"(?<![.+-])" if known[:1].isdigit() else "")
    pieces = r"\s+".join(map(re.escape, known.split()))
    return re.compile(rf"{start}{pieces}(?!\w|\.\d)", re.IGNORECASE)


# After an answer's letter: nothing more, or a mark; a word would make `A` an article.
_END = r"(?=\s*(?:[).:,;!?*]|\n|$))"
_LETTER = (
    re.compile(rf"[\s\W]*([A-H]){_END}"),
    re.compile(
        rf".*?\b(?i:answer|option|solution|ending|choice)\W+(?:is\W+)?([A-H]){_END}"
    ),
)
_ORDINAL = re.compile(r".*?\b(?:answer|option|solution|ending|choice)\s*([1-8])\b", re.I)


@dataclass(frozen=True)
class Letters:
    """A class is the letter before an option: ``A``, ``B``, ...

    Read as a letter that stands alone at the start or after ``answer``, or as
    ``answer1``, ``option2``, ``solution1``, counted from 1. An option that the row does
    not have is a failure.
    """

    def write(self, label: int | float, options: Sequence[str] = ()) -> str:
        """The option's letter."""
        return f" {LETTERS[int(label)]}"

    def read(self, text: str, options: Sequence[str] = ()) -> float | None:
        """The letter's place, from 0."""
        label = self._label(text)
        return None if label is None or (options and label >= len(options)) else label

    def _label(self, text: str) -> float | None:
        if re.fullmatch("[a-h]", text.strip()):
            return float(LETTERS.index(text.strip().upper()))
        for pattern in _LETTER:
            found = pattern.match(text)
            if found:
                return float(LETTERS.index(found[1]))
        found = _ORDINAL.match(text)
        return float(int(found[1]) - 1) if found else None


@dataclass(frozen=True)
class OptionText:
    """A class is the text of the option itself, so that its place says nothing.

    Read as the longest option with which the text begins, letters' case, punctuation and
    blanks aside, unless only they tell two options apart. Signs and symbols count: ``5``
    is not ``-5``. Where two options of a row read the same, either is a failure.
    """

    def write(self, label: int | float, options: Sequence[str] = ()) -> str:
        """The option's text."""
        return f" {options[int(label)]}"

    def read(self, text: str, options: Sequence[str] = ()) -> float | None:
        """The place of the option that the text begins with."""
        chosen = [*range(len(options))]
        for form in (levelled, partial(levelled, case=True), _as_written):
            given = form(text)
            sizes = {i: _begun(given, form(options[i])) for i in chosen}
            longest = max(sizes.values(), default=0)
            chosen = [i for i, size in sizes.items() if size == longest > 0]
            if len(chosen) < 2:
                break
        return float(chosen[0]) if len(chosen) == 1 else None


def _as_written(text: str) -> str:
    return " ".join(text.split())


def _begun(given: str, option: str) -> int:
    """The length of an option with which a text begins; 0 where it does not."""
    after = given[len(option) :][:1]
    # `C` does not begin `C++`, nor 5 a 5.5; what is not levelled has marks after it.
    ends = after in ("", " ") or not (after.isalnum() or levelled(given) == given)
    return len(option) if given.startswith(option) and ends else 0


_SIGN = r"[+\-\u2212]"
_PLAIN = rf"(?:\d+(?:\.\d*)?|\.\d+)(?:[eE]{_SIGN}?\d+)?"
# A part of something else is no number: 3.8.2, 1,000 (or is it 1.000?), 1-based.
_BEFORE = rf"(?<![\d.,])(?<!\d[eE])(?<!\d[eE]{_SIGN})"
_AFTER = rf"(?!\d|\.\d|,\d|[eE]{_SIGN}?\d)"
_NUMBER = re.compile(rf"{_BEFORE}{_SIGN}?{_PLAIN}{_AFTER}")
_RANGE = re.compile(
    rf"({_SIGN}?{_PLAIN})\s*(?:-|\u2013|\u2014|\bto\b)\s*"
    rf"({_SIGN}?{_PLAIN}){_AFTER}"
)

# 2024-05-01, 1/5/2024, 2024-05, 10:30, May 5th, 2024, 5 May 2024: none of their numbers is
# a score.
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b\.?"
)
_DAY = r"\d{1,2}(?:st|nd|rd|th)?"
_DATE = re.compile(
    r"(?<![\w.])(?:\d+([-/.])\d+\1\d+|\d{4}-\d{2}|\d{1,2}:\d{2}(?::\d{2})?"
    rf"|{_MONTH}\s+{_DAY}(?:,?\s+\d{{4}})?|{_DAY}\s+{_MONTH}(?:\s+\d{{4}})?"
    rf"|{_MONTH}\s+\d{{4}})(?![\w-])",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Number:
    """A score is a decimal number: ``3.8``, ``-1.25``.

    Read as the first number of the text; signs and exponents belong to it. ``3-4`` and
    ``3 to 4`` are their middle, unless they name the scale itself, which is passed over.
    Dates and times are passed over. A number outside of the scale is read as it is:
    `Parsed` says so, and nothing is clamped here.
    """

    decimals: int = 2
    """Digits after the point that are written; rounding costs at most half of the last."""
    scale: tuple[float, float] | None = None
    """The lowest and highest score, or None where there is no bound."""

    def write(self, label: int | float, options: Sequence[str] = ()) -> str:
        """The rounded number, with a digit after the point."""
        return f" {round(float(label), self.decimals) + 0.0}"  # + 0.0: no minus zero

    def read(self, text: str, options: Sequence[str] = ()) -> float | None:
        """The first number or the middle of the first range."""
        text = _DATE.sub(" ", text)
        for place in _NUMBER.finditer(text):
            span = _RANGE.match(text, place.start())
            if span is None:
                return _finite(place[0])
            low, high = _finite(span[1]), _finite(span[2])
            if (low, high) == self.scale:
                return self.read(text[span.end() :])
            if low is None or high is None or low > high:
                return _finite(place[0])
            return (low + high) / 2
        return None


def _finite(text: str) -> float | None:
    value = float(text.replace("\u2212", "-"))
    return value if math.isfinite(value) else None


@dataclass(frozen=True, eq=False)
class Parsed:
    """What a model's texts say, a row each."""

    values: Float64[np.ndarray, " n"]
    """Classes or scores; NaN where the text holds no answer."""
    failed: Bool[np.ndarray, " n"]
    outside: Bool[np.ndarray, " n"]
    """Scores that were read but lie outside of the scale."""

    @property
    def failure_rate(self) -> float:
        """Share of texts without an answer; 0 for no texts."""
        return float(self.failed.mean()) if len(self.failed) else 0.0


def read_answers(
    form: AnswerForm, texts: Sequence[str], options: Sequence[Sequence[str]] = ()
) -> Parsed:
    """Read what a model wrote after each prompt.

    Args:
        form: how answers are written.
        texts: without the prompt.
        options: the texts of each row's options, or nothing.
    """
    rows = options if len(options) else [()] * len(texts)
    found = [form.read(text, row) for text, row in zip(texts, rows, strict=True)]
    values = np.array([math.nan if v is None else v for v in found], dtype=np.float64)
    scale = form.scale if isinstance(form, Number) else None
    low, high = scale or (-math.inf, math.inf)
    return Parsed(values, np.isnan(values), (values < low) | (values > high))
