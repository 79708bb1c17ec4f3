"""Every declared task."""

from mi_probe.tasks.classification import CLASSIFICATION_TASKS
from mi_probe.tasks.entry import Entry
from mi_probe.tasks.regression import REGRESSION_TASKS

TASKS: dict[str, Entry] = {**CLASSIFICATION_TASKS, **REGRESSION_TASKS}
