"""What a training leaves on the way: a line a step in ``losses.csv``, and a bar."""

import csv
import hashlib
import io
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm
from transformers import TrainerCallback

from mi_probe.atomic import write_atomically
from mi_probe.errors import InputError
from mi_probe.predgen.own_answers import OwnAnswers
from mi_probe.predgen.step_ahead import Sums, loss_of, means_of
from mi_probe.predgen.systems import System

LOSSES = "losses.csv"
_COLUMNS = (
    *("step", "loss", "writer", "director", "probability", "own", "learning_rate"),
    "grad_norm",
)


class Records(TrainerCallback):
    """A line a step in ``losses.csv``: its losses over all its batches, rate and norm."""

    def __init__(self, folder: Path, own: OwnAnswers | None, system: System) -> None:
        """Make the records.

        Args:
            folder: of the run.
            own: the scheduled sampling, whose probabilities are recorded.
            system: whose losses they are.
        """
        self.path = folder / LOSSES
        self.own = own
        self.system = system
        self.batches = 0
        """Of the present step, so far."""
        self.grad_norm: Any = None
        self._sums: Sums | None = None
        self._losses: dict[str, float] = {}
        self._untold: list[dict[str, Any]] = []
        self._reads_own = False
        self._rate: float | None = None

    def note(self, sums: Sums, reads_own: bool) -> None:
        """Add a batch's losses, and say whether its answers were the model's own."""
        self._sums = sums if self._sums is None else self._sums + sums
        self._reads_own = reads_own
        self.batches += 1

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Take away what was recorded after the checkpoint from which training goes on."""
        if not args.should_save:
            return
        rows = read_losses(self.path)
        kept = io.StringIO()
        writer = csv.DictWriter(kept, _COLUMNS)
        writer.writeheader()
        writer.writerows(r for r in rows if int(r["step"]) <= state.global_step)
        # Not in place: a kill between would lose the lines of every earlier step.
        write_atomically(self.path, kept.getvalue().encode())

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Begin a line."""
        self._sums, self.batches = None, 0

    def on_pre_optimizer_step(
        self, args: Any, state: Any, control: Any, **kwargs: Any
    ) -> None:
        """Keep rate and losses of this step: afterwards they are the next one's."""
        assert self._sums is not None
        means, objective = means_of(self._sums), self.system.objective
        self._losses = {
            "loss": loss_of(self.system, self._sums),
            **({} if objective == "predictor" else {"writer": float(means["writer"])}),
            **({} if objective == "generator" else {"director": float(means["director"])}),
        }
        self._rate = kwargs["lr_scheduler"].get_last_lr()[0]

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Write the line."""
        if not args.should_save:
            return
        row: dict[str, Any] = dict.fromkeys(_COLUMNS, "") | self._losses
        row |= {"step": state.global_step, "learning_rate": self._rate}
        if self.own is not None:
            row["probability"] = self.own.probability(state.global_step - 1)
            row["own"] = int(self._reads_own)
        row["grad_norm"] = "" if self.grad_norm is None else float(self.grad_norm)
        self._untold.append(row)
        with self.path.open("a", newline="") as file:
            csv.DictWriter(file, _COLUMNS).writerow(row)

    def parts(self) -> dict[str, float]:
        """What the loss consists of, for trackers: means since the last call.

        The two losses, the probability of own tokens, and the share of steps that read
        them; only those that this objective has.
        """
        found = {}
        for name in ("writer", "director", "probability", "own"):
            told = [row[name] for row in self._untold if row[name] != ""]
            if told:
                found[name] = sum(told) / len(told)
        self._untold = []
        return found


class LastStep(TrainerCallback):
    """The last step is validated and saved, whatever the steps between two checkpoints.

    The Trainer's own rule for it is another in each version.
    """

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Ask for both."""
        if state.global_step >= state.max_steps:
            control.should_evaluate = control.should_save = True


def read_losses(path: Path) -> list[dict[str, Any]]:
    """The rows of ``losses.csv``; a line that was cut off by a kill is left out.

    Raises:
        InputError: if it is damaged.
    """
    if not path.is_file():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if None not in row.values()]
        for row in rows:
            int(row["step"])
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise InputError(
            f"{path} must be a table with a whole number, step, in each row; it is damaged "
            f"({type(error).__name__}: {error}). Remove it, or train into another folder."
        ) from None
    return rows


class Bar(TrainerCallback):
    """A bar on stderr, if that is a terminal."""

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Show it."""
        self.bar = tqdm(
            total=state.max_steps,
            initial=state.global_step,
            unit="step",
            disable=None if state.is_world_process_zero else True,
        )

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Move it on."""
        self.bar.update(state.global_step - self.bar.n)

    def on_log(
        self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any
    ) -> None:
        """Say the losses beside it."""
        shown = {
            k: f"{v:.3g}" for k, v in (logs or {}).items() if k in ("loss", "eval_loss")
        }
        self.bar.set_postfix(shown)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Take it away."""
        self.bar.close()


def losses_sha256(path: Path, step: int) -> str:
    """The sha256 of the lines of ``losses.csv`` until a step, with the headings.

    Args:
        path: of the file; one that is not there has no lines.
        step: the last one whose line counts. Later lines, of steps after the checkpoint
            from which a training goes on, are taken away by it.
    """
    found = hashlib.sha256()
    lines = path.read_bytes().splitlines(keepends=True) if path.is_file() else []
    for line in lines[: step + 1]:
        found.update(line)
    return found.hexdigest()
