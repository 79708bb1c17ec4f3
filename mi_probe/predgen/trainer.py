"""The Hugging Face Trainer, given a system: losses, own answers, checkpoints, records."""

import math
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import Trainer, TrainerCallback, TrainerState, TrainingArguments
from transformers.trainer_callback import PrinterCallback, ProgressCallback

from mi_probe.atomic import written_by_library
from mi_probe.errors import InputError
from mi_probe.predgen.encoding import Rows, collate
from mi_probe.predgen.own_answers import OwnAnswers
from mi_probe.predgen.rank_updates import orthogonality_penalty, rank_update_callback
from mi_probe.predgen.records import Bar, LastStep, Records, losses_sha256
from mi_probe.predgen.resumption import (
    checkpoints,
    drop_resumption,
    load_state,
    save_state,
    seal_resumption,
)
from mi_probe.predgen.row_order import ByLength
from mi_probe.predgen.step_ahead import (
    Step,
    Sums,
    longest_answer,
    share_of_step,
    sums_ahead,
    sums_of,
)
from mi_probe.predgen.systems import System, pad_token

_UNFINISHED = ".unfinished"

Save = Callable[[Path, int, Mapping[str, float]], None]


class SystemTrainer(Trainer):
    """A Trainer whose model is a `System`.

    A ``checkpoint-<step>`` folder is a whole checkpoint of ours, and appears whole or not
    at all. The newest one also holds what is needed to go on from it; of that, the
    optimiser's state is a pickle that torch reads with ``weights_only``, from the folder
    of this very run.
    """

    def __init__(
        self,
        system: System,
        arguments: TrainingArguments,
        rows: Rows,
        held_out: Rows,
        *,
        own: OwnAnswers | None,
        save: Save,
        validate: Callable[[System, Rows], dict[str, float]],
        keep: int | None = None,
        by_length: bool = False,
        head_rate: float | None = None,
        patience: int | None = None,
        callbacks: Sequence[TrainerCallback] = (),
    ) -> None:
        """Make the Trainer.

        Args:
            system: what is trained.
            arguments: of Hugging Face's Trainer; its ``output_dir`` is the run's folder.
            rows: to train on.
            held_out: to validate on.
            own: scheduled sampling; None for a system without.
            save: writes the system into a folder, given the step and the metrics.
            validate: metrics of the system on these.
            keep: how many checkpoints stay, the best one aside; None: all.
            by_length: rows of like lengths share a batch.
            head_rate: learning rate of the head and the alignment; None: as of the rest.
            patience: validations without a better one, after which it ends; None: never.
            callbacks: more of the Trainer's callbacks.
        """
        backbone = system.backbone
        collator = partial(
            collate,
            pad=pad_token(backbone),
            left=backbone.kind == "decoder" and system.objective != "predictor",
            classes=system.design.kind == "classes",
        )
        super().__init__(
            model=system,
            args=arguments,
            train_dataset=rows,  # type: ignore[arg-type]
            eval_dataset=held_out,  # type: ignore[arg-type]
            data_collator=collator,  # type: ignore[arg-type]
            callbacks=[rank_update_callback(), LastStep(), *callbacks],
        )
        self.remove_callback(PrinterCallback)
        self.remove_callback(ProgressCallback)
        self.system = system
        self.own = own
        self._save_system, self._validate, self._keep = save, validate, keep
        self._by_length, self._held_out = by_length, held_out
        self._head_rate, self._patience = head_rate, patience
        self._metrics: dict[str, float] = {}
        self._batches: list[dict[str, Tensor]] = []
        self._step = Step()
        self.records = Records(self.folder, own, system)
        self.add_callback(self.records)
        self.add_callback(Bar())

    @property
    def folder(self) -> Path:
        """Of the run."""
        return Path(str(self.args.output_dir))

    def create_optimizer(self, *args: Any, **kwargs: Any) -> torch.optim.Optimizer:
        """The optimiser, in which what the objective put on the model has its own rate."""
        there = self.optimizer is not None
        found = super().create_optimizer(*args, **kwargs)
        if there or self._head_rate is None:
            return found
        parts = [p for p in (self.system.head, self.system.alignment) if p is not None]
        on_top = {id(weight) for part in parts for weight in part.parameters()}
        for group in [*found.param_groups]:
            weights = group["params"]
            group["params"] = [w for w in weights if id(w) not in on_top]
            own = [w for w in weights if id(w) in on_top]
            if own:
                rest = {k: v for k, v in group.items() if k != "params"}
                found.add_param_group({**rest, "params": own, "lr": self._head_rate})
        return found

    def is_over(self, state: TrainerState) -> bool:
        """Whether a training has taken its last step, or lost patience."""
        told = [e["eval_selection"] for e in state.log_history if "eval_selection" in e]
        if state.global_step >= self.args.max_steps or self._patience is None or not told:
            return state.global_step >= self.args.max_steps
        sign = 1 if self.args.greater_is_better else -1
        best = max(range(len(told)), key=lambda i: (sign * told[i], -i))
        return len(told) - 1 - best >= self._patience

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        if not self._by_length:
            return super()._get_train_sampler(train_dataset)
        rows: Rows = self.train_dataset  # type: ignore[assignment]
        lengths = [len(row.prompt) + len(row.answer) for row in rows.rows]
        return ByLength(lengths, self._train_batch_size, int(self.args.seed))

    def get_batch_samples(
        self, epoch_iterator: Iterator, num_batches: int, device: torch.device
    ) -> tuple[list, Any]:
        """The batches of a step, which are looked at before the first one is read."""
        found, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        self._batches = found
        # A number: their losses are shares of the step's, and not to be divided again.
        return found, 1

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """What a batch, of which own answers may be part, adds to its step's loss."""
        i = self.records.batches
        if i == 0:
            self._step = self._look_ahead()
        if i in self._step.fed:
            fed = self._step.fed[i]
        else:
            fed = self._fed(inputs, i, longest=self._step.longest)
        found = model(**inputs, **fed)
        sums = self._over_ranks(sums_of(found))
        self.records.note(sums, bool(fed))
        step = sums if self._step.sums is None else self._step.sums
        loss = share_of_step(self.system, found, step)
        share = (found["rows"] / step[3]).float()
        loss = loss + share * orthogonality_penalty(self.system.model)
        # Gradients are averaged over ranks, where they are to be added.
        loss = loss * self.args.world_size
        return (loss, found) if return_outputs else loss

    def _look_ahead(self) -> Step:
        """What the step's batches have to know of each other."""
        batches = [self._prepare_inputs(batch) for batch in self._batches]
        longest = longest_answer(batches)
        if self.args.world_size > 1:
            mine = torch.tensor([longest], device=self.args.device)
            longest = int(self.accelerator.gather(mine).max())  # type: ignore[union-attr]
        if len(batches) == 1:
            return Step(longest)
        fed = {
            i: self._fed(batch, i, longest=longest, once=False)
            for i, batch in enumerate(batches)
        }
        with self.accelerator.autocast():
            sums = sums_ahead(self.system, batches, fed)
        return Step(longest, self._over_ranks(sums), fed)

    def _fed(
        self, batch: dict[str, Tensor], i: int, *, longest: int, once: bool = True
    ) -> dict[str, Any]:
        """Own answers for the step's batch i, if it is to read any."""
        if self.own is None:
            return {}
        place = i * self.args.world_size + self.args.process_index
        # Mixed precision is put on the system's forward, which a roll-out goes past.
        with self.accelerator.autocast():
            return self.own.fed(
                self.system,
                batch,
                step=self.state.global_step,
                place=place,
                longest=longest,
                once=once,
            )

    def _over_ranks(self, sums: Sums) -> Sums:
        if self.args.world_size == 1:
            return sums
        return self.accelerator.reduce(sums, reduction="sum")  # type: ignore[return-value]

    def _clip_grad_norm(self, model: torch.nn.Module) -> Any:
        self.records.grad_norm = super()._clip_grad_norm(model)
        return self.records.grad_norm

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """Tell the trackers; of the training's loss, also what it consists of."""
        if "loss" in logs:
            logs.update(self.records.parts())
        super().log(logs, *args, **kwargs)

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Metrics on the validation rows, with ``eval_`` before their names.

        Raises:
            InputError: if the loss is no finite number: such weights are of no use.
        """
        with self.accelerator.autocast():
            found = self._validate(self.system, self._held_out)
        if not math.isfinite(found["loss"]):
            raise InputError(
                "a training must stay finite; the loss of the validation rows is "
                f"{found['loss']} at step {self.state.global_step}. Give a "
                f"learning_rate below {self.args.learning_rate:g}, and another folder."
            )
        self._metrics = found
        named = {f"eval_{name}": value for name, value in found.items()}
        self.log(dict(named))
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, named
        )
        if self.is_over(self.state):
            self.control.should_training_stop = True
        return named

    def _get_output_dir(self, trial: Any) -> str:
        # Whatever the Trainer writes lies here until the checkpoint is whole.
        return str(self.folder / _UNFINISHED)

    def save_model(
        self, output_dir: str | None = None, _internal_call: bool = False
    ) -> None:
        """Write the system as it is now."""
        if not self.args.should_save:
            return
        place = Path(output_dir or self.args.output_dir)  # type: ignore[arg-type]
        self._save_system(place, self.state.global_step, self._metrics)
        save_state(self.system, place)

    def _save_checkpoint(self, model: torch.nn.Module, trial: Any) -> None:
        if self.args.should_save:
            # What a killed training left there would be counted as this checkpoint's.
            shutil.rmtree(self.folder / _UNFINISHED, ignore_errors=True)
        self.accelerator.wait_for_everyone()
        with written_by_library(self.folder / _UNFINISHED):
            super()._save_checkpoint(model, trial)
        self.accelerator.wait_for_everyone()
        if not self.args.should_save:
            return
        name = f"checkpoint-{self.state.global_step}"
        final = self.folder / name
        losses = losses_sha256(self.records.path, self.state.global_step)
        seal_resumption(self.folder / _UNFINISHED / name, losses)
        shutil.rmtree(final, ignore_errors=True)
        os.replace(self.folder / _UNFINISHED / name, final)
        shutil.rmtree(self.folder / _UNFINISHED, ignore_errors=True)
        drop_resumption(self.folder, but=final)
        self._rotate()

    def _rotate(self) -> None:
        if self._keep is None:
            return
        best = self.state.best_global_step
        for step, folder in checkpoints(self.folder)[: -self._keep]:
            if step != best:
                shutil.rmtree(folder)

    def _load_from_checkpoint(
        self, resume_from_checkpoint: str, model: torch.nn.Module | None = None
    ) -> None:
        load_state(self.system, Path(resume_from_checkpoint))
