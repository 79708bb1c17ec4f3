"""Linear discriminants of the states of a template's tokens, each kind with its own.

A prompt ends in the same words for every row ("Sentiment:"), and a causal model writes
what it has read into their states, in directions of its own for each. One map for all
tokens does not find these. A token's kind is itself and the token before it, or itself
alone; a kind is the template's if nearly every row has it. So the kind is known at t, and
nothing of what comes later.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int

from mi_probe.estimators.prefixes.linear import SHRINKAGE, PrefixSums, discriminant_scores
from mi_probe.estimators.prefixes.packed_tokens import PackedTokens
from mi_probe.estimators.prefixes.token_members import Rows, Scored, chosen_member

_SHARE = 0.9
"""Of the rows that have a template's kind, at least."""
_MOST = 8
"""Kinds, those nearest to the end."""


@dataclass(frozen=True)
class _Kind:
    """The states of one kind of token."""

    row: Int[np.ndarray, " m"]
    place: Int[np.ndarray, " m"]
    u: Float[np.ndarray, "m r"]


def template_member(tokens: PackedTokens, rows: Rows) -> Scored | None:
    """Log posteriors at a template's tokens, p(y) at all others; None without any."""
    kinds = _kinds(tokens)
    if not kinds:
        return None
    n, t = tokens.order.shape
    n_folds = rows.split.n_folds
    prior = np.stack([rows.log_prior([k]) for k in range(n_folds)]).astype(np.float32)
    calibration = np.tile(prior[:, None, None], (1, n, t, 1))
    held_out = np.tile(prior[rows.split.fold][:, None], (1, t, 1))
    for kind in kinds:
        found = _chosen(kind, rows)
        for k in range(n_folds):
            other = rows.split.fold[kind.row] != k
            row, place = kind.row[other], kind.place[other]
            calibration[k, row, place] = found.calibration[k, other, 0]
        held_out[kind.row, kind.place] = found.held_out[:, 0]
    return Scored(calibration, held_out, (len(kinds),) * n_folds)


def _chosen(kind: _Kind, rows: Rows) -> Scored:
    """The discriminants of one kind of token."""
    sums, own = _sums(kind, rows), rows.split.fold[kind.row]
    fits = {pair: sums.discriminants(pair, SHRINKAGE) for pair in rows.split.pairs}
    shape = (rows.split.n_folds, len(own), 1, rows.target.n_classes)

    def scores(place: int) -> Float[np.ndarray, "k m 1 c"]:
        found = np.zeros(shape, dtype=np.float32)
        for i, j in rows.split.pairs:
            for one, other in ((i, j), (j, i)):
                u = torch.as_tensor(kind.u[own == one])
                said = discriminant_scores(u, fits[i, j][place])
                found[other, own == one, 0] = said
        return found

    sampled = np.zeros((len(own), 1), dtype=np.int64)
    path = map(scores, range(len(SHRINKAGE)))
    return chosen_member(path, sampled, rows.target.index[kind.row], own, rows)


def _kinds(tokens: PackedTokens) -> list[_Kind]:
    ids = tokens.z.token_ids
    if ids is None:
        return []
    packed = ids.cpu().gather(1, tokens.order).numpy().astype(np.int64)
    mask = tokens.mask.numpy()
    before = np.concatenate([np.full((len(packed), 1), -1), packed[:, :-1]], 1)
    pairs = np.where(mask, (before + 1) * (int(packed.max()) + 2) + packed, -1)
    # Where a text ends differs, but not the word of the template that follows it.
    single = np.where(mask, -2 - packed, -1)
    codes = np.where(np.isin(pairs, _common(pairs)), pairs, single)
    codes = np.where(np.isin(codes, common := _common(codes)), codes, -1)
    from_end = tokens.lengths.numpy()[:, None] - np.arange(codes.shape[1])
    common.sort(key=lambda code: (float(from_end[codes == code].mean()), code))
    places = [np.nonzero(codes == code) for code in common[:_MOST]]
    states = [np.empty((len(row), tokens.width), np.float32) for row, _ in places]
    for part, u in tokens.chunks():
        for (row, place), held in zip(places, states, strict=True):
            inside = (row >= part.start) & (row < part.stop)
            held[inside] = u[row[inside] - part.start, place[inside]].numpy()
    return [
        _Kind(row, place, held) for (row, place), held in zip(places, states, strict=True)
    ]


def _common(codes: Int[np.ndarray, "n t"]) -> list[int]:
    """Codes that nearly all rows have; -1 stands for none."""
    rows_with: Counter[int] = Counter()
    for row in codes:
        rows_with.update(set(row.tolist()))
    del rows_with[-1]
    return [code for code, n in rows_with.items() if n >= _SHARE * len(codes)]


def _sums(kind: _Kind, rows: Rows) -> PrefixSums:
    c, r = rows.target.n_classes, kind.u.shape[1]
    weight = np.zeros((rows.split.n_folds, c))
    total = np.zeros((rows.split.n_folds, c, r))
    square = np.zeros((rows.split.n_folds, r, r))
    own, y = rows.split.fold[kind.row], rows.target.index[kind.row]
    np.add.at(weight, (own, y), 1.0)
    for k in range(rows.split.n_folds):
        for label in range(c):
            total[k, label] = kind.u[(own == k) & (y == label)].sum(0, dtype=np.float64)
        # Among states that are much alike, float32's digits do not tell directions.
        part = kind.u[own == k].astype(np.float64)
        square[k] = part.T @ part
    return PrefixSums(weight, total, square)
