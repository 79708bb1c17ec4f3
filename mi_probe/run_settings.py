"""What every command that measures checkpoints is told: models, rows, token sets, where to.

`checkpoint_names` lists the models, `read_task` gives the rows of a declared task or of the
user's file, and `open_measurable` puts one model and its rows together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from mi_probe.analysis.measurables import (
    MAX_TOKENS,
    How,
    Measurable,
    expand,
    open_model,
)
from mi_probe.analysis.trained_systems import open_trained
from mi_probe.backbones.folders import find_folder, split_layers
from mi_probe.command_line import about, listed
from mi_probe.errors import InputError
from mi_probe.predgen.checkpoints import check_files, is_checkpoint
from mi_probe.predgen.inference import TOKEN_SETS
from mi_probe.tasks import TASKS, Task, load_task, read_table


@dataclass(frozen=True)
class RunSettings:
    """Settings that these commands share; each adds its own."""

    checkpoints: str | list[str] = about(
        "models: a Hugging Face id, a folder, an adapter, a training's folder (each of its "
        "checkpoint-*, and its final model), or an embedded one; usually given bare",
        [],
    )
    series: bool = about(
        "of a training's folder each checkpoint-*, and not its final model alone", True
    )
    task: str | None = about(
        f"a declared data set: {', '.join(TASKS)}; a checkpoint that "
        "`python -m mi_probe.train` wrote knows its own, and the rows it was not trained on"
    )
    data_folder: str | None = about(
        "the folder, or a file, with the task's original files; not needed for the "
        f"embedded: {', '.join(name for name, entry in TASKS.items() if entry.wheel)}"
    )
    split: str | None = about(
        "of the task; by default the one that papers report on, or what a training reserved"
    )
    data: str | None = about(
        "your own .csv, .tsv, .jsonl, .json or .parquet file, or hf:ID[:configuration"
        "[:split]], a data set of the hub"
    )
    text_column: str | None = about("its column with the text ('text')")
    label_column: str = about("its column with Y", "label")
    id_column: str | None = about("its column with a unique name a row")
    group_column: str | None = about(
        "its column that says which rows depend on each other: the document, speaker or "
        "question they are of; such rows are held out together"
    )
    blocks: int | None = about(
        "rows in an order that matters, such as time, are held out in so many blocks"
    )
    quoting: Literal["standard", "none"] | None = about(
        "of CSV and TSV: 'none' where quotation marks are characters like any other; by "
        "default 'standard', and what looks like rows that one swallowed is refused"
    )
    encoding: str | None = about("of its text, such as cp1252; by default UTF-8")
    label_kind: Literal["classes", "scores"] | None = about(
        "what the labels are; by default read off them"
    )
    template: str | None = about(r"the prompt, such as 'Review: {text}\nSentiment:'")
    chat_template: bool = about(
        "put prompts into the chat template that an instruct model's tokenizer brings; a "
        "checkpoint that `python -m mi_probe.train` wrote knows its own",
        False,
    )
    rows: int | None = about("how many rows to draw; all by default")
    rows_seed: int = about("seed of that draw", 0)
    max_tokens: int | None = about(
        "longer prompts lose their middle, and are counted; by default "
        f"{MAX_TOKENS}, or as in training"
    )
    batch_size: int = about("rows a forward pass", 16)
    dtype: str = about("of the model's weights: float32, bfloat16 or float16", "float32")
    device: str = about("'cpu', 'cuda', ...", "cpu")
    revision: str | None = about("branch, tag or commit of a Hugging Face id")
    local_files_only: bool = about("never look for a model on the network", False)
    out: str = about("the results folder; finished rows in it are kept", "results/run")
    keep_activations: bool = about("leave the hidden states in OUT/activations", True)

    def chosen_sets(self) -> tuple[str, ...] | None:
        """The token sets asked for; None where each model has those of its kind."""
        return None

    def asks_answers(self) -> bool:
        """Whether a model is to be asked what it says of each label."""
        return False

    def kept_columns(self) -> tuple[str, ...]:
        """Columns of a user's file that the task keeps beside text and labels."""
        return ()


@dataclass(frozen=True)
class SeveralSets(RunSettings):
    """And of those that measure several token sets of a model."""

    token_sets: str | list[str] | None = about(
        f"whose states: {','.join(TOKEN_SETS)}. 'generated' are those that the model "
        "wrote itself; by default all three of a trained system that writes, else 'prompt'"
    )

    def chosen_sets(self) -> tuple[str, ...] | None:
        """As they were listed.

        Raises:
            InputError: on one that is none, or comes twice.
        """
        if not self.token_sets:
            return None
        return How(tuple(listed(self.token_sets, "token-sets"))).token_sets


def check_run(settings: RunSettings, least: Mapping[str, int], program: str) -> None:
    """Check what needs neither data nor model.

    Args:
        settings: of a command.
        least: of its own numbers, by field.
        program: what the user typed to run it.

    Raises:
        InputError: on a number below its least, or no checkpoint.
    """
    shared = {"rows": 1, "blocks": 2, "max_tokens": 1, "batch_size": 1}
    for name, lowest in {**shared, **least}.items():
        value = getattr(settings, name)
        if value is not None and value < lowest:
            option = name.replace("_", "-")
            raise InputError(f"{option} must be at least {lowest}; got {value}.")
    if settings.blocks is not None and settings.group_column is not None:
        raise InputError(
            "blocks and group-column must not both be given: rows depend on one another by "
            f"their order or by name; got {settings.blocks} and "
            f"'{settings.group_column}'. Leave one out."
        )
    check_seeds("rows-seed", [settings.rows_seed])
    if not settings.checkpoints:
        raise InputError(
            "checkpoints must name at least one model; got none. For instance: "
            f"{program} smollm2-135m --task sst2"
        )


def check_seeds(name: str, seeds: Sequence[int]) -> None:
    """Raise unless each can be kept in a table.

    Raises:
        InputError: at the first that is below 0, or has more than 63 bits.
    """
    for seed in seeds:
        if not 0 <= seed < 2**63:
            raise InputError(f"{name} must lie in 0 ... {2**63 - 1}; got {seed}.")


def chosen_sites(sites: Any) -> str | list[str]:
    """``all``, or the sites as they were listed.

    Raises:
        InputError: if there is none, or one comes twice.
    """
    found = listed(sites, "sites")
    return "all" if found == ["all"] else found


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
    for name in names:
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
) -> Measurable:
    """A checkpoint of a trained system with its own rows, or any other model on the task.

    Args:
        settings: of a command.
        name: one of `checkpoint_names`.
        task: what `read_task` gave.
        write: let the model write answers, which may take long.

    Raises:
        InputError: as `open_trained` and `open_model` do.
    """
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


def _dependent(model: Measurable, settings: RunSettings) -> Measurable:
    """The model with its rows' blocks, or their groups and copies."""
    task = model.task
    if settings.blocks is not None:
        return replace(model, task=replace(task, blocks=settings.blocks))
    return replace(model, task=task.grouped())


def read_task(settings: RunSettings, names: Sequence[str]) -> Task | None:
    """The declared task or the user's file; None where each checkpoint has its own.

    Args:
        settings: of the command.
        names: the models.

    Raises:
        InputError: unless exactly one of the two is asked for; and as the readers do.
    """
    untrained = [name for name in names if not is_checkpoint(name)]
    if not untrained and settings.data is None:
        _check_own(settings)
        return None
    if (settings.task is None) == (settings.data is None):
        got = "neither" if settings.task is None else "both"
        raise InputError(
            f"one of task and data must be given; got {got}. --task is one of "
            f"{', '.join(TASKS)}; --data FILE is your own. Only a checkpoint that "
            f"`python -m mi_probe.train` wrote knows its task; "
            f"{', '.join(map(repr, untrained[:1])) or 'none here'} is none."
        )
    for option in ("group_column", "quoting", "encoding"):
        if settings.task is not None and getattr(settings, option) is not None:
            raise InputError(
                f"{option.replace('_', '-')} belongs to your own file, --data FILE; a "
                "declared task knows its own. Leave it out."
            )
    for option in ("data_folder", "split"):
        if settings.task is None and getattr(settings, option) is not None:
            raise InputError(
                f"{option.replace('_', '-')} belongs to a declared task, --task; with "
                "--data FILE, that file is all there is. Leave it out."
            )
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


def _check_own(settings: RunSettings) -> None:
    """Refuse what says how a file or a task is read, where checkpoints say so."""
    own = ("text_column", "id_column", "group_column", "label_kind", "quoting", "encoding")
    for option in ("template", *own):
        if getattr(settings, option) is not None:
            raise InputError(
                f"{option.replace('_', '-')} must be left out for trained checkpoints, "
                "which are measured on what they were trained to read; got "
                f"'{getattr(settings, option)}'."
            )
