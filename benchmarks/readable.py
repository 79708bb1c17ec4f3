"""A planted case in which Y is there before it can be read: what increments then say.

Y is the product of two signs. Both stand in every state from token 2 on, apart, so that Y
is known there to whoever multiplies; from token 5 on the product stands in a direction of
its own. The true increments follow from Bayes' rule on the generator's own densities; those
of `token_information` say when critics of its capacity, at this number of rows, read Y.

    python benchmarks/readable.py        about a CPU minute
"""

import argparse

import numpy as np
from scipy.special import log_softmax, logsumexp

from mi_probe.estimators.prefixes.token_information import (
    increments,
    token_information,
)
from mi_probe.hidden import HiddenStates

TOKENS, DIMENSIONS, NOISE = 8, 64, 0.45
APART, LINEAR = 2, 5
"""First tokens whose states hold the two signs, and their product."""


def planted(n: int, seed: int) -> tuple[HiddenStates, np.ndarray, np.ndarray]:
    """States, Y, and the true i(y; z_<=t) of each row."""
    rng = np.random.default_rng(seed)
    signs = rng.choice([-1, 1], size=(n, 2))
    product = signs[:, 0] * signs[:, 1]
    z = NOISE * rng.normal(size=(n, TOKENS, DIMENSIONS))
    z[:, APART:, :2] += signs[:, None]
    z[:, LINEAR:, 2] += product[:, None]
    worlds = np.array([(a, b) for a in (-1, 1) for b in (-1, 1)])
    log_p = np.zeros((n, TOKENS, 4))
    for k, (a, b) in enumerate(worlds):
        evidence = np.zeros((n, TOKENS))
        evidence[:, APART:] += z[:, APART:, 0] * a + z[:, APART:, 1] * b
        evidence[:, LINEAR:] += z[:, LINEAR:, 2] * a * b
        log_p[..., k] = np.cumsum(evidence, 1) / NOISE**2
    log_q = log_softmax(log_p, axis=2)
    own = worlds.prod(1)[None, None] == product[:, None, None]
    cumulative = logsumexp(np.where(own, log_q, -np.inf), axis=2) + np.log(2)
    states = HiddenStates(z.astype(np.float32), np.ones((n, TOKENS), bool))
    return states, (product > 0).astype(np.int64), cumulative


def main() -> None:
    """Print the increments by token: the truth, and what is said at each number of rows."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[300, 600, 1200])
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    every = np.ones((20_000, TOKENS), bool)
    truth = increments(planted(len(every), options.seed)[2], every).mean(0)
    print("| increments at token | " + " | ".join(map(str, range(TOKENS))) + " | total |")
    print("|---|" + "---|" * (TOKENS + 1))
    _line("there (truth)", truth)
    for n in options.rows:
        z, y, _ = planted(n, options.seed + 1)
        found = token_information(z, y, readers=["prefix"], seed=options.seed)["prefix"]
        _line(f"became readable, n = {n:,}", found.increments.mean(0))


def _line(name: str, values: np.ndarray) -> None:
    cells = [f"{value:.2f}" for value in [*values, values.sum()]]
    print(f"| {name} | " + " | ".join(cells).replace("-0.00", "0.00") + " |", flush=True)


if __name__ == "__main__":
    main()
