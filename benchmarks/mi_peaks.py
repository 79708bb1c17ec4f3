r"""The number of MI-Peaks beside i(y; z_t), on the same states.

"MI peaks" (arXiv 2506.02867) are positions at which a normalised HSIC between ONE state z_t
and ONE state a of the gold answer is high. Their d coordinates are the sample: with kernels
K_ij = exp(-(z_i - z_j)^2 / (2 sigma^2)) of the coordinates, sigma = 50, and H the centring,

.. math:: R_z = K_z H (K_z H + d \epsilon I)^{-1}, \quad v = \sum_{ij} (R_z)_{ij} (R_a)_{ji}

(their src/mi_estimators.py, written anew here). It is a statistic of how alike the profiles
of two vectors are, coordinate by coordinate, and not an estimate of I(Y; Z_t): no other row
comes into it. What follows of that is printed:

1. what becomes of it where information cannot change: coordinates in another order, another
   scale, more of them;
2. a planted bit that stands in all states from token 4 on;
3. states of an embedded language model on film reviews, by token from the end.

    python benchmarks/mi_peaks.py        under three CPU minutes
"""

import argparse

import numpy as np

from mi_probe.backbones import load_backbone
from mi_probe.capture import extract
from mi_probe.estimators.prefixes.token_information import token_information
from mi_probe.hidden import HiddenStates
from mi_probe.tasks import load_task

SIGMA, EPSILON = 50.0, 1e-5
MODEL, TASK, ROWS, SITE = "smollm2-135m:4", "rotten_tomatoes", 300, "block.3"
PLACES, SHOWN = 8, 24
"""Tokens from the end, and rows, of which the statistic is taken."""


def reader(vector: np.ndarray) -> np.ndarray:
    """R of one vector, its coordinates the sample."""
    v = vector.astype(np.float64)
    d = len(v)
    kernel = np.exp(-((v[:, None] - v[None]) ** 2) / (2 * SIGMA**2))
    centred = kernel - kernel.mean(1, keepdims=True)
    return centred @ np.linalg.inv(centred + d * EPSILON * np.eye(d))


def peaks(a: np.ndarray, b: np.ndarray) -> float:
    """The statistic of two vectors of one length."""
    return float((reader(a) * reader(b).T).sum())


def invariances(rng: np.random.Generator) -> None:
    """Print what the statistic makes of vectors whose information is the same."""
    print("| d | a vector with itself | reordered | times 100, with itself | unrelated |")
    print("|---|---|---|---|---|")
    for d in (64, 256, 1024):
        u, w = rng.normal(size=(2, d))
        order = rng.permutation(d)
        cells = (peaks(u, u), peaks(u, u[order]), peaks(100 * u, 100 * u), peaks(u, w))
        print(f"| {d} | " + " | ".join(f"{value:.3f}" for value in cells) + " |")


def planted(rng: np.random.Generator) -> None:
    """Print both by token, of a bit that all states hold from token 4 on."""
    n, t, d = 300, 8, 64
    y = rng.integers(2, size=n)
    z = rng.normal(size=(n, t, d))
    z[:, 4:, 0] += 4 * (2 * y - 1)[:, None]
    states = HiddenStates(z.astype(np.float32), np.ones((n, t), bool))
    alone = token_information(states, y, readers=["alone"])["alone"].pointwise.mean(0)
    answers = rng.normal(size=(2, d))
    answers[:, 0] += (-4, 4)

    def said(of: np.ndarray) -> list[float]:
        """The statistic with the states of these answers, by token, a mean over rows."""
        rows = range(SHOWN)
        found = [[peaks(z[i, j], answers[of[i]]) for i in rows] for j in range(t)]
        return [float(np.mean(values)) for values in found]

    print("| token | " + " | ".join(map(str, range(t))) + " |")
    print("|---|" + "---|" * t)
    _line("true I(Y; Z_t), nats", [0.0] * 4 + [float(np.log(2))] * 4)
    _line("i(y; z_t), mean", alone)
    _line("HSIC with the right answer's state", said(y))
    _line("HSIC with the wrong answer's state", said(1 - y))


def language_model(rng: np.random.Generator, rows: int) -> None:
    """Print both by token from the end, as the states are and in another order."""
    backbone = load_backbone(MODEL, local_files_only=True)
    task = load_task(TASK).sample(rows, seed=0).grouped()
    z = extract(backbone, task, sites=SITE).hidden(SITE)
    texts = sorted(set(task.answers), key=task.answers.index)
    answer = extract(backbone, [text.strip() for text in texts], sites=SITE).hidden(SITE)
    last = [answer.values[i, int(answer.mask[i].sum()) - 1].numpy() for i in range(2)]
    gold = [texts.index(text) for text in task.answers]
    order = rng.permutation(z.values.shape[2])
    print("| token from the end | " + " | ".join(map(str, range(PLACES))) + " |")
    print("|---|" + "---|" * PLACES)
    groups = None if task.groups is None else np.asarray(task.groups)
    for name, turned in (("", np.arange(len(order))), (", coordinates reordered", order)):
        states = HiddenStates(z.values[..., turned], z.mask, z.token_ids, z.roles)
        found = token_information(states, task.labels, readers=["alone"], groups=groups)[
            "alone"
        ]
        ends = _from_end(found.pointwise, found.mask)
        _line(f"i(y; z_t), mean{name}", np.nanmean(ends, 0))
        vectors = _from_end(states.values.numpy(), found.mask)[:SHOWN]
        for which, words in ((0, "right"), (1, "wrong")):
            said = np.zeros((len(vectors), PLACES))
            read = [reader(a).T for a in last]
            for i, row in enumerate(vectors):
                for j, vector in enumerate(row):
                    wanted = gold[i] if which == 0 else 1 - gold[i]
                    said[i, j] = (reader(vector) * read[wanted]).sum()
            _line(f"HSIC, {words} answer's state{name}", said.mean(0))


def _from_end(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The last positions of each row, the last first."""
    lengths = mask.sum(1)
    return np.stack([values[i, n - PLACES : n][::-1] for i, n in enumerate(lengths)])


def _line(name: str, values: object) -> None:
    cells = [f"{value:.3f}" for value in np.asarray(values, float)]
    print(f"| {name} | " + " | ".join(cells).replace("-0.000", "0.000") + " |", flush=True)


def main() -> None:
    """Print the three tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=ROWS, help="of the language model")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    print("One vector and itself, and no relation (d coordinates, standard normal):\n")
    invariances(rng)
    print("\nA bit that stands in all states from token 4 on:\n")
    planted(rng)
    print(f"\n{MODEL} on {TASK}, {SITE}, n = {options.rows}:\n")
    language_model(rng, options.rows)


if __name__ == "__main__":
    main()
