r"""Networks on a few directions of many dimensions, the directions refined row by row.

Moments (`telling`) find directions P in hundreds of dimensions only roughly. With a small
network q on z = P'u and its score :math:`s_i = \partial_z \log q(y_i|z_i)`, a Newton step
of the likelihood is, in whitened coordinates,

.. math:: P \leftarrow P + \frac1m \sum_i u_i s_i^\top \Bigl(J + \frac dm I\Bigr)^{-1},
          \qquad J = \frac1m \sum_i s_i s_i^\top ,

with d/m for a prior that true directions are of length 1. Every row then sits in P, and
makes its own z look better than an unseen row's; to first order that is its own term, so
the network learns from

.. math:: z_i = P^\top u_i - \frac{|u_i|^2}{m}\,(J + \tfrac dm I)^{-1} s_i ,

the coordinates that P without row i would give. Directions whose information in J does not
reach half of d/m are dropped. A few rounds of both lose about d/2m nats a direction, as
maximum likelihood does (`rings d=768` of benchmarks/every_task.csv: two directions).

References:
    Cook and Weisberg 1991 (the moments). Donoho, Maleki and Montanari 2009, arXiv 0907.3574
    (a row's own term, as in approximate message passing).
"""

import math
from collections.abc import Sequence
from itertools import islice

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mi_probe.estimators.critic.batched import Descent
from mi_probe.estimators.engine.network import (
    BETAS,
    DECAY,
    RATE,
    Networks,
    Problem,
    averaged_epochs,
    initial_layers,
    layers,
)

ROUNDS = (0, 2, 4)
"""Refinements after which a network is kept: the path of the member."""
_EPOCHS, _EPOCHS_AGAIN = 8, 4
"""Of the first round; of a later one, whose network goes on from the last."""
_LEAST_SHARE = 0.01
"""Of the largest information, below which a direction is dropped too."""
_SHORTEST = 0.05
"""Of the longest new direction, below which one has turned into the others."""
_FARTHEST = 2.0
"""Standard deviations that a row's own part in its coordinates may move it."""


def train_refined(
    u: Float[Tensor, "n d"],
    y: Int[Tensor, " n"],
    problems: Sequence[Problem],
    rounds: int = ROUNDS[-1],
) -> Networks:
    """Each problem's network, its directions refined so many times."""
    rows = [torch.as_tensor(problem.rows, device=u.device) for problem in problems]
    directions = torch.as_tensor(
        np.stack([problem.directions for problem in problems]), dtype=torch.float32
    ).to(u.device)
    # Shorter problems are padded with their own first row, which no step then reads.
    most = max(map(len, rows))
    padded = torch.stack([torch.cat([r, r[:1].expand(most - len(r))]) for r in rows])
    z, labels = u[padded] @ directions, y[padded]
    network = initial_layers(problems, u.device)
    orders = [np.random.default_rng([problem.seed, 1]) for problem in problems]
    found = []
    for number in range(rounds + 1):
        epochs = _EPOCHS_AGAIN if number else _EPOCHS
        network = _trained(network, z, labels, list(map(len, rows)), orders, epochs)
        if number in ROUNDS:
            kept = {name: value.clone() for name, value in network.items()}
            found.append({**kept, "directions": directions.clone()})
        if number < rounds:
            score = _score(network, z, labels)
            for k, own in enumerate(rows):
                step = _refined(u[own], directions[k], score[k, : len(own)])
                directions[k], z[k, : len(own)], turn = step
                network["layer_1"][k] = turn @ network["layer_1"][k]
    return Networks(tuple(found))


@torch.no_grad()
def _refined(
    u: Float[Tensor, "m d"], directions: Float[Tensor, "d q"], score: Float[Tensor, "m q"]
) -> tuple[Float[Tensor, "d q"], Float[Tensor, "m q"], Float[Tensor, "q q"]]:
    """New directions, the rows' coordinates without their own part, and what turned.

    The directions that are kept come first, by their information; the others are 0.
    """
    m, d = u.shape
    score = torch.nan_to_num(score)
    score = score - score.mean(0)
    # In float64: beside columns of almost nothing float32 gave eigenvalues that were NaN.
    information, axes = torch.linalg.eigh((score.T @ score / m).double())
    information, axes = information.float(), axes.float()
    least = max(0.5 * d / m, _LEAST_SHARE * float(information[-1]))
    # A direction that was dropped before has no information left.
    kept = information > min(least, float(information[-1]) * (1 - 1e-6))
    axes = axes * kept
    gradient = u.T @ score / m
    gradient = gradient - directions @ (directions.T @ gradient)
    inverse = axes @ (axes / (information + d / m)).T
    new = (directions + gradient @ inverse) @ axes
    own = (u**2).sum(1, keepdim=True) / m * (score @ inverse) @ axes
    # To first order only: a row that the network had surely wrong would move far away.
    own = own.clamp(-_FARTHEST, _FARTHEST)
    # The nearest orthonormal directions, so that the network still knows them.
    left, lengths, right = torch.linalg.svd(new, full_matrices=False)
    used = lengths > _SHORTEST * lengths[0]
    left, lengths, right = left[:, used], lengths[used], right[used]
    back = right.T @ (right / lengths[:, None])
    return left @ right, (u @ new - own) @ back, axes.T


def _score(
    network: dict[str, Tensor], z: Float[Tensor, "p m q"], labels: Int[Tensor, "p m"]
) -> Float[Tensor, "p m q"]:
    """The derivative of each row's log posterior by its coordinates."""
    inputs = z.clone().requires_grad_()
    log_q = torch.log_softmax(layers(network, inputs), dim=2)
    own = torch.gather(log_q, 2, labels[:, :, None]).sum()
    return torch.autograd.grad(own, inputs)[0]


def _trained(
    network: dict[str, Tensor],
    z: Float[Tensor, "p m q"],
    labels: Int[Tensor, "p m"],
    counts: Sequence[int],
    orders: Sequence[np.random.Generator],
    epochs: int,
) -> dict[str, Tensor]:
    """The averaged weights after some more epochs."""
    weights = {name: value.clone().requires_grad_() for name, value in network.items()}
    settings = {"lr": RATE, "weight_decay": DECAY, "betas": BETAS, "fused": True}
    descent = Descent(weights, weights.values(), math.inf, **settings)
    place = torch.arange(len(counts), device=z.device)[:, None]

    def read(index: Int[Tensor, "p b"]) -> tuple[Tensor, Tensor]:
        return layers(weights, z[place, index]), labels[place, index]

    rows = [np.arange(count) for count in counts]
    trained = averaged_epochs(descent, rows, orders, read)
    return next(islice(trained, epochs - 1, None))
