r"""A cheap statistic of dependence between classes and vectors, for many Y at once.

Closed form, the same for every Y, with nothing chosen by the labels. In the shared
coordinates u (`whitened`, made without Y), each kernel k gives each row the evidence

.. math:: e(x_i, c) = \frac{1}{n_c} \sum_{j \ne i,\, y_j = c} k(u_i, u_j)
          - \frac{1}{n - 1} \sum_{j \ne i} k(u_i, u_j)

which never saw the row's own label: a linear kernel for means, its square for variances and
pairs, a Gaussian one for shapes. To second order, the log likelihood won by the evidence at
its best temperature is

.. math:: g = \frac{a |a|}{2 b}, \quad
          a = \overline{e(x, y) - \textstyle\sum_c p_c e(x, c)}, \quad
          b = \overline{\mathrm{Var}_{c \sim p}\, e(x, c)}

nats, and the statistic is the sum over kernels. It varies continuously around 0 where Y is
independent of X, where a stack says exactly 0 each time and cannot be ranked. As a value of
I(Y;X) it is far too low; as a test it is exact whatever it is.

References:
    Gretton et al. 2012, A Kernel Two-Sample Test.
"""

import numpy as np
from jaxtyping import Float, Int

from mi_probe.estimators.core.targets import Classes
from mi_probe.estimators.models.columns import views_of_vectors, whitened

_CHUNK = 512
_COST = 4e11
"""Products of kernel and labels that may be spent; more rows than that are left out."""
_FEWEST = 500


def permuted_gains(
    x: Float[np.ndarray, "n d"],
    target: Classes,
    orders: Int[np.ndarray, "p n"],
    rng: np.random.Generator,
) -> Float[np.ndarray, " p"]:
    """The statistic for Y in each of these orders, in nats.

    Args:
        x: the vectors.
        target: the classes.
        orders: a permutation of the rows for each value.
        rng: draws the rows that are read, where all are too many.
    """
    n = len(target)
    columns = target.n_classes * len(orders)
    most = max(_FEWEST, int(np.sqrt(_COST / (6 * columns))))
    rows = np.sort(rng.permutation(n)[:most])
    # The squashed view, where tails are heavy: a mean of kernels is no match for them.
    *_, (_, view) = views_of_vectors(x)
    u = whitened(view)[0][rows]
    labels = target.index[orders][:, rows]
    return _gains(u, labels, target.n_classes)


def _gains(
    u: Float[np.ndarray, "n d"], labels: Int[np.ndarray, "p n"], n_classes: int
) -> Float[np.ndarray, " p"]:
    (p, n), d = labels.shape, max(u.shape[1], 1)
    one_hot = np.zeros((n, p, n_classes), dtype=np.float32)
    one_hot[np.arange(n)[:, None], np.arange(p)[None], labels.T] = 1
    counts = one_hot.sum(0)
    shares = (counts / n).astype(np.float64)
    columns = one_hot.reshape(n, p * n_classes)
    squared = (u**2).sum(1)
    a, b = np.zeros((3, p)), np.zeros((3, p))
    for start in range(0, n, _CHUNK):
        rows = np.arange(start, min(start + _CHUNK, n))
        own = one_hot[rows]
        # The row itself counts in its class, but says nothing.
        others = np.maximum(counts[None] - own, 1)
        inner = u[rows] @ u.T / np.float32(d)
        distance = (squared[rows, None] + squared[None]) / d - 2 * inner
        kernels = (inner, inner**2, np.exp(-0.5 * distance))
        for place, kernel in enumerate(kernels):
            kernel[np.arange(len(rows)), rows] = 0
            evidence = (kernel @ columns).reshape(len(rows), p, n_classes) / others
            evidence -= kernel.sum(1)[:, None, None] / (n - 1)
            mean = (evidence * shares).sum(2)
            a[place] += (evidence * own).sum((0, 2)) - mean.sum(0)
            b[place] += ((evidence - mean[..., None]) ** 2 * shares).sum((0, 2))
    return (a * np.abs(a) / np.maximum(2 * n * b, 1e-30)).sum(0)
