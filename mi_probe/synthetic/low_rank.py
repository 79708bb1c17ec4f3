"""A few dependent directions in many dimensions, on both sides."""

from dataclasses import replace
from typing import Literal

import numpy as np

from mi_probe.synthetic.known import Known
from mi_probe.synthetic.pairs import even_function, paired_normals


def low_rank(
    n: int,
    d: int = 768,
    *,
    rank: int = 4,
    kind: Literal["linear", "non-linear", "even", "noisy"] = "linear",
    correlation: float = 0.8,
    noise: float = 0.3,
    seed: int = 0,
) -> Known:
    r"""X and Y in d dimensions that depend on each other through ``rank`` directions.

    ``linear``: pairs of normal directions with the given correlation, rotated at random on
    either side. ``non-linear``: the same, X's latents cubed and Y's through sinh before the
    rotation, which is invertible. ``even``: Y's latent is the square of X's plus noise, so
    that nothing correlates. ``noisy``: the latents, which give each coordinate of X and Y
    variance 1 on average, are seen through normal noise in all d coordinates,

    .. math:: X = A u + \sigma\epsilon_x,\quad Y = B v + \sigma\epsilon_y,\quad
        \rho' = \rho\,\frac{d/r}{d/r + \sigma^2},\quad
        I(X;Y) = -\tfrac{r}{2}\ln(1 - \rho'^2)

    with A, B of r orthogonal columns of length :math:`\sqrt{d/r}`.

    Args:
        n: examples.
        d: dimensions of X, and of Y.
        rank: dependent directions.
        kind: see above.
        correlation: of each pair of latents.
        noise: standard deviation of ``noisy``'s and ``even``'s noise.
        seed: of the directions and of the sample.
    """
    latents, directions = np.random.SeedSequence(seed).spawn(2)
    rng = np.random.default_rng(directions)
    bases = [np.linalg.qr(rng.normal(size=(d, d)))[0] for _ in range(2)]
    draw = int(latents.generate_state(1)[0])
    if kind == "noisy":
        return _noisy(n, d, rank, correlation, noise, draw, bases, rng)
    if kind == "even":
        parts = [even_function(n, noise=noise, seed=draw + j) for j in range(rank)]
        x, y = np.empty((2, n, rank))
        for j, part in enumerate(parts):
            assert isinstance(part.x, np.ndarray)
            x[:, j], y[:, j] = part.x[:, 0], part.y[:, 0]
        known = Known(x, y, sum(part.nats for part in parts))
    else:
        known = paired_normals(n, rank, rank, np.full(rank, correlation), seed=draw)
        assert isinstance(known.x, np.ndarray)
        if kind == "non-linear":
            known = replace(known, x=known.x**3, y=np.sinh(known.y))
    assert isinstance(known.x, np.ndarray)
    others = rng.normal(size=(2, n, d - rank))
    sides = [
        np.concatenate([latent, other], axis=1) @ basis
        for latent, other, basis in zip((known.x, known.y), others, bases, strict=True)
    ]
    return replace(known, x=sides[0], y=sides[1])


def _noisy(
    n: int,
    d: int,
    rank: int,
    correlation: float,
    noise: float,
    seed: int,
    bases: list[np.ndarray],
    rng: np.random.Generator,
) -> Known:
    known = paired_normals(n, rank, rank, np.full(rank, correlation), seed=seed)
    assert isinstance(known.x, np.ndarray)
    signal = d / rank
    sides = [
        np.sqrt(signal) * latent @ basis[:rank] + noise * rng.normal(size=(n, d))
        for latent, basis in zip((known.x, known.y), bases, strict=True)
    ]
    seen = correlation * signal / (signal + noise**2)
    return Known(sides[0], sides[1], float(-rank / 2 * np.log1p(-(seen**2))))
