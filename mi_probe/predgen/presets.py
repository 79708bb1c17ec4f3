"""Defaults by name, and the faults of the published code that `faithful` has or has not."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Bug:
    """A fault of the published code, and whether `faithful` has it."""

    what: str
    setting: dict[str, Any] | None = None
    """What turns it on here; None: it is off in every preset."""
    because: str = ""
    """Why it is off."""

    @property
    def on(self) -> bool:
        """Whether the preset ``faithful`` has it."""
        return self.setting is not None


BUGS: dict[str, Bug] = {
    "logits_adapter": Bug(
        "the task adapter reads averaged vocabulary logits, not the answer's states",
        {"adapter": "logits"},
    ),
    "no_end": Bug("answers have no end, so that generated numbers run on", {"ends": False}),
    "loss_on_prompt": Bug("the writer's loss is of the prompt too", {"loss_on": "all"}),
    "alignment_is_product": Bug(
        "the alignment is a function of the losses' product: the smaller loss gets the "
        "larger coefficient",
        {"alignment": "code"},
    ),
    "short_ramp": Bug(
        "after 10 micro-batches on SST-2, here three steps of three (500 on other data "
        "sets: --ramp 167), every batch is the model's own greedy answer",
        {"schedule": "linear", "ramp": 3, "sampling": "batch", "sampled": False},
    ),
    "last_not_best": Bug(
        "the best model is never restored; the last one is kept", {"select": "last"}
    ),
    "trained_biases": Bug(
        "RoCoFT trains the biases of the adapted layers", {"train_biases": True}
    ),
    "selected_on_reported": Bug(
        "the best row is chosen on the rows that are reported",
        because="the reported score would be of the training",
    ),
    "no_regression_adapter": Bug(
        "regression has no adapter: the same logits are held to two different tokens",
        because="the two targets contradict each other: their loss has a floor of ln 2",
    ),
    "fixed_positions": Bug(
        "ids of padding and lengths of answers are fixed in the code",
        because="runs with one tokenizer and one length of answers alone",
    ),
    "padding_as_labels": Bug(
        "answers are padded with id 0, which the writer is taught to write as their end",
        because="id 0 is another token, and so another fault, in each tokenizer",
    ),
    "lost_first_token": Bug(
        "without a BOS in the answer, its first token is dropped",
        because="the writer would learn another answer",
    ),
    "lost_signs": Bug(
        "the sign of whole negative numbers is lost in parsing",
        because="another number than was written would be scored",
    ),
    "lost_exponents": Bug(
        "of a number with an exponent, the exponent's digits are read: 1e-05 is 5",
        because="another number than was written would be scored",
    ),
    "silent_failures": Bug(
        "an unreadable answer counts as 0", because="a made-up score would be reported"
    ),
    "float_noise": Bug(
        "answers carry 17 digits", because="labels are rounded as they are read"
    ),
    "gold_lengths": Bug(
        "evaluation generates as many tokens as the right answer has",
        because="the prediction would know of the right answer",
    ),
    "evaluation_twice": Bug(
        "evaluation encodes every text again, and generates without its cache",
        because="takes time alone",
    ),
    "generation_graph": Bug(
        "own tokens are generated with gradients",
        because="takes time and memory alone: a likeliest token has no gradient",
    ),
    "unseeded_coin": Bug(
        "the coin of scheduled sampling is unseeded, and one a replica",
        because="no training could be repeated",
    ),
    "micro_batch_coin": Bug(
        "the coin is one a micro-batch, here one an optimiser step",
        because="one a step keeps all ranks in step, and the mean share is the same",
    ),
    "reduced_heads": Bug(
        "RoCoFT trains three columns of the head and adapter only",
        because="heads are never adapted here; the rest of theirs would stay random",
    ),
    "trainable_norms": Bug(
        "RoCoFT leaves RMSNorm trainable, but not LayerNorm",
        because="norms are named by each model: --also-train trains those that are named",
    ),
    "lost_rows": Bug(
        "rows are lost to quoting, and prompts contradict the labels' range",
        because="the data would be others",
    ),
    "whole_checkpoints": Bug(
        "adapters are saved with the frozen rest of the model",
        because="takes room on the disk alone",
    ),
}
"""Every known fault of the published code, by name."""

PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    "faithful": {
        "peft": "rocoft_column",
        "rank": 3,
        "learning_rate": 2e-3,
        "warmup": 200.0,
        "batch_size": 10,
        "accumulation": 3,
        "epochs": 20.0,
        "max_tokens": 150,
        **{k: v for bug in BUGS.values() for k, v in (bug.setting or {}).items()},
    },
}
"""Defaults by name: ours, and what the published code does on SST-2, but for its prompt
and for what is off in `BUGS`."""
