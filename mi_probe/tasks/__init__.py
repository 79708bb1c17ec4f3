"""Tasks: declared data sets, and the user's own files.

A declared one is read from a pinned wheel, from its original files, or from the hub.
"""

from mi_probe.tasks.catalogue import TASKS as TASKS
from mi_probe.tasks.files import read_table as read_table
from mi_probe.tasks.frames import HUB as HUB
from mi_probe.tasks.load import as_task as as_task
from mi_probe.tasks.load import load_task as load_task
from mi_probe.tasks.splits import load_splits as load_splits
from mi_probe.tasks.task import Task as Task
