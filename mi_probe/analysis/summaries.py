"""From one row an estimate to one row a point of a figure.

Seeds are averaged. Let v_1 .. v_m be the estimates of m seeds on the *same* examples,
s_1 .. s_m their standard errors over examples. Averaging over seeds does not shrink
the error that comes from the choice of examples, so

    Var(mean) = W + B / m,    W = mean of s_i^2,    B = sample variance of v_i,

and the 95 % interval is mean +- t * sqrt(W + B / m), t with the Welch-Satterthwaite
degrees of freedom: wide with two seeds that disagree, as it should be. A single seed
keeps the interval of its row. Nothing is clipped and no flagged estimate is dropped.
"""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportOperatorIssue=false

import json
import math
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from mi_probe.analysis.control_points import labelled, states_of, with_controls
from mi_probe.analysis.labels import ESTIMATOR_KEY, MODEL_KEY, TASK_KEY, in_order
from mi_probe.analysis.units import unit_factor
from mi_probe.errors import InputError

KEY = (
    *("control", "quantity", "site", "layer", "n_layers", "view"),
    *(*TASK_KEY, "n_classes", *MODEL_KEY, *ESTIMATOR_KEY),
)
"""Rows that agree in all of these differ by their seed alone."""

NEEDED = (
    *(*KEY, "row_id", "seed", "value_nats", "stderr", "ci_low", "ci_high"),
    *("ci_method", "null_mean", "null_high", "n_permutations", "p_value"),
    *("H_Y_nats", "status"),
    *("extrapolated_nats", "extrapolated_low", "extrapolated_high"),
    *("extrapolated_claim", "bound", "metric", "metric_value", "parse_failure_rate"),
    *("accuracy", "auroc", "brier", "ece", "code_length_bits"),
)

NUMBERS = (
    *("layer", "n_layers", "n", "n_classes", "checkpoint_step", "n_permutations"),
    *("value_nats", "stderr", "ci_low", "ci_high", "null_mean", "null_high"),
    *("p_value", "H_Y_nats", "extrapolated_nats", "extrapolated_low", "extrapolated_high"),
    *("metric_value", "parse_failure_rate"),
    *("accuracy", "auroc", "brier", "ece", "code_length_bits"),
)

SCORES = ("accuracy", "auroc", "brier", "ece", "code_length_bits")
"""Of the held-out posterior; means over seeds, in units of their own."""

PANEL = ("model_label", "task_label", "stack", "estimator_label")
"""What one panel of a figure holds constant."""


def over_seeds(results: pd.DataFrame, *, unit: str = "nats") -> pd.DataFrame:
    """One row an estimate, averaged over seeds, in `unit`, with where to draw it.

    Adds to the columns that identify an estimate: `value`, `low`, `high` (95 %
    interval), `interval` (over what it is), `n_seeds`, `seed_values` (JSON),
    `row_ids` (those of the results, blanks between),
    `extrapolated`, `extrapolated_low`, `extrapolated_high` (the value at n -> infinity;
    empty where there is none, and the last where it is at least), `claim` (`two_sided` only
    where every seed's is), `ceiling` (H(Y); empty for scores), `null_mean`, `null_high`
    (means over seeds of the permutation null's mean and 95th percentile; empty where a
    cheaper statistic was permuted), `p_value` (the largest of the seeds'), `status` (`ok`
    only where every seed is), `metric`, `metric_value`, `parse_failure_rate` (of the
    model's own answers on these rows, in the metric's own unit), `x` (place on the layer
    axis), `note`, and the four labels of a panel. `control` is empty for the states
    themselves (`states_of`); controls come last.

    `x` is the hidden_states index. The last block before a final norm has none; it is
    placed at L - 0.5. Any other site without an index has an empty `x`.

    Raises:
        InputError: no rows, a column missing, an unknown unit, or two different rows
            for the same estimate and seed.
    """
    factor = unit_factor(unit)
    missing = [column for column in NEEDED if column not in results.columns]
    if missing:
        raise InputError(
            f"results must be a table that `python -m mi_probe.estimate` wrote; it lacks "
            f"{len(missing)} of its columns, the first '{missing[0]}'. Give the folder, or "
            "its results.csv."
        )
    table = results.drop_duplicates("row_id").reset_index(drop=True)
    # Of nullable integers and floats, only floats go through every step alike.
    table = table.astype(dict.fromkeys(NUMBERS, "float64"))
    if table.empty:
        raise InputError("results hold no rows; run `python -m mi_probe.estimate`.")
    rows = [
        dict(zip(KEY, key, strict=True)) | _combine(group, factor)
        for key, group in table.groupby(list(KEY), dropna=False, sort=False)
    ]
    points = pd.DataFrame(rows)
    points["unit"] = unit
    points["control"] = points["control"].astype(object).fillna("")
    return _sorted(labelled(_placed(points)))


def _combine(group: pd.DataFrame, factor: float) -> dict[str, Any]:
    if group["seed"].duplicated().any():
        one, two = group.loc[group["seed"].duplicated(keep=False), "row_id"][:2]
        raise InputError(
            f"each estimate must have one row a seed; rows {one} and {two} are two "
            "values of the same; leave out the folder that is out of date."
        )
    group = group.sort_values("seed")
    found = group[np.isfinite(group["value_nats"])]
    flagged = group.loc[group["status"] != "ok", "status"]
    low, high, interval = _interval(
        *(found[name] for name in ("value_nats", "stderr", "ci_low", "ci_high", "n"))
    )
    value = found["value_nats"].mean() if len(found) else math.nan
    seed_values = (found["value_nats"] * factor).tolist()
    return {
        "value": value * factor,
        "low": low * factor,
        "high": high * factor,
        "interval": interval,
        "ci_method": "; ".join(dict.fromkeys(group["ci_method"].dropna().astype(str))),
        "n_seeds": len(group),
        "seed_values": json.dumps(seed_values),
        "row_ids": " ".join(group["row_id"].astype(str)),
        **_extrapolated(group, factor),
        "ceiling": group["H_Y_nats"].mean() * factor,
        "null_mean": group["null_mean"].mean() * factor,
        "null_high": group["null_high"].mean() * factor,
        "p_value": group["p_value"].max(),
        "n_permutations": group["n_permutations"].max(),
        # Of the model and the rows, whatever the estimator's seed.
        "metric": group["metric"].iloc[0],
        "metric_value": group["metric_value"].iloc[0],
        "parse_failure_rate": group["parse_failure_rate"].iloc[0],
        **{name: group[name].mean() for name in SCORES},
        "status": flagged.iloc[0] if len(flagged) else "ok",
        "n_flagged": len(flagged),
    }


def _extrapolated(group: pd.DataFrame, factor: float) -> dict[str, Any]:
    """The value at n -> infinity over seeds; empty unless every seed has one."""
    names = ("extrapolated_nats", "extrapolated_low", "extrapolated_high")
    value, low, high = (group[name].astype("float64") for name in names)
    if value.isna().any():
        empty = dict.fromkeys(("extrapolated", *names[1:]), math.nan)
        return empty | {"claim": None}
    two_sided = bool((group["extrapolated_claim"] == "two_sided").all())
    unknown = pd.Series(math.nan, index=group.index)
    # From below, the interval is taken for as wide above: only its lower end is used.
    above = high if two_sided else 2 * value - low
    lowest, highest, _ = _interval(value, unknown, low, above, group["n"])
    return {
        "extrapolated": value.mean() * factor,
        "extrapolated_low": (lowest if two_sided else max(lowest, 0.0)) * factor,
        "extrapolated_high": highest * factor if two_sided else math.nan,
        "claim": "two_sided" if two_sided else "at_least",
    }


def _interval(
    value: pd.Series, error: pd.Series, lowest: pd.Series, highest: pd.Series, n: pd.Series
) -> tuple[float, float, str]:
    """The 95 % interval of the mean over seeds in nats, and over what it is taken."""
    values = value.to_numpy(float)
    low, high = lowest.to_numpy(float), highest.to_numpy(float)
    stderr = error.to_numpy(float)
    stderr = np.where(np.isfinite(stderr), stderr, (high - low) / (2 * 1.96))
    stderr = stderr[np.isfinite(stderr)]
    m = len(values)
    if m == 0 or (m == 1 and not len(stderr)):
        return math.nan, math.nan, ""
    if m == 1:
        if not (np.isfinite(low[0]) and np.isfinite(high[0])):
            low, high = values - 1.96 * stderr, values + 1.96 * stderr
        return float(low[0]), float(high[0]), "over examples"
    within = float(np.mean(stderr**2)) if len(stderr) else 0.0
    between = float(np.var(values, ddof=1)) / m
    spread = within + between
    mean = float(values.mean())
    over = f"over examples and {m} seeds" if len(stderr) else f"over {m} seeds"
    if spread == 0:
        return mean, mean, over
    rows = max(float(n.iloc[0]), 2.0)
    freedom = spread**2 / (between**2 / (m - 1) + within**2 / (rows - 1))
    half = float(stdtrit(freedom, 0.975)) * math.sqrt(spread)
    return mean - half, mean + half, over


def _placed(points: pd.DataFrame) -> pd.DataFrame:
    site = points["site"].astype(str)
    points["stack"] = site.str.extract(r"^(enc|dec)\.", expand=False).fillna("")
    layer = points["layer"]
    last = points["n_layers"]
    block = site.str.extract(r"block\.(\d+)$", expand=False).astype("float64")
    before_norm = layer.isna() & (block == last - 1)
    points["x"] = layer.where(~before_norm, last - 0.5)
    points["note"] = ""
    points.loc[before_norm, "note"] = "last block before the final norm, at L - 0.5"
    points.loc[points["x"].isna(), "note"] = "no hidden_states index, not in profiles"
    inside = site.str.contains(r"block\.\d+\.")
    points.loc[inside, "note"] = "inside a block, not in profiles"
    return points


def _sorted(points: pd.DataFrame) -> pd.DataFrame:
    """States first; order of appearance for models, tasks, estimators; views; layers."""
    rank = pd.DataFrame({"control": points["control"] != ""}, index=points.index)
    for column in PANEL:
        seen = list(dict.fromkeys(points[column]))
        rank[column] = points[column].map(seen.index)
    rank["view"] = points["view"].map(in_order(points["view"]).index)
    rank["x"] = points["x"]
    by = ["control", *PANEL, "view", "x"]
    order = rank.sort_values(by, kind="stable").index
    return points.loc[order].reset_index(drop=True)


def lead(panel: pd.DataFrame) -> pd.DataFrame:
    """The lines of which a panel's best layer is read: all states, or every pooled view."""
    drawn = panel[panel["x"].notna() & panel["value"].notna()]
    full = drawn["view"] == "full"
    lines = drawn[full] if full.any() else drawn
    sound = lines[lines["status"] == "ok"]
    return sound if len(sound) else lines


def null_band(panel: pd.DataFrame) -> pd.DataFrame:
    """Envelope over views of the permutation null: `x`, `null_mean`, `null_high`.

    From the lowest null mean to the highest 95th percentile at each layer; empty where
    no permutations were run.
    """
    known = panel[panel["null_high"].notna() & panel["x"].notna()]
    band = known.groupby("x", as_index=False).agg(
        null_mean=("null_mean", "min"), null_high=("null_high", "max")
    )
    return band.assign(null_mean=band["null_mean"].fillna(band["null_high"]))


def at_layer(
    points: pd.DataFrame, layer: int | str | None = None, *, controls: bool = False
) -> pd.DataFrame:
    """The states' points of one layer: a hidden_states index, a site, or the final one.

    The final one, the default, is the deepest captured site of each model and task (of
    the decoder where there are two stacks). It is fixed before any value is seen:
    choosing the layer with the largest estimate would report a biased value.

    Args:
        points: of `over_seeds`.
        layer: which.
        controls: put the controls that stand beside these points after them.

    Raises:
        InputError: no row lies at that layer.
    """
    chosen = _states_at(states_of(points), layer)
    if not controls:
        return chosen
    return with_controls(chosen, points)


def _states_at(points: pd.DataFrame, layer: int | str | None) -> pd.DataFrame:
    if layer is not None:
        text = str(layer)
        wanted = points["site"] == text
        if text.isdigit():
            wanted |= points["layer"] == int(text)
        chosen = points[wanted]
        if chosen.empty:
            sites = ", ".join(dict.fromkeys(points["site"].astype(str)))
            raise InputError(
                f"layer must be a measured hidden_states index or site; got {text!r}; "
                f"measured: {sites}."
            )
        return chosen.reset_index(drop=True)
    system = points.groupby(["model_label", "task_label"])
    # 'dec' sorts before 'enc', and a lone '' is its own minimum.
    stack = points["stack"] == system["stack"].transform("min")
    placed = points[stack & points["x"].notna()]
    deepest = placed.groupby(["model_label", "task_label"])["x"].transform("max")
    return placed[placed["x"] == deepest].reset_index(drop=True)


def layer_words(points: pd.DataFrame) -> str:
    """Which layer the points of `at_layer` lie at, for a title."""
    points = states_of(points)
    sites = list(dict.fromkeys(points["site"].map(lambda s: str(s).split(".")[-1])))
    if set(sites) == {"final_norm"}:
        return "after the final norm"
    places = list(dict.fromkeys(points["x"].dropna()))
    if len(places) == 1:
        last = points["n_layers"].dropna().unique()
        of = f" of {last[0]:g}" if len(last) == 1 else ""
        return f"layer {places[0]:g}{of}"
    if not places:
        return ", ".join(dict.fromkeys(points["site"].astype(str)))
    return "deepest measured layer of each"
