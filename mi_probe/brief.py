"""A table of results in the columns that are read first."""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportOperatorIssue=false

import pandas as pd

from mi_probe.errors import InputError
from mi_probe.facts import fixed, reach

NEEDED = (
    *("model", "task", "site", "layer", "view", "estimator", "value_nats", "ci_low"),
    *("ci_high", "extrapolated_nats", "extrapolated_low", "extrapolated_claim"),
    *("null_high", "p_value", "H_Y_nats", "n", "status"),
)


def brief(results: pd.DataFrame) -> pd.DataFrame:
    """The same rows, to be looked at: names, value with interval, ceiling, null, status.

    Controls, steps, seeds and token sets have a column where there are several. In nats.
    ``n → ∞`` is the extrapolated value, or after ``≥`` the lower end of its interval;
    ``null, high`` the 95th percentile with Y permuted, where that is of the same estimate;
    ``p`` of its own or of a cheaper statistic. A cell without a value is empty.

    Raises:
        InputError: not a table of results.
    """
    missing = [column for column in NEEDED if column not in results]
    if missing:
        raise InputError(
            f"results must have the columns of a result table; {', '.join(missing)} "
            "are missing. Give what profile or read_results returned."
        )
    return pd.DataFrame(
        {
            "model": results["model"],
            **_several(results),
            "task": results["task"],
            "site": results["site"],
            "layer": results["layer"],
            "view": results["view"],
            "estimator": results["estimator"],
            "estimate (nats)": results["value_nats"].map(_number),
            "95 % interval": [
                f"[{fixed(low)}, {fixed(high)}]" if pd.notna(low) and pd.notna(high) else ""
                for low, high in zip(results["ci_low"], results["ci_high"], strict=True)
            ],
            "n \N{RIGHTWARDS ARROW} \N{INFINITY}": [
                "" if pd.isna(nats) else reach(nats, low, claim)
                for nats, low, claim in zip(
                    *(results[f"extrapolated_{name}"] for name in ("nats", "low", "claim")),
                    strict=True,
                )
            ],
            "H(Y) (nats)": results["H_Y_nats"].map(_number),
            "null, high": results["null_high"].map(_number),
            "p": results["p_value"].map(_number),
            "rows": results["n"],
            "status": results["status"],
        }
    )


def _several(results: pd.DataFrame) -> dict[str, pd.Series]:
    """What tells rows of one model apart, where something does."""
    titles = {
        "control": "control",
        "checkpoint_step": "step",
        "seed": "seed",
        "token_set": "tokens",
    }
    return {
        title: results[name].astype(object).where(results[name].notna(), "")
        for name, title in titles.items()
        if name in results and results[name].nunique(dropna=False) > 1
    }


def brief_html(results: pd.DataFrame, most: int = 40) -> str:
    """`brief` as escaped HTML, its middle left out where it is longer than `most`."""
    table = brief(results).to_html(index=False, max_rows=most, na_rep="")
    return f"{table}<p>{len(results)} estimates, in nats.</p>"


def _number(value: float | None) -> str:
    return "" if value is None or pd.isna(value) else fixed(value)
