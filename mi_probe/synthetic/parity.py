"""Parity of noisy signs: neither a mean nor a single axis tells anything."""

import numpy as np

from mi_probe.synthetic.class_source import ClassSource, known_classes
from mi_probe.synthetic.known import Known


def xor(n: int, d: int, *, signs: int = 2, noise: float = 0.3, seed: int = 0) -> Known:
    r"""Parity of ``signs`` noisy signs.

    .. math:: p(y=1|x) = \tfrac{1}{2}\left(1 + \prod_j \tanh(x_j/\sigma^2)\right)

    Args:
        n: examples.
        d: dimensions, of which ``signs`` hold the signs.
        signs: how many.
        noise: standard deviation about each sign.
        seed: of the rotation and of the sample.
    """

    def draw(rng: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
        sign = rng.choice([-1.0, 1.0], size=(rows, signs))
        return sign + noise * rng.normal(size=sign.shape), (sign.prod(1) > 0).astype(int)

    source = ClassSource(np.log([0.5, 0.5]), draw, lambda x: parity_posterior(x / noise**2))
    return known_classes(source, n, d, seed=seed)


def parity_posterior(half_odds: np.ndarray) -> np.ndarray:
    """Log probabilities (n, 2) of an odd and an even number of minus signs.

    Args:
        half_odds: half the log odds that each sign is +, (n, signs): E[sign] is their tanh.
    """
    mean = np.tanh(half_odds).prod(1)
    return np.log(np.clip(np.stack([1 - mean, 1 + mean], axis=1) / 2, 1e-300, 1))
