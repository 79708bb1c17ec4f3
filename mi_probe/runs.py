"""What a run is known by, and who waits for whom: its record, and locks on its states."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from mi_probe.analysis.made_states import MadeStates
from mi_probe.analysis.measurables import Measurable, describe
from mi_probe.analysis.printed import format_bytes
from mi_probe.command_line import typed
from mi_probe.contents import digest
from mi_probe.locks import locked
from mi_probe.provenance import environment, now
from mi_probe.results import Results
from mi_probe.run_settings import RunSettings
from mi_probe.tasks import Task

_ASIDE = ("out", "keep_activations", "dry_run", "engine", "shard", "report_to", "memory")
"""Settings that do not change what is measured."""


class RunRecord:
    """What a results folder is told of one run: settings, versions, models."""

    def __init__(
        self,
        results: Results,
        settings: RunSettings,
        task: Task | None,
        *,
        program: str,
        **measured_with: Any,
    ) -> None:
        """Begin one.

        Args:
            results: the folder.
            settings: of the command.
            task: None where each checkpoint has its own.
            program: what the user typed to run it.
            measured_with: beside versions and machine.
        """
        self._results = results
        config = dataclasses.asdict(settings)
        for name in _ASIDE:
            config.pop(name, None)
        self.config_sha = digest(config)
        shard = f"-{settings.shard}" if settings.shard else ""
        self.told: dict[str, Any] = {
            "run_id": f"{now()}-{self.config_sha}{shard}",
            "command": program,
            "typed": typed(),
            "config": config,
            "config_sha": self.config_sha,
            "started": now(),
            "environment": {**environment(), **measured_with},
            # Trained systems bring a task each, which is with the model.
            "task": None if task is None else describe(task),
            "models": [],
        }

    def add(self, name: str, model: Measurable | MadeStates) -> None:
        """A model is about to be measured."""
        fingerprint = model.fingerprint
        self.told["models"].append(
            {"name": name, "fingerprint": fingerprint, **model.record}
        )
        self._results.record(self.told)

    def close(self) -> bool:
        """The run has ended; False where it came to no model, and nothing was written."""
        if self.told["models"]:
            self._results.record({**self.told, "ended": now()})
        return bool(self.told["models"])


@contextmanager
def alone_with(stores: Iterable[Path], say: Callable[[str], object]) -> Iterator[None]:
    """Be the only process that fills these stores and measures from them.

    Another that does so is waited for; what it finished meanwhile need not be done again.

    Args:
        stores: folders of hidden states.
        say: is told who is waited for.
    """

    def wait(holder: str) -> None:
        say(f"waiting for {holder}, which measures the same states")

    with ExitStack() as locks:
        # In one order, so that no two wait for each other.
        for store in sorted(set(stores)):
            locks.enter_context(locked(store.with_name(f".{store.name}.lock"), wait))
        yield


def sizes_on_disk(stores: Sequence[Path]) -> list[str]:
    """A line for each folder of hidden states that a run leaves."""
    sizes = [
        sum(f.stat().st_size for f in store.rglob("*") if f.is_file()) for store in stores
    ]
    return [
        f"Hidden states: {store} ({format_bytes(size)})"
        for store, size in zip(stores, sizes, strict=True)
    ]
