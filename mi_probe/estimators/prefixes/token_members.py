"""Members of a critic of tokens, fitted on all pairs of folds, as `TokenFits` does.

A row is scored by members without its own fold and one other. For a held-out fold k, the
other rows by members without k and their own fold show how members are to be tempered and
weighed; the fold's own rows get the average of all members without it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.special import log_softmax
from torch import Tensor

from mi_probe.estimators.core.split import Split
from mi_probe.estimators.core.targets import Classes
from mi_probe.estimators.critic.batched import Problem, Weights
from mi_probe.estimators.engine.mixing import best_temperature, log_likelihood, tempered
from mi_probe.estimators.prefixes.causal_network import (
    Inputs,
    prefix_scores,
    train_prefix_networks,
)
from mi_probe.estimators.prefixes.linear import (
    SHRINKAGE,
    PrefixSums,
    chosen_places,
    described,
    discriminant_scores,
)
from mi_probe.estimators.prefixes.packed_tokens import PackedTokens

Pair = tuple[int, int]

PLACES = 8
"""Prefixes of a row on which choices are made."""
_OWN_SHRINKAGE = (0.1, 0.9)
_OWN_WIDTH = 3
"""Contrasts of classes that networks are given, at most."""
_TOKEN_STEPS = 15 * 10**6
"""Tokens that all networks together read in training, at most."""
_LEAST_EPOCHS = 4


@dataclass(frozen=True)
class Rows:
    """Y, its split and the shares of its classes."""

    target: Classes
    split: Split

    def log_prior(self, without: Sequence[int]) -> Float[np.ndarray, " c"]:
        """Log p(y) of the rows outside these folds; half a row more for each class."""
        return self.target.log_prior_among(self.split.rows(*without))


@dataclass(frozen=True)
class Scored:
    """One member's log posteriors after every token, by models that saw no row they score.

    The place of its path is chosen for each held-out fold on the other rows.
    """

    calibration: Float[np.ndarray, "k n t c"]
    """For the held-out fold k, of rows outside it by the model without k and their own."""
    held_out: Float[np.ndarray, "n t c"]
    """Mean over the models without the row's fold, normalised."""
    chosen: tuple[int, ...]
    """The place for each held-out fold."""


def chosen_member(
    path: Iterable[Float[np.ndarray, "k n t c"]],
    sampled: Int[np.ndarray, "n m"],
    y: Int[np.ndarray, " n"],
    fold: Int[np.ndarray, " n"],
    rows: Rows,
) -> Scored:
    """The place of a path with the highest likelihood outside each held-out fold.

    Args:
        path: log posteriors of each place in turn: for fold k, of rows outside it by the
            model without k and their own fold.
        sampled: positions of each row that choices are made by.
        y: the classes.
        fold: the fold of each row.
        rows: the split, whose prior counts.
    """
    n_folds, labels = rows.split.n_folds, np.repeat(y[:, None], sampled.shape[1], 1)
    best, chosen = np.full(n_folds, -np.inf), [0] * n_folds
    calibration = held_out = np.zeros(0)
    for place, scores in enumerate(path):
        if not place:
            calibration = np.zeros_like(scores)
            held_out = np.zeros_like(scores[0])
        for k in range(n_folds):
            few = np.take_along_axis(scores[k], sampled[..., None], 1)
            value = _likelihood_without(few, labels, fold, rows, k)
            if value > best[k]:
                best[k], chosen[k] = value, place
                calibration[k] = scores[k]
                own, mates = np.flatnonzero(fold == k), np.arange(n_folds) != k
                held_out[own] = scores[np.ix_(mates, own)].mean(0)
    return Scored(calibration, log_softmax(held_out, axis=2), tuple(chosen))


def linear_member(tokens: PackedTokens, sums: PrefixSums, block: str, rows: Rows) -> Scored:
    """Discriminants of one block."""
    fits = {pair: sums.discriminants(pair, SHRINKAGE) for pair in rows.split.pairs}
    n_folds, c = rows.split.n_folds, rows.target.n_classes
    shape = (n_folds, len(tokens), int(tokens.lengths.max()), c)

    def scores(place: int) -> Float[np.ndarray, "k n t c"]:
        found = np.zeros(shape, dtype=np.float32)
        for part, u in tokens.chunks():
            u = described(u, block)
            for i, own in _folds_of(part, rows):
                v = u[torch.as_tensor(own - part.start)]
                for j in set(range(n_folds)) - {i}:
                    fit = fits[min(i, j), max(i, j)][place]
                    found[j, own, : v.shape[1]] = discriminant_scores(v, fit)
        return found

    sampled = chosen_places(tokens.lengths, PLACES)[0].numpy()
    path = map(scores, range(len(SHRINKAGE)))
    return chosen_member(path, sampled, rows.target.index, rows.split.fold, rows)


def network_member(inputs: Inputs, rows: Rows, *, alone: bool) -> Scored:
    """Networks of one reader."""
    pairs = rows.split.pairs
    problems = [_problem(rows, pair, alone) for pair in pairs]
    y = torch.as_tensor(rows.target.index)
    read = sum(len(problem.rows) for problem in problems) * float(
        inputs.lengths.float().mean()
    )
    epochs = int(np.clip(_TOKEN_STEPS // read, _LEAST_EPOCHS, 10))
    snapshots = train_prefix_networks(inputs, y, problems, alone=alone, epochs=epochs)
    n, t = inputs.shared.shape[:2]

    def scores(snapshot: Weights) -> Float[np.ndarray, "k n t c"]:
        shape = (rows.split.n_folds, n, t, rows.target.n_classes)
        found = np.zeros(shape, dtype=np.float32)
        for number, (i, j) in enumerate(pairs):
            for one, other in ((i, j), (j, i)):
                own = rows.split.held_out(one)
                found[other, own] = prefix_scores(
                    snapshot, inputs, own, number, alone=alone
                )
        return log_softmax(found, axis=3)

    sampled = chosen_places(inputs.lengths, PLACES)[0].numpy()
    path = map(scores, snapshots)
    return chosen_member(path, sampled, rows.target.index, rows.split.fold, rows)


def supervised_inputs(
    tokens: PackedTokens, sums: PrefixSums, rows: Rows
) -> Float[Tensor, "p n t e"]:
    """Evidence of single tokens for the networks.

    A row's is by fits that saw neither it nor the two folds that the network is for.

    What networks find without labels is what stands out among tokens; what tells the
    classes apart in a language model's states is spread thin over hundreds of directions.
    """
    n, t = len(tokens), int(tokens.lengths.max())
    maps = {pair: _own_maps(sums, rows, pair) for pair in rows.split.pairs}
    width = next(iter(maps.values())).shape[2]
    found = torch.zeros(len(rows.split.pairs), n, t, width)
    for part, u in tokens.chunks():
        for i, own in _folds_of(part, rows):
            v = u[torch.as_tensor(own - part.start)]
            for number, pair in enumerate(rows.split.pairs):
                found[number, own, : v.shape[1]] = v @ maps[pair][i]
    mask = tokens.mask
    for values in found:
        real = values[mask]
        scaled = (real - real.mean(0)) / real.std(0).clamp(min=1e-6)
        values[mask] = scaled.clamp(-10, 10)
    return found


def _own_maps(sums: PrefixSums, rows: Rows, pair: Pair) -> Float[Tensor, "k r e"]:
    """For each fold, the directions whose evidence its rows are given."""
    others = [i for i in range(rows.split.n_folds) if i not in pair]
    found: dict[int, np.ndarray] = {}
    # Classes are compared along the few contrasts that tell most, the same for all rows.
    [whole] = sums.discriminants(pair, _OWN_SHRINKAGE[-1:])
    centred = whole.coefficients - whole.coefficients.mean(1, keepdims=True)
    width = min(_OWN_WIDTH, rows.target.n_classes - 1)
    contrasts = np.linalg.svd(centred, full_matrices=False)[2][:width].T
    for i in others:
        fits = sums.discriminants((*pair, i), _OWN_SHRINKAGE)
        found[i] = np.concatenate([fit.coefficients @ contrasts for fit in fits], 1)
    average = np.stack([found[i] for i in others]).mean(0)
    maps = [average if i in pair else found[i] for i in range(rows.split.n_folds)]
    return torch.as_tensor(np.stack(maps), dtype=torch.float32)


def _problem(rows: Rows, pair: Pair, alone: bool) -> Problem:
    stream = np.random.SeedSequence((rows.split.seed, *pair, int(alone)))
    return Problem(
        rows.split.rows(*pair),
        rows.log_prior(pair),
        int(stream.generate_state(1)[0]),
    )


def _likelihood_without(
    scores: Float[np.ndarray, "n m c"],
    y: Int[np.ndarray, "n m"],
    fold: Int[np.ndarray, " n"],
    rows: Rows,
    k: int,
) -> float:
    """Mean log q(y| . ) outside fold k, at the best temperature: what choices are made by.

    Args:
        scores: unnormalised log posteriors.
        y: the classes.
        fold: of each first axis's entry.
        rows: whose prior counts.
        k: the held-out fold.
    """
    kept = fold != k
    flat, labels = scores[kept].reshape(-1, scores.shape[2]), y[kept].ravel()
    log_prior = rows.log_prior([k])
    best = best_temperature(flat, log_prior, labels)
    return log_likelihood(tempered(flat, log_prior, best), labels)


def _folds_of(part: slice, rows: Rows) -> Iterator[tuple[int, Int[np.ndarray, " m"]]]:
    """Each fold's rows within a chunk."""
    own = np.arange(part.start, part.stop)
    for i in range(rows.split.n_folds):
        found = own[rows.split.fold[own] == i]
        if len(found):
            yield i, found
