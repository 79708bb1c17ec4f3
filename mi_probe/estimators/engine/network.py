r"""Small networks on shared coordinates, many of them as one batched problem.

Each problem is a set of rows that one network may learn from; all problems read the same
coordinates and labels. A network is

.. math:: \log q(y|u) = \mathrm{softmax}(W_3 s(W_2 s(W_1 P^\top u)))

with s = SiLU. P holds a few directions that tell something (`models.directions`) and is
trained too, slowly, so that what the moments found is refined. There is no early stopping,
so no row is spent on it: the averaged weights after several numbers of epochs are places of
a path, and the path is chosen like a ridge, on rows that the network never saw.

The problems are one stack of matrix products: on a GPU that is what fills it, and on one
CPU core it is 2 to 3.5 times as fast as a loop, since these networks are so small that most
of a step is overhead. The numbers are those of a loop but for rounding: every problem draws
from a generator of its own.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mi_probe.estimators.critic.batched import Descent

SNAPSHOTS = (4, 10, 24)
"""Epochs after which the averaged weights are kept."""
_BATCH = 128
_LEAST_STEPS = 12
"""Steps an epoch at least, so that few rows still train."""
_HIDDEN = 48
RATE, _DIRECTION_RATE = 4e-3, 1e-3
DECAY, BETAS = 1e-2, (0.9, 0.98)


@dataclass(frozen=True)
class Problem:
    """What one network learns from."""

    rows: Int[np.ndarray, " m"]
    directions: Float[np.ndarray, "d q"]
    """Where P starts."""
    log_prior: Float[np.ndarray, " c"]
    seed: int


@dataclass(frozen=True)
class Networks:
    """Trained networks: averaged weights by snapshot, stacked over problems."""

    snapshots: tuple[dict[str, Tensor], ...]

    @torch.no_grad()
    def scores(
        self, u: Float[Tensor, "n d"], rows: Int[np.ndarray, " m"], problem: int, place: int
    ) -> Float[np.ndarray, "m c"]:
        """Unnormalised log posteriors of rows by one problem's network."""
        weights = {k: v[problem : problem + 1] for k, v in self.snapshots[place].items()}
        index = torch.as_tensor(rows, device=u.device)
        z = torch.bmm(u[index][None], weights["directions"])
        return layers(weights, z)[0].double().cpu().numpy()


def train_networks(
    u: Float[Tensor, "n d"],
    y: Int[Tensor, " n"],
    problems: Sequence[Problem],
    epochs: int = SNAPSHOTS[-1],
) -> Networks:
    """The problems' networks, trained as one stack of matrix products."""
    directions = torch.as_tensor(
        np.stack([problem.directions for problem in problems]), dtype=torch.float32
    ).to(u.device)
    weights = {"directions": directions, **initial_layers(problems, u.device)}
    for value in weights.values():
        value.requires_grad_()
    others = [value for name, value in weights.items() if name != "directions"]
    groups = [
        {"params": [directions], "lr": _DIRECTION_RATE, "weight_decay": 0.0},
        {"params": others, "lr": RATE, "weight_decay": DECAY},
    ]
    descent = Descent(weights, groups, math.inf, betas=BETAS, fused=True)
    orders = [np.random.default_rng([problem.seed, 1]) for problem in problems]
    rows = [problem.rows for problem in problems]

    def read(index: Int[Tensor, "p b"]) -> tuple[Tensor, Tensor]:
        return layers(weights, torch.bmm(u[index], directions)), y[index]

    found = []
    trained = averaged_epochs(descent, rows, orders, read)
    for epoch, average in zip(range(1, epochs + 1), trained, strict=False):
        if epoch in SNAPSHOTS:
            found.append({name: value.clone() for name, value in average.items()})
    return Networks(tuple(found))


def averaged_epochs(
    descent: Descent,
    rows: Sequence[Int[np.ndarray, " _"]],
    orders: Sequence[np.random.Generator],
    read: Callable[[Tensor], tuple[Tensor, Tensor]],
) -> Iterator[dict[str, Tensor]]:
    """The moving average of the weights after each epoch, without end.

    Args:
        descent: of the weights.
        rows: of each problem; an epoch takes as many of each as the smallest has.
        orders: what shuffles each problem's rows.
        read: scores and classes of some rows of each problem.
    """
    device = next(iter(descent.average.values())).device
    fewest = min(map(len, rows))
    # Few enough for a number of steps an epoch.
    batch = min(_BATCH, max(16, fewest // _LEAST_STEPS), fewest)
    while True:
        drawn = [rng.permutation(own) for rng, own in zip(orders, rows, strict=True)]
        epoch = np.stack([own[: fewest - fewest % batch] for own in drawn])
        for index in torch.as_tensor(epoch, device=device).split(batch, dim=1):
            scores, labels = read(index)
            loss = torch.nn.functional.cross_entropy(
                scores.flatten(0, 1), labels.flatten(), reduction="sum"
            )
            descent.step(loss / batch)
        yield descent.average


def layers(weights: dict[str, Tensor], z: Float[Tensor, "p b q"]) -> Float[Tensor, "p b c"]:
    """Scores of the classes from a few coordinates, for each problem."""
    silu = torch.nn.functional.silu
    z = silu(torch.baddbmm(weights["bias_1"], z, weights["layer_1"]))
    z = silu(torch.baddbmm(weights["bias_2"], z, weights["layer_2"]))
    return torch.baddbmm(weights["bias_3"], z, weights["layer_3"])


def initial_layers(problems: Sequence[Problem], device: torch.device) -> dict[str, Tensor]:
    """Weights for each problem from its own generator; the last layer says the prior."""
    made = []
    for problem in problems:
        rng = np.random.default_rng([problem.seed, 0])
        q, c = problem.directions.shape[1], len(problem.log_prior)
        made.append(
            {
                "layer_1": rng.normal(size=(q, _HIDDEN)) * 1.5 / np.sqrt(q),
                "bias_1": rng.normal(size=(1, _HIDDEN)),
                "layer_2": rng.normal(size=(_HIDDEN, _HIDDEN)) * np.sqrt(2 / _HIDDEN),
                "bias_2": np.zeros((1, _HIDDEN)),
                "layer_3": np.zeros((_HIDDEN, c)),
                "bias_3": problem.log_prior[None],
            }
        )
    return {
        name: torch.as_tensor(
            np.stack([weights[name] for weights in made]), dtype=torch.float32
        ).to(device)
        for name in made[0]
    }


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
    r"""Each problem's network, its directions refined so many times.

    Moments (`models.directions`) find directions P in hundreds of dimensions only roughly.
    With a small network q on z = P'u and its score
    :math:`s_i = \partial_z \log q(y_i|z_i)`, a Newton step of the likelihood is, in
    whitened coordinates,

    .. math:: P \leftarrow P + \frac1m \sum_i u_i s_i^\top \Bigl(J + \frac dm I\Bigr)^{-1},
              \qquad J = \frac1m \sum_i s_i s_i^\top ,

    with d/m for a prior that true directions are of length 1. Every row then sits in P, and
    makes its own z look better than an unseen row's; to first order that is its own term,
    so the network learns from

    .. math:: z_i = P^\top u_i - \frac{|u_i|^2}{m}\,(J + \tfrac dm I)^{-1} s_i ,

    the coordinates that P without row i would give. Directions whose information in J does
    not reach half of d/m are dropped. A few rounds of both lose about d/2m nats a
    direction, as maximum likelihood does (`rings d=768` of benchmarks/every_task.csv: two
    directions).

    References:
        Cook and Weisberg 1991 (the moments). Donoho, Maleki and Montanari 2009, arXiv
        0907.3574 (a row's own term, as in approximate message passing).
    """
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
            score = _gradient(network, z, labels)
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


def _gradient(
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
