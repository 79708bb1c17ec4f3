"""What settings name, opened: checkpoints, the rows of a task, one model with its rows."""

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TypeVar

from mi_probe.analysis.made_states import MadeStates, is_store, open_made
from mi_probe.analysis.measurables import How, Measurable, expand, open_model
from mi_probe.analysis.trained_systems import open_trained
from mi_probe.backbones.folders import find_folder, split_layers
from mi_probe.errors import InputError
from mi_probe.predgen.checkpoints import check_files, is_checkpoint
from mi_probe.run_settings import ReadSettings, RunSettings
from mi_probe.tasks import TASKS, Task, load_task, read_table

_OF_A_MODEL = (
    *("batch_size", "dtype", "device", "revision", "local_files_only"),
    *("max_tokens", "chat_template"),
)
"""Settings of how a model is run."""
Opened = TypeVar("Opened", Measurable, MadeStates)


def checkpoint_names(settings: RunSettings) -> list[str]:
    """Each model that is asked for, once, in order; a training's series one by one."""
    given = settings.checkpoints
    names = [name for one in given for name in expand(one, series=settings.series)]
    return list(dict.fromkeys(names))


def find_all(settings: RunSettings, names: Sequence[str]) -> None:
    """See that each model is there: a mistyped third should not wait for two others.

    Raises:
        InputError: if one is not.
    """
    stores = [name for name in names if is_store(name)]
    if stores == [*names]:
        _refuse_given(settings, _OF_A_MODEL, stores[0])
    for name in names:
        if name in stores:
            continue
        if is_checkpoint(name):
            check_files(name)
            continue
        find_folder(
            split_layers(name)[0],
            revision=settings.revision,
            local_files_only=settings.local_files_only,
        )


def open_measurable(
    settings: RunSettings, name: str, task: Task | None, *, write: bool = True
) -> Measurable | MadeStates:
    """A trained system with its own rows, another model on the task, or a store.

    Args:
        settings: of a command.
        name: one of `checkpoint_names`.
        task: what `read_task` gave.
        write: let the model write answers, which may take long.

    Raises:
        InputError: as `open_trained`, `open_model` and `open_made` do.
    """
    if is_store(name):
        assert task is not None
        if set(settings.chosen_sets() or ("prompt",)) != {"prompt"}:
            raise InputError(
                f"token-sets of states that are there already must be 'prompt'; got "
                f"{', '.join(settings.chosen_sets() or ())} for '{name}'. Leave them out."
            )
        return _dependent(open_made(name, task), settings)
    how = How(
        token_sets=settings.chosen_sets(),
        max_tokens=settings.max_tokens,
        batch_size=settings.batch_size,
        dtype=settings.dtype,
        device=settings.device,
        revision=settings.revision,
        local_files_only=settings.local_files_only,
        folder=Path(settings.out),
        answers=settings.asks_answers(),
        write=write,
        chat_template=settings.chat_template,
    )
    if not is_checkpoint(name):
        assert task is not None
        return _dependent(open_model(name, how, task), settings)
    found = open_trained(
        name,
        how,
        task=None if settings.data is None else task,
        task_name=settings.task,
        split=settings.split,
        data_folder=settings.data_folder,
        rows=settings.rows if settings.data is None else None,
        rows_seed=settings.rows_seed,
    )
    return _dependent(found, settings)


def _dependent(model: Opened, settings: RunSettings) -> Opened:
    """The model with its rows' blocks, or their groups and copies."""
    task = model.task
    if settings.blocks is not None:
        return replace(model, task=replace(task, blocks=settings.blocks))
    return replace(model, task=task.grouped())


def read_task(settings: ReadSettings, names: Sequence[str]) -> Task | None:
    """The declared task or the user's file; None where each checkpoint has its own.

    Args:
        settings: of the command.
        names: the models.

    Raises:
        InputError: unless exactly one of the two is asked for; and as the readers do.
    """
    untrained = [name for name in names if not is_checkpoint(name)]
    if not untrained and settings.data is None:
        own = ("text_column", "id_column", "group_column", "label_kind", "quoting")
        why = "must be left out for trained checkpoints, which are measured on what they "
        why += "were trained to read; got '{got}'."
        _refuse(settings, ("template", *own, "encoding"), why)
        return None
    if (settings.task is None) == (settings.data is None):
        got = "neither" if settings.task is None else "both"
        raise InputError(
            f"one of task and data must be given; got {got}. --task is one of "
            f"{', '.join(TASKS)}; --data FILE is your own. Only a checkpoint that "
            f"`python -m mi_probe.train` wrote knows its task; "
            f"{', '.join(map(repr, untrained[:1])) or 'none here'} is none."
        )
    if settings.task is not None:
        why = "belongs to your own file, --data FILE; a declared task knows its own."
        _refuse(settings, ("group_column", "quoting", "encoding"), f"{why} Leave it out.")
    else:
        why = "belongs to a declared task, --task; with --data FILE, that file is all there"
        _refuse(settings, ("data_folder", "split"), f"{why} is. Leave it out.")
    # A shell hands a backslash and an n on; nobody means these two by it.
    template = settings.template and settings.template.replace("\\n", "\n")
    if settings.task is not None:
        task = load_task(
            settings.task,
            template=template,
            split=settings.split,
            data_folder=settings.data_folder,
        )
    else:
        task = read_table(
            settings.data or "",
            settings.text_column,
            settings.label_column,
            id_column=settings.id_column,
            group_column=settings.group_column,
            kept_columns=settings.kept_columns(),
            template=template,
            label_kind=settings.label_kind,
            quoting=settings.quoting,
            encoding=settings.encoding,
        )
    if settings.rows is not None:
        task = task.sample(settings.rows, seed=settings.rows_seed)
    return task


def _refuse_given(settings: RunSettings, options: Sequence[str], store: str) -> None:
    """Refuse options of a model, where none is run."""
    usual = {field.name: field.default for field in fields(settings)}
    for option in options:
        if (got := getattr(settings, option)) != usual[option]:
            raise InputError(
                f"{option.replace('_', '-')} belongs to a model that is run; '{store}' "
                f"holds states that are there already, and got {got!r}. Leave it out."
            )


def _refuse(settings: ReadSettings, options: Sequence[str], why: str) -> None:
    """Refuse options that are given, and say why."""
    for option in options:
        if (got := getattr(settings, option)) is not None:
            raise InputError(f"{option.replace('_', '-')} {why.format(got=got)}")
