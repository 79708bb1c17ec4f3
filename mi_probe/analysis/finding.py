"""What was found, in a sentence or two a task: amounts, controls, and what pooling loses.

At the deepest layer and the last step of each run, which are fixed before any value is
seen. Several networks on one task are a range: the sentence does not choose among them.
"""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportOperatorIssue=false

from collections.abc import Sequence

import pandas as pd

from mi_probe.analysis.control_points import control_words, controls_beside, states_of
from mi_probe.analysis.labels import in_order, subjects, view_words
from mi_probe.analysis.reading import Paired, untold
from mi_probe.analysis.summaries import at_layer, layer_words
from mi_probe.analysis.training_runs import last_steps, with_runs
from mi_probe.analysis.units import unit_factor
from mi_probe.facts import fixed


def findings(points: pd.DataFrame, paired: Paired = untold) -> list[str]:
    """What is said of each task, token set and estimator; nothing without a layer.

    The estimator of most points comes first: it is the one that has controls beside it.

    Args:
        points: of `over_seeds`, with controls.
        paired: compares two of its points, such as `ResultFolders.paired`.
    """
    states = states_of(points)
    if states.empty or states["x"].isna().all():
        return []
    chosen = last_steps(with_runs(at_layer(points)))
    chosen = chosen[chosen["value"].notna()].assign(subject=subjects(chosen))
    keys = ["subject", "token_set", "estimator_label"]
    several = {key: chosen[key].nunique() > 1 for key in keys}
    read = chosen["estimator_label"].map(chosen["estimator_label"].value_counts())
    chosen = chosen.iloc[(-read).argsort(kind="stable")]
    said = []
    for _, panel in chosen.groupby(keys, sort=False, dropna=False):
        row = panel.iloc[0]
        where = [f"on {row['subject']}"]
        where += [f"tokens: {row['token_set']}"] * several["token_set"]
        where += [f"by {row['estimator_label']}"] * several["estimator_label"]
        amounts = _amounts(panel, points, ", ".join(where))
        said.append(f"{amounts} {_lost(panel, paired)}".strip())
    return said


def _amounts(panel: pd.DataFrame, points: pd.DataFrame, where: str) -> str:
    view = in_order(panel["view"])[0]
    lead = panel[panel["view"] == view]
    row = lead.iloc[0]
    place = layer_words(lead)
    place = place if place.startswith("after") else f"at {place}"
    text = f"{where[0].upper()}{where[1:]}, {view_words(view)} {place} is "
    text += f"{_range(lead['value'])} {row['unit']}"
    if lead["low"].notna().any():
        ends = f"[{fixed(lead['low'].min())}, {fixed(lead['high'].max())}]"
        over = "in intervals within " if len(lead) > 1 else ""
        text += f" {over}{ends}"
    text += f" ({len(lead)} networks)" if len(lead) > 1 else f" ({row['model_label']})"
    if pd.notna(row["ceiling"]) and row["ceiling"] > 0:
        text += f", of H(Y) = {fixed(row['ceiling'])}"
    beside = control_words(controls_beside(lead, points))
    text += f"; {beside}" if beside else "; no control stands beside it"
    none = int((lead["low"] <= 0).sum())
    if none:
        text += f"; {_of(none, len(lead))} not told from 0"
    return f"{text}."


def _of(count: int, total: int) -> str:
    if total == 1:
        return "it is"
    return f"{count} of {total} are" if count != 1 else f"1 of {total} is"


def _range(values: Sequence[float] | pd.Series, sign: bool = False) -> str:
    ends = [fixed(value) for value in (min(values), max(values))]
    if sign:
        ends = [f"+{end}" if end[0].isdigit() or end[0] == "." else end for end in ends]
    return " to ".join(dict.fromkeys(ends))


def _lost(panel: pd.DataFrame, paired: Paired) -> str:
    """Of each pooled view, what all states know beyond it, paired over rows."""
    full = panel[panel["view"] == "full"].set_index("model_label")
    parts = []
    for view in in_order(panel.loc[panel["view"] != "full", "view"]):
        pooled = panel[panel["view"] == view].set_index("model_label")
        both = [name for name in full.index if name in pooled.index]
        ids = [(full.loc[name, "row_ids"], pooled.loc[name, "row_ids"]) for name in both]
        told = [paired(str(a), str(b)) for a, b in ids]
        known = [one for one in told if one is not None]
        if not known:
            continue
        factor = unit_factor(panel["unit"].iloc[0])
        amount = _range([one.difference * factor for one in known], sign=True)
        if len(known) == 1:
            low, high = (fixed(end * factor) for end in known[0].ci)
            parts.append(f"{amount} [{low}, {high}] above {view_words(view)}")
        else:
            above = sum(one.ci[0] > 0 for one in known)
            parts.append(
                f"{amount} above {view_words(view)} (its interval above 0 in {above} of "
                f"{len(known)})"
            )
    if not parts:
        return ""
    return f"Paired over rows, that is {' and '.join(parts)}."
