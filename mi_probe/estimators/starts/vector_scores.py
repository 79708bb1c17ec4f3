r"""The recommended estimate for continuous Y and vectors: closed forms and networks.

Each held-out fold starts from a stack of elliptical copulas, weighed on nested rows: ridge
regressions of normal scores and of the columns as they are, Student, principal or
independent components, columns beside functions of themselves in which what was turned or
rolled is straight (`scores.views`). A network of either side learns what it leaves, such as
a product of two of ten columns. A held-out row's term is InfoNCE's, its own Y among
thousands of training rows' Y,

.. math:: T(x, y) - \log \frac{1}{m + 1} \Bigl(e^{T(x, y)} + \sum_j e^{T(x, y_j)}\Bigr),

a lower bound whatever the critic, and without the variance of Donsker-Varadhan. It falls
short from about log m - 4 on. Two cases leave it, and say
``bound='neither'``:

- the closed form alone and more than 1.5 nats: comparing with samples of Y would fall
  short, and a copula's own densities do not (a 10 nat staircase from 10,000 rows);
- few dimensions where nearest neighbours find clearly more, by their paired terms.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
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
from mi_probe.estimators.core.split import TOP, Split
from mi_probe.estimators.core.targets import Scores
from mi_probe.estimators.mine.cross_fit import Settings, Sides, cross_fit
from mi_probe.estimators.mine.ensemble import Ensemble
from mi_probe.estimators.mine.inputs import vectors
from mi_probe.estimators.models.normal_scores import (
    BENT,
    excess_kurtosis,
    varying,
)
from mi_probe.estimators.scores.canonical import FUNCTION, held_out_ratios
from mi_probe.estimators.scores.fits import FoldStart, ScoreFits, clear_pairs, stacked
from mi_probe.estimators.scores.knn import most_of_neighbours, near_terms
from mi_probe.estimators.scores.limits import (
    NOT_TESTED,
    canonical_limit,
    component_limit,
)
from mi_probe.estimators.scores.views import COMPONENTS, FEW_COLUMNS
from mi_probe.estimators.starts.started import start_of

_SAMPLES, _DENSITIES = "critic among samples of Y", "densities of the copula"
_NEIGHBOURS = "nearest neighbours"
_NOTHING = 0.01
"""Nats: what counts as nothing found."""
_NETWORKS_UP_TO = 4.0
"""Nats from which a batch holds too few rows to train networks."""
_COLUMNS, _CHUNK = 8192, 512
"""Training rows' Y that a term is compared with, at most; rows that are at a time."""
_NEIGHBOURS_UP_TO = 6
"""Columns of both sides together up to which neighbours are asked."""


def estimate_scores(
    networks: Settings,
    estimator: Estimator,
    states: Float[np.ndarray, "n d"],
    target: Scores,
    split: Split,
) -> Estimate:
    """Estimate I(Y;X) of vectors and continuous Y, in nats.

    Args:
        networks: what networks on top of the closed forms are trained by.
        estimator: the settings that the result names.
        states: the vectors.
        target: Y.
        split: which rows learn and which are held out, and the seed of all that is drawn.
    """
    x, y = varying(states), varying(target.values)
    if not x.any():
        # Constant states: no critic can tell two rows apart.
        record = ({"route": "constant X", "residual_kept": False},) * split.n_folds
        zeros = np.zeros(len(target))
        return assembled(estimator, states, target, split, pointwise=zeros, history=record)
    found = ScoreFits(x, y, split)
    begun = [stacked({"x": found}, k) for k in range(split.n_folds)]
    critics = _critics(networks, found, begun, split)
    sampled, closed = np.empty((2, len(target)))
    history = []
    for k, (one, (critic, learned)) in enumerate(zip(begun, critics, strict=True)):
        test, start = split.held_out(k), one.stack.lead
        kept = learned["residual_kept"]
        sampled[test] = 0.0
        if kept or not one.stack.silent:
            rows = split.rows(k)
            sampled[test] = sampled_terms(critic, test, rows, networks.device)
        closed[test] = start.ratio.paired(start.x_test, start.y_test)
        history.append(
            {
                **learned,
                "n_train": len(split.rows(k)),
                "n_test": len(test),
                "start": one.name,
                "starts": len(one.stack.starts),
                "degrees": one.view.degrees,
                "ridge": start.ridge,
                "correlations": start.ratio.correlations.tolist(),
                "closed_form": one.stack.is_density and not kept,
            }
        )
    terms, bound, route = _valued(x, y, sampled, closed, history, split)
    return assembled(
        estimator,
        states,
        target,
        split,
        pointwise=terms,
        bound=bound,
        converged=2 * sum(entry["converged"] for entry in history) >= len(history),
        history=[{"route": route} | entry for entry in history],
        saturated=_is_saturated(route, terms, history),
        extrapolated=_limit(found, route, history, terms, x, y, split),
    )


def _critics(
    networks: Settings, found: ScoreFits, begun: Sequence[FoldStart], split: Split
) -> list[tuple[Ensemble, dict[str, Any]]]:
    """Of each fold its stack, with a network where one is clearly better."""
    starts = [start_of(one, split, k) for k, one in enumerate(begun)]
    leads = [one.stack.lead for one in begun]
    told = [lead.ratio.paired(lead.x_train, lead.y_train).mean() for lead in leads]
    if np.median(told) >= _NETWORKS_UP_TO:
        record = {"residual_kept": False, "converged": True}
        alone = (Ensemble({}, k, np.zeros(0), start) for k, start in enumerate(starts))
        return [(critic, record) for critic in alone]
    x, y = (vectors(side, networks.device) for side in (found.small.x, found.small.y))
    target = Scores(found.small.y)
    sides = Sides({"x": x}, None, target, y.columns, y)
    return cross_fit(networks, sides, split, TOP, starts)


def sampled_terms(
    critic: Ensemble,
    test: Int[np.ndarray, " k"],
    learned: Int[np.ndarray, " m"],
    device: str = "cpu",
) -> Float[np.ndarray, " k"]:
    """InfoNCE terms of held-out rows against training rows' Y, in nats."""
    columns, found = torch.from_numpy(_every(learned)).to(device), []
    m = len(columns)
    for part in torch.from_numpy(test).to(device).split(_CHUNK):
        low = torch.logsumexp(critic(part, columns), 1).double() - math.log(m)
        found.append(critic(part, part).diagonal().double() - low)
    ratio = torch.cat(found).cpu().numpy()
    return ratio - np.logaddexp(ratio, math.log(m)) + math.log(m + 1)


def _every(learned: Int[np.ndarray, " m"]) -> Int[np.ndarray, " c"]:
    return learned[:: max(1, math.ceil(len(learned) / _COLUMNS))]


def _valued(
    x: Float[np.ndarray, "n d"],
    y: Float[np.ndarray, "n k"],
    sampled: Float[np.ndarray, " n"],
    closed: Float[np.ndarray, " n"],
    history: list[dict[str, Any]],
    split: Split,
) -> tuple[Float[np.ndarray, " n"], BoundKind, str]:
    """The terms that are reported, what they are, and where they are from."""
    terms, bound, route = sampled, "lower bound", _SAMPLES
    forms = sum(record["closed_form"] for record in history)
    if 2 * forms > len(history):
        terms, bound, route = closed, "neither", _DENSITIES
    if x.shape[1] + y.shape[1] <= _NEIGHBOURS_UP_TO and len(terms) > 50:
        near = near_terms(x, y, np.random.default_rng([split.seed, 10]), split)
        gain = split.one_each(near - terms)
        if gain.mean() > max(0.01, 3 * gain.std() / math.sqrt(len(gain))):
            terms, bound, route = near, "neither", _NEIGHBOURS
    return terms, bound, route


def _limit(
    found: ScoreFits,
    route: str,
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
    if route == _NEIGHBOURS:
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
    if route == _DENSITIES:
        return any(max(r["correlations"], default=0.0) > FUNCTION for r in history)
    most = math.log(len(_every(np.arange(history[0]["n_train"]))) + 1)
    if route == _NEIGHBOURS:
        most = most_of_neighbours(len(terms))
    return bool(terms.mean() > most - NEAR_MOST)
