"""What a finished training leaves: its chosen checkpoint as the folder's own model."""

import os
import shutil
from pathlib import Path

from mi_probe.atomic import write_atomically
from mi_probe.contents import sealed
from mi_probe.predgen.checkpoints import PREDGEN_CONFIG, load_checkpoint, read_config
from mi_probe.predgen.encoding import Rows
from mi_probe.predgen.kept_answers import answers_key, kept_answers
from mi_probe.predgen.resumption import (
    CHECKED,
    ONLY_TO_RESUME,
    STATE,
    checkpoints,
    drop_resumption,
)
from mi_probe.predgen.validation import answers_and_loss
from mi_probe.tasks import Task


def finish(
    folder: Path,
    *,
    step: int | None,
    task: Task,
    rows: Rows,
    batch_size: int,
    device: str,
) -> None:
    """The chosen checkpoint becomes the folder's own model, scored on the reserved rows.

    Args:
        folder: of the training.
        step: of the chosen checkpoint; None, or one that is gone, is the last one.
        task: the reserved rows.
        rows: the same, encoded.
        batch_size: rows a forward pass.
        device: of the scoring.
    """
    there = dict(checkpoints(folder))
    source = there[step if step in there else max(there)]
    config = read_config(source)
    place = folder / ".final"
    shutil.rmtree(place, ignore_errors=True)
    left_out = (*ONLY_TO_RESUME, CHECKED, STATE, PREDGEN_CONFIG)
    shutil.copytree(source, place, ignore=shutil.ignore_patterns(*left_out))
    chosen = load_checkpoint(source, device=device)
    answers, loss = answers_and_loss(chosen.system, task, rows, batch_size=batch_size)
    config["metrics"]["test"] = {"loss": loss, **answers.scores(task)}
    # Kept, so that measuring this model need not write them again.
    kept_answers(folder, task, answers_key(chosen, task, rows), lambda: answers)
    for path in place.iterdir():
        os.replace(path, folder / path.name)
    place.rmdir()
    write_atomically(folder / PREDGEN_CONFIG, sealed(config))
    drop_resumption(folder)
