"""An ensemble of statistics networks for each held-out fold, from rows outside it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mi_probe.estimators.core.parameters import Parameters
from mi_probe.estimators.core.split import TOP, Split
from mi_probe.estimators.core.targets import (
    Classes,
    Scores,
    TokenSequences,
    as_tensor,
    packed,
)
from mi_probe.estimators.critic.bounds import BOUNDS, OBJECTIVES, Bound, info_nce
from mi_probe.estimators.critic.training import Schedule
from mi_probe.estimators.mine.ascent import Course, TrainingRows, stacked_rows, train
from mi_probe.estimators.mine.ensemble import Ensemble, ensemble
from mi_probe.estimators.mine.inputs import Vectors, tokens_of, vectors, vectors_of
from mi_probe.estimators.mine.marginals import (
    ClassMarginal,
    Marginal,
    RowMarginal,
    Start,
)
from mi_probe.estimators.mine.statistics_network import (
    KINDS,
    AnswerSide,
    ClassVectors,
    Statistics,
    TokenSide,
    VectorSide,
    XSide,
    YSide,
)
from mi_probe.estimators.models.normal_scores import normal_scores, varying
from mi_probe.estimators.sequences.token_coordinates import TokenInputs
from mi_probe.estimators.sequences.token_coordinates import ends as ends_of
from mi_probe.hidden import HiddenStates

MANY = 64
"""Classes above which each has a vector instead of a network's output."""
_WATCHED = 500
"""Watched rows at most where each is scored against all others."""
_OF_POOLINGS = ("linear", "smooth")
"""Kinds that read the poolings of a sequence, beside the network of its tokens."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Settings(Parameters):
    """What networks are trained by, and what is valued."""

    objective: Literal["mine", "nwj", "info_nce", "cross_entropy", "jensen_shannon"]
    """What is maximised in training: a row of `OBJECTIVES`."""
    bound: Literal[
        "donsker_varadhan", "barber_agakov", "info_nce", "nwj", "nwj_plain", "smile"
    ]
    """What is reported: a row of `BOUNDS`. The rows that stop the training watch it too,
    after T is normalised where Y is classes, and `info_nce` where it is pairs, since
    unnormalised it rests on the few largest exp T of so few rows."""
    pair_features: int = 32
    """Features on either side of a critic of pairs."""
    watched_share: float = 0.2
    """Share of the rows outside the fold that stop the training and weigh the kinds."""
    average_rate: float = 0.05
    """Rate of MINE's moving average."""
    tau: float = 10.0
    """SMILE's clip, in nats. The paper's 5 overshoots from about 4 nats on; the critic is
    normalised here, so that less clipping is needed to keep the variance small."""
    schedule: Schedule = field(default_factory=lambda: Schedule(max_epochs=30, patience=4))
    """How long and how fast: epochs, their steps, and when to stop; tokens have a learning
    rate of their own."""
    kinds: tuple[str, ...] = tuple(KINDS)
    """Networks of vectors that are tried, rows of `KINDS`."""
    ends: bool = False
    """Whether first, last and mean token of a sequence are also read side by side."""
    device: str = "cpu"

    @property
    def value(self) -> Bound:
        """The row of `BOUNDS` that is reported."""
        return BOUNDS[self.bound]


@dataclass(frozen=True)
class Sides:
    """X and Y of all rows as the networks read them."""

    vectors: dict[str, Vectors]
    tokens: TokenInputs | None
    target: Classes | Scores | TokenSequences
    y: Tensor
    """Classes (n,), normal scores (n, k), or token ids (n, t)."""
    y_columns: Vectors | None
    """The normal scores as networks read them; None for another Y."""

    @property
    def n_classes(self) -> int | None:
        """Number of classes that are each scored; None for a Y without, or of many."""
        if not isinstance(self.target, Classes) or self.target.n_classes > MANY:
            return None
        return self.target.n_classes

    def x_sides(
        self, kinds: Sequence[str], problems: int, width: int, draw: torch.Generator
    ) -> Iterator[tuple[str, XSide]]:
        """F of every kind that this X is read by; vectors by these at most."""
        for view, x in self.vectors.items():
            for name in kinds:
                kind = KINDS[name]
                if self.tokens is not None and name not in _OF_POOLINGS:
                    continue
                if kind.reads(x.columns.shape[1]):
                    told = name if self.tokens is None else f"{view}:{name}"
                    yield told, VectorSide(x, kind, problems, width, draw)
        if self.tokens is not None:
            yield "tokens", TokenSide(self.tokens, problems, width, draw)

    def y_side(
        self, x_side: XSide, problems: int, width: int, draw: torch.Generator
    ) -> YSide | None:
        """G of this Y, of the same kind as f; None for the identity."""
        if self.n_classes is not None:
            return None
        if isinstance(self.target, Classes):
            return ClassVectors(self.target.n_classes, problems, width, draw)
        if self.y_columns is None:
            return AnswerSide(self.y, problems, width, draw)
        kind = x_side.kind if isinstance(x_side, VectorSide) else KINDS["rough"]
        return VectorSide(self.y_columns, kind, problems, width + 1, draw).as_y(draw)


def sides_of(
    x: Float[np.ndarray, "n d"] | HiddenStates,
    target: Classes | Scores | TokenSequences,
    device: str,
    *,
    ends: bool = False,
) -> Sides:
    """X and Y laid out once for all folds and levels; see `Settings.ends`."""
    tokens = tokens_of(x, device) if isinstance(x, HiddenStates) else None
    columns = None
    if isinstance(target, Classes):
        y = torch.from_numpy(target.index)
    elif isinstance(target, Scores):
        scores = normal_scores(varying(target.values))
        columns, y = vectors(scores, device), as_tensor(scores)
    else:
        ids = packed(target).ids
        named = np.unique(ids, return_inverse=True)[1].reshape(ids.shape)
        y = torch.from_numpy(named - int(ids.min() < 0))
    views = vectors_of(x, device, ranked=isinstance(target, Scores))
    if ends and tokens is not None:
        views["ends"] = vectors(ends_of(tokens), device)
    return Sides(views, tokens, target, y.to(device), columns)


def cross_fit(
    settings: Settings,
    sides: Sides,
    split: Split,
    level: int = TOP,
    starts: Sequence[Start] = (),
) -> list[tuple[Ensemble, dict[str, Any]]]:
    """For each fold, an ensemble that never saw it, and a record of its training.

    All folds' networks of a kind are one stack of problems. Of the rows outside a fold,
    some stop the training and weigh the kinds: whole groups of them.

    Args:
        settings: how.
        sides: X and Y of all rows.
        split: which rows learn and which are held out.
        level: of the learning curve.
        starts: what each fold's networks are trained on top of; nothing in MINE.
    """
    seeds = np.random.SeedSequence([split.seed, 5, level])
    rng = np.random.default_rng(seeds)
    pairs = not isinstance(sides.target, Classes)
    learned, watched = [], []
    for k in range(split.n_folds):
        rows = split.rows(k, level=level)
        most = _WATCHED if pairs else None
        chosen = split.watched(rows, settings.watched_share, rng, most=most)
        learned.append(torch.from_numpy(rng.permutation(rows[~chosen])))
        watched.append(torch.from_numpy(rng.permutation(rows[chosen])))
    rows = TrainingRows(
        stacked_rows(learned).to(settings.device), stacked_rows(watched).to(settings.device)
    )
    marginal = _marginal(sides, split, level, settings.device, tuple(starts))
    seed = int(seeds.generate_state(1)[0])
    draw = torch.Generator().manual_seed(seed)
    width = sides.n_classes or settings.pair_features
    terms = settings.value.terms(settings.tau)
    if pairs and settings.value.normalised:
        terms = info_nce
    kinds: dict[str, Statistics] = {}
    courses: dict[str, Course] = {}
    for name, x_side in sides.x_sides(settings.kinds, split.n_folds, width, draw):
        y_side = sides.y_side(x_side, split.n_folds, width, draw)
        network = Statistics(x_side, y_side).to(settings.device)
        objective = OBJECTIVES[settings.objective](settings.average_rate)
        courses[name] = train(
            network, rows, marginal, objective, terms, settings.schedule, draw
        )
        kinds[name] = network
        # Anew: how long one kind was trained is no matter of the next.
        draw.manual_seed(seed + len(kinds))
    made, levelled = [], not settings.value.normalised
    for k in range(split.n_folds):
        found = ensemble(kinds, k, rows.watched[k], marginal, terms, levelled=levelled)
        n_train = len(split.rows(k, level=level))
        made.append((found, _record(found, courses, k) | {"n_train": n_train}))
    return made


def _marginal(
    sides: Sides, split: Split, level: int, device: str, starts: tuple[Start, ...]
) -> Marginal:
    target = sides.target
    if not isinstance(target, Classes):
        return RowMarginal(starts)
    priors = [
        target.log_prior_among(split.rows(k, level=level)) for k in range(split.n_folds)
    ]
    return ClassMarginal(sides.y, as_tensor(np.stack(priors)).to(device), starts)


def _record(found: Ensemble, courses: dict[str, Course], k: int) -> dict[str, Any]:
    """The powers, and the course of the kind with the largest."""
    shares = found.shares
    told = max(shares or courses, key=lambda name: shares.get(name, 0.0))
    course = courses[told]
    start = {} if found.start is None else {"start": found.start.chosen}
    return start | {
        "kinds": shares,
        "kind": told,
        "residual_kept": bool(shares),
        "converged": course.converged,
        "best_epoch": int(course.best_epoch[k]),
        "train": course.train[:, k].tolist(),
        "validation": course.watched[:, k].tolist(),
    }
