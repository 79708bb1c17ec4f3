"""Tasks: declared data sets, and the user's own files.

A declared one is read from a pinned wheel, from its original files, or from the hub.
"""

from mi_probe.tasks.catalogue import TASKS
from mi_probe.tasks.files import read_table
from mi_probe.tasks.frames import HUB
from mi_probe.tasks.load import as_task, load_task
from mi_probe.tasks.splits import load_splits
from mi_probe.tasks.task import Task

__all__ = ["HUB", "TASKS", "Task", "as_task", "load_splits", "load_task", "read_table"]
