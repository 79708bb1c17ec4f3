"""What a study's folder holds: each estimate and each score, row by row, with its factors.

Every entry has the factors of the chain it comes from, so that what a training was is never
read off a name.
"""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportReturnType=false

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from mi_probe.analysis.paired import Scored, rows_alone
from mi_probe.contents import read_json, unsealed
from mi_probe.results import read_pointwise, read_results
from mi_probe.study.declared import Chain, Study
from mi_probe.study.endpoints import Quantity
from mi_probe.study.running import RESULTS

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
    for chain, results in finished(study, Path(folder)):
        table = read_results(results)
        for row in table.to_dict("records"):
            found.append(_estimate(chain, results, row))
        found.extend(_answered(chain, results, table))
    return found


def gaps(study: Study, folder: str | Path) -> pd.DataFrame:
    """Rows of all chains' ``gaps.csv``, with the chain's name; empty without any."""
    tables = [
        pd.read_csv(file, keep_default_na=False, na_values=[""]).assign(chain=chain.name)
        for chain in study.chains
        if (file := Path(folder) / chain.name / RESULTS / "gaps.csv").is_file()
    ]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def finished(study: Study, folder: Path) -> Iterator[tuple[Chain, Path]]:
    """The chains that have estimates, and the folders of these."""
    for chain in study.chains:
        results = folder / chain.name / RESULTS
        if (results / "rows").is_dir() and any((results / "rows").glob("*.json")):
            yield chain, results


def _estimate(chain: Chain, results: Path, row: Mapping[str, Any]) -> Measured:
    arrays = read_pointwise(results, row["row_id"])
    terms = arrays["pointwise"]
    entropy = row["H_Y_nats"]
    scored = Scored(
        name=f"{chain.name}, {row['site']} {row['view']}",
        nats=row["value_nats"],
        stderr=row["stderr"],
        ci=(row["ci_low"], row["ci_high"]),
        terms=terms,
        influence=arrays.get("influence", terms),
        split=_split(arrays, row["seed"]),
        entropy_y=None if pd.isna(entropy) else float(entropy),
        labels=arrays["labels"],
        ids=arrays["ids"],
        draw=(chain.factors["seed"], row["seed"]),
    )
    told = {**chain.factors, **{name: row[name] for name in _OF_ROW}}
    return Measured("information", "nats", told, scored)


def _answered(chain: Chain, results: Path, table: pd.DataFrame) -> Iterator[Measured]:
    """The score of the answers that a trained system gave on the measured rows."""
    row = table.iloc[0]
    arrays = read_pointwise(results, row["row_id"])
    labels = arrays["labels"]
    for path in sorted((results / "answers").glob("*.json")):
        said = unsealed(read_json(path))["values"]
        if len(said) != len(labels):
            continue  # of other rows
        values = np.array([np.nan if v is None else v for v in said], dtype=float)
        metric, terms = _terms(values, labels, classes=row["y_kind"] == "classes")
        mean = float(terms.mean())
        split = _split(arrays, int(row["seed"]))
        error = split.standard_error(terms)
        reach = split.reach(error)
        scored = Scored(
            name=f"{chain.name}, answers",
            nats=mean,
            stderr=error,
            ci=(mean - reach, mean + reach),
            terms=terms,
            influence=terms,
            split=split,
            labels=labels,
            ids=arrays["ids"],
            draw=(chain.factors["seed"],),
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


def _split(arrays: Mapping[str, np.ndarray], seed: int):
    n = len(arrays["pointwise"])
    return rows_alone(n, seed, fold=arrays.get("fold"), group=arrays.get("group"))
