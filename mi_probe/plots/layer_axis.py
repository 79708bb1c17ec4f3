"""The layer axis: where its ticks stand, and what its ends are called."""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportOperatorIssue=false

import numpy as np
import pandas as pd


def layer_ticks(layers: np.ndarray, deepest: float) -> list[float]:
    """Every measured layer where few were, else round ones and the deepest."""
    if not len(layers):
        return [deepest]
    gaps = np.diff(layers) / (np.ptp(layers) or 1.0)
    if len(layers) <= 8 and (not len(gaps) or gaps.min() > 0.07):
        return [float(layer) for layer in layers]
    step = next(s for s in (1, 2, 5, 10, 20, 50, 100) if np.ptp(layers) / s <= 8)
    ticks = [float(t) for t in np.arange(0, layers[-1] + 1, step) if t >= layers[0]]
    # The deepest layer is always named, and nothing stands too near to it.
    ticks = [t for t in ticks if layers[-1] - t > 0.6 * step]
    return [*ticks, float(layers[-1])]


def layer_axis_label(placed: pd.DataFrame, last: float) -> str:
    """What the numbers on the axis are, and what its two ends are."""
    stack = {"enc": "Encoder layer", "dec": "Decoder layer"}
    words = f"{stack.get(placed['stack'].iloc[0], 'Layer')} (hidden_states index)"
    ends = []
    if (placed["layer"] == 0).any():
        ends.append("0: embeddings")
    normed = placed["site"].astype(str).str.endswith("final_norm").any()
    if (placed["layer"] == last).any():
        ends.append(f"{last:g}: after {'the final norm' if normed else 'last block'}")
    if (placed["layer"].isna()).any():
        ends.append(f"{last - 0.5:g}: before it")
    return words + ("\n" + ", ".join(ends) if ends else "")
