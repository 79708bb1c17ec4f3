"""The Hugging Face Trainer, given a system: losses, own answers, checkpoints, records."""

import csv
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm.auto import tqdm
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import PrinterCallback, ProgressCallback

from mi_probe.backbones.modules import user_files
from mi_probe.errors import InputError
from mi_probe.predgen.encoding import Rows, collate
from mi_probe.predgen.own_answers import OwnAnswers
from mi_probe.predgen.rank_updates import (
    load_rank_state,
    orthogonality_penalty,
    rank_state,
    rank_update_callback,
    split_rank_state,
)
from mi_probe.predgen.row_order import ByLength
from mi_probe.predgen.systems import System, pad_token

RESUME = "training_state.safetensors"
"""The trained weights and buffers as they were, bit for bit; see `SystemTrainer`."""
_ONLY_TO_RESUME = (RESUME, "optimizer.pt", "scheduler.pt", "scaler.pt", "rng_state*.pth")
_UNFINISHED = ".unfinished"
LOSSES = "losses.csv"
_COLUMNS = (
    *("step", "loss", "writer", "director", "probability", "own", "learning_rate"),
    "grad_norm",
)

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
            callbacks=[rank_update_callback(), *callbacks],
        )
        self.remove_callback(PrinterCallback)
        self.remove_callback(ProgressCallback)
        self.system = system
        self.own = own
        self._save_system, self._validate, self._keep = save, validate, keep
        self._by_length = by_length
        self.losses: list[dict[str, Any]] = []
        self._step: dict[str, Any] = {}
        self._place = 0
        self._metrics: dict[str, float] = {}
        self.grad_norm: Any = None
        self.add_callback(_Records(self))
        self.add_callback(_Bar())

    @property
    def folder(self) -> Path:
        """Of the run."""
        return Path(str(self.args.output_dir))

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        if not self._by_length:
            return super()._get_train_sampler(train_dataset)
        rows: Rows = self.train_dataset  # type: ignore[assignment]
        lengths = [len(row.prompt) + len(row.answer) for row in rows.rows]
        return ByLength(lengths, self._train_batch_size, int(self.args.seed))

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """The system's loss of a batch, of which own answers may be part."""
        step = self.state.global_step
        place = self._place * self.args.world_size + self.args.process_index
        self._place += 1
        fed = {}
        if self.own is not None:
            fed = self.own.fed(self.system, inputs, step=step, place=place)
        found = model(**inputs, **fed)
        self._note(found, bool(fed))
        loss = found["loss"] + orthogonality_penalty(self.system.model)
        return (loss, found) if return_outputs else loss

    def _clip_grad_norm(self, model: torch.nn.Module) -> Any:
        self.grad_norm = super()._clip_grad_norm(model)
        return self.grad_norm

    def _note(self, found: dict[str, Tensor], own: bool) -> None:
        for name, loss in found.items():
            self._step.setdefault(name, []).append(loss.detach())
        self._step["own"] = own

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Metrics on the validation rows, with ``eval_`` before their names."""
        found = self._validate(self.system, self.eval_dataset)
        self._metrics = found
        named = {f"eval_{name}": value for name, value in found.items()}
        self.log(dict(named))
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, named
        )
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
        state = _state(self.system) | rank_state(self.system)
        save_file(state, place / RESUME)

    def _save_checkpoint(self, model: torch.nn.Module, trial: Any) -> None:
        super()._save_checkpoint(model, trial)
        self.accelerator.wait_for_everyone()
        if not self.args.should_save:
            return
        name = f"checkpoint-{self.state.global_step}"
        final = self.folder / name
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
        path = Path(resume_from_checkpoint) / RESUME
        with user_files(RESUME, path.parent):
            ranks, given = split_rank_state(load_file(path))
        wanted = _state(self.system)
        if set(given) != set(wanted):
            differ = sorted(set(given) ^ set(wanted))
            raise InputError(
                f"{RESUME} must hold the weights that these settings train; that in "
                f"{str(path.parent)!r} differs in {differ[0]}. Train into another folder."
            )
        named = dict(self.system.named_parameters()) | dict(self.system.named_buffers())
        with torch.no_grad():
            for name, tensor in given.items():
                named[name].copy_(tensor)
        load_rank_state(self.system, ranks)


def checkpoints(folder: Path) -> list[tuple[int, Path]]:
    """The finished ``checkpoint-<step>`` folders of a run, by step."""
    if not folder.is_dir():
        return []
    found = [
        (int(match[1]), path)
        for path in folder.iterdir()
        if (match := re.fullmatch(r"checkpoint-(\d+)", path.name)) and path.is_dir()
    ]
    return sorted(found)


def drop_resumption(folder: Path, *, but: Path | None = None) -> None:
    """Remove what only serves to go on, from all checkpoints of a run but one."""
    for _, place in checkpoints(folder):
        if place != but:
            for pattern in _ONLY_TO_RESUME:
                for path in place.glob(pattern):
                    path.unlink()


def _state(system: System) -> dict[str, Tensor]:
    """What training changes: the trained weights, and the buffers."""
    weights = {n: p for n, p in system.named_parameters() if p.requires_grad}
    found = weights | dict(system.named_buffers())
    # A copy each: tied weights are one tensor, which safetensors would refuse.
    return {name: t.detach().cpu().clone().contiguous() for name, t in found.items()}


class _Records(TrainerCallback):
    """A line a step in ``losses.csv``."""

    def __init__(self, trainer: SystemTrainer) -> None:
        self.trainer = trainer
        self.rate: float | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        trainer = self.trainer
        path = trainer.folder / LOSSES
        trainer.losses = [
            row for row in read_losses(path) if int(row["step"]) <= state.global_step
        ]
        if args.should_save:
            with path.open("w", newline="") as file:
                writer = csv.DictWriter(file, _COLUMNS)
                writer.writeheader()
                writer.writerows(trainer.losses)

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.trainer._step, self.trainer._place = {}, 0

    def on_pre_optimizer_step(
        self, args: Any, state: Any, control: Any, **kwargs: Any
    ) -> None:
        self.rate = kwargs["lr_scheduler"].get_last_lr()[0]

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        trainer = self.trainer
        found = dict(trainer._step)
        own = found.pop("own", False)
        row: dict[str, Any] = dict.fromkeys(_COLUMNS, "")
        row |= {n: float(torch.stack(ls).float().mean()) for n, ls in found.items()}
        row |= {"step": state.global_step, "learning_rate": self.rate}
        if trainer.own is not None:
            row["probability"] = trainer.own.probability(state.global_step - 1)
            row["own"] = int(own)
        norm = trainer.grad_norm
        row["grad_norm"] = "" if norm is None else float(norm)
        trainer.losses.append(row)
        if args.should_save:
            with (trainer.folder / LOSSES).open("a", newline="") as file:
                csv.DictWriter(file, _COLUMNS).writerow(row)


def read_losses(path: Path) -> list[dict[str, Any]]:
    """The rows of ``losses.csv``; a line that was cut off by a kill is left out."""
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return [row for row in csv.DictReader(file) if None not in row.values()]


class _Bar(TrainerCallback):
    """A bar on stderr, if that is a terminal."""

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.bar = tqdm(
            total=state.max_steps,
            initial=state.global_step,
            unit="step",
            disable=None if state.is_world_process_zero else True,
        )

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.bar.update(state.global_step - self.bar.n)

    def on_log(
        self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any
    ) -> None:
        shown = {
            k: f"{v:.3g}" for k, v in (logs or {}).items() if k in ("loss", "eval_loss")
        }
        self.bar.set_postfix(shown)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.bar.close()


@contextmanager
def global_random_state_kept() -> Iterator[None]:
    """Put the global random states back: the Trainer seeds them all."""
    import random

    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    cuda = list(range(torch.cuda.device_count()))
    try:
        with torch.random.fork_rng(devices=cuda):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
