"""Members of a critic of tokens, fitted on all pairs of folds, as `sequences.fits` does.

A row is scored by members without its own fold and one other. For a held-out fold k, the
other rows by members without k and their own fold show how members are to be tempered and
weighed; the fold's own rows get the average of all members without it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.special import log_softmax
from torch import Tensor

from mi_probe.estimators.core.split import Split
from mi_probe.estimators.core.targets import Classes
from mi_probe.estimators.engine.mixing import best_temperature, log_likelihood, tempered
from mi_probe.estimators.models.gaussian import Linear
from mi_probe.estimators.prefixes.linear import (
    SHRINKAGE,
    PrefixSums,
    chosen_places,
    described,
    discriminant_scores,
)
from mi_probe.estimators.prefixes.network import (
    Inputs,
    PrefixNetworks,
    train_prefix_networks,
)
from mi_probe.estimators.prefixes.packed_tokens import PackedTokens
from mi_probe.estimators.sequences.evidence import Problem

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
        kept = self.split.rows(*without)
        counts = np.bincount(self.target.index[kept], minlength=self.target.n_classes)
        return np.log((counts + 0.5) / (counts + 0.5).sum())


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


def linear_member(tokens: PackedTokens, sums: PrefixSums, block: str, rows: Rows) -> Scored:
    """Discriminants of one block."""
    fits = {pair: sums.discriminants(pair, SHRINKAGE) for pair in rows.split.pairs}
    few = _sampled(tokens, block, fits, rows)
    lengths, n_folds = tokens.lengths, rows.split.n_folds
    y = np.repeat(rows.target.index[:, None], PLACES, 1)

    def likelihood(k: int, place: int) -> float:
        return likelihood_without(few[:, k, :, place], y, rows.split.fold, rows, k)

    chosen = [
        int(np.argmax([likelihood(k, place) for place in range(len(SHRINKAGE))]))
        for k in range(n_folds)
    ]
    n, t, c = len(tokens), int(lengths.max()), rows.target.n_classes
    calibration = np.zeros((n_folds, n, t, c), dtype=np.float32)
    held_out = np.zeros((n, t, c), dtype=np.float32)
    for part, u in tokens.chunks():
        u = described(u, block)
        for i, own in _folds_of(part, rows):
            v = u[torch.as_tensor(own - part.start)]
            for j in range(n_folds):
                if j == i:
                    continue
                pair = fits[min(i, j), max(i, j)]
                calibration[j, own, : v.shape[1]] = discriminant_scores(v, pair[chosen[j]])
                held_out[own, : v.shape[1]] += discriminant_scores(v, pair[chosen[i]]) / (
                    n_folds - 1
                )
    return Scored(calibration, _normalised(held_out), tuple(chosen))


def network_member(inputs: Inputs, rows: Rows, *, alone: bool) -> Scored:
    """Networks of one reader."""
    pairs = rows.split.pairs
    problems = [_problem(rows, pair, alone) for pair in pairs]
    y = torch.as_tensor(rows.target.index)
    read = sum(len(problem.rows) for problem in problems) * float(
        inputs.lengths.float().mean()
    )
    epochs = int(np.clip(_TOKEN_STEPS // read, _LEAST_EPOCHS, 10))
    networks = train_prefix_networks(inputs, y, problems, alone=alone, epochs=epochs)
    return _chosen_networks(networks, inputs, rows, pairs)


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


def _chosen_networks(
    networks: PrefixNetworks, inputs: Inputs, rows: Rows, pairs: Sequence[Pair]
) -> Scored:
    n, t = inputs.shared.shape[:2]
    c, n_folds, n_places = (
        rows.target.n_classes,
        rows.split.n_folds,
        len(networks.snapshots),
    )
    places = chosen_places(inputs.lengths, PLACES)[0].numpy()
    every: list[np.ndarray] = []
    for snapshot in range(n_places):
        scores = np.zeros((n_folds, n, t, c), dtype=np.float32)
        for number, (i, j) in enumerate(pairs):
            for one, other in ((i, j), (j, i)):
                own = np.flatnonzero(rows.split.fold == one)
                scores[other, own] = networks.scores(inputs, own, number, snapshot)
        every.append(scores)
    y = np.repeat(rows.target.index[:, None], PLACES, 1)

    def likelihood(k: int, snapshot: int) -> float:
        few = np.take_along_axis(every[snapshot][k], places[..., None], 1)
        return likelihood_without(few, y, rows.split.fold, rows, k)

    chosen = [
        int(np.argmax([likelihood(k, place) for place in range(n_places)]))
        for k in range(n_folds)
    ]
    calibration = np.stack([every[place][k] for k, place in enumerate(chosen)])
    held_out = np.zeros((n, t, c), dtype=np.float32)
    for k, place in enumerate(chosen):
        own = rows.split.fold == k
        mates = [j for j in range(n_folds) if j != k]
        held_out[own] = log_softmax(every[place][mates][:, own], axis=3).mean(0)
    return Scored(log_softmax(calibration, axis=3), _normalised(held_out), tuple(chosen))


def _sampled(
    tokens: PackedTokens,
    block: str,
    fits: Mapping[Pair, list[Linear]],
    rows: Rows,
) -> Float[np.ndarray, "n k m p c"]:
    """Scores of a few prefixes of each row at all places, by the model without fold k."""
    n_folds = rows.split.n_folds
    shape = (len(tokens), n_folds, PLACES, len(SHRINKAGE), rows.target.n_classes)
    found = np.zeros(shape, dtype=np.float32)
    for part, u in tokens.chunks():
        place = chosen_places(tokens.lengths[part], PLACES)[0]
        few = described(u, block).gather(1, place[..., None].expand(-1, -1, u.shape[2]))
        for i, own in _folds_of(part, rows):
            v = few[torch.as_tensor(own - part.start)]
            for j in range(n_folds):
                if j != i:
                    for at, fit in enumerate(fits[min(i, j), max(i, j)]):
                        found[own, j, :, at] = discriminant_scores(v, fit)
    return found


def likelihood_without(
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


def _normalised(log_q: Float[np.ndarray, "n t c"]) -> Float[np.ndarray, "n t c"]:
    return log_softmax(log_q, axis=2)


def _folds_of(part: slice, rows: Rows) -> Iterator[tuple[int, Int[np.ndarray, " m"]]]:
    """Each fold's rows within a chunk."""
    own = np.arange(part.start, part.stop)
    for i in range(rows.split.n_folds):
        found = own[rows.split.fold[own] == i]
        if len(found):
            yield i, found
