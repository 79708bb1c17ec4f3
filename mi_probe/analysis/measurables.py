"""A model as something that can be measured: whose states, on which rows, which tokens.

A checkpoint of a trained system says all of it by itself: its backbone and adapter, its
task, and the rows that its training left alone. Any other model needs to be told the task.
Where tokens that the model wrote are to be measured, it writes them here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from mi_probe.analysis.cells import Subject, subject_of
from mi_probe.analysis.kept_answers import kept_answers
from mi_probe.backbones import Backbone, expand_checkpoints, load_backbone
from mi_probe.backbones.fingerprint import sha256_file
from mi_probe.backbones.folders import step_of
from mi_probe.capture import Sequences
from mi_probe.capture.sequences import token_limit
from mi_probe.errors import InputError
from mi_probe.predgen.checkpoints import (
    HEAD,
    Checkpoint,
    is_checkpoint,
    load_checkpoint,
    read_config,
)
from mi_probe.predgen.encoding import Rows, encode, end_token
from mi_probe.predgen.inference import (
    TOKEN_SETS,
    Answers,
    answer,
    answered,
    read,
    write,
)
from mi_probe.predgen.metrics import main_metric
from mi_probe.predgen.reserved import refuse_trained, splits_of
from mi_probe.tasks import Task

MAX_TOKENS = 512


@dataclass(frozen=True)
class How:
    """How models are opened; what `load_backbone` and `encode` are told."""

    token_sets: tuple[str, ...] | None = None
    """Some of `TOKEN_SETS`; None: all of a system that writes, else ``prompt``."""
    max_tokens: int | None = None
    """Longer prompts are cut; None: as in training, else `MAX_TOKENS`."""
    batch_size: int = 16
    dtype: str = "float32"
    device: str = "cpu"
    revision: str | None = None
    local_files_only: bool = False
    folder: Path | None = None
    """The results folder, where answers are kept."""
    write: bool = True
    """Let models write answers; else those that are not kept are stood in for by as many
    tokens as there may be, so that a run can be planned."""

    def __post_init__(self) -> None:
        unknown = [name for name in self.token_sets or () if name not in TOKEN_SETS]
        if unknown:
            raise InputError(
                f"token-sets must be of {', '.join(TOKEN_SETS)}; got '{unknown[0]}'."
            )


@dataclass(frozen=True, eq=False)
class Measurable:
    """A model and all that `plan`, `extract` and `measure` need to know of it."""

    backbone: Backbone
    task: Task
    subject: Subject
    sources: Mapping[str, Task | Sequences]
    """What is read, by token set."""
    max_tokens: int
    """Where a source is a task: longer prompts are cut."""
    scores: Mapping[str, float] = field(default_factory=dict)
    """All metrics of the model's own answers on these rows; empty where it gave none."""
    notes: tuple[str, ...] = ()
    record: Mapping[str, Any] = field(default_factory=dict)
    """What provenance keeps of a checkpoint."""

    def sites(
        self, token_set: str, wanted: str | Sequence[int | str]
    ) -> str | list[int | str]:
        """The sites wanted at which a token set has positions.

        An encoder reads the prompt alone: at its sites nothing is generated.

        Raises:
            InputError: if there is none.
        """
        if self.backbone.kind != "encoder-decoder" or token_set == "prompt":
            return wanted if isinstance(wanted, str) else list(wanted)
        chosen = self.backbone.select(wanted)
        there: list[int | str] = [site.name for site in chosen if site.stack == "dec"]
        if not there:
            raise InputError(
                f"sites must hold one of the decoder, 'dec...', where the token set is "
                f"'{token_set}': an encoder reads the prompt alone. Add one, or take the "
                "token set 'prompt'."
            )
        return there


def expand(name: str, *, series: bool = True) -> list[str]:
    """The models that a name stands for.

    A training's folder stands for its ``checkpoint-<step>`` series, and, where one of our
    trainings finished, for its final model, which comes last.

    Args:
        name: as the user typed it.
        series: False leaves the series out where there is a final model.
    """
    final = [name] if is_checkpoint(name) else []
    steps = [found for found in expand_checkpoints(name) if found != name]
    return final if final and not series else [*steps, *final] or [name]


def open_trained(
    name: str,
    how: How,
    *,
    task: Task | None = None,
    task_name: str | None = None,
    split: str | None = None,
    data_folder: str | None = None,
    rows: int | None = None,
    rows_seed: int = 0,
) -> Measurable:
    """A checkpoint of ours, on rows that it was not trained on.

    Args:
        name: its folder.
        how: token sets, device and the like.
        task: other rows than its own task's; their classes must be the same.
        task_name: the task that the caller means; another one than the checkpoint's is an
            error.
        split: of its own task; None is the rows that the training reserved.
        data_folder: where its original files lie now.
        rows: how many to draw; None takes all.
        rows_seed: of that draw.

    Raises:
        InputError: if the checkpoint is damaged or of something else, its rows are not
            what they were, or a row to be measured was trained on.
    """
    if how.revision is not None:
        raise InputError(
            f"revision must go with a model from the hub; got '{how.revision}' with the "
            f"checkpoint {name!r}, which knows its own. Leave it out."
        )
    config = read_config(name)
    if task_name is not None and task_name != config["task"]:
        raise InputError(
            f"task must be the one that {name!r} was trained on, '{config['task']}'; got "
            f"'{task_name}'. Leave --task out: the checkpoint knows it."
        )
    measured = _rows_of(config, name, task, split, data_folder)
    if rows is not None:
        measured = measured.sample(rows, seed=rows_seed)
    found = load_checkpoint(
        name,
        device=how.device,
        dtype=how.dtype,
        local_files_only=how.local_files_only,
    )
    token_sets = _token_sets(how, found)
    limit = how.max_tokens or int(config["settings"]["max_tokens"])
    encoded = _encoded(found, measured, limit)
    most = max(1, found.system.design.answer_tokens)
    answers = kept_answers(
        how.folder,
        measured,
        _key(found, measured, encoded),
        (lambda: answer(found.system, measured, encoded, batch_size=how.batch_size))
        if how.write
        else None,
    )
    own, place = found.system.design, Path(name)
    predictor = own.objective == "predictor"
    subject = replace(
        subject_of(found.backbone),
        # A series is one model at several steps; its final model is one of them.
        model=str(place.parent if step_of(place) is not None else place),
        step=config["step"],
        objective=own.objective,
        head=own.pooling if predictor else None,
    )
    return _measurable(
        found.backbone,
        measured,
        _scored(subject, measured, answers),
        token_sets,
        encoded,
        answers,
        limit,
        most=most,
        record={
            "task": describe(measured),
            "checkpoint": {
                key: config[key]
                for key in ("objective", "backbone", "revision", "peft", "seed", "step")
            },
            "train_ids_sha256": config["train_ids_sha256"],
        },
    )


def open_model(name: str, how: How, task: Task) -> Measurable:
    """Any other model, on a task; where tokens of its own are wanted, it writes them.

    It writes as many tokens as the task's longest right answer has, at most.

    Raises:
        InputError: as `load_backbone`; if it is to write, and cannot.
    """
    token_sets = how.token_sets or ("prompt",)
    writes = set(token_sets) != {"prompt"}
    backbone = load_backbone(
        name,
        revision=how.revision,
        local_files_only=how.local_files_only,
        dtype=how.dtype,
        device=how.device,
        lm_head=writes,
    )
    limit = how.max_tokens or MAX_TOKENS
    subject = subject_of(backbone)
    if not writes:
        return Measurable(backbone, task, subject, {"prompt": task}, limit)
    encoded = encode(backbone, task, max_tokens=limit)
    end = end_token(backbone.tokenizer)
    most = max(len(row.answer) for row in encoded.rows)

    def written() -> Answers:
        limits: dict[str, Any] = {"max_new_tokens": most, "eos_id": end}
        tokens = write(backbone, encoded, batch_size=how.batch_size, **limits)
        return read(backbone, task, tokens)

    answers = kept_answers(
        how.folder,
        task,
        {
            "model": backbone.fingerprint,
            "rows": task.sha256(),
            "prompts": [row.prompt for row in encoded.rows],
            "end": end,
            "most": most,
        },
        written if how.write else None,
    )
    scored = _scored(subject, task, answers)
    return _measurable(
        backbone, task, scored, token_sets, encoded, answers, limit, most=most
    )


def describe(task: Task) -> dict[str, Any]:
    """What provenance keeps of a task."""
    return {
        "name": task.name,
        "source": task.source,
        "split": task.split,
        "sha256": task.sha256(),
        "rows": len(task),
        "target": task.target,
        "notes": task.notes,
    }


def _rows_of(
    config: Mapping[str, Any],
    name: str,
    task: Task | None,
    split: str | None,
    data_folder: str | None,
) -> Task:
    splits = splits_of(config, data_folder=data_folder)
    found = task
    if found is None:
        wanted = split or config["reserved_split"]
        if wanted not in vars(splits):
            raise InputError(
                f"split of the checkpoint {name!r} must be one of "
                f"{', '.join(vars(splits))}; got '{wanted}'. Without, the rows that the "
                "training reserved are taken."
            )
        found = vars(splits)[wanted]
    elif found.label_names != splits.train.label_names:
        raise InputError(
            f"data must have the labels that {name!r} was trained to tell, "
            f"{_labels(splits.train)}; got {_labels(found)}."
        )
    assert found is not None
    refuse_trained(found, splits, where=name)
    return found


def _labels(task: Task) -> str:
    return "scores" if task.label_names is None else ", ".join(task.label_names)


def _token_sets(how: How, found: Checkpoint) -> tuple[str, ...]:
    if found.system.objective != "predictor":
        return how.token_sets or TOKEN_SETS
    if how.token_sets is not None and "prompt" not in how.token_sets:
        raise InputError(
            f"token-sets must hold 'prompt' for a predictor, which writes nothing; "
            f"{str(found.folder)!r} is one, and got {', '.join(how.token_sets)}."
        )
    return ("prompt",)


def _encoded(found: Checkpoint, task: Task, limit: int) -> Rows:
    design = found.system.design
    room = token_limit(found.backbone, None)
    if room is not None and found.backbone.kind == "decoder":
        # The answer needs its places after the prompt.
        limit = min(limit, room - design.answer_tokens)
    return encode(
        found.backbone,
        task,
        max_tokens=limit,
        answers=design.objective != "predictor",
        ends=design.ends,
    )


def _key(found: Checkpoint, task: Task, encoded: Rows) -> dict[str, Any]:
    return {
        "model": found.backbone.fingerprint,
        "head": sha256_file(found.folder / HEAD),
        "design": asdict(found.system.design),
        "rows": task.sha256(),
        "prompts": [row.prompt for row in encoded.rows],
    }


def _scored(subject: Subject, task: Task, answers: Answers | None) -> Subject:
    if answers is None:
        return subject
    metric, scores = main_metric(task), answers.scores(task)
    return replace(
        subject,
        metric=metric,
        metric_value=scores[metric],
        parse_failure_rate=scores.get("parse_failure_rate"),
    )


def _measurable(
    backbone: Backbone,
    task: Task,
    subject: Subject,
    token_sets: Sequence[str],
    encoded: Rows,
    answers: Answers | None,
    limit: int,
    *,
    most: int,
    record: Mapping[str, Any] | None = None,
) -> Measurable:
    notes: tuple[str, ...] = ()
    tokens = None if answers is None else answers.token_ids
    if answers is None and set(token_sets) != {"prompt"}:
        tokens = [(end_token(backbone.tokenizer),) * most] * len(task)
        notes = (f"no answer is written yet; each is taken to have {most} tokens",)
    sources = {
        name: answered(backbone, task, encoded, tokens, token_set=name)
        for name in TOKEN_SETS
        if name in token_sets
    }
    return Measurable(
        backbone,
        task,
        subject,
        sources,
        limit,
        scores={} if answers is None else answers.scores(task),
        notes=notes,
        record=record or {},
    )
