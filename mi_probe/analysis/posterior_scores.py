r"""What a held-out posterior says beside nats: accuracy, AUROC, Brier, ECE, code length.

All five are of the very log q(y|x) that an estimate's nats are the mean of, on rows that no
critic saw. They are of one critic's calibrated posterior, not of the hidden states as such.

The online (prequential) code sends labels in blocks, each coded by a critic that learned
from those before it. With K classes, a learning curve I(m_1), ..., I(m_s) in nats for
m_1 < ... < m_s training rows, and :math:`m_{s+1} = n`,

.. math:: L = \frac{1}{\ln 2} \Big( m_1 \ln K
          + \sum_{j=1}^{s} (m_{j+1} - m_j) \, (H(Y) - I(m_j)) \Big) \text{ bits}

The first block is sent without a model. n H(Y) / ln 2 bits are what the labels take when
nothing but their shares is known. Not to be trusted to a few bits: the blocks are coarse (a
quarter, a half and all of the training rows), and each value is a mean over folds, and not
one block's.

References:
    Voita and Titov 2020, Information-Theoretic Probing with Minimum Description Length,
    arXiv 2003.12298.
    Naeini et al. 2015 (expected calibration error); Nguyen and O'Connor 2015 (bins of as
    many rows each).
"""

from typing import Any

import numpy as np
from jaxtyping import Float, Int
from sklearn.metrics import accuracy_score, roc_auc_score

from mi_probe.estimators import Estimate

BINS = 15
"""Of the calibration error, of as many rows each."""
SCORES = ("accuracy", "auroc", "brier", "ece", "code_length_bits")
"""The columns that `posterior_scores` fills."""


def posterior_scores(estimate: Estimate, labels: np.ndarray) -> dict[str, Any]:
    """The scores of an estimate's held-out posterior, by the names of `SCORES`.

    Args:
        estimate: of classes.
        labels: Y of the rows that were given to it.

    Returns:
        A number each; None of all where the estimate has no posterior of classes, and of
        the code length where it has no learning curve.

    >>> from mi_probe.estimators import ESTIMATORS
    >>> from mi_probe.synthetic import class_gaussians
    >>> known = class_gaussians(n=400, d=4, n_classes=2, separation=8.0)
    >>> found = posterior_scores(ESTIMATORS["lda"].estimate(known.x, known.y), known.y)
    >>> found["accuracy"] > 0.95
    True
    """
    log_q = estimate.log_posterior
    if log_q is None or estimate.entropy_y is None:
        return dict.fromkeys(SCORES)
    if estimate.split is not None and estimate.split.kept is not None:
        labels = labels[estimate.split.kept]
    y = np.unique(labels, return_inverse=True)[1].reshape(-1)
    p = np.exp(log_q)
    p /= p.sum(1, keepdims=True)
    own = np.eye(p.shape[1])[y]
    return {
        "accuracy": float(accuracy_score(y, p.argmax(1))),
        "auroc": float(
            roc_auc_score(y, p[:, 1])
            if p.shape[1] == 2
            else roc_auc_score(y, p, multi_class="ovr", average="macro")
        ),
        "brier": float(((p - own) ** 2).sum(1).mean()),
        "ece": calibration_error(p, y),
        "code_length_bits": _code_length(estimate, p.shape[1]),
    }


def calibration_error(
    p: Float[np.ndarray, "n c"], y: Int[np.ndarray, " n"], bins: int = BINS
) -> float:
    """Expected calibration error of the likeliest class, in bins of as many rows each.

    Rows of one confidence are in one bin. Of few rows it is above 0 by chance alone.

    Args:
        p: probabilities of the classes.
        y: the classes.
        bins: number of bins; fewer where rows are fewer.

    >>> import numpy as np
    >>> calibration_error(np.array([[0.8, 0.2]] * 10), np.array([0] * 8 + [1] * 2), 1)
    0.0...
    """
    confidence, right = p.max(1), p.argmax(1) == y
    before = np.searchsorted(np.sort(confidence), confidence)
    of_bin = before * min(bins, len(y)) // len(y)
    gaps = np.abs(np.bincount(of_bin, weights=right - confidence))
    return round(float(gaps.sum()) / len(y), 12)


def _code_length(estimate: Estimate, n_classes: int) -> float | None:
    """In bits; None without a learning curve."""
    limit, entropy = estimate.extrapolated, estimate.entropy_y
    if limit is None or not limit.curve or entropy is None:
        return None
    sizes = [size for size, _ in limit.curve]
    # The largest critics are the estimate's own; the curve may be of one of its parts.
    values = [value for _, value in limit.curve[:-1]] + [estimate.nats]
    ends = [*sizes[1:], len(estimate.pointwise)]
    nats = sizes[0] * np.log(n_classes)
    for size, end, value in zip(sizes, ends, values, strict=True):
        nats += (end - size) * (entropy - value)
    return float(nats / np.log(2))
