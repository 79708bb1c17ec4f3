r"""Denoising diffusion: information from how much better the noise is guessed with Y.

With log signal-to-noise :math:`\alpha` and the best guesses :math:`\hat\epsilon` of the
noise (a scaled score),

.. math:: \log\frac{p(x|y)}{p(x)} = \frac12 \int E\,\big[
    \|\epsilon - \hat\epsilon(x_\alpha)\|^2
    - \|\epsilon - \hat\epsilon(x_\alpha, y)\|^2\big] \, d\alpha

whose mean is the difference of conditional and unconditional scores of MINDE. In this form,
on held-out rows, guesses that are too sure of Y cost, where the squared difference of two
learned scores could only add.

For classes x is diffused, in the telling directions; only the differences between classes
matter, and their softmax is a posterior, so the value is a lower bound. For real numbers y
is diffused, with x given, and the value is a difference of two losses: neither bound.

References:
    MINDE: Mutual Information Neural Diffusion Estimation (Franzese et al., 2024),
    arXiv 2310.09031.
    Information-Theoretic Diffusion (Kong et al., 2023), arXiv 2302.03792.
    Your Diffusion Model is Secretly a Zero-Shot Classifier (Li et al., 2023),
    arXiv 2303.16203.
"""

from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from mi_probe.estimators.core.targets import as_tensor
from mi_probe.estimators.critic.training import Schedule, descend
from mi_probe.estimators.models.densities import ClassCoordinates, context_of
from mi_probe.estimators.models.interface import (
    ClassRows,
    FitPath,
    PredictScores,
    ScoreRows,
)
from mi_probe.estimators.models.networks import (
    DENSITY_SCHEDULE,
    weights_from,
    zeroed,
)

_LOWEST, _HIGHEST = -5.0, 7.0
"""Log signal-to-noise between which the guesses differ; spreads are about 1."""
_WATCHED_LEVELS = 8


@dataclass(frozen=True)
class ClassDiffusion:
    """One denoiser for all classes, around each class's mean.

    Not to be trusted for what lies outside the few telling directions that it reads, and
    for classes that differ on a scale far below their spread.
    """

    width: int = 8
    hidden: int = 64
    levels: int = 24
    """Noise levels of a held-out integral, each with a noise and its negative."""
    schedule: Schedule = field(default_factory=lambda: DENSITY_SCHEDULE)

    def __call__(
        self, rows: ClassRows, watched: ClassRows, rng: np.random.Generator
    ) -> FitPath:
        """One denoiser."""
        coordinates = ClassCoordinates.of(rows, self.width)
        train, other = coordinates.own(rows), coordinates.own(watched)
        with weights_from(rng):
            model = _Denoiser(coordinates.subspace.width, rows.n_classes, self.hidden)
            levels = _Levels.drawn(self.levels, coordinates.subspace.width)
            converged = _train(model, train, other, self.schedule)

        predict = coordinates.posterior(lambda u, own: -_integrals(model, u, own, levels))
        return FitPath({"diffusion": predict}, converged)


@dataclass(frozen=True)
class ScoreDiffusion:
    """A denoiser of y given x, which also answers without x.

    The path is of guidance: how far the guess goes from the one without x to the one with
    it. In full where it is as good as it claims; less where rows are few.
    """

    width: int = 16
    hidden: int = 64
    levels: int = 48
    guidance: tuple[float, ...] = (0.3, 0.6, 1.0)
    schedule: Schedule = field(default_factory=lambda: DENSITY_SCHEDULE)

    def __call__(
        self, rows: ScoreRows, watched: ScoreRows, rng: np.random.Generator
    ) -> FitPath:
        """One denoiser, at each guidance."""
        context = context_of(rows, self.width)
        train = as_tensor(rows.y), _with_flag(context(rows.x))
        other = as_tensor(watched.y), _with_flag(context(watched.x))
        with weights_from(rng):
            model = _Denoiser(train[0].shape[1], train[1].shape[1], self.hidden)
            levels = _Levels.drawn(self.levels, train[0].shape[1])
            converged = _train(model, train, other, self.schedule, forget=0.3)

        def at(guidance: float) -> PredictScores:
            @torch.no_grad()
            def ratio(x: np.ndarray, y: np.ndarray) -> np.ndarray:
                given, values = _with_flag(context(x)), as_tensor(y)
                without = _integrals(model, values, torch.zeros_like(given), levels)
                guided = _integrals(model, values, given, levels, guidance)
                return (without - guided).double().numpy()

            return ratio

        return FitPath({f"guidance={g:g}": at(g) for g in self.guidance}, converged)


@dataclass(frozen=True)
class _Levels:
    """Noise levels over the whole range, and a noise for each."""

    alpha: Float[Tensor, " l"]
    noise: Float[Tensor, "l m"]

    @classmethod
    def drawn(cls, count: int, m: int) -> "_Levels":
        """Midpoints; each noise comes with its negative, whose odd terms cancel."""
        places = (torch.arange(count) + 0.5) / count
        alpha = _LOWEST + (_HIGHEST - _LOWEST) * places
        noise = torch.randn(count, m)
        return cls(torch.cat([alpha, alpha]), torch.cat([noise, -noise]))


class _Denoiser(nn.Module):
    """The noise of standard normal data before the first step; then a network's too."""

    def __init__(self, m: int, context: int, hidden: int) -> None:
        super().__init__()
        self.network = nn.Sequential(
            nn.Linear(m + context + 3, hidden),
            nn.GELU(),
            nn.Linear(hidden, hidden),
            nn.GELU(),
            zeroed(nn.Linear(hidden, m)),
        )

    def forward(
        self,
        noisy: Float[Tensor, "b m"],
        alpha: Float[Tensor, " b"],
        context: Float[Tensor, "b k"],
    ) -> Float[Tensor, "b m"]:
        """The guessed noise."""
        level = torch.stack([alpha / 4, (alpha / 2).sin(), (alpha / 2).cos()], dim=1)
        base = torch.sigmoid(-alpha).sqrt()[:, None] * noisy
        return base + self.network(torch.cat([noisy, context, level], dim=1))


def _errors(
    model: _Denoiser,
    u: Float[Tensor, "b m"],
    context: Float[Tensor, "b k"],
    alpha: Float[Tensor, " b"],
    noise: Float[Tensor, "b m"],
    guidance: float = 1.0,
) -> Float[Tensor, " b"]:
    """Squared errors of the guesses, with as much of the context as is asked for."""
    signal, spread = torch.sigmoid(alpha).sqrt(), torch.sigmoid(-alpha).sqrt()
    noisy = signal[:, None] * u + spread[:, None] * noise
    guess = model(noisy, alpha, context)
    if guidance != 1.0:
        without = model(noisy, alpha, torch.zeros_like(context))
        guess = without + guidance * (guess - without)
    return (noise - guess).square().sum(1)


def _integrals(
    model: _Denoiser,
    u: Float[Tensor, "b m"],
    context: Float[Tensor, "b k"],
    levels: _Levels,
    guidance: float = 1.0,
) -> Float[Tensor, " b"]:
    """Half the errors, integrated over the levels: -log density, up to a constant."""
    total = torch.zeros(len(u))
    for alpha, noise in zip(levels.alpha, levels.noise, strict=True):
        total += _errors(
            model, u, context, alpha.expand(len(u)), noise.expand_as(u), guidance
        )
    return 0.5 * (_HIGHEST - _LOWEST) * total / len(levels.alpha)


def _train(
    model: _Denoiser,
    train: tuple[Float[Tensor, "n m"], Float[Tensor, "n k"]],
    watched: tuple[Float[Tensor, "w m"], Float[Tensor, "w k"]],
    schedule: Schedule,
    forget: float = 0.0,
) -> bool:
    """Learn to guess the noise; a share of the rows forgets the context."""
    m = train[0].shape[1]
    fixed = _Levels.drawn(_WATCHED_LEVELS, m)

    def losses(batch: Tensor) -> Tensor:
        u, context = train[0][batch], train[1][batch]
        # Levels spread evenly over the batch: less noise than drawing them apart.
        places = (torch.randperm(len(u)) + torch.rand(len(u))) / len(u)
        alpha = _LOWEST + (_HIGHEST - _LOWEST) * places
        kept = torch.rand(len(u), 1) >= forget
        return _errors(model, u, context * kept, alpha, torch.randn_like(u))

    def watched_losses() -> Tensor:
        return _integrals(model, *watched, fixed)

    return descend(model, losses, len(train[0]), watched_losses, schedule)


def _with_flag(context: Float[Tensor, "n k"]) -> Float[Tensor, "n j"]:
    """The context with a column of ones, so that none of it is not x = 0."""
    return torch.cat([context, torch.ones(len(context), 1)], dim=1)
