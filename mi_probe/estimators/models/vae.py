r"""A class-conditional variational autoencoder, and Bayes' rule on its likelihoods.

.. math:: \log p(x|y) \ge E_{q(z|x,y)}\Big[\log \frac1S \sum_s
    \frac{p(x|z_s,y)\,p(z_s)}{q(z_s|x,y)}\Big]

The right side is only a bound of the likelihood, but whatever numbers stand in for it, the
softmax over classes is a distribution q(y|x), and H(Y) - CE of it a lower bound of I(Y;X).

References:
    Auto-Encoding Variational Bayes (Kingma and Welling, 2014), arXiv 1312.6114.
    Importance Weighted Autoencoders (Burda et al., 2016), arXiv 1509.00519.
"""

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from mi_probe.estimators.critic.training import Schedule, descend
from mi_probe.estimators.models.densities import ClassCoordinates
from mi_probe.estimators.models.interface import ClassRows, FitPath
from mi_probe.estimators.models.networks import (
    DENSITY_SCHEDULE,
    weights_from,
    zeroed,
)


@dataclass(frozen=True)
class Vae:
    """One autoencoder for all classes, which are part of its input on either side.

    Not to be trusted where the classes differ in fine structure: an autoencoder blurs. It
    sees the telling directions only.
    """

    latent: int = 4
    hidden: int = 48
    width: int = 16
    samples: int = 32
    """Importance samples of a held-out likelihood."""
    schedule: Schedule = field(default_factory=lambda: DENSITY_SCHEDULE)

    def __call__(
        self, rows: ClassRows, watched: ClassRows, rng: np.random.Generator
    ) -> FitPath:
        """One autoencoder."""
        coordinates = ClassCoordinates.of(rows, self.width)
        train, other = coordinates.own(rows), coordinates.own(watched)
        with weights_from(rng):
            width = coordinates.subspace.width
            model = _Autoencoder(width, rows.n_classes, self.latent, self.hidden)
            # The same noise at every look, and for every class and row that is scored.
            fixed = torch.randn(8, 1, self.latent)
            scored = torch.randn(self.samples, 1, self.latent)
            converged = descend(
                model,
                lambda batch: (
                    -model.bound(
                        train[0][batch],
                        train[1][batch],
                        torch.randn(1, len(batch), self.latent),
                    )
                ),
                len(rows),
                lambda: -model.bound(*other, fixed),
                self.schedule,
            )

        predict = coordinates.posterior(lambda u, own: model.bound(u, own, scored))
        return FitPath({"autoencoder": predict}, converged)


class _Autoencoder(nn.Module):
    """Standard normal before the first step, whatever the latent says."""

    def __init__(self, m: int, c: int, latent: int, hidden: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(m + c, hidden), nn.GELU(), zeroed(nn.Linear(hidden, 2 * latent))
        )
        self.decoder = nn.Sequential(
            nn.Linear(latent + c, hidden), nn.GELU(), zeroed(nn.Linear(hidden, 2 * m))
        )

    def bound(
        self,
        u: Float[Tensor, "b m"],
        y: Float[Tensor, "b c"],
        noise: Float[Tensor, "s e l"],
    ) -> Float[Tensor, " b"]:
        """The importance-weighted bound of log p(u|y), with this noise."""
        mean, log_scale = self.encoder(torch.cat([u, y], dim=1)).chunk(2, dim=1)
        log_scale = log_scale.clamp(-5, 3)
        z = mean + log_scale.exp() * noise.expand(-1, len(u), -1)
        given = torch.cat([z, y.expand(len(z), -1, -1)], dim=2)
        centre, log_spread = self.decoder(given).chunk(2, dim=2)
        inside = _log_normal(u - centre, log_spread.clamp(-3, 3))
        prior = _log_normal(z, torch.zeros_like(z))
        proposal = _log_normal(z - mean, log_scale.expand_as(z))
        return torch.logsumexp(inside + prior - proposal, 0) - math.log(len(z))


def _log_normal(
    values: Float[Tensor, "s b m"], log_scale: Float[Tensor, "s b m"]
) -> Float[Tensor, "s b"]:
    return torch.distributions.Normal(0.0, log_scale.exp()).log_prob(values).sum(-1)
