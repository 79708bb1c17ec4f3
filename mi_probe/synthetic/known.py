"""A sample with its true information, and how a truth without a closed form is found."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int

from mi_probe.hidden import HiddenStates

TRUTH_ROWS = 200_000
"""Monte Carlo rows behind a truth: a standard error of about 0.001 nats."""
_CHUNKS = 20


@dataclass(frozen=True)
class Known:
    """A sample with its true information, in nats."""

    x: "np.ndarray | HiddenStates" = field(repr=False)
    y: np.ndarray = field(repr=False)
    """Classes (n,), numbers (n,) or (n, k), or token ids (n, m) with -1 behind the end."""
    nats: float
    """I(Y;X) of the population the rows were drawn from."""
    stderr: float = 0.0
    """Monte Carlo standard error of ``nats``; 0 where the value is exact."""
    pooled_nats: dict[str, float] = field(default_factory=dict)
    """I(Y;g(X)) for the poolings whose truth is known, by name."""
    pointwise: np.ndarray | None = field(repr=False, default=None)
    """The true i(y;x) of each row. Their mean is what the perfect critic would say of
    these very rows, so an estimate's distance from it has no sampling noise."""

    @property
    def sample_nats(self) -> float | None:
        """The mean of ``pointwise``; None where it is not known."""
        return None if self.pointwise is None else float(self.pointwise.mean())


def average(
    terms: Callable[[np.random.Generator, int], Float[np.ndarray, " m"]],
    *,
    rows: int = TRUTH_ROWS,
    seed: int | np.random.SeedSequence = 0,
) -> tuple[float, float]:
    """Mean and standard error of ``rows`` terms, drawn in chunks to spare memory."""
    rng = np.random.default_rng(seed)
    drawn = np.concatenate([terms(rng, rows // _CHUNKS) for _ in range(_CHUNKS)])
    return float(drawn.mean()), float(drawn.std(ddof=1) / np.sqrt(len(drawn)))


def posterior_information(
    log_posterior: Float[np.ndarray, "n c"], log_prior: Float[np.ndarray, " c"]
) -> Float[np.ndarray, " n"]:
    r"""What each x tells of a discrete Y: KL(p(y|x) || p(y)), in nats.

    .. math:: I(Y;X) = E_x \sum_y p(y|x) \log \frac{p(y|x)}{p(y)}

    The exact sum over y leaves a smaller variance than log p(y|x)/p(y) at a drawn y.
    """
    gain = np.where(np.isneginf(log_posterior), 0.0, log_posterior - log_prior)
    return (np.exp(log_posterior) * gain).sum(1)


def at_class(
    log_posterior: Float[np.ndarray, "n c"],
    log_prior: Float[np.ndarray, " c"],
    y: Int[np.ndarray, " n"],
) -> Float[np.ndarray, " n"]:
    """The i(y;x) of the given classes, in nats."""
    return log_posterior[np.arange(len(y)), y] - log_prior[y]


def binary_entropy(p: Float[np.ndarray, "..."] | float) -> Float[np.ndarray, "..."]:
    """-p log p - (1 - p) log (1 - p), in nats, 0 at both ends."""
    q = np.clip(np.asarray(p, dtype=np.float64), 1e-300, 1.0)
    r = np.clip(1.0 - np.asarray(p, dtype=np.float64), 1e-300, 1.0)
    return -q * np.log(q) - r * np.log(r)
