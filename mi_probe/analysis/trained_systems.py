"""A checkpoint of ours as something that can be measured: it knows task and rows."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mi_probe.analysis.cells import subject_of
from mi_probe.analysis.measurables import (
    How,
    Measurable,
    describe,
    measurable_of,
    with_score,
)
from mi_probe.backbones.folders import step_of
from mi_probe.capture.sequences import token_limit
from mi_probe.contents import digest
from mi_probe.errors import InputError, check_known
from mi_probe.predgen.checkpoints import (
    Checkpoint,
    check_task,
    load_checkpoint,
    read_config,
)
from mi_probe.predgen.encoding import Rows, encode
from mi_probe.predgen.inference import TOKEN_SETS, Answers, answer, most_tokens
from mi_probe.predgen.kept_answers import answers_key, kept_answers
from mi_probe.predgen.label_probabilities import system_posterior
from mi_probe.predgen.reserved import refuse_trained, splits_of, tied_to
from mi_probe.tasks import Task

CHOSE = "rows of these chose the checkpoint, which scores too well on them"
"""A note where validation rows of a training that selects are measured."""
_NOT_TOLD = (
    *("seed", "device", "report_to", "data_folder", "local_files_only", "preset"),
    "keep_checkpoints",
)
"""Settings in which two trainings with several seeds may differ."""


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
    if how.chat_template and not config["settings"].get("chat_template", False):
        raise InputError(
            f"chat-template must be left out for {name!r}, which was trained without it "
            "and is measured as it was trained."
        )
    if task_name is not None:
        check_task(config, task_name, name)
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
    # The training's own cut, which left room for its longest answer.
    limit = how.max_tokens or int(config["prompt_tokens"])
    encoded = _encoded(found, measured, limit)
    most = most_tokens(found.system, encoded)
    key = answers_key(found, measured, encoded)

    def answered() -> Answers:
        # Of its chosen model, on all reserved rows, a training kept them.
        run = found.folder if step_of(found.folder) is None else found.folder.parent
        kept = kept_answers(run, measured, key, None)
        return kept or answer(found.system, measured, encoded, batch_size=how.batch_size)

    answers = kept_answers(how.folder, measured, key, answered if how.write else None)
    own, place = found.system.design, Path(name)
    predictor = own.objective == "predictor"
    subject = replace(
        subject_of(found.backbone),
        # A series is one model at several steps; its final model is one of them.
        model=str(place.parent if step_of(place) is not None else place),
        step=config["step"],
        objective=own.objective,
        trainable=sum(config["trainable"].values()),
        training=_told(config),
        training_seed=config["seed"],
        head=own.pooling if predictor else None,
    )
    limits = {"max_tokens": limit, "batch_size": how.batch_size}
    said = found.system, measured, encoded, answers, key
    return measurable_of(
        found.backbone,
        measured,
        with_score(subject, measured, answers),
        token_sets,
        encoded,
        answers,
        limit,
        most=most,
        own=system_posterior(*said, **limits),
        record={
            "task": describe(measured),
            "checkpoint": {
                key: config[key]
                for key in (
                    *("objective", "backbone", "revision", "peft", "trainable"),
                    *("seed", "step"),
                )
            },
            "train_ids_sha256": config["train_ids_sha256"],
        },
    )


def _told(config: Mapping[str, Any]) -> str:
    """Hash of what a training was told, its seed and the machine's side left out."""
    settings = {k: v for k, v in config["settings"].items() if k not in _NOT_TOLD}
    return digest([settings, config["backbone"], config["data_sha256"]])


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
        own = "Without, the rows that the training reserved are taken."
        check_known(f"split of the checkpoint {name!r}", wanted, vars(splits), own)
        found = vars(splits)[wanted]
    elif found.label_names != splits.train.label_names:
        raise InputError(
            f"data must have the labels that {name!r} was trained to tell, "
            f"{_labels(splits.train)}; got {_labels(found)}."
        )
    assert found is not None
    refuse_trained(found, splits, where=name)
    selects = config["settings"]["select"] == "best"
    if selects and tied_to(found, splits.validation).any():
        found = replace(found, notes=(*found.notes, CHOSE))
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
