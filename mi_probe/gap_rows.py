"""The rows of gaps and of ladders of critics; see `mi_probe.analysis.gap_tables`."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Compared:
    """Columns that the rows of all tables share. Values are in nats; None is empty."""

    subject: str
    """The model, as the user named it."""
    objective: str
    step: int | None
    """Optimiser steps, of a ``checkpoint-<step>``."""
    revision: str | None
    adapter: str | None
    parity: str | None = None
    """Whether states that were made elsewhere are the model's own; as in `Row`."""
    task: str
    split: str
    target: str
    """What Y is, in words."""
    site: str
    layer: int | None
    token_set: str
    pooling: str
    full_nats: float | None
    """I(Y;Z)."""
    pooled_nats: float | None
    """I(Y;Z_p)."""
    gap_nats: float | None
    """Their paired difference."""
    stderr_nats: float | None
    """Of the gap."""
    ci_low: float | None
    ci_high: float | None
    """The gap's 95 % interval."""
    full_low: float | None
    full_high: float | None
    pooled_low: float | None
    pooled_high: float | None
    """The 95 % intervals of the two values."""
    verdict: str
    n: int
    seed: int
    H_Y_nats: float | None
    piece_id: str
    code_version: str
    config_sha: str
    created: str


@dataclass(frozen=True, kw_only=True)
class GapRow(Compared):
    """A gap of one pooling, or of something else that is given, without or with noise."""

    given: str
    """Symbol of what is given: Z_mean for a pooling, or the name of C."""
    sigma: float
    p_value: float | None
    """Of Y independent of Z given Z_p or C, by conditional randomisation."""
    p_holm: float | None
    """The same, corrected for the sites and poolings measured together."""
    smallest_shown: float | None
    """Gap in nats that these rows would show in 80 % of draws; empty where not known."""
    learned_on: int
    """Rows of ``n`` that taught a learned pooling, and are not measured; else 0."""
    n_draws: int
    reading: str
    status: str
    estimator: str


@dataclass(frozen=True, kw_only=True)
class RungRow(Compared):
    """A gap of one pooling by one critic; the verdict is the whole ladder's."""

    rung: str
    capacity: int
    """The rung's place, from 0."""
    chosen: bool
    """Whether it is the one chosen on other rows than those it is reported on."""
    added_nats: float | None
    """What it adds to I(Y;Z) over the rung below."""
    added_low: float | None
    added_high: float | None
    saturated: bool
