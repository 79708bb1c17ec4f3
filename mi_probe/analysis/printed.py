"""Result rows, sizes and durations as a terminal shows them."""

import re
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from mi_probe.analysis.timing import Timing
from mi_probe.facts import fixed
from mi_probe.tasks import Task


def heading(model: str, task: Task, notes: Sequence[str]) -> str:
    """What is measured on what: n, Y, H(Y) in nats, and what was done to the rows."""
    line = f"{model} on {task.name}: n = {len(task)}; Y: {task.target}"
    if task.label_names is not None:
        counts = np.bincount(task.labels)
        shares = counts[counts > 0] / len(task)
        line += f"; H(Y) = {-(shares * np.log(shares)).sum():.4f} nats"
    return "\n".join([line, *(f"  note: {note}" for note in (*task.notes, *notes))])


def format_scores(scores: Mapping[str, float]) -> str:
    """Metrics of a system in one line: ``accuracy 0.913, macro_f1 0.912``."""
    return ", ".join(
        f"{name.replace('_', ' ')} {_number(value)}" for name, value in scores.items()
    )


def format_table(rows: pd.DataFrame) -> str:
    """Result rows for a terminal: nats, with interval, null, share of H(Y), status.

    `n -> inf` is the extrapolated value, or after `>=` the lower end of its interval,
    where the value is at least that; `network` says in how many folds the trained network
    was used, and not only its start. Notes on the rows follow, each kind once.
    """
    several = bool((rows["token_set"] != "prompt").any())
    controls = bool(rows["control"].notna().any())
    before = [*(["control"] if controls else []), *(["tokens"] if several else [])]
    lines: list[tuple[str, ...]] = [
        (*before, "site", "layer", "view", "estimator")
        + ("seed", "nats", "95% interval")
        + ("n -> inf", "null high", "p", "of H(Y)", "network", "status")
    ]
    for row in rows.to_dict("records"):
        share = row["value_nats"] / row["H_Y_nats"]  # nan where either is
        lines.append(
            (
                *([_control(row["control"])] if controls else []),
                *([str(row["token_set"])] if several else []),
                str(row["site"]),
                "-" if pd.isna(row["layer"]) else str(row["layer"]),
                str(row["view"]),
                str(row["estimator"]),
                str(row["seed"]),
                _number(row["value_nats"]),
                f"{_number(row['ci_low'])} .. {_number(row['ci_high'])}",
                _extrapolated(row),
                _number(row["null_high"]),
                _number(row["p_value"]),
                "-" if pd.isna(share) else f"{fixed(100 * share, 0)}%",
                _network(row["critic"]),
                str(row["status"]),
            )
        )
    first = len(before)
    left = {at + first for at in (0, 2, 3, 12)} | {*range(first)}
    return "\n".join([_aligned(lines, left), *_notes(rows)])


def _control(name: Any) -> str:
    return "-" if pd.isna(name) else str(name)


def format_controls(parts: Sequence[Any]) -> str:
    """What a dry run says of controls: how many estimates, a line each.

    Args:
        parts: with ``control``, ``todo`` and ``missing``; see `mi_probe.parts.Part`.
    """
    lines = ["  controls:"]
    for part in parts:
        done = len(part.todo) - len(part.missing)
        tokens = part.capture.token_set if part.capture else "prompt"
        count = f"{len(part.todo)} estimates, {done} finished"
        lines.append(f"    {part.control} ({tokens}): {count}")
    return "\n".join(lines)


def _notes(rows: pd.DataFrame) -> list[str]:
    """A line a kind of note; those that differ in numbers alone are of one kind."""
    kinds: dict[str, list[str]] = {}
    for note in rows["notes"].dropna():
        kinds.setdefault(re.sub(r"\d+", "", note), []).append(note)
    return [f"note on {len(of)} of {len(rows)}: {of[0]}" for of in kinds.values()]


def format_gaps(
    gaps: Sequence[Mapping[str, Any]], rungs: Sequence[Mapping[str, Any]]
) -> str:
    """Gaps, and rungs of ladders of critics, for a terminal; then what they come to.

    Args:
        gaps: rows of `mi_probe.gap_rows.GapRow`.
        rungs: rows of `mi_probe.gap_rows.RungRow`.
    """
    tables = []
    for rows, axis in ((gaps, "sigma"), (rungs, "rung")):
        if not rows:
            continue
        lines: list[tuple[str, ...]] = [
            ("site", "tokens", "given", axis, "seed", "I(Y;Z)", "I(Y;given)", "gap")
            + ("95% interval", "p (Holm)" if axis == "sigma" else "chosen")
        ]
        for row in rows:
            p = row.get("p_holm")
            p = row.get("p_value") if p is None else p
            last = _number(p) if axis == "sigma" else "*" * row["chosen"]
            lines.append(
                (
                    str(row["site"]),
                    str(row["token_set"]),
                    str(row["pooling"]),
                    f"{row[axis]:g}" if axis == "sigma" else str(row[axis]),
                    str(row["seed"]),
                    *(_number(row[f"{name}_nats"]) for name in ("full", "pooled", "gap")),
                    f"{_number(row['ci_low'])} .. {_number(row['ci_high'])}",
                    last,
                )
            )
        verdicts = dict.fromkeys(row["verdict"] for row in rows)
        tables.append("\n".join([_aligned(lines, left={0, 1, 2, 3}), *verdicts]))
    return "\n".join(tables)


def format_comparisons(table: pd.DataFrame, most: int = 40) -> str:
    """Paired comparisons for a terminal, in nats; of many those with the smallest p.

    Args:
        table: of `mi_probe.analysis.comparisons.compare_results`.
        most: rows shown.
    """
    rows = table.to_dict("records")
    order = sorted(range(len(rows)), key=lambda i: rows[i]["p_value"])[:most]
    lines: list[tuple[str, ...]] = [
        ("between", "a", "b", "of", "a - b", f"{100 * rows[0]['level']:g}% interval")
        + ("p", "Holm", "FDR", "over")
    ]
    for row in (rows[i] for i in sorted(order)):
        flag = "" if row["status"] == "ok" else f" ({row['status']})"
        lines.append(
            (
                *(str(row[name]) for name in ("between", "a", "b", "same")),
                _number(row["difference_nats"]),
                f"{_number(row['ci_low'])} .. {_number(row['ci_high'])}",
                *(_number(row[name]) for name in ("p_value", "p_holm", "p_fdr")),
                f"{row['over']}{flag}",
            )
        )
    said = [_aligned(lines, left={0, 1, 2, 3, 9})]
    shown, found = (sum(row[p] <= 0.05 for row in rows) for p in ("p_holm", "p_fdr"))
    said.append(
        f"{shown} of {len(table)} differences are shown at 5 % with one false among all "
        f"as rare as that (Holm); {found} at a false discovery rate of 5 %."
    )
    if len(table) > most:
        said.append(f"The {most} with the smallest p are printed.")
    if any(row["between"] in ("checkpoint", "system") for row in rows):
        said.append(
            "Checkpoints are different networks: the data processing inequality, which "
            "compares Z with g(Z) of one, says nothing of them."
        )
    return "\n".join(said)


def _aligned(lines: Sequence[tuple[str, ...]], left: set[int]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i in left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _network(critic: object) -> str:
    """'1/5' of 'network kept in 1 of 5 folds'."""
    return "/".join(re.findall(r"\d+", str(critic))) or "-"


def _extrapolated(row: Mapping[Hashable, Any]) -> str:
    if row["extrapolated_claim"] == "at_least":
        return f">= {_number(row['extrapolated_low'])}"
    return _number(row["extrapolated_nats"])


def _number(value: float | None) -> str:
    return "-" if value is None or pd.isna(value) else fixed(value)


def format_bytes(size: int | float) -> str:
    """A size as a person reads it."""
    units = ["bytes", "kB", "MB", "GB", "TB"]
    while size >= 1000 and len(units) > 1:
        size, units = size / 1000, units[1:]
    return f"{size:.0f} bytes" if units[0] == "bytes" else f"{size:.1f} {units[0]}"


def format_duration(seconds: int | float) -> str:
    """A duration as a person reads it."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"


def format_timings(
    timings: Mapping[tuple[str, str], Timing | None],
    wanted: Sequence[tuple[str, str]],
    *,
    rows: int,
    runs: int,
    jobs: int,
    threads: int,
) -> str:
    """What estimates will take: a line an estimator and kind of states, and the sum.

    Args:
        timings: by estimator and kind of states.
        wanted: the same pair of each estimate to be made.
        rows: of the task.
        runs: of the estimator, an estimate.
        jobs: processes at once.
        threads: of each.
    """
    known = {pair: timing for pair, timing in timings.items() if timing}
    lines = [
        f"    {name}, {kind}: cannot be timed on a part of the rows"
        for name, kind in timings.keys() - known.keys()
    ]
    for (name, kind), timing in known.items():
        few = timing.timed_rows < rows
        how = f"from {timing.timed_rows} of {rows} rows" if few else "timed"
        duration = format_duration(timing.seconds)
        lines.append(f"    {name}, {kind}: about {duration} a run ({how})")
    total = sum(known[pair].seconds for pair in wanted if pair in known)
    lines.append(
        f"    together about {format_duration(total * runs / jobs)} with {jobs} "
        f"job{'s' * (jobs > 1)} of {threads} thread{'s' * (threads > 1)}; assumes that "
        "real states take as long as random ones, that jobs do not slow each other, and "
        "that nothing is shared between estimates"
    )
    return "\n".join(lines)
