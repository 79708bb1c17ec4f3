"""Spans as sets of tokens, whose increments add up to what is known of Y.

The spans of one kind cut a row's tokens into sets: the spans, each with its number in the
row, and ``(rest)``, all that is in none. So the increments of a kind's sets add up to
i(y; z) in each row, and their means to the estimate of I(Y;Z).
"""

# pandas ships no types of its own; names and shapes are checked at run time instead.
# pyright: reportArgumentType=false

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from mi_probe.analysis.tokens.row_texts import NOWHERE, RowText
from mi_probe.analysis.tokens.span_kinds import Span, Spans
from mi_probe.errors import InputError
from mi_probe.estimators.prefixes.token_information import TokenInformation

REST = "(rest)"
"""The set of all tokens that are in no span of a kind."""
MOST = 24
"""Spans of one name that are told apart in a row; later ones are counted as the last."""


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
