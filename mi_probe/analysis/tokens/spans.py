"""Spans: turns, thinking, sentences and whatever a pattern finds, as sets of tokens.

The spans of one kind cut a row's tokens into sets: the spans, each with its number in the
row, and ``(rest)``, all that is in none. So the increments of a kind's sets add up to
i(y; z) in each row, and their means to the estimate of I(Y;Z).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from mi_probe.analysis.tokens.row_texts import NOWHERE, RowText
from mi_probe.errors import InputError
from mi_probe.estimators.prefixes.token_information import TokenInformation

REST = "(rest)"
"""The set of all tokens that are in no span of a kind."""
MOST = 24
"""Spans of one name that are told apart in a row; later ones are counted as the last."""


@dataclass(frozen=True)
class Span:
    """Characters ``start`` to ``end`` of a row's text, by name."""

    name: str
    start: int
    end: int


Finder: TypeAlias = Callable[[RowText], Sequence[Span]]
"""Finds the spans of a row; they may not overlap, the first of two that do is taken."""
Spans: TypeAlias = Finder | Sequence[Sequence[Span]]
"""A finder, or a row's spans each: characters of the task's own prompt."""

_TURNS = re.compile(
    r"<\|im_start\|>(?P<a>\w+)\n?"  # ChatML
    r"|<\|start_header_id\|>(?P<b>\w+)<\|end_header_id\|>\s*"  # Llama 3
    r"|<start_of_turn>(?P<c>\w+)\n?"  # Gemma
    r"|<\|(?P<d>system|user|assistant)\|>\n?"  # Zephyr, Phi
    r"|<\N{FULLWIDTH VERTICAL LINE}(?P<e>User|Assistant)\N{FULLWIDTH VERTICAL LINE}>"
    r"|(?P<f>\[/?INST\])\s?"  # Mistral, Llama 2
    r"|^(?P<g>System|User|Human|Assistant): ?",  # a transcript
    re.MULTILINE,
)
_TURN_ENDS = re.compile(
    r"<\|im_end\|>|<\|eot_id\|>|<end_of_turn>|<\|end\|>|<\|endoftext\|>|</s>"
)
_SPEAKERS = {
    "[INST]": "user",
    "[/INST]": "assistant",
    "human": "user",
    "model": "assistant",
}
_SENTENCE = re.compile(
    r"\S.*?(?:[.!?\u3002\uff01\uff1f]+[\"')\]]*(?=\s|$)|\n|$)", re.DOTALL
)
_PARAGRAPH = re.compile(r"\S.*?(?=\n\s*\n|\s*$)", re.DOTALL)
_THINKING = re.compile(r"<think>(.*?)(?:</think>|$)", re.DOTALL)


def turns(row: RowText) -> list[Span]:
    """What system, user and assistant say, by the marks of common chat templates.

    Where the prompt was put into a chat template here, its own characters are the user's.
    """
    found = []
    heads = list(_TURNS.finditer(row.text))
    for i, head in enumerate(heads):
        end = heads[i + 1].start() if i + 1 < len(heads) else len(row.text)
        closed = _TURN_ENDS.search(row.text, head.end(), end)
        said = next(name for name in head.groups() if name is not None)
        name = _SPEAKERS.get(said, _SPEAKERS.get(said.lower(), said.lower()))
        found.append(Span(name, head.end(), closed.start() if closed else end))
    if not row.chat:
        return found
    start, end = row.prompt
    before = [span for span in found if span.end <= start and span.name != "user"]
    return [*before, Span("user", start, end), Span("assistant", row.read, len(row.text))]


def thinking(row: RowText) -> list[Span]:
    """What stands between ``<think>`` and ``</think>``, and after it, the answer."""
    blocks = list(_THINKING.finditer(row.text))
    found = [Span("thinking", *block.span(1)) for block in blocks]
    if blocks and blocks[-1].end() < len(row.text):
        found.append(Span("answer", blocks[-1].end(), len(row.text)))
    return found


def sentences(row: RowText) -> list[Span]:
    """Sentences of the text, not of the template: to ``.``, ``!``, ``?`` or a line end."""
    return _within(row, _SENTENCE, "sentence")


def paragraphs(row: RowText) -> list[Span]:
    """Parts between blank lines, as the steps of a written solution are."""
    return _within(row, _PARAGRAPH, "paragraph")


KINDS: Mapping[str, Finder] = MappingProxyType(
    {
        "turns": turns,
        "thinking": thinking,
        "sentences": sentences,
        "paragraphs": paragraphs,
    }
)
"""Kinds of spans that have a name; ``regex:NAME=PATTERN`` is any other."""


def matches(name: str, pattern: str) -> Finder:
    """A finder of a pattern's matches, or of its first group where it has one.

    Raises:
        InputError: if the pattern is no regular expression.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise InputError(
            f"spans must be regular expressions after '{name}='; {pattern!r} is none: "
            f"{error}."
        ) from None
    group = min(compiled.groups, 1)
    return lambda row: [
        Span(name, *found.span(group))
        for found in compiled.finditer(row.text)
        if found.start(group) < found.end(group)
    ]


def parse_spans(text: str) -> dict[str, Finder]:
    """Finders by name from ``turns,sentences,regex:NAME=PATTERN``.

    A comma in a pattern is the pattern's unless a kind comes after it.

    Raises:
        InputError: on an unknown kind, a name that comes twice or a malformed pattern.
    """
    found: dict[str, Finder] = {}
    for part in re.split(rf",(?=(?:{'|'.join(KINDS)})(?:,|$)|regex:)", text):
        kind, _, rest = part.strip().partition(":")
        name, equals, pattern = rest.partition("=")
        if kind in KINDS and not rest:
            name, finder = kind, KINDS[kind]
        elif kind == "regex" and name and equals and pattern:
            finder = matches(name, pattern)
        else:
            raise InputError(
                f"spans must be some of {', '.join(KINDS)}, regex:NAME=PATTERN; got "
                f"'{part}'."
            )
        if name in found:
            raise InputError(
                f"spans must each have a name of their own; '{name}' is twice."
            )
        found[name] = finder
    return found


def _within(row: RowText, pattern: re.Pattern[str], name: str) -> list[Span]:
    """Matches in the row's own characters, and in what the model wrote."""
    parts = [*row.own, (row.read, len(row.text))]
    return [
        Span(name, *found.span())
        for start, end in parts
        for found in pattern.finditer(row.text[:end], start)
    ]


@dataclass(frozen=True)
class SpanSets:
    """The sets that the spans of one kind make of all tokens."""

    names: tuple[str, ...]
    """Of each set: the span's; the first is `REST`."""
    numbers: tuple[int, ...]
    """Which span of its name in the row, from 1; 0 of the rest."""
    sets: Int[np.ndarray, "n t"]
    """The set of each token; 0 outside the mask."""

    def labels(self, mask: Bool[np.ndarray, "n t"]) -> list[str]:
        """A name for each token's set, in the order of a token table."""
        told = [
            name if name == REST else f"{name} {number}"
            for name, number in zip(self.names, self.numbers, strict=True)
        ]
        return [told[at] for at in self.sets[np.nonzero(mask)]]


def span_sets(
    texts: Sequence[RowText], spans: Spans, mask: Bool[np.ndarray, "n t"], *, kind: str
) -> SpanSets:
    """Give each token the span that its last character is in.

    Args:
        texts: of `row_texts`.
        spans: of one kind.
        mask: true where a token is real.
        kind: what to call it in an error.

    Raises:
        InputError: if no row has such a span, or ranges are not one list a row.
    """
    if not callable(spans) and len(spans) != len(texts):
        raise InputError(
            f"spans of '{kind}' must be one list a row, {len(texts)}; got {len(spans)}."
        )
    known: dict[tuple[str, int], int] = {}
    told: list[dict[int, tuple[str, int]]] = []
    for i, row in enumerate(texts):
        own = spans(row) if callable(spans) else _shifted(spans[i], row)
        counts: dict[str, int] = {}
        at: dict[int, tuple[str, int]] = {}
        for span in sorted(own, key=lambda one: (one.start, one.end)):
            held = [
                t
                for t, place in enumerate(row.tokens)
                if place != NOWHERE and span.start < place[1] <= span.end and t not in at
            ]
            if not held:
                continue
            counts[span.name] = counts.get(span.name, 0) + 1
            key = span.name, min(counts[span.name], MOST)
            known.setdefault(key, 0)
            at |= dict.fromkeys(held, key)
        told.append(at)
    if not known:
        raise InputError(
            f"spans of '{kind}' must be found in at least one row; none has any. Name "
            "another kind, or a pattern of your own: regex:NAME=PATTERN."
        )
    first = dict.fromkeys(name for name, _ in known)
    order = sorted(known, key=lambda key: (list(first).index(key[0]), key[1]))
    place = {key: i + 1 for i, key in enumerate(order)}
    sets = np.zeros(mask.shape, dtype=np.int64)
    for i, at in enumerate(told):
        columns = np.flatnonzero(mask[i])
        for t, key in at.items():
            sets[i, columns[t]] = place[key]
    names = (REST, *(name for name, _ in order))
    return SpanSets(names, (0, *(number for _, number in order)), sets)


def _shifted(spans: Sequence[Span], row: RowText) -> list[Span]:
    start = row.prompt[0]
    return [Span(span.name, start + span.start, start + span.end) for span in spans]


def by_span(
    found: TokenInformation,
    kinds: Mapping[str, SpanSets],
    twin: TokenInformation | None = None,
) -> pd.DataFrame:
    """What each span adds to I(Y;Z), and what is known by its end; table from values.

    ``value_nats`` is the mean over *all* rows of the increments in the span (0 in a row
    without it): over the numbered sets of a kind and its rest they add up to the estimate
    of I(Y;Z). Number 0 of a name is all its spans together. ``cumulative_nats`` is
    i(y; z_<=t) at the span's last token, over the ``n`` rows that have it. Intervals are
    over groups of rows.

    Args:
        found: the reader of prefixes.
        kinds: the sets, by kind.
        twin: the same with random labels.
    """
    rows = []
    for kind, sets in kinds.items():
        added = found.by_span(sets.sets)
        noise = None if twin is None else twin.by_span(sets.sets)
        names, numbers = np.array(sets.names), np.array(sets.numbers)
        every = [(name, 0, names == name) for name in dict.fromkeys(sets.names)]
        each = [
            (names[i], numbers[i], np.arange(len(names)) == i) for i in range(1, len(names))
        ]
        for name, number, chosen in [*every, *each]:
            inside = chosen[sets.sets] & found.mask
            has = inside.any(1)
            if not has.any():
                continue
            row = {"kind": kind, "span": str(name), "number": int(number)}
            row |= {"n": int(has.sum()), "tokens": float(inside.sum() / has.sum())}
            ends = ("value_nats", "ci_low", "ci_high")
            row |= _mean(found, added[:, chosen].sum(1), *ends)
            row |= _ends(found, inside, has)
            if twin is not None and noise is not None:
                ends = ("random_nats", "random_low", "random_high")
                row |= _mean(twin, noise[:, chosen].sum(1), *ends)
            rows.append(row | {"H_Y_nats": found.entropy_y})
    return pd.DataFrame(rows)


def _ends(
    found: TokenInformation, inside: Bool[np.ndarray, "n t"], has: Bool[np.ndarray, " n"]
) -> dict[str, float]:
    last = inside.shape[1] - 1 - inside[:, ::-1].argmax(1)
    rows = np.flatnonzero(has)
    values = found.pointwise[rows, last[rows]]
    split = found.split.only(rows)
    names = ("cumulative_nats", "cumulative_low", "cumulative_high")
    if len(rows) < 3 or split.units < 3:
        return dict(zip(names, (float(values.mean()), np.nan, np.nan), strict=True))
    reach = split.reach(split.standard_error(values))
    mean = float(values.mean())
    return dict(zip(names, (mean, mean - reach, mean + reach), strict=True))


def _mean(
    found: TokenInformation, values: Float[np.ndarray, " n"], *names: str
) -> dict[str, float]:
    mean, reach = (
        float(values.mean()),
        found.split.reach(found.split.standard_error(values)),
    )
    return dict(zip(names, (mean, mean - reach, mean + reach), strict=True))
