"""The recommended estimate for continuous Y: closed forms, towers, neighbours.

Each held-out fold starts from a stack of elliptical copulas, weighed on nested rows: ridge
regressions of normal scores and of the columns as they are, Student, principal or
independent components, columns beside functions of themselves in which what was turned or
rolled is straight (`pair_stack`). Towers learn what it leaves (`pair_critic`). The value is
InfoNCE's lower bound with thousands of other rows' Y. Two cases leave it, and say
``bound='neither'``:

- the closed form alone and more than 1.5 nats: comparing with samples of Y would fall
  short, and a copula's own densities do not (a 10 nat staircase from 10,000 rows);
- few dimensions where nearest neighbours find clearly more, by their paired terms.
"""

import math
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from mi_probe.estimators.core.assembly import (
    AS_LEARNED,
    NEAR_MOST,
    assembled,
    at_least,
)
from mi_probe.estimators.core.base import (
    BoundKind,
    Estimate,
    Estimator,
    Extrapolation,
)
from mi_probe.estimators.core.departures import two_sided_if_tested
from mi_probe.estimators.core.gaussian_laws import PairLaw
from mi_probe.estimators.core.split import Split
from mi_probe.estimators.core.targets import Scores
from mi_probe.estimators.models.normal_scores import (
    BENT,
    excess_kurtosis,
    varying,
)
from mi_probe.estimators.scores.canonical import FUNCTION, held_out_ratios
from mi_probe.estimators.scores.fits import ScoreFits, clear_pairs, stacked
from mi_probe.estimators.scores.knn import most_of_neighbours, near_terms
from mi_probe.estimators.scores.limits import (
    NOT_TESTED,
    canonical_limit,
    component_limit,
)
from mi_probe.estimators.scores.pair_critic import (
    PAIRED_ROWS,
    fit_towers,
    held_out_terms,
    most_shown,
)
from mi_probe.estimators.scores.views import COMPONENTS, FEW_COLUMNS

_SAMPLES, _DENSITIES = "critic among samples of Y", "densities of the copula"
_NEIGHBOURS = "nearest neighbours"
_NOTHING = 0.01
"""Nats: what counts as nothing found."""
_MOST_CODES, _LEAST_REPEATS = 50, 10
_WATCHED_SHARE = 0.2
_TOWERS_UP_TO = 4.0
"""Nats from which a batch holds too few rows to train towers."""
_NEIGHBOURS_UP_TO = 6
"""Columns of both sides together up to which neighbours are asked."""


def estimate_scores(
    estimator: Estimator, states: Float[np.ndarray, "n d"], target: Scores, split: Split
) -> Estimate:
    """Estimate I(Y;X) of vectors and continuous Y, in nats.

    Args:
        estimator: the settings that the result names.
        states: the vectors.
        target: Y.
        split: which rows learn and which are held out, and the seed of all that is drawn.
    """
    streams = iter(np.random.SeedSequence(split.seed).spawn(1 + 3 * split.n_folds))
    x, y = varying(states), varying(target.values)
    if not x.any():
        # Constant states: no critic can tell two rows apart.
        record = ({"route": "constant X", "residual_kept": False},) * split.n_folds
        zeros = np.zeros(len(target))
        return assembled(estimator, states, target, split, pointwise=zeros, history=record)
    found = ScoreFits(x, y, split)
    sampled, closed = np.empty((2, len(target)))
    history, fits = [], []
    for k in range(split.n_folds):
        begun = stacked({"x": found}, k)
        rows, start = begun.rows, begun.rows.start
        drawn, weights, order = (next(streams) for _ in range(3))
        rng, seeds = np.random.default_rng(drawn), (_integer(weights), _integer(order))
        towers, learned = None, {}
        if start.ratio.paired(start.x_train, start.y_train).mean() < _TOWERS_UP_TO:
            watched = split.watched(rows.train, _WATCHED_SHARE, rng, most=PAIRED_ROWS)
            towers, fit = fit_towers(rows, watched, seeds)
            towers = towers if fit.kept else None
            fits.append(fit)
            learned = {
                "best_epoch": fit.best_epoch,
                "train": fit.train,
                "validation": fit.validation,
            }
        sampled[rows.test] = held_out_terms(rows, towers)
        closed[rows.test] = start.ratio.paired(start.x_test, start.y_test)
        history.append(
            {
                "n_train": len(rows.train),
                "n_test": len(rows.test),
                "start": begun.name,
                "starts": len(rows.stack.starts),
                "degrees": begun.view.degrees,
                "ridge": start.ridge,
                "correlations": start.ratio.correlations.tolist(),
                "closed_form": rows.stack.is_density and towers is None,
                "residual_kept": towers is not None,
                **learned,
            }
        )
    terms, bound, route = _valued(x, y, sampled, closed, history, next(streams), split)
    for entry in history:
        entry["route"] = route
    unfinished = sum(fit.kept and not fit.converged for fit in fits)
    return assembled(
        estimator,
        states,
        target,
        split,
        pointwise=terms,
        bound=bound,
        converged=unfinished * 2 <= len(fits),
        history=history,
        saturated=_is_saturated(route, terms, history),
        extrapolated=_limit(found, history, terms, x, y, split),
    )


def as_codes(target: Scores) -> Int[np.ndarray, " n"] | None:
    """Classes, where a single column of Y takes few values and repeats each often.

    Such a Y is discrete whatever its type says, and then has a ceiling, H(Y).
    """
    if target.values.shape[1] != 1:
        return None
    values, index = np.unique(target.values[:, 0], return_inverse=True)
    few = len(values) <= _MOST_CODES and len(values) * _LEAST_REPEATS <= len(target)
    return index.astype(np.int64) if few else None


def _valued(
    x: Float[np.ndarray, "n d"],
    y: Float[np.ndarray, "n k"],
    sampled: Float[np.ndarray, " n"],
    closed: Float[np.ndarray, " n"],
    history: list[dict[str, Any]],
    stream: np.random.SeedSequence,
    split: Split,
) -> tuple[Float[np.ndarray, " n"], BoundKind, str]:
    """The terms that are reported, what they are, and where they are from."""
    terms, bound, route = sampled, "lower bound", _SAMPLES
    forms = sum(record["closed_form"] for record in history)
    if 2 * forms > len(history):
        terms, bound, route = closed, "neither", _DENSITIES
    if x.shape[1] + y.shape[1] <= _NEIGHBOURS_UP_TO and len(terms) > 50:
        near = near_terms(x, y, np.random.default_rng(stream), split)
        gain = split.one_each(near - terms)
        if gain.mean() > max(0.01, 3 * gain.std() / math.sqrt(len(gain))):
            terms, bound, route = near, "neither", _NEIGHBOURS
    return terms, bound, route


def _limit(
    found: ScoreFits,
    history: list[dict[str, Any]],
    terms: Float[np.ndarray, " n"],
    x: Float[np.ndarray, "n d"],
    y: Float[np.ndarray, "n k"],
    split: Split,
) -> Extrapolation:
    """The limit of the critic that most folds start from, if it is a Gaussian one.

    No other has one, and neighbours have none: the value then stays as it was learned.
    """
    names = [entry["start"] for entry in history]
    place = max(range(len(found.views)), key=lambda v: names.count(found.views[v].name))
    view, starts = found.views[place], found.nested[place]
    linear = view.normalised and math.isinf(view.degrees)
    reason = "" if linear else "no limit is known for a start that is not Gaussian"
    if history[0]["route"] == _NEIGHBOURS:
        linear, reason = False, "no limit is known for nearest neighbours"
    if linear and view.components:
        curve = component_limit(
            x,
            y,
            split,
            independent=view.independent,
            held_out=held_out_ratios(starts, split.fold),
            learned=terms,
        )
        if curve is not None:
            return curve
        reason = f"too few rows to tell the loss of learning {view.name}"
    limit = canonical_limit(view.x, view.y, split, starts if linear else (), terms)
    if not linear:
        limit = replace(limit, method=AS_LEARNED)
    bend = max(excess_kurtosis(side) for start in starts for side in clear_pairs(start))
    if not reason and bend > BENT:
        reason = f"related directions are not Gaussian (excess kurtosis {bend:.1f})"
    widest = max(x.shape[1], y.shape[1])
    if not reason and widest > FEW_COLUMNS and terms.mean() < _NOTHING:
        reason = (
            f"nothing was found, but of {widest} columns only a linear dependence, or one "
            f"along {COMPONENTS} components, would have been"
        )
    if reason:
        return at_least(limit, reason)
    plain = linear and view.most_pairs is None and split.group is None
    if limit.reason != NOT_TESTED or not plain:
        return limit
    law = PairLaw(view.y.shape[1], len(view.y))
    rows = np.hstack([view.x, view.y])
    return two_sided_if_tested(limit, law, rows, view.x, None)


def _is_saturated(
    route: str, terms: Float[np.ndarray, " n"], history: list[dict[str, Any]]
) -> bool:
    """Whether the value is about the most that the route can show of so many rows."""
    rows = history[0]["n_train"]
    if route == _DENSITIES:
        return any(max(r["correlations"], default=0.0) > FUNCTION for r in history)
    most = most_of_neighbours(len(terms)) if route == _NEIGHBOURS else most_shown(rows)
    return bool(terms.mean() > most - NEAR_MOST)


def _integer(stream: np.random.SeedSequence) -> int:
    return int(stream.generate_state(1)[0])
