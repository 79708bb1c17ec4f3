"""Tasks: data sets that ship in pinned wheels, and the user's own files."""

from mi_probe.tasks.embedded import TASKS, load_task
from mi_probe.tasks.files import read_file
from mi_probe.tasks.task import Task

__all__ = ["TASKS", "Task", "load_task", "read_file"]
