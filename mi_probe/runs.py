"""What commands that measure checkpoints do alike: the run's record, and its captures."""

import dataclasses
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mi_probe.analysis.measurables import Measurable, describe
from mi_probe.analysis.printed import format_bytes
from mi_probe.capture import extract, fingerprint_id, plan
from mi_probe.contents import digest
from mi_probe.provenance import environment, now
from mi_probe.results import Results
from mi_probe.run_settings import RunSettings
from mi_probe.tasks import Task


class RunRecord:
    """What a results folder is told of one run: settings, versions, models."""

    def __init__(
        self,
        results: Results,
        settings: RunSettings,
        task: Task | None,
        *,
        program: str,
        aside: Sequence[str] = (),
        **measured_with: Any,
    ) -> None:
        """Begin one.

        Args:
            results: the folder.
            settings: of the command.
            task: None where each checkpoint has its own.
            program: what the user typed to run it.
            aside: settings that do not change what is measured, beside where things go.
            measured_with: beside versions and machine.
        """
        self._results = results
        config = dataclasses.asdict(settings)
        for name in ("out", "keep_activations", *aside):
            config.pop(name)
        self.config_sha = digest(config)
        self.told: dict[str, Any] = {
            "run_id": f"{now()}-{self.config_sha}",
            "command": program,
            "config": config,
            "config_sha": self.config_sha,
            "started": now(),
            "environment": {**environment(), **measured_with},
            # Trained systems bring a task each, which is with the model.
            "task": None if task is None else describe(task),
            "models": [],
        }

    def add(self, name: str, model: Measurable) -> None:
        """A model is about to be measured."""
        fingerprint = model.backbone.fingerprint
        self.told["models"].append(
            {"name": name, "fingerprint": fingerprint, **model.record}
        )
        self._results.record(self.told)

    def close(self) -> bool:
        """The run has ended; False where it came to no model, and nothing was written."""
        if self.told["models"]:
            self._results.record({**self.told, "ended": now()})
        return bool(self.told["models"])


@dataclass(frozen=True)
class Capture:
    """The states of one token set of a model: what to capture, and where it is kept.

    It does not hold the model, which is let go of before its states are measured.
    """

    token_set: str
    told: Mapping[str, Any] = field(repr=False)
    """What `extract` is told."""
    sites: list[str]
    """In the network's order."""
    fingerprint: Mapping[str, object] = field(repr=False)
    notes: tuple[str, ...]
    store: Path

    @classmethod
    def of(
        cls,
        model: Measurable,
        token_set: str,
        *,
        sites: Any,
        views: Sequence[str],
        folder: Path,
    ) -> "Capture":
        """Plan it, and run nothing yet.

        Raises:
            InputError: on a site or view that the model has not.
        """
        told = {
            "sites": model.sites(token_set, sites),
            "views": views,
            "max_tokens": model.max_tokens,
        }
        planned = plan(model.backbone, model.sources[token_set], **told)
        return cls(
            token_set,
            told,
            [site.name for site in planned.sites],
            planned.fingerprint,
            planned.notes,
            folder / "activations" / fingerprint_id(planned.fingerprint),
        )

    def extract(self, model: Measurable, batch_size: int) -> None:
        """Capture what is not there yet."""
        source = model.sources[self.token_set]
        told = {"store": self.store, "batch_size": batch_size, **self.told}
        extract(model.backbone, source, **told)

    def forget(self) -> None:
        """Remove the states."""
        shutil.rmtree(self.store)


def sizes_on_disk(stores: Sequence[Path]) -> list[str]:
    """A line for each folder of hidden states that a run leaves."""
    sizes = [
        sum(f.stat().st_size for f in store.rglob("*") if f.is_file()) for store in stores
    ]
    return [
        f"Hidden states: {store} ({format_bytes(size)})"
        for store, size in zip(stores, sizes, strict=True)
    ]
