"""Which of a task's rows depend on one another, as estimators are told it."""

from typing import Any

import numpy as np

from mi_probe.contents import digest
from mi_probe.estimators.core.split import Blocks, Groups
from mi_probe.tasks import Task


def groups_of(task: Task) -> Groups | None:
    """Blocks where the rows are ordered, else the named groups, else None."""
    if task.blocks is not None:
        return Blocks(task.blocks)
    return None if task.groups is None else np.asarray(task.groups)


def dependence_key(task: Task) -> dict[str, Any]:
    """What an estimate depends on beside rows and labels; empty of independent rows."""
    if task.blocks is not None:
        return {"blocks": task.blocks}
    return {} if task.groups is None else {"groups": digest(list(task.groups))}
