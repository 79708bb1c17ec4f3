"""What statistics networks read of X: columns of vectors, tokens of sequences.

Columns are standardised, or whitened by the covariance of all rows. No Y enters, so that
held-out labels stay unseen (`models.columns`).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from torch import Tensor

from mi_probe.estimators.core.states import views_of
from mi_probe.estimators.core.targets import as_tensor
from mi_probe.estimators.models.columns import standardised, views_of_vectors, whitened
from mi_probe.estimators.models.normal_scores import normal_scores, varying
from mi_probe.estimators.sequences.token_coordinates import (
    TokenInputs,
    token_coordinates,
    token_inputs,
)
from mi_probe.hidden import HiddenStates

_POOLINGS = ("mean", "last")
"""Poolings of a sequence that vector networks read beside the networks of tokens."""


@dataclass(frozen=True)
class Vectors:
    """One view of X, as two kinds of columns on the device to train on."""

    columns: Float[Tensor, "n d"]
    """Standardised."""
    whitened: Float[Tensor, "n r"]


def vectors(x: Float[np.ndarray, "n d"], device: str) -> Vectors:
    """Columns of one view; those with heavy tails are squashed first."""
    *_, (_, view) = views_of_vectors(x)
    columns, (u, _) = standardised(view), whitened(view)
    if not columns.shape[1]:  # constant states
        columns = u = np.zeros((len(x), 1))
    return Vectors(as_tensor(columns).to(device), as_tensor(u).to(device))


def vectors_of(
    x: Float[np.ndarray, "n d"] | HiddenStates, device: str, *, ranked: bool
) -> dict[str, Vectors]:
    """X itself, or poolings of a sequence, each of full width.

    Args:
        x: the states.
        device: where the networks are trained.
        ranked: columns as normal scores, in which what bends a column is gone: for a Y of
            real numbers, which is read so too.
    """
    views = views_of(x)
    names = _POOLINGS if isinstance(x, HiddenStates) else tuple(views)
    if ranked:
        views = {name: normal_scores(varying(view)) for name, view in views.items()}
    return {name: vectors(views[name], device) for name in names}


def tokens_of(z: HiddenStates, device: str) -> TokenInputs:
    """All tokens in a few coordinates, with where they stand."""
    return token_inputs(token_coordinates(z).to(device))
