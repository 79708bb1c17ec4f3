"""Parts of a data set that has no official splits, or lacks one."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from mi_probe.errors import InputError
from mi_probe.tasks.task import Task

SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1}
"""How data without official splits is cut."""


def cut(task: Task, shares: Mapping[str, float], *, seed: int = 0) -> dict[str, Task]:
    """Disjoint parts that together are the task; equal prompts stay in one part.

    Depends on the rows, their order and the seed alone, so that who measures cuts as who
    trained did. Nothing else ties rows here: those that share an author or a headline may
    lie in different parts.

    Args:
        task: what to cut.
        shares: a name and a share of the rows a part; together 1.
        seed: of the shuffle.

    Raises:
        InputError: unless the shares are positive and together 1, and rows suffice for one
            a part.
    """
    if not shares or min(shares.values()) <= 0 or abs(sum(shares.values()) - 1) > 1e-9:
        raise InputError(f"shares must be positive and together 1; got {dict(shares)}.")
    groups: dict[str, list[int]] = {}
    for i, prompt in enumerate(task.prompts):
        groups.setdefault(prompt, []).append(i)
    if len(groups) < len(shares):
        raise InputError(
            f"task '{task.name}' must have a row for each of {', '.join(shares)}; it has "
            f"{len(groups)} different prompts."
        )
    listed = list(groups.values())
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
