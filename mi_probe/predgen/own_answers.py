"""Scheduled sampling of a batch: which answer tokens the model is given to read.

Everything drawn here is a function of the seed, the optimiser step and the place of the
batch, and of nothing that ran before: a resumed training draws the same.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from mi_probe.predgen.encoding import end_token
from mi_probe.predgen.one_reading import can_read_once
from mi_probe.predgen.reader import Draw, Writing
from mi_probe.predgen.rollout import batch_coin, mix_tokens, predict_answer, roll_out
from mi_probe.predgen.schedules import Schedule
from mi_probe.predgen.systems import System, pad_token


@dataclass(frozen=True)
class OwnAnswers:
    """How a model comes to read its own tokens in place of the right ones."""

    schedule: Schedule
    total_steps: int
    """Of the training."""
    unit: Literal["batch", "token"] = "batch"
    """A coin a batch, whose answers the model then writes whole; or a coin a token."""
    sampled: bool = False
    """Draw tokens, instead of taking the likeliest."""
    temperature: float = 1.0
    seed: int = 0

    def probability(self, step: int) -> float:
        """Of the model's own tokens, at an optimiser step."""
        return self.schedule.probability(step, self.total_steps)

    def fed(
        self,
        system: System,
        batch: dict[str, Tensor],
        *,
        step: int,
        place: int,
        longest: int | None = None,
        once: bool = True,
    ) -> dict[str, Any]:
        """What `System.forward` is told of own answers; empty for the right ones.

        Either ``fed_ids`` and ``fed_mask``, or how it is to write them itself.

        Args:
            system: the one in training; its mode and weights stay as they are.
            batch: as `collate` made it.
            step: optimiser steps done so far.
            place: which of the step's batches this is, over accumulation and ranks.
            longest: tokens that are written at most; None is as many as the longest right
                answer of the batch has. The step's longest, so that a row's answer does
                not depend on its batch.
            once: write in the pass that learns, where that can be.
        """
        chance = self.probability(step)
        if chance == 0 or (self.unit == "batch" and not self._coin(chance, step)):
            return {}
        words = np.random.SeedSequence([self.seed, step, place]).generate_state(2)
        generator = torch.Generator().manual_seed(int(words[0]) << 31 ^ int(words[1]))
        draw = {
            "sample": self.sampled,
            "temperature": self.temperature,
            "generator": generator,
        }
        gold, mask = batch["answer_ids"], batch["answer_mask"]
        prompts = system.model, batch["prompt_ids"], batch["prompt_mask"]
        if self.unit == "token":
            own = predict_answer(*prompts, gold, mask, **draw)
            mixed = mix_tokens(gold, own, mask, chance, generator)
            return {"fed_ids": mixed, "fed_mask": mask}
        pad = pad_token(system.backbone)
        ends = end_token(system.backbone.tokenizer) if system.design.ends else None
        most = longest or gold.shape[1]
        once = once and system.design.loss_on == "answer"
        if once and can_read_once(system.model):
            return {"writing": Writing(most, ends, pad, Draw(**draw))}
        own, there = roll_out(
            *prompts, max_new_tokens=most, eos_id=ends, pad_id=pad, **draw
        )
        return {"fed_ids": own, "fed_mask": there}

    def _coin(self, chance: float, step: int) -> bool:
        return chance == 1 or batch_coin(chance, step, self.seed)
