"""A model as something that can be measured: whose states, on which rows, which tokens.

A checkpoint of a trained system says all of it by itself: its backbone and adapter, its
task, and the rows that its training left alone. Any other model needs to be told the task.
Where tokens that the model wrote are to be measured, it writes them here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mi_probe.analysis.cells import Subject, subject_of
from mi_probe.backbones import Backbone, expand_checkpoints, load_backbone
from mi_probe.capture import Sequences
from mi_probe.capture.sequences import as_sequences
from mi_probe.errors import InputError, check_known
from mi_probe.hidden import Role
from mi_probe.predgen.checkpoints import is_checkpoint
from mi_probe.predgen.encoding import Rows, encode, end_token
from mi_probe.predgen.inference import (
    TOKEN_SETS,
    Answers,
    answered,
    read,
    write,
)
from mi_probe.predgen.kept_answers import kept_answers
from mi_probe.predgen.label_probabilities import OwnPosterior, own_posterior
from mi_probe.predgen.metrics import main_metric
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
    answers: bool = False
    """Load a language model with its head, where it has one, so that it can answer."""
    chat_template: bool = False
    """Put prompts into the tokenizer's chat template; a training's checkpoint knows."""
    write: bool = True
    """Let models write answers; else those that are not kept are stood in for by as many
    tokens as there may be, so that a run can be planned."""

    def __post_init__(self) -> None:
        check_known("token-sets", tuple(self.token_sets or ()), TOKEN_SETS)


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
    answers: Answers | None = None
    """What it answered, a row each; None where it was not asked."""
    own: OwnPosterior | None = None
    """What it says of each label; None where it says nothing, or has no head."""
    notes: tuple[str, ...] = ()
    record: Mapping[str, Any] = field(default_factory=dict)
    """What provenance keeps of a checkpoint."""

    @property
    def name(self) -> str:
        """What the user typed."""
        return self.backbone.name

    @property
    def fingerprint(self) -> dict[str, str]:
        """What identifies the model; JSON-able."""
        return self.backbone.fingerprint

    @property
    def deepest(self) -> str:
        """The name of the last site."""
        return self.backbone.sites[-1].name

    def chosen(self, token_set: str, wanted: str | Sequence[int | str]) -> list[str]:
        """The names of the sites that are wanted, in the network's order.

        Raises:
            InputError: as `sites`, and on what is no site.
        """
        sites = self.backbone.select(self.sites(token_set, wanted))
        return [site.name for site in sites]

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

    def prompt_lengths(self) -> list[int]:
        """How many tokens of each prompt the model reads."""
        source = next(iter(self.sources.values()))
        if not isinstance(source, Sequences):
            source = as_sequences(self.backbone, source, max_tokens=self.max_tokens)
        if source.roles is None:
            return [*map(len, source.input_ids)]
        return [sum(role == Role.PROMPT for role in row) for row in source.roles]


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


def open_model(name: str, how: How, task: Task) -> Measurable:
    """Any other model, on a task; where tokens of its own are wanted, it writes them.

    It writes as many tokens as the task's longest right answer has, at most.

    Raises:
        InputError: as `load_backbone`; if it is to write, and cannot.
    """
    token_sets = how.token_sets or ("prompt",)
    writes = set(token_sets) != {"prompt"}
    backbone = load_answering(name, how, writes)
    limit = how.max_tokens or MAX_TOKENS
    if not writes:
        return measurable(backbone, task, max_tokens=limit, batch_size=how.batch_size)
    subject = subject_of(backbone)
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
    scored = with_score(subject, task, answers)
    own = own_posterior(backbone, task, max_tokens=limit, batch_size=how.batch_size)
    return measurable_of(
        backbone, task, scored, token_sets, encoded, answers, limit, most=most, own=own
    )


def measurable(
    backbone: Backbone, task: Task, *, max_tokens: int, batch_size: int = 16
) -> Measurable:
    """The states of a task's prompts in a model, which is let write nothing."""
    own = own_posterior(backbone, task, max_tokens=max_tokens, batch_size=batch_size)
    subject = subject_of(backbone)
    return Measurable(backbone, task, subject, {"prompt": task}, max_tokens, own=own)


def load_answering(name: str, how: How, writes: bool) -> Backbone:
    """The model, with its language model's head where that is wanted and there is one."""
    options: dict[str, Any] = {
        "revision": how.revision,
        "local_files_only": how.local_files_only,
        "dtype": how.dtype,
        "device": how.device,
        "chat_template": how.chat_template,
    }
    if writes or not how.answers:
        return load_backbone(name, lm_head=writes, **options)
    try:
        return load_backbone(name, lm_head=True, **options)
    except InputError:  # an encoder, or a model without a head; or it is said again
        return load_backbone(name, **options)


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


def with_score(subject: Subject, task: Task, answers: Answers | None) -> Subject:
    """The subject with the score of its answers, where there are some."""
    if answers is None:
        return subject
    metric, scores = main_metric(task), answers.scores(task)
    return replace(
        subject,
        metric=metric,
        metric_value=scores[metric],
        parse_failure_rate=scores.get("parse_failure_rate"),
    )


def measurable_of(
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
    own: OwnPosterior | None = None,
) -> Measurable:
    """What is read of a model, by token set.

    Args:
        backbone: the model.
        task: the rows.
        subject: as result rows name it.
        token_sets: those wanted.
        encoded: the prompts.
        answers: what it wrote; None where a run is only planned.
        limit: tokens of a prompt.
        most: tokens of an answer, at most.
        record: what provenance keeps.
        own: what the model says of each label.
    """
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
        answers=answers,
        own=own,
        notes=notes,
        record=record or {},
    )
