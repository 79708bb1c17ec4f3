"""Generated x input: what the state of a written token has to do with one that was read.

For each written position and each input position, counted back from the answer, the
canonical correlations of the two states in their leading directions, held out (the
estimator ``gaussian``), in nats. The number is of the linear dependence in as many
directions as are kept: a written token's state is a function of everything before it, so
the information itself is only bounded by how much the input can vary. It is neither a
lower nor an upper bound: for comparing positions, not for its size.
"""

# pandas ships no types of its own; names and shapes are checked at run time instead.
# pyright: reportArgumentType=false, reportCallIssue=false, reportAttributeAccessIssue=false
# pyright: reportReturnType=false

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mi_probe.errors import InputError
from mi_probe.estimators.scores.gaussian import GaussianCopula
from mi_probe.hidden import HiddenStates, Role

COLUMNS = (
    *("generated_position", "input_from_end", "n", "value_nats", "ci_low", "ci_high"),
)
DIRECTIONS = 8
"""Leading directions of either state."""
_FEWEST = 50
"""Sentences behind a value."""
_ALIKE = 0.95
"""Share of the sentences from which a place is called by its token."""


def generated_by_input(
    z: HiddenStates, *, most_written: int = 3, most_read: int = 12, seed: int = 0
) -> pd.DataFrame:
    """One row for each pair of a written and a read position.

    Pairs that fewer than 50 sentences have, or whose states do not vary (the words of a
    template at the first layers), are left out.

    Args:
        z: states of prompts and of the answers after them.
        most_written: written positions, from the first.
        most_read: input positions, from the last backwards.
        seed: of the folds.

    Raises:
        InputError: if no position was written.
    """
    written = _places(z, Role.GENERATED, most_written, from_end=False)
    read = _places(z, Role.PROMPT, most_read, from_end=True)
    if not bool((written >= 0).any()):
        raise InputError(
            "z must hold states of generated tokens; it has none. Capture prompts with "
            "the model's own answers after them."
        )
    rows = []
    for g in range(written.shape[1]):
        for t in range(read.shape[1]):
            both = ((written[:, g] >= 0) & (read[:, t] >= 0)).nonzero().flatten()
            if len(both) < _FEWEST:
                continue
            a = _leading(z.at(both, written[both, g]))
            b = _leading(z.at(both, read[both, t]))
            if a is None or b is None:
                continue
            estimate = GaussianCopula().estimate(a, b, seed=seed)
            rows.append((g, t, len(both), estimate.nats, *estimate.ci))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _places(
    z: HiddenStates, role: Role, most: int, *, from_end: bool
) -> Int[Tensor, "n m"]:
    """Where the first (or last) positions of a role stand; -1 where a row has fewer."""
    # Without roles every position is a prompt's.
    own = z.mask & (role == (Role.PROMPT if z.roles is None else z.roles))
    found = torch.full((len(z), most), -1)
    for i, row in enumerate(own):
        places = row.nonzero().flatten()
        places = places.flip(0)[:most] if from_end else places[:most]
        found[i, : len(places)] = places
    return found


def _leading(states: Float[Tensor, "n d"]) -> Float[np.ndarray, "n k"] | None:
    """Scores on the leading directions of standardised columns; None if none varies."""
    centred = states.double().cpu() - states.double().cpu().mean(0)
    spread = centred.std(0)
    varies = spread > 1e-6 * spread.max().clamp(min=1e-12)
    if float(spread.max()) < 1e-9 or not bool(varies.any()):
        return None
    u, s, _ = torch.linalg.svd(centred[:, varies] / spread[varies], full_matrices=False)
    kept = min(DIRECTIONS, int((s > 1e-6 * s[0]).sum()))
    return (u[:, :kept] * s[:kept]).numpy()


def with_texts(generated: pd.DataFrame, tokens: pd.DataFrame) -> pd.DataFrame:
    """The table with what stands at its places: columns ``written`` and ``read``.

    ``written`` is the token most often written there and ``written_share`` its share of the
    sentences; ``read`` is the token read there where (nearly) all sentences have the same,
    as a template's, else empty.

    Args:
        generated: of `generated_by_input`.
        tokens: the token table of the same site.
    """
    places = {}
    for role, from_end in (("generated", False), ("prompt", True)):
        own = tokens[tokens["role"] == role].sort_values(["row_id", "position"])
        place = own.groupby("row_id").cumcount(ascending=not from_end)
        texts = own["token"].groupby(place)
        most = texts.agg(lambda found: found.mode().iloc[0])
        share = texts.agg(lambda found: (found == found.mode().iloc[0]).mean())
        places[role] = most, share
    written, shares = places["generated"]
    read, alike = places["prompt"]
    read = read[alike >= _ALIKE]
    return generated.assign(
        written=[written.get(place, "") for place in generated["generated_position"]],
        written_share=generated["generated_position"].map(shares).astype("float64"),
        read=[read.get(place, "") for place in generated["input_from_end"]],
    )
