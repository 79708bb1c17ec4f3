"""What the estimates of one panel say together: their band, and the best layer's value."""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportOperatorIssue=false

import math

import numpy as np
import pandas as pd

from mi_probe.analysis.control_points import is_control
from mi_probe.analysis.many_cells import band_of, best_estimate, may_be_best
from mi_probe.analysis.scored import Scored, Stored, are_of_the_same_rows, averaged
from mi_probe.analysis.summaries import PANEL, lead
from mi_probe.analysis.units import unit_factor

_NUMBERS = (
    *("band_low", "band_high", "p_family", "p_fdr"),
    *("best_value", "best_low", "best_high"),
)


def with_bands(points: pd.DataFrame, stored: Stored) -> pd.DataFrame:
    """Points of `over_seeds` with what each panel's estimates say together.

    Adds `band_low`, `band_high` (the 95 % band that holds all of the panel's layers and
    views at once), `p_family` and `p_fdr` (of a bound of 0 or less, with few false ones
    among the panel's), and for the panel's leading view (`lead`): `may_be_best` (whether
    its layer may be the best; False for other views), `best_value`, `best_low`,
    `best_high` (the best layer's value, on other rows than it was chosen on) and
    `best_layers` (what was chosen, by `x`). All are empty where the pointwise values are
    not kept beside the table.

    Raises:
        InputError: if a file of pointwise values is not what was written.
    """
    found = points.assign(**dict.fromkeys(_NUMBERS, math.nan))
    found = found.assign(may_be_best=False, best_layers="")
    if points.empty:
        return found
    factor = unit_factor(str(points["unit"].iloc[0]))
    for _, panel in points[~is_control(points)].groupby(list(PANEL), sort=False):
        cells = _cells(panel, stored, factor)
        if len(cells) < len(panel) or not are_of_the_same_rows(cells):
            continue
        band = band_of(cells)
        found.loc[panel.index, "band_low"] = band.low * factor
        found.loc[panel.index, "band_high"] = band.high * factor
        found.loc[panel.index, "p_family"] = band.p_family
        found.loc[panel.index, "p_fdr"] = band.p_fdr
        lines = lead(panel)
        if lines.empty:
            continue
        places = panel.index.get_indexer(lines.index)
        leading = [cells[i] for i in places]
        kept, best = may_be_best(leading), best_estimate(leading)
        found.loc[lines.index[kept], "may_be_best"] = True
        found.loc[lines.index, "best_value"] = best.nats * factor
        found.loc[lines.index, "best_low"] = best.ci[0] * factor
        found.loc[lines.index, "best_high"] = best.ci[1] * factor
        chosen = dict.fromkeys(f"{lines['x'].iloc[i]:g}" for i in best.chosen)
        found.loc[lines.index, "best_layers"] = " and ".join(chosen)
    return found


def _cells(panel: pd.DataFrame, stored: Stored, factor: float) -> list[Scored]:
    """The terms of each point, over its seeds; fewer where some are not kept."""
    cells = []
    for _, row in panel.iterrows():
        several = stored.all_of(str(row["row_ids"]), f"{row['view']} at {row['site']}")
        if not several or not np.isfinite([row["low"], row["high"]]).all():
            return []
        ci = (row["low"] / factor, row["high"] / factor)
        cells.append(averaged(several, ci=ci) if len(several) > 1 else several[0])
    return cells
