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
from mi_probe.predgen.checkpoints import PREDGEN_CONFIG
from mi_probe.results import read_results
from mi_probe.study.chains import LAST
from mi_probe.study.declared import Chain, Study
from mi_probe.study.endpoints import Quantity
from mi_probe.study.progress import RESULTS, TRAINED

_OF_ROW = ("site", "layer", "view", "token_set", "estimator")


@dataclass(frozen=True, eq=False)
class Measured:
    """One estimate of a chain, or the score of its answers, with its value at each row."""

    of: Quantity
    metric: str
    """``nats``; of answers ``accuracy``, or ``explained variance``: the mean over rows of
    1 - (y - y')^2 / var y."""
    told: Mapping[str, Any]
    """Its factors; of an estimate also site, layer, view, token set and estimator, the
    ``rows`` that it was of, its ``step`` (`LAST` for the final model), and the ``control``
    that it is of, empty for the states themselves."""
    scored: Scored = field(repr=False)


def measured(study: Study, folder: str | Path) -> list[Measured]:
    """All finished estimates and scores of a study's folder."""
    found: list[Measured] = []
    for chain, results in _finished(study, Path(folder)):
        table, stored = read_results(results), Stored([results])
        final = _final_step(results.parent / TRAINED)
        for row in table.to_dict("records"):
            scored = stored.get(row["row_id"], f"{chain.name}, {row['site']} {row['view']}")
            if scored is not None:
                told = {**chain.factors, **{name: row[name] for name in _OF_ROW}}
                told |= {"rows": row["n"], "step": _step(row["checkpoint_step"], final)}
                told |= {"control": row["control"] if pd.notna(row["control"]) else ""}
                found.append(Measured("information", "nats", told, scored))
        # Controls may be of other labels.
        first = states_of(table).head(1)
        like = stored.get(first.iloc[0]["row_id"]) if len(first) else None
        if like is not None:
            classes = first.iloc[0]["y_kind"] == "classes"
            found.extend(_answered(chain, results, like, classes))
    return found


def _final_step(trained: Path) -> int | None:
    """The step of a training's final model; None where nothing was trained."""
    file = trained / PREDGEN_CONFIG
    return int(unsealed(read_json(file))["step"]) if file.is_file() else None


def _step(step: Any, final: int | None) -> int | str:
    return LAST if pd.isna(step) or step == final else int(step)


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
    kept = [
        unsealed(read_json(path))
        for place in (results.parent / TRAINED, results)
        for path in sorted((place / "answers").glob("*.json"))
    ]
    # The first are a training's own, of its final model; those of earlier steps have
    # another head or adapter.
    of_final = [one for one in kept if _answering(one) == _answering(kept[0])]
    said = next((a["values"] for a in of_final if len(a["values"]) == len(labels)), None)
    if said is None:
        return
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


def _answering(answers: Mapping[str, Any]) -> tuple[Any, Any]:
    return answers["key"].get("model"), answers["key"].get("head")


def _terms(
    values: Float[np.ndarray, " n"], labels: np.ndarray, *, classes: bool
) -> tuple[str, Float[np.ndarray, " n"]]:
    """The metric of each row; an answer that could not be read is wrong, or the mean."""
    if classes:
        return "accuracy", (values == labels).astype(float)
    y = labels.astype(float)
    missed = (y - np.where(np.isnan(values), y.mean(), values)) ** 2
    return "explained variance", 1 - missed / y.var()
