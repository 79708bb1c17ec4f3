"""What commands that measure are told: rows, models, tokens, how to run, where to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mi_probe.analysis.measurables import (
    MAX_TOKENS,
    How,
)
from mi_probe.division import shard_of
from mi_probe.errors import InputError
from mi_probe.memory import DEFAULT, size_of
from mi_probe.options import about, listed
from mi_probe.predgen.inference import TOKEN_SETS
from mi_probe.tasks import TASKS


@dataclass(frozen=True)
class ReadSettings:
    """What is read: rows with a target, and how a model reads them."""

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
    dtype: str = about("of the model's weights: float32, bfloat16 or float16", "float32")
    device: str = about("'cpu', 'cuda', ...; 'auto': all, for a large model", "cpu")
    revision: str | None = about("branch, tag or commit of a Hugging Face id")
    local_files_only: bool = about("never look for a model on the network", False)

    def kept_columns(self) -> tuple[str, ...]:
        """Columns of a user's file that the task keeps beside text and labels."""
        return ()


@dataclass(frozen=True)
class RunSettings(ReadSettings):
    """What is run, by the commands that measure checkpoints; each adds its own."""

    checkpoints: str | list[str] = about(
        "models: a Hugging Face id, a folder, an adapter, a training's folder (each of its "
        "checkpoint-*, and its final model), or an embedded one; usually given bare",
        [],
    )
    series: bool = about(
        "of a training's folder each checkpoint-*, and not its final model alone", True
    )
    blocks: int | None = about(
        "rows in an order that matters, such as time, are held out in so many blocks"
    )
    batch_size: int = about("rows a forward pass", 16)
    out: str = about("the results folder; finished rows in it are kept", "results/run")
    keep_activations: bool = about("leave the hidden states in OUT/activations", True)
    jobs: int = about("processes that measure, each another site", 1)
    threads: int | None = about(
        "CPU threads, shared among the jobs while measuring; by default as torch finds "
        "it. Same seed and threads a job, same number"
    )
    memory: str = about(
        "of a job, above the model and the imports: the states of one site, and what an "
        "estimate makes of them, stay on the disk where they need more",
        DEFAULT,
    )
    engine: str = about(
        "'local', or dask://HOST:PORT of a cluster on this disk, whose workers measure",
        "local",
    )
    shard: str | None = about(
        "'2/4' begins with the second of every four pieces of the capture and measures "
        "the second of every four sites, beside other runs of the same command; by default "
        "what torchrun or 'accelerate launch' set. The hidden states are left in "
        "OUT/activations"
    )
    dry_run: bool = about("say what it would take, and write nothing", False)

    def trackers(self) -> list[str]:
        """Where values go beside the files."""
        return []

    def chosen_sets(self) -> tuple[str, ...] | None:
        """The token sets asked for; None where each model has those of its kind."""
        return None

    def asks_answers(self) -> bool:
        """Whether a model is to be asked what it says of each label."""
        return False


@dataclass(frozen=True)
class SeveralSets(RunSettings):
    """And of those that measure several token sets of a model."""

    token_sets: str | list[str] | None = about(
        f"whose states: {','.join(TOKEN_SETS)}. 'generated' are those that the model "
        "wrote itself; by default all three of a trained system that writes, else 'prompt'"
    )
    report_to: str | list[str] = about(
        "trackers that the values go to as well, where installed: wandb, trackio, "
        "tensorboard",
        [],
    )

    def trackers(self) -> list[str]:
        """As they were listed."""
        return listed(self.report_to, "report-to") if self.report_to else []

    def chosen_sets(self) -> tuple[str, ...] | None:
        """As they were listed.

        Raises:
            InputError: on one that is none, or comes twice.
        """
        if not self.token_sets:
            return None
        return How(tuple(listed(self.token_sets, "token-sets"))).token_sets


def check_read(settings: ReadSettings, least: Mapping[str, int]) -> None:
    """Check the numbers of what is read, and others that have a least.

    Raises:
        InputError: on a number below its least, or a seed that cannot be kept.
    """
    for name, lowest in {"rows": 1, "max_tokens": 1, **least}.items():
        value = getattr(settings, name)
        if value is not None and value < lowest:
            option = name.replace("_", "-")
            raise InputError(f"{option} must be at least {lowest}; got {value}.")
    check_seeds("rows-seed", [settings.rows_seed])


def check_run(settings: RunSettings, least: Mapping[str, int], program: str) -> None:
    """Check what needs neither data nor model.

    Args:
        settings: of a command.
        least: of its own numbers, by field.
        program: what the user typed to run it.

    Raises:
        InputError: on a number below its least, or no checkpoint.
    """
    shared = {"blocks": 2, "batch_size": 1, "jobs": 1, "threads": 1}
    check_read(settings, {**shared, **least})
    if settings.blocks is not None and settings.group_column is not None:
        raise InputError(
            "blocks and group-column must not both be given: rows depend on one another by "
            f"their order or by name; got {settings.blocks} and "
            f"'{settings.group_column}'. Leave one out."
        )
    if settings.shard is not None:
        shard_of(settings.shard)
    size_of(settings.memory)
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
