"""What was found, in words: amounts and controls of each task, and systems side by side.

At the deepest layer and the last step of each run, which are fixed before any value is
seen. Several networks on one task are a range: a sentence does not choose among them.

The paper compares I(Y;Z) of Predictor, Generator and PredGen. That is worth reading, but it
is not the data processing inequality, which compares Z with g(Z) of one network; each
reading says so.
"""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportOperatorIssue=false

from collections.abc import Sequence

import pandas as pd

from mi_probe.analysis.control_points import control_words, controls_beside, states_of
from mi_probe.analysis.labels import (
    SYSTEM_LABELS,
    in_order,
    last_steps,
    subjects,
    systems_in_order,
    view_words,
    with_runs,
)
from mi_probe.analysis.reading import LEVEL, Paired, Reading, paired_words, untold
from mi_probe.analysis.summaries import at_layer, layer_words
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


_SYSTEMS = {**SYSTEM_LABELS, "": "the model before training"}
_SCOPE = ("task_label", "stack", "estimator_label")


def systems_table(points: pd.DataFrame, layer: int | str | None = None) -> pd.DataFrame:
    """The bar figure's numbers: a row a task, estimator and system.

    Of each run its last step, at one layer. Columns: ``task_label``, ``stack``,
    ``estimator_label``, ``objective``, ``run``, ``checkpoint_step``, ``site``, ``n``,
    ``unit``, ``ceiling``; ``value``, ``low``, ``high``, ``status``, ``row_ids`` of the full
    states; ``pooled_view``, ``pooled_value``, ``pooled_low``, ``pooled_high``,
    ``pooled_status``, ``pooled_row_ids`` of the pooled view with the largest
    value (which leans high where there are several); ``metric``, ``metric_value``,
    ``parse_failure_rate``. Empty where a view was not measured.

    Args:
        points: of `over_seeds`.
        layer: as `at_layer` takes it; None is the deepest.
    """
    chosen = last_steps(with_runs(at_layer(points, layer)))
    kept = [
        *(*_SCOPE, "objective", "run", "checkpoint_step", "site", "n", "unit", "ceiling"),
        *("metric", "metric_value", "parse_failure_rate"),
    ]
    amounts = ("value", "low", "high", "status", "row_ids")
    rows = []
    for _, system in chosen.groupby([*_SCOPE, "objective", "run"], sort=False):
        row = system.iloc[0][kept].to_dict()
        full = system[system["view"] == "full"]
        if len(full):
            row |= full.iloc[0][list(amounts)].to_dict()
        pooled = system[(system["view"] != "full") & system["value"].notna()]
        if len(pooled):
            best = pooled.sort_values("value").iloc[-1]
            row |= {"pooled_view": best["view"]}
            row |= {f"pooled_{name}": best[name] for name in amounts}
        rows.append(row)
    columns = [*kept, *amounts, "pooled_view", *(f"pooled_{a}" for a in amounts)]
    table = pd.DataFrame(rows, columns=columns)
    rank = table["objective"].map(systems_in_order(table).index)
    tasks = list(dict.fromkeys(table["task_label"]))
    order = table.assign(rank=rank, task=table["task_label"].map(tasks.index))
    order = order.sort_values(["task", "stack", "estimator_label", "rank"], kind="stable")
    return table.loc[order.index].reset_index(drop=True)


def system_readings(points: pd.DataFrame, paired: Paired = untold) -> list[Reading]:
    """One a task and estimator on which several systems were measured.

    Args:
        points: of `over_seeds`.
        paired: compares two of its points, such as `ResultFolders.paired`.
    """
    if points.empty or not points["objective"].astype(object).fillna("").any():
        return []
    table = systems_table(points)
    return [
        _read(group, paired)
        for _, group in table.groupby(list(_SCOPE), sort=False)
        if len(group) > 1
    ]


def _read(group: pd.DataFrame, paired: Paired) -> Reading:
    first = group.iloc[0]
    stack = {"enc": ", encoder", "dec": ", decoder"}.get(first["stack"], "")
    heading = (
        f"Systems on {first['task_label']}{stack}, {first['estimator_label']}, "
        f"n = {int(first['n']):,}, deepest layer, last step of each"
    )
    names = _names(group)
    full = _compared("I(Y;Z)", group, names, "", paired)
    pooled = _compared("The best pooled view", group, names, "pooled_", paired)
    return Reading(heading, (full, pooled, _caution(group, names)))


def _names(group: pd.DataFrame) -> list[str]:
    words = group["objective"].map(lambda name: _SYSTEMS.get(name, name))
    several = words.groupby(words).transform("size") > 1
    return words.where(~several, words + " (" + group["run"] + ")").tolist()


def _compared(
    what: str, group: pd.DataFrame, names: list[str], of: str, paired: Paired
) -> str:
    rows = [
        (name, row)
        for (_, row), name in zip(group.iterrows(), names, strict=True)
        if pd.notna(row[f"{of}value"])
    ]
    if len(rows) < 2:
        return f"{what} was measured of fewer than two of them, so nothing is compared."
    unit = rows[0][1]["unit"]
    parts = [_amount(name, row, of) for name, row in rows]
    return f"{what} in {unit}: {', '.join(parts)}; {_order(rows, of, paired)}."


def _amount(name: str, row: pd.Series, of: str) -> str:
    text = f"{name} {fixed(row[f'{of}value'])}"
    if of:
        text = f"{name}, {view_words(row['pooled_view'])}, {fixed(row[f'{of}value'])}"
    if pd.notna(row[f"{of}low"]) and pd.notna(row[f"{of}high"]):
        text += f" [{fixed(row[f'{of}low'])}, {fixed(row[f'{of}high'])}]"
    return text if row[f"{of}status"] == "ok" else f"{text} (flagged)"


def _order(rows: list[tuple[str, pd.Series]], of: str, paired: Paired) -> str:
    """Whether the highest is above each other one, p corrected for every two of them."""
    if any(row[f"{of}status"] != "ok" for _, row in rows):
        return "some are flagged, so no order is read"
    ranked = sorted(rows, key=lambda pair: -pair[1][f"{of}value"])
    (best, top), others = ranked[0], ranked[1:]
    told = [paired(str(top[f"{of}row_ids"]), str(r[f"{of}row_ids"])) for _, r in others]
    if any(one is None for one in told):
        return "no pointwise values of the same rows are kept here, so no order is tested"
    tests = len(rows) * (len(rows) - 1) // 2
    known = [(min(tests * t.p_value, 1.0), t) for t in told if t is not None]
    parts = [
        f"minus {name} {t.difference * unit_factor(top['unit']):+.3f} "
        f"{paired_words(t.ci, p, top['unit'])}"
        for (name, _), (p, t) in zip(others, known, strict=True)
    ]
    words = f"paired over rows, {best} {', '.join(parts)}"
    if all(p <= LEVEL and t.difference > 0 for p, t in known):
        return f"{words}: it is above all others"
    return f"{words}: which is the highest is not shown"


def _caution(group: pd.DataFrame, names: list[str]) -> str:
    text = (
        "These are different networks, which the data processing inequality does not "
        "order: it compares Z with g(Z) of one network."
    )
    known = [
        f"{name} {row['metric_value']:.3f}{_failures(row)}"
        for (_, row), name in zip(group.iterrows(), names, strict=True)
        if pd.notna(row["metric_value"])
    ]
    if known:
        metric = str(group["metric"].dropna().iloc[0])
        text += f" Their {metric.replace('_', ' ')} on these rows: {', '.join(known)}."
    return text


def _failures(row: pd.Series) -> str:
    rate = row["parse_failure_rate"]
    return f" ({rate:.0%} unreadable)" if pd.notna(rate) and rate > 0 else ""
