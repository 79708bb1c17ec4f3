"""Defaults by name, and the faults of the published code that `faithful` has or has not."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Bug:
    """A fault of the published code, and whether `faithful` has it."""

    what: str
    setting: dict[str, Any] | None = None
    """What turns it on here; None: it is off in every preset, because it cannot run, or
    would make a measurement void."""

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
        "after 500 micro-batches every batch is the model's own greedy answer; 500 "
        "micro-batches are 167 optimiser steps of three",
        {"schedule": "linear", "ramp": 167, "sampling": "batch", "sampled": False},
    ),
    "last_not_best": Bug(
        "the best model is never restored; the last one is kept", {"select": "last"}
    ),
    "selected_on_reported": Bug("the best row is chosen on the rows that are reported"),
    "no_regression_adapter": Bug(
        "regression has no adapter: the same logits are held to two different tokens"
    ),
    "fixed_positions": Bug("ids of padding and lengths of answers are fixed in the code"),
    "lost_first_token": Bug("without a BOS in the answer, its first token is dropped"),
    "lost_signs": Bug("the sign of whole negative numbers is lost in parsing"),
    "silent_failures": Bug("an unreadable answer counts as 0"),
    "float_noise": Bug("answers carry 17 digits"),
    "gold_lengths": Bug("evaluation generates as many tokens as the right answer has"),
    "generation_graph": Bug("own tokens are generated with gradients"),
    "unseeded_coin": Bug("the coin of scheduled sampling is unseeded, and one a replica"),
    "reduced_heads": Bug("RoCoFT trains three columns of the head and adapter only"),
    "trainable_norms": Bug("RoCoFT leaves RMSNorm trainable, but not LayerNorm"),
    "lost_rows": Bug("rows are lost to quoting, and prompts contradict the labels' range"),
    "whole_checkpoints": Bug("adapters are saved with the frozen rest of the model"),
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
"""Defaults by name: ours, and what the published code does on SST-2, where it can run."""
