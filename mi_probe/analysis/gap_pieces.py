"""Pieces: which gaps and ladders a run measures, what defines each, and its rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from mi_probe.analysis.cells import Job, Subject, states_key
from mi_probe.analysis.conditional_information import Given, conditional
from mi_probe.analysis.dependent_rows import groups_of
from mi_probe.analysis.dpi import dpi_gap
from mi_probe.analysis.gap import Gap, Gaps
from mi_probe.analysis.gap_inputs import DRAWS
from mi_probe.analysis.given import read_as
from mi_probe.analysis.ladders import RUNGS, Rungs, capacity_ladder
from mi_probe.contents import settings_of
from mi_probe.estimators import Estimator
from mi_probe.gap_rows import Compared, GapRow, RungRow
from mi_probe.hidden import HiddenStates
from mi_probe.provenance import code_version, now
from mi_probe.rows import SCHEMA_VERSION
from mi_probe.tasks import Task


@dataclass(frozen=True)
class Asked:
    """What is measured at every site."""

    poolings: tuple[str, ...]
    """Of Z; none where something else is given."""
    estimator: str
    critic: Estimator = field(repr=False)
    """The estimator of that name."""
    given: tuple[str, ...] = ()
    """What else Z is compared with, by name."""
    seeds: tuple[int, ...] = (0,)
    n_draws: int = DRAWS
    sigmas: tuple[float, ...] = (0.0,)
    """Noise before pooling; 0 is the gap itself."""
    capacity: bool = False
    """Climb the ladder of critics too."""
    rungs: Rungs = field(default_factory=lambda: RUNGS, repr=False)


@dataclass(frozen=True, kw_only=True)
class Piece(Job):
    """Gaps, or a ladder of critics, that are measured and kept in one go."""

    kind: str
    """``gap``, of all poolings together or of one C, or ``capacity``, of one pooling."""
    poolings: tuple[str, ...]
    """Of Z, or the name of what else is given."""
    given: bool
    """Whether something else than poolings is given."""
    seed: int
    sigma: float


def pieces(
    fingerprint: Mapping[str, object],
    task: Task,
    asked: Asked,
    *,
    subject: Subject,
    sites: Sequence[str],
    token_set: str = "prompt",
    given: Mapping[str, object] = MappingProxyType({}),
) -> list[Piece]:
    """All pieces, known before anything is captured; one site's after another's.

    Args:
        fingerprint: of the states.
        task: the rows and their Y.
        asked: what is measured.
        subject: whose states they are.
        sites: where.
        token_set: what the positions hold.
        given: what defines each that is given beside the rows themselves, by name.
    """
    common = {
        **states_key(fingerprint, task, subject, token_set),
        "schema_version": SCHEMA_VERSION,
        "model": subject.model,
    }
    return [
        _piece(common, sigma, own, site=site, seed=seed, kind=kind, poolings=poolings)
        for site in sites
        for seed in asked.seeds
        for kind, poolings, sigma, own in _of_a_site(asked, task, given)
    ]


def _of_a_site(
    asked: Asked, task: Task, given: Mapping[str, object]
) -> list[tuple[str, tuple[str, ...], float, dict[str, Any]]]:
    """Kind, poolings and sigma of each piece, and what else defines it."""
    test = {
        "n_draws": asked.n_draws,
        "estimator": asked.estimator,
        "settings": settings_of(asked.critic),
    }
    gaps = [
        ("gap", asked.poolings, sigma, {"sigma": sigma, **test})
        for sigma in asked.sigmas
        if asked.poolings
    ]
    for name in asked.given:
        own = task.columns.get(name)
        known = given.get(name, own and [read_as(own), own])
        gaps.append(("gap", (name,), 0.0, {"given": [name, known], **test}))
    if not asked.capacity:
        return gaps
    rungs = {name: settings_of(one) for name, one in asked.rungs.items()}
    ladders = [
        ("capacity", (pooling,), 0.0, {"rungs": list(rungs.items())})
        for pooling in asked.poolings
    ]
    return gaps + ladders


def _piece(common: Mapping[str, Any], sigma: float, own: Any, **told: Any) -> Piece:
    what = f"sigma {sigma:g}" if sigma else told["kind"]
    return Piece(
        words=f"{told['site']} {','.join(told['poolings'])} {what}",
        key={**common, **told, **own},
        given="given" in own,
        sigma=sigma,
        **told,
    )


def measure_piece(
    piece: Piece,
    z: HiddenStates,
    task: Task,
    asked: Asked,
    *,
    subject: Subject,
    token_set: str = "prompt",
    config_sha: str = "",
    given: Mapping[str, Given] = MappingProxyType({}),
) -> Sequence[Compared]:
    """The rows of a piece, a pooling or a rung each.

    Args:
        piece: one of `pieces`.
        z: the states of the task's rows at its site.
        task: the rows and their Y.
        asked: what `pieces` was given.
        subject: whose states they are.
        token_set: what the positions hold.
        config_sha: the hash of the run's settings.
        given: what else is given, by name.

    Raises:
        InputError: as `dpi_gap`, `conditional` and `capacity_ladder`.
    """
    common: dict[str, Any] = {
        **subject.named(task),
        "site": piece.site,
        "layer": subject.layers[piece.site],
        "token_set": token_set,
        "n": len(task),
        "seed": piece.seed,
        "piece_id": piece.id,
        "code_version": code_version(),
        "config_sha": config_sha,
    }
    if piece.kind == "capacity":
        return _rungs(piece, z, task, asked, common)
    gaps = _gaps(piece, z, task, asked, given)
    return [_gap_row(gap, asked, common) for gap in gaps]


def _gaps(
    piece: Piece, z: HiddenStates, task: Task, asked: Asked, given: Mapping[str, Given]
) -> Gaps | list[Gap]:
    told: dict[str, Any] = {
        "estimator": asked.critic,
        "groups": groups_of(task),
        "seed": piece.seed,
        "n_draws": asked.n_draws,
    }
    if not piece.given:
        poolings = list(piece.poolings)
        return dpi_gap(z, task.labels, pooling=poolings, sigma=piece.sigma, **told)
    (name,) = piece.poolings
    return [conditional(z, task.labels, given[name], name=name, **told)]


def _gap_row(gap: Gap, asked: Asked, common: dict[str, Any]) -> GapRow:
    row = gap.table().iloc[0]
    return GapRow(
        **common,
        **_values(row),
        pooling=gap.pooling,
        given=gap.given,
        H_Y_nats=gap.full.entropy_y,
        verdict=gap.verdict,
        created=now(),
        sigma=gap.sigma,
        full_low=gap.full.ci[0],
        full_high=gap.full.ci[1],
        pooled_low=gap.pooled.ci[0],
        pooled_high=gap.pooled.ci[1],
        p_value=gap.p_value,
        p_holm=gap.p_holm,
        smallest_shown=gap.smallest_shown,
        learned_on=gap.learned_on,
        n_draws=asked.n_draws,
        reading=gap.reading,
        status=str(row["status"]),
        estimator=asked.estimator,
    )


def _rungs(
    piece: Piece, z: HiddenStates, task: Task, asked: Asked, common: dict[str, Any]
) -> Sequence[Compared]:
    (pooling,) = piece.poolings
    ladder = capacity_ladder(
        z,
        task.labels,
        pooling=pooling,
        groups=groups_of(task),
        seed=piece.seed,
        rungs=asked.rungs,
    )
    shares = np.bincount(task.labels) / len(task)
    entropy = float(-sum(p * np.log(p) for p in shares if p))
    return [
        RungRow(
            **common,
            **_values(row),
            full_low=_number(row["full_low"]),
            full_high=_number(row["full_high"]),
            pooled_low=_number(row["pooled_low"]),
            pooled_high=_number(row["pooled_high"]),
            pooling=pooling,
            H_Y_nats=entropy,
            verdict=ladder.verdict,
            created=now(),
            rung=str(row["rung"]),
            capacity=place,
            chosen=row["rung"] == ladder.chosen,
            added_nats=_number(row["step"]),
            added_low=_number(row["step_low"]),
            added_high=_number(row["step_high"]),
            saturated=bool(ladder.saturated),
        )
        for place, row in enumerate(ladder.table.to_dict("records"))
    ]


def _values(row: Any) -> dict[str, Any]:
    """What the tables of gaps and of ladders have in common."""
    return {
        "full_nats": float(row["full"]),
        "pooled_nats": float(row["pooled"]),
        "gap_nats": float(row["gap"]),
        "stderr_nats": float(row["stderr"]),
        "ci_low": _number(row["low"]),
        "ci_high": _number(row["high"]),
    }


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
