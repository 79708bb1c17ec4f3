"""Label-free features of sequences and vectors, for tests that refit very many times.

A test that draws Y again and again cannot train a network for each draw. These features are
made once, from Z alone: moments by position, the tokens of each place, random non-linear
features of one and of two neighbouring tokens, a random recurrent network's states, and
random features of the ends and the mean together. A linear fit on them costs one matrix
product a draw.

References:
    Random Features for Large-Scale Kernel Machines (Rahimi and Recht, 2007);
    ROCKET (Dempster et al., 2020), https://arxiv.org/abs/1910.13051
"""

import math
from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mi_probe.hidden import HiddenStates

_CHUNK = 512
_SAMPLE = 20_000
"""Tokens that centre and scale the features."""
_WIDE, _NARROW = 128, 24
"""Leading principal directions that the linear and the random features read."""
_RANDOM = 128
"""Random features of a kind."""
_PLACES = 12
"""Parts that sequences are cut into, at most; single tokens where they are no longer."""
_MOMENTS = ("mean", "slope", "wave", "first", "last", "largest", "smallest", "length")


def sequence_features(
    z: HiddenStates, *, seed: int = 0
) -> dict[str, Float[np.ndarray, "n f"]]:
    """Blocks of features of each sequence, by name; masked positions are never read.

    Blocks of one kind begin with its name and a colon (`merged`).

    Not to be trusted to hold all that Z does: what lies outside the leading 128
    principal directions of the tokens is not read.
    """
    generator = torch.Generator().manual_seed(seed)
    whiten = _Whitening(_sampled_tokens(z, generator))
    longest = int(z.mask.sum(1).max())
    weights = _RandomWeights(whiten, longest, generator)
    parts: list[dict[str, Tensor]] = []
    for start in range(0, len(z), _CHUNK):
        part = z[start : start + _CHUNK]
        parts.append(weights(whiten(part.values, part.mask), part.mask.cpu()))
    blocks = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    ends = blocks.pop("summary")
    blocks["ends: linear"] = ends
    blocks["ends: random"] = random_features(ends, 2 * _RANDOM, generator)
    return {name: block.double().numpy() for name, block in blocks.items()}


def merged(
    blocks: Mapping[str, Float[np.ndarray, "n _f"]],
) -> dict[str, Float[np.ndarray, "n _f"]]:
    """All blocks of a kind as one, by the kind."""
    kinds: dict[str, list[np.ndarray]] = {}
    for name, block in blocks.items():
        kinds.setdefault(name.split(": ")[0], []).append(block)
    return {kind: np.concatenate(parts, axis=1) for kind, parts in kinds.items()}


def vector_features(
    x: Float[np.ndarray, "n d"], *, seed: int = 0
) -> dict[str, Float[np.ndarray, "n f"]]:
    """Blocks of features of vectors: the leading directions, and random ones of them."""
    generator = torch.Generator().manual_seed(seed)
    whiten = _Whitening(torch.as_tensor(x, dtype=torch.float32))
    leading = whiten(torch.as_tensor(x, dtype=torch.float32)[:, None], None)[:, 0]
    random = random_features(leading, 2 * _RANDOM, generator)
    return {"linear": leading.double().numpy(), "random": random.double().numpy()}


def random_features(
    x: Float[Tensor, "n d"], count: int, generator: torch.Generator
) -> Float[Tensor, "n f"]:
    """Rectified random directions of the columns' leading principal directions."""
    whiten = _Whitening(x)
    u = whiten(x[:, None], None)[:, 0, :_NARROW]
    weights = _sphere(u.shape[1], count, generator)
    shift = torch.randn(count, generator=generator)
    return torch.relu(u @ weights + shift)


class _Whitening:
    """Tokens on their leading principal directions, each of spread 1."""

    def __init__(self, tokens: Float[Tensor, "m d"]) -> None:
        tokens = tokens.double()
        centre, scale = tokens.mean(0), tokens.std(0)
        # A column that varies by rounding only tells nothing.
        scale = torch.where(scale > 1e-6 * centre.abs().clamp(min=1e-30), scale, torch.inf)
        u = (tokens - centre) / scale
        values, vectors = torch.linalg.eigh(u.T @ u / len(u))
        values, vectors = values.flip(0)[:_WIDE], vectors.flip(1)[:, :_WIDE]
        kept = values > 1e-6 * values[0].clamp(min=1e-30)
        kept[0] = True
        directions = vectors[:, kept] / values[kept].clamp(min=1e-12).sqrt()
        # Few columns are turned back near themselves where places are read: what one of
        # them tells is then not spread over all.
        few = kept.all() and len(values) == len(scale) <= _NARROW
        self.back = (vectors.T if few else torch.eye(int(kept.sum()))).float()
        self._centre = centre.float()
        self._map = (directions / scale[:, None]).float()
        self.rank = int(kept.sum())

    def __call__(
        self, values: Float[Tensor, "b t d"], mask: Bool[Tensor, "b t"] | None
    ) -> Float[Tensor, "b t r"]:
        values = values.cpu().float()
        if mask is not None:  # pads may hold anything, NaN as well
            values = values.masked_fill(~mask.cpu()[..., None], 0.0)
        return (values - self._centre) @ self._map


class _RandomWeights:
    """The random maps, drawn once, and what they read of a chunk of sequences."""

    def __init__(
        self, whiten: _Whitening, longest: int, generator: torch.Generator
    ) -> None:
        narrow = min(whiten.rank, _NARROW)
        self._longest, self._back = longest, whiten.back[:narrow]
        self._narrow = narrow
        self._one = _sphere(narrow, _RANDOM // 2, generator)
        self._two = _sphere(2 * narrow, _RANDOM // 2, generator)
        self._shift = torch.randn(_RANDOM, generator=generator)
        self._into = _sphere(narrow, _RANDOM, generator)
        recurrent = torch.randn(_RANDOM, _RANDOM, generator=generator)
        self._recurrent = 0.95 * recurrent / math.sqrt(_RANDOM)

    def __call__(
        self, u: Float[Tensor, "b t r"], mask: Bool[Tensor, "b t"]
    ) -> dict[str, Tensor]:
        kept = mask[..., None]
        lengths = mask.sum(1)
        rank = mask.cumsum(1) - 1
        place = ((rank + 0.5) / lengths[:, None] - 0.5)[..., None]

        def mean(x: Tensor) -> Tensor:
            return (x * kept).sum(1) / lengths[:, None]

        def most(x: Tensor) -> Tensor:
            return x.masked_fill(~kept, -torch.inf).amax(1)

        rows = torch.arange(len(u))
        first = u[rows, mask.int().argmax(1)]
        last = u[rows, (rank * mask).argmax(1)]
        slope = mean(u * place)
        wave = mean(u * torch.cos(2 * math.pi * place))
        length = lengths[:, None].float()
        linear = [mean(u), slope, wave, first, last, most(u), -most(-u), length]
        moments = dict(zip(_MOMENTS, linear, strict=True))

        x = u[..., : self._narrow]
        neighbour = _next_token(x, mask)
        random = torch.relu(
            torch.cat([x @ self._one, torch.cat([x, neighbour], 2) @ self._two], 2)
            + self._shift
        )
        token = [mean(random), most(random), mean(random * place)]

        state = torch.zeros(len(u), _RANDOM)
        total = torch.zeros_like(state)
        drive = x @ self._into
        for step in range(u.shape[1]):
            real = kept[:, step]
            moved = torch.tanh(0.7 * drive[:, step] + state @ self._recurrent)
            state = torch.where(real, moved, state)
            total = total + moved * real
        recurrent = [state, total / lengths[:, None]]

        places = self._places(x @ self._back, mask, (place + 0.5)[..., 0])
        narrow = slice(None, max(1, self._narrow // 3))
        summary = [v[:, narrow] for v in (first, last, mean(u), slope)]
        return {
            **{f"linear: {name}": part for name, part in moments.items()},
            "tokens": torch.cat(token, 1),
            "recurrent": torch.cat(recurrent, 1),
            "summary": torch.cat(summary, 1),
            **{f"places: {b}": part for b, part in enumerate(places)},
        }

    def _places(
        self, x: Float[Tensor, "b t r"], mask: Bool[Tensor, "b t"], place: Tensor
    ) -> list[Float[Tensor, "b r"]]:
        """The mean token of each part of the sequences; zeros where a part holds none."""
        number = min(_PLACES, self._longest)
        part = (place * number).long().clamp(0, number - 1)
        found = []
        for b in range(number):
            inside = (mask & (part == b))[..., None]
            found.append((x * inside).sum(1) / inside.sum(1).clamp(min=1))
        return found


def _next_token(x: Float[Tensor, "b t r"], mask: Bool[Tensor, "b t"]) -> Tensor:
    """The next position's token; zeros after the last one."""
    following = torch.zeros_like(x)
    following[:, :-1] = x[:, 1:] * mask[:, 1:, None]
    return following


def _sphere(rows: int, columns: int, generator: torch.Generator) -> Tensor:
    """Directions of length sqrt(2): a rectified feature of spread-1 input varies by 1."""
    drawn = torch.randn(rows, columns, generator=generator)
    return math.sqrt(2) * drawn / drawn.norm(dim=0).clamp(min=1e-12)


def _sampled_tokens(z: HiddenStates, generator: torch.Generator) -> Float[Tensor, "m d"]:
    places = z.mask.cpu().nonzero()
    chosen = places[torch.randperm(len(places), generator=generator)[:_SAMPLE]]
    return z.at(*chosen.T).detach().cpu().float()
