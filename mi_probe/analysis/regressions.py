"""Ridge regressions on features of Z and of C that are factorised once and used often."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int

from mi_probe.analysis.sequence_features import random_features

EVIDENCE_RIDGES = (0.3, 3.0, 30.0)
"""Of linear evidence on features of Z, in units of the features' mean eigenvalue."""
EVIDENCE_COLUMNS = (1, 2, 4)
"""And on the few features that say most."""
WIDEST_BLOCK = 384
"""Leading directions of a block of features that linear evidence reads."""
_RIDGES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
_WIDEST = 512
"""Leading directions of C that are regressed on."""
_ROWS_A_TERM = 3
"""Rows for each square, tail and product of C's directions, at least."""
_MOST_BENT = 24
_KNOT = 0.7
"""Of a direction's tails, in its standard deviations: half of normal rows lie beyond."""


class GivenC:
    """A ridge regression on C and functions of it: what C says of any columns.

    The functions are additive ones and products of few directions, which random features
    of all columns at once miss where Z bends along one column of C, and random features.

    Args:
        c: the vectors that are given.
        rng: draws the random features.
    """

    def __init__(self, c: Float[np.ndarray, "n d"], rng: np.random.Generator) -> None:
        n = len(c)
        whole = scaled(c)
        leading = principal(whole, min(_WIDEST, max(1, n // 3)))
        generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
        random = random_features(
            torch.as_tensor(c, dtype=torch.float32), max(8, min(128, n // 8)), generator
        )
        bent = _bent(whole, max(6, n // _ROWS_A_TERM))
        columns = [leading, scaled(bent), scaled(random.double().numpy())]
        self._basis, self._values = spectrum(np.concatenate(columns, axis=1))

    def removed(self, columns: Float[np.ndarray, "n f"]) -> Float[np.ndarray, "n f"]:
        """The columns less their fit, the ridge chosen by generalised cross-validation."""
        centred = columns - columns.mean(0)
        n = len(centred)
        shares = self._basis.T @ centred
        energy = (centred**2).sum()
        best, chosen = np.inf, np.zeros(len(self._values))
        for ridge in _RIDGES:
            kept = self._values / (self._values + ridge * n)
            fit = (kept * (2 - kept)) @ (shares**2).sum(1)
            score = (energy - fit) / max(1 - (1 + kept.sum()) / n, 1e-3) ** 2
            if score < best:
                best, chosen = score, kept
        return centred - self._basis @ (chosen[:, None] * shares)

    def fitted(self, columns: Float[np.ndarray, "n f"]) -> Float[np.ndarray, "n f"]:
        """What C says of the columns."""
        return columns - self.removed(columns)


def _bent(columns: Float[np.ndarray, "n d"], most: int) -> Float[np.ndarray, "n b"]:
    """So many squares, tails and products of the columns, or of their main directions."""
    kept = min(columns.shape[1], _MOST_BENT, most // 6)
    x = columns if columns.shape[1] <= kept else scaled(principal(columns, kept))
    kept = x.shape[1]  # fewer where the columns are of few dimensions
    tails = (np.maximum(x - _KNOT, 0), np.maximum(-x - _KNOT, 0))
    one, two = np.tril_indices(kept, -1)
    # The last of the main directions are the largest: products of these come first.
    products = (x[:, -1 - one] * x[:, -1 - two])[:, : most - 3 * kept]
    return np.concatenate([x**2, *tails, products], axis=1)


def ridge_predictions(
    features: Float[np.ndarray, "n f"],
    rows: Int[np.ndarray, " m"],
    targets: Sequence[Float[np.ndarray, "m k"]],
    ridges: Sequence[float],
) -> Float[np.ndarray, "t p n k"]:
    """What ridge regressions fitted to some rows say of all, by target and by ridge.

    Args:
        features: of all rows.
        rows: those that are learned from.
        targets: of these rows; several share the factorisation.
        ridges: in units of the features' mean eigenvalue.
    """
    learned = features[rows]
    values, vectors, wide = _gram_spectrum(learned)
    # Directions of the features, as the factor of either Gram matrix gives them.
    turned = features @ (learned.T @ (vectors / np.sqrt(values)) if wide else vectors)
    shares = np.stack([turned[rows].T @ target for target in targets])
    mean = values.mean() if len(values) else 1.0
    return np.stack(
        [turned @ (shares / (values + ridge * mean)[:, None]) for ridge in ridges], axis=1
    )


def few_columns(
    features: Float[np.ndarray, "n f"],
    rows: Int[np.ndarray, " m"],
    target: Float[np.ndarray, "m k"],
    counts: Sequence[int],
) -> Float[np.ndarray, "p n k"]:
    """What least squares on the few columns that say most, taken in turn, say of all rows.

    Args:
        features: of all rows.
        rows: those that are learned from.
        target: of these rows.
        counts: numbers of columns, rising.
    """
    learned = features[rows]
    length = np.maximum((learned**2).sum(0), 1e-12 * len(rows))
    left, chosen, found = target, [], []
    for count in range(1, max(counts) + 1):
        power = ((learned.T @ left) ** 2).sum(1) / length
        power[chosen] = -1.0
        chosen.append(int(power.argmax()))
        weights = np.linalg.lstsq(learned[:, chosen], target, rcond=None)[0]
        left = target - learned[:, chosen] @ weights
        if count in counts:
            found.append(features[:, chosen] @ weights)
    return np.stack(found)


def spectrum(
    columns: Float[np.ndarray, "n f"],
) -> tuple[Float[np.ndarray, "n r"], Float[np.ndarray, " r"]]:
    """Left singular vectors and squared singular values, by the smaller Gram matrix."""
    values, vectors, wide = _gram_spectrum(columns)
    return (vectors if wide else columns @ (vectors / np.sqrt(values))), values


def _gram_spectrum(
    columns: Float[np.ndarray, "n f"],
) -> tuple[Float[np.ndarray, " r"], Float[np.ndarray, "k r"], bool]:
    """Eigenvalues above 0 and vectors of the smaller Gram matrix; whether it is of rows."""
    n, f = columns.shape
    wide = f > n
    values, vectors = np.linalg.eigh(columns @ columns.T if wide else columns.T @ columns)
    kept = values > 1e-9 * max(values[-1], 1e-30)
    return values[kept], vectors[:, kept], wide


def principal(columns: Float[np.ndarray, "n f"], most: int) -> Float[np.ndarray, "n r"]:
    """The columns, or their leading principal components where they are more."""
    if columns.shape[1] <= most:
        return columns
    basis, values = spectrum(columns)
    return basis[:, -most:] * np.sqrt(values[-most:])


def scaled(columns: Float[np.ndarray, "n f"]) -> Float[np.ndarray, "n f"]:
    """Columns of mean 0 and spread 1; those that are constant become 0."""
    centre, spread = columns.mean(0), columns.std(0)
    varies = spread > 1e-6 * np.maximum(np.abs(centre), 1e-30)
    return np.where(varies, (columns - centre) / np.where(varies, spread, 1), 0)
