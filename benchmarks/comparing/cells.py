"""What is compared: the tasks, their views, the packages and their methods."""

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mi_probe.hidden import HiddenStates
from mi_probe.pooling import pool
from mi_probe.synthetic import ZOO

DEFAULT_TASKS: tuple[str, ...] = (
    "gaussians d=16 c=10",
    "spiral 3x3",
    "staircase 6",
    "independent student 5x5 1 dof n=2000",
    "order, noise",
    "gaussians d=768 c=4",
    "half-cube 25x25",
    "low rank 768 linear",
    "parity of 3 signs d=64",
    "student 2x2 1 dof",
)
"""One or two a group: a run of all methods on them takes half an hour of one core."""
DEFAULT_VIEWS = ("full", "mean")
METHODS: dict[str, tuple[str, ...]] = {
    "mi_probe": ("auto", "mine"),
    "scikit-learn": ("per feature",),
    "npeet-plus": ("ksg",),
    "gmm-mi": ("mixture",),
    "mist-statinf": ("amortised",),
    "benchmark-mi": ("cca", "ksg", "mine"),
    "torch-mist": ("mine", "smile"),
    "latentmi": ("latent",),
}
"""Packages, the quickest first, and the methods that a run compares by default."""


@dataclass(frozen=True)
class Cell:
    """One method on one view of one drawn task."""

    task: str
    view: str
    seed: int
    package: str
    estimator: str

    @property
    def key(self) -> tuple[str, str, int, str, str]:
        """What tells it from other cells."""
        return (self.task, self.view, self.seed, self.package, self.estimator)


def cells(
    tasks: Sequence[str],
    views: Sequence[str] | None,
    seeds: Sequence[int],
    methods: dict[str, tuple[str, ...]],
) -> list[Cell]:
    """Tasks outermost, so that a run that is cut short compares all methods on some."""
    return [
        Cell(task, view, seed, package, estimator)
        for seed in seeds
        for task in tasks
        for view in _views(task, views)
        for package, estimators in methods.items()
        for estimator in estimators
    ]


def _views(task: str, asked: Sequence[str] | None) -> tuple[str, ...]:
    if ZOO[task].group != "sequences" and "sequences" not in task:
        return ("x",)
    every = ("full", "mean", "first", "last")
    return tuple(view for view in every if asked is None or view in asked)


@dataclass(frozen=True)
class Drawn:
    """A task's rows on disk, one file a view, and its truths."""

    n: int
    truths: dict[str, float]
    stderr: float
    folder: Path

    def rows(self, view: str, package: str) -> Path:
        """The file; sequences are flattened, pads as zeros, for all packages but ours."""
        flat = view == "full" and package != "mi_probe"
        return self.folder / ("flat.npz" if flat else f"{view}.npz")


def drawn(task: str, seed: int, root: Path, n: int | None = None) -> Drawn:
    """Draw a task once and write it, so that all methods see the same rows in float32."""
    name = f"{zlib.crc32(task.encode()):08x}-{n or ZOO[task].n}-{seed}"
    folder = root / name
    record = folder / "truth.json"
    if not record.exists():
        folder.mkdir(parents=True, exist_ok=True)
        known = ZOO[task].draw(n, seed=seed)
        y = known.y if known.y.dtype.kind == "i" else known.y.astype(np.float32)
        truths = {"x": known.nats}
        if isinstance(known.x, HiddenStates):
            truths = {"full": known.nats, **known.pooled_nats}
            values, mask = known.x.values.numpy(), known.x.mask.numpy()
            np.savez(folder / "full.npz", x=values, mask=mask, y=y)
            np.savez(folder / "flat.npz", x=values.reshape(len(values), -1), y=y)
            for view in known.pooled_nats:
                np.savez(folder / f"{view}.npz", x=pool(known.x, view).numpy(), y=y)
        else:
            np.savez(folder / "x.npz", x=known.x.astype(np.float32), y=y)
        said = {"n": len(y), "truths": truths, "stderr": known.stderr}
        record.write_text(json.dumps(said))
    said = json.loads(record.read_text())
    return Drawn(said["n"], said["truths"], said["stderr"], folder)
