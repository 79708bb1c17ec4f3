"""What a study's folder holds: each estimate and each score, row by row, with its factors.

Every entry has the factors of the chain it comes from, so that what a training was is never
read off a name.
"""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportReturnType=false

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from mi_probe.analysis.control_points import states_of
from mi_probe.analysis.scored import Scored, Stored
from mi_probe.contents import read_json, unsealed
from mi_probe.results import read_results
from mi_probe.study.declared import Chain, Study
from mi_probe.study.endpoints import Quantity
from mi_probe.study.progress import RESULTS

_OF_ROW = ("site", "layer", "view", "token_set", "estimator")


@dataclass(frozen=True, eq=False)
class Measured:
    """One estimate of a chain, or the score of its answers, with its value at each row."""

    of: Quantity
    metric: str
    """``nats``; of answers ``accuracy``, or ``explained variance``: the mean over rows of
    1 - (y - y')^2 / var y."""
    told: Mapping[str, Any]
    """Its factors; of an estimate also site, layer, view, token set and estimator."""
    scored: Scored = field(repr=False)


def measured(study: Study, folder: str | Path) -> list[Measured]:
    """All finished estimates and scores of a study's folder."""
    found: list[Measured] = []
    for chain, results in _finished(study, Path(folder)):
        # Controls stand beside the states that they are of, and are no measurement of them.
        table, stored = states_of(read_results(results)), Stored([results])
        if table.empty:
            continue
        for row in table.to_dict("records"):
            scored = stored.get(row["row_id"], f"{chain.name}, {row['site']} {row['view']}")
            if scored is not None:
                told = {**chain.factors, **{name: row[name] for name in _OF_ROW}}
                found.append(Measured("information", "nats", told, scored))
        first = table.iloc[0]
        like = stored.get(first["row_id"])
        if like is not None:
            found.extend(_answered(chain, results, like, first["y_kind"] == "classes"))
    return found


def gaps(study: Study, folder: str | Path) -> pd.DataFrame:
    """Rows of all chains' ``gaps.csv``, with the chain's name; empty without any."""
    tables = [
        pd.read_csv(file, keep_default_na=False, na_values=[""]).assign(chain=chain.name)
        for chain in study.chains
        if (file := Path(folder) / chain.name / RESULTS / "gaps.csv").is_file()
    ]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _finished(study: Study, folder: Path) -> Iterator[tuple[Chain, Path]]:
    """The chains that have estimates, and the folders of these."""
    for chain in study.chains:
        results = folder / chain.name / RESULTS
        if (results / "rows").is_dir() and any((results / "rows").glob("*.json")):
            yield chain, results


def _answered(
    chain: Chain, results: Path, like: Scored, classes: bool
) -> Iterator[Measured]:
    """The score of the answers that a trained system gave on the measured rows."""
    labels = like.labels
    assert labels is not None
    for path in sorted((results / "answers").glob("*.json")):
        said = unsealed(read_json(path))["values"]
        if len(said) != len(labels):
            continue  # of other rows
        values = np.array([np.nan if v is None else v for v in said], dtype=float)
        metric, terms = _terms(values, labels, classes=classes)
        mean, error = float(terms.mean()), like.split.standard_error(terms)
        reach = like.split.reach(error)
        scored = replace(
            like,
            name=f"{chain.name}, answers",
            nats=mean,
            stderr=error,
            ci=(mean - reach, mean + reach),
            terms=terms,
            influence=terms,
            entropy_y=None,
        )
        yield Measured("score", metric, dict(chain.factors), scored)
        return


def _terms(
    values: Float[np.ndarray, " n"], labels: np.ndarray, *, classes: bool
) -> tuple[str, Float[np.ndarray, " n"]]:
    """The metric of each row; an answer that could not be read is wrong, or the mean."""
    if classes:
        return "accuracy", (values == labels).astype(float)
    y = labels.astype(float)
    missed = (y - np.where(np.isnan(values), y.mean(), values)) ** 2
    return "explained variance", 1 - missed / y.var()
