"""Parts of a data set that has no official splits, or lacks one."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from mi_probe.errors import InputError
from mi_probe.tasks.task import Task
from mi_probe.tasks.ties import ties

SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1}
"""How data without official splits is cut."""


def cut(
    task: Task,
    shares: Mapping[str, float],
    *,
    seed: int = 0,
    groups: Sequence[Hashable | None] | None = None,
) -> dict[str, Task]:
    """Disjoint parts that together are the task; tied rows stay in one part.

    Rows are tied (`mi_probe.tasks.ties`) where their prompts differ in nothing but case,
    blanks, punctuation and Unicode form, and where they are of one group. Depends on the
    rows, their order, groups and the seed alone, so that who measures cuts as who trained
    did.

    Args:
        task: what to cut.
        shares: a name and a share of the tied rows a part; together 1.
        seed: of the shuffle.
        groups: a name a row, such as the author; None where there is none.

    Raises:
        InputError: unless the shares are positive and together 1, and rows suffice for one
            a part.
    """
    if not shares or min(shares.values()) <= 0 or abs(sum(shares.values()) - 1) > 1e-9:
        raise InputError(f"shares must be positive and together 1; got {dict(shares)}.")
    tied = ties(task.prompts, *(() if groups is None else (groups,)))
    listed: list[list[int]] = [[] for _ in range(tied.max(initial=-1) + 1)]
    for i, number in enumerate(tied):
        listed[number].append(i)
    if len(listed) < len(shares):
        what = "different prompts" if groups is None else "groups of different prompts"
        raise InputError(
            f"task '{task.name}' must have a row for each of {', '.join(shares)}; it has "
            f"{len(listed)} {what}."
        )
    order = np.random.default_rng(seed).permutation(len(listed))
    ends = np.round(np.cumsum(list(shares.values())) * len(listed)).astype(int)
    # A part of few rows is one row at least.
    ends = np.maximum(ends, np.arange(1, len(ends) + 1))
    ends = np.minimum(ends, len(listed) - np.arange(len(ends))[::-1])
    whole = f" of '{task.split}'" if task.split not in ("", "all") else ""
    parts = {}
    for name, chosen in zip(shares, np.split(order, ends[:-1]), strict=True):
        part = task.rows(sorted(i for g in chosen for i in listed[g]))
        note = f"{len(part):,} of {len(task):,} rows{whole}, cut by seed {seed}"
        parts[name] = replace(part, split=name, notes=(*part.notes, note))
    return parts
