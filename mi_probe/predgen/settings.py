"""What a training is told: one configuration for the three systems."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

from mi_probe.errors import InputError, check_known
from mi_probe.options import about
from mi_probe.pooling import POOLINGS
from mi_probe.predgen.data import Source
from mi_probe.predgen.design import OBJECTIVES
from mi_probe.predgen.peft_settings import PeftSettings
from mi_probe.predgen.presets import PRESETS
from mi_probe.predgen.schedules import Schedule

LEARNING_RATES = {
    "none": 5e-5,
    "lora": 5e-4,
    "dora": 5e-4,
    "adalora": 2e-3,
    "rocoft_row": 2e-3,
    "rocoft_column": 2e-3,
}
"""Where none is given."""
LR_SCHEDULES = (
    *("linear", "cosine", "constant", "constant_with_warmup", "polynomial"),
    "inverse_sqrt",
)
PRECISIONS = ("float32", "bfloat16", "float16")


@dataclass(frozen=True)
class TrainSettings:
    """What is trained, on what, and how; JSON-able, and kept with each checkpoint.

    The same settings but for ``objective`` train the three systems on the same rows, in
    the same order and for the same number of steps.

    Raises:
        InputError: if a value breaks its rule.
    """

    objective: str = about("predictor, generator or predgen", "predgen")
    backbone: str = about(
        "a Hugging Face id, a folder, or an embedded model; name:4 keeps four layers", ""
    )
    revision: str | None = about("branch, tag or commit of a Hugging Face id")
    local_files_only: bool = about("never look for a model on the network", False)
    task: str | None = about("a declared data set")
    data_folder: str | None = about("the folder with the task's original files")
    answer: Literal["label", "text"] = about(
        "how an answer to a question with options is written", "label"
    )
    without_train: Literal["refuse", "cut"] = about(
        "'cut' cuts the labelled rows there are, where the training files are not", "refuse"
    )
    data: str | None = about(
        "your own file, or hf:ID[:configuration[:split]]; it is cut in 80, 10 and 10 per "
        "cent"
    )
    text_column: str | None = about("its column with the text ('text')")
    label_column: str = about("its column with Y", "label")
    id_column: str | None = about("its column with a unique name a row")
    group_column: str | None = about(
        "its column that says which rows depend on each other; no part shares one"
    )
    quoting: Literal["standard", "none"] | None = about(
        "of CSV and TSV: 'none' where quotation marks are characters like any other; by "
        "default 'standard', and what looks like rows that one swallowed is refused"
    )
    encoding: str | None = about("of its text, such as cp1252; by default UTF-8")
    label_kind: Literal["classes", "scores"] | None = about("what its labels are")
    template: str | None = about(r"the prompt, such as 'Review: {text}\nSentiment:'")
    chat_template: bool = about(
        "put prompts into the chat template that an instruct model's tokenizer brings",
        False,
    )
    split_seed: int = about(
        "of what is cut, where there are no official splits, and of the held-out rows "
        "that are drawn",
        0,
    )
    train_rows: int | None = about("how many training rows to draw; all by default")
    validation_rows: int | None = about("and on which the model is selected", 500)
    reserve: int | None = about(
        "and of the reported split, which are kept for measuring information and on "
        "which the trained model is scored; all by default"
    )
    max_tokens: int = about("longer prompts lose their middle, and are counted", 512)
    peft: str = about(
        "none (full fine-tuning), lora, adalora, dora, rocoft_row, ...", "lora"
    )
    rank: int = about("of an adapter; RoCoFT: rows or columns", 8)
    alpha: float | None = about("scale of a low-rank update; twice the rank by default")
    dropout: float = about("on the input of a low-rank update", 0.0)
    initial_rank: int | None = about(
        "AdaLoRA's rank at the start; 1.5 times the rank by default"
    )
    rank_warm_up: float = about("AdaLoRA: share of the steps before ranks fall", 0.1)
    rank_settling: float = about("AdaLoRA: share of the steps after they have", 0.3)
    rank_update_every: int = about("AdaLoRA: steps between two updates of the ranks", 1)
    orthogonality: float = about("AdaLoRA: weight of its penalty", 0.5)
    target_modules: list[str] | None = about("ends of the names of the adapted layers")
    also_train: list[str] | None = about(
        "ends of the names of modules that are trained whole beside an adapter: norms"
    )
    train_biases: bool = about("those of the adapted layers, beside an adapter", False)
    pooling: str = about(f"the Predictor's g: {', '.join(POOLINGS)}", "last")
    adapter: Literal["states", "logits"] = about(
        "what PredGen's task adapter reads: the answer's states, or logits as published",
        "states",
    )
    head: Literal["own", "linear", "network"] = about(
        "'linear' or 'network' gives the Predictor and PredGen heads of one capacity; with "
        "'own' the task adapter is by far the larger",
        "own",
    )
    director: str | None = about(
        "loss of the head: cross_entropy or bce for classes; mse, mae or huber for scores"
    )
    class_weights: Literal["equal", "balanced"] = about(
        "'balanced' weighs the head's loss of each row by how rare its class is", "equal"
    )
    clamp: bool = about("cut predicted scores to the range of the training rows'", False)
    alignment: str = about("how PredGen joins its two losses", "balanced")
    schedule: str = about("how PredGen comes to read its own tokens", "linear")
    schedule_start: float = about("the probability of its own tokens at step 0", 0.0)
    schedule_end: float = about("and at the end of the ramp", 1.0)
    ramp: int | None = about("the ramp's optimiser steps; the whole training by default")
    sampling: Literal["batch", "token"] = about(
        "one coin a batch, and a roll-out; or one a token, and a first pass", "batch"
    )
    sampled: bool = about("draw own tokens, instead of taking the likeliest", False)
    temperature: float = about("of that draw", 1.0)
    loss_on: Literal["answer", "all"] = about("the writer's tokens", "answer")
    ends: bool = about("end answers with the token that ends a text", True)
    steps: int | None = about("optimiser steps; by default what the epochs come to")
    epochs: float = about("passes over the training rows", 3.0)
    batch_size: int = about("rows a forward pass", 16)
    accumulation: int = about("forward passes an optimiser step", 1)
    learning_rate: float | None = about("by default one that suits the PEFT method")
    head_learning_rate: float | None = about(
        "of the head and a learned alignment; by default that of the rest"
    )
    lr_schedule: str = about(f"of the learning rate: {', '.join(LR_SCHEDULES)}", "cosine")
    warmup: float = about("steps, or below 1 a share of them", 0.05)
    weight_decay: float = about("of AdamW", 0.0)
    max_grad_norm: float = about("gradients are clipped to it", 1.0)
    group_by_length: bool = about("rows of like lengths in a batch: less padding", False)
    gradient_checkpointing: bool = about("less memory, a second forward pass", False)
    dtype: str = about(
        "of the frozen base's weights; bfloat16 halves their memory. Adapters and heads "
        f"stay in float32. One of {', '.join(PRECISIONS)}; measure with the same --dtype",
        "float32",
    )
    precision: str = about(
        f"of the arithmetic, by autocast: {', '.join(PRECISIONS)}", "float32"
    )
    device: str = about("cpu, cuda, or auto: cuda where there is one", "auto")
    checkpoint_every: int | None = about(
        "steps between checkpoints, each of which is validated; by default a quarter"
    )
    keep_checkpoints: int | None = about("how many to keep, the best aside; all by default")
    select: Literal["best", "last"] = about(
        "which checkpoint becomes the final model; 'best' by the validation rows", "best"
    )
    patience: int | None = about(
        "stop after so many validations without a better one; never by default"
    )
    report_to: list[str] = about(
        "trackers that Hugging Face knows, such as tensorboard", []
    )
    seed: int = about(
        "of weights, order, dropout, scheduled sampling and the training rows drawn", 0
    )
    preset: str = about("which defaults the settings above had", "default")

    def __post_init__(self) -> None:
        check_known("objective", self.objective, OBJECTIVES)
        check_known("preset", self.preset, PRESETS)
        if not self.backbone.strip():
            raise InputError(
                "backbone must name a model; got none. For instance: "
                "--backbone smollm2-135m"
            )
        check_known("pooling", self.pooling, POOLINGS)
        for name in ("precision", "dtype"):
            check_known(name, getattr(self, name), PRECISIONS)
        if self.dtype != "float32":
            names = ("also_train", "train_biases")
            self._refuse(names, f"dtype '{self.dtype}', in which small steps are lost")
            if self.peft == "none":
                raise InputError(
                    "dtype must be float32 with peft 'none', which trains the base's "
                    f"weights themselves; got '{self.dtype}'. Give --precision "
                    f"{self.dtype}, or a PEFT method."
                )
        check_known("lr_schedule", self.lr_schedule, LR_SCHEDULES)
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise InputError(f"{name} must be at least {least}; got {value}.")
        if self.seed >= 2**32:  # numpy's own, which the Trainer seeds too
            raise InputError(f"seed must lie in 0 ... {2**32 - 1}; got {self.seed}.")
        for name in (
            *("epochs", "learning_rate", "head_learning_rate", "temperature"),
            "max_grad_norm",
        ):
            value = getattr(self, name)
            if value is not None and not (value > 0 and math.isfinite(value)):
                raise InputError(f"{name} must be above 0; got {value}.")
        if self.steps is not None:
            self._refuse(("epochs",), f"steps {self.steps}, which say how long")
        if self.schedule in ("never", "always"):
            names = ("schedule_start", "schedule_end", "ramp")
            self._refuse(names, f"schedule '{self.schedule}', which has no ramp")
        if self.peft == "none":
            names = ("rank", "alpha", "dropout", "target_modules", "also_train")
            self._refuse(names, "peft 'none', which trains every weight itself")
        if self.peft != "adalora":
            names = ("initial_rank", "rank_warm_up", "rank_settling")
            names = (*names, "rank_update_every", "orthogonality")
            self._refuse(names, f"peft '{self.peft}', whose rank stays as it is")
        # Made here for their own checks.
        _ = self.peft_settings, self.own_tokens

    def _refuse(self, names: Sequence[str], what: str) -> None:
        """Raise where a setting was given, beside a preset's, that nothing would read."""
        usual = {f.name: f.default for f in fields(TrainSettings)} | PRESETS[self.preset]
        for name in names:
            if getattr(self, name) != usual[name]:
                raise InputError(
                    f"{name} must be left out with {what}; got {getattr(self, name)}."
                )

    @property
    def source(self) -> Source:
        """Where the rows come from."""
        return Source(**{f.name: getattr(self, f.name) for f in fields(Source)})

    @property
    def peft_settings(self) -> PeftSettings:
        """The fine-tuning method."""
        targets = self.target_modules
        return PeftSettings(
            method=self.peft,
            rank=self.rank,
            alpha=self.alpha,
            dropout=self.dropout,
            target_modules=tuple(targets) if targets else None,
            also_train=tuple(self.also_train or ()),
            bias=self.train_biases,
            initial_rank=self.initial_rank,
            warm_up=self.rank_warm_up,
            settling=self.rank_settling,
            update_every=self.rank_update_every,
            orthogonality=self.orthogonality,
        )

    @property
    def own_tokens(self) -> Schedule:
        """How often PredGen reads its own tokens."""
        if self.schedule in ("never", "always"):
            return Schedule(self.schedule)
        return Schedule(self.schedule, self.schedule_start, self.schedule_end, self.ramp)

    @property
    def rate(self) -> float:
        """The learning rate, or what stands for it."""
        given = self.learning_rate
        return LEARNING_RATES[self.peft] if given is None else given

    def total_steps(self, rows: int, processes: int = 1) -> int:
        """Optimiser steps of the training on so many rows.

        A pass ends with its last rows, however few are left for its last step: so whole
        passes read each row as often as any other.
        """
        if self.steps is not None:
            return self.steps
        batches = math.ceil(math.ceil(rows / self.batch_size) / processes)
        part, passes = math.modf(self.epochs)
        begun = math.ceil(part * batches / self.accumulation)
        return max(1, int(passes) * math.ceil(batches / self.accumulation) + begun)


_LEAST = {
    **dict.fromkeys(("steps", "batch_size", "accumulation", "max_tokens"), 1),
    **dict.fromkeys(("train_rows", "validation_rows", "reserve"), 1),
    **dict.fromkeys(("checkpoint_every", "keep_checkpoints", "patience"), 1),
    **dict.fromkeys(("warmup", "weight_decay", "seed", "split_seed"), 0),
}


def preset(name: str, **changes: Any) -> TrainSettings:
    """The settings of a preset, with changes.

    Raises:
        InputError: on an unknown preset or setting, or a value that breaks its rule.
    """
    check_known("preset", name, PRESETS)
    check_known("settings", tuple(changes), sorted(f.name for f in fields(TrainSettings)))
    return TrainSettings(**{**PRESETS[name], **changes, "preset": name})
