"""A record of what every estimator says, and how another version of the code differs.

    python benchmarks/golden.py run NAME [--core] [--estimators ...] [--tasks ...]
    python benchmarks/golden.py compare A B

`run` writes nats, error, limit, status and pointwise values of each estimator on each data
set, one file a cell, into `benchmarks/.golden/NAME`; what is there is not made again. Data
sets are the tasks of the zoo and two of sequences (`MADE`), drawn by the seed, and states
of the embedded models, captured once. `--core` takes some tasks of each kind, six
estimators and one seed: some ten minutes of one core. `--only PART ...` keeps cells with
such a part in "DATA ESTIMATOR".

`compare` prints two Markdown tables: by group and estimator, how many cells are equal to
the last bit, and the difference B - A in nats, by the paired pointwise values; and each
cell that clearly differs.
"""

import argparse
import json
import os
import signal
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file, save_file

from mi_probe.estimators import ESTIMATORS
from mi_probe.hidden import HiddenStates
from mi_probe.pooling import pool
from mi_probe.synthetic import ZOO

_HERE = Path(__file__).parent / ".golden"
CORE_ESTIMATORS = ("auto", "mine", "linear", "lda", "qda", "gaussian")
CORE_TASKS = (
    "gaussians d=8 c=5",
    "gaussians d=64 c=4",
    "gaussians d=64 c=20",
    "unbalanced d=8 c=5",
    "own covariances d=8 c=5",
    "own covariances d=64 c=4",
    "parity of 2 signs d=16",
    "rings d=2",
    "checkerboard d=2",
    "mixtures d=16 c=4",
    "student 2 dof d=16 c=4",
    "gaussians d=768 c=4",
    "gaussians d=768 c=20, 16 axes",
    "own covariances d=768 c=4, 8 axes",
    "order, noise",
    "majority",
    "mean sufficient",
    "spiral 3x3",
    "dense normal 25x25",
    "low rank 768 linear",
    "staircase 4",
    "independent classes d=768 c=4 n=500",
    "independent scores 5x5 n=2000",
)


@dataclass(frozen=True)
class Real:
    """States of an embedded model at one site, in one view."""

    model: str
    task: str
    rows: int
    site: str
    view: str

    @property
    def name(self) -> str:
        """What the cells are called by."""
        return f"{self.model} {self.task} {self.site} {self.view}"

    @property
    def group(self) -> str:
        """Of the comparison."""
        return f"real, {'scores' if self.task.startswith('hutto') else self.view}"

    def draw(
        self, among: "Sequence[Real] | None" = None
    ) -> tuple[np.ndarray | HiddenStates, np.ndarray]:
        """X and Y; states of one model and task are captured together."""
        own = (self.model, self.task, self.rows)
        alike = [r for r in among or REAL if (r.model, r.task, r.rows) == own]
        file = f"{self.model}-{self.task}-{self.rows}".replace(":", "-")
        if among is not None:
            named = "".join(sorted(f"{r.site}/{r.view} " for r in alike))
            file += f"-{zlib.crc32(named.encode()):08x}"
        path = _HERE / "states" / f"{file}.safetensors"
        if not path.exists():
            _capture(alike, path)
        held = load_file(path)
        x, y = held[f"{self.site}/{self.view}"], held["y"].numpy()
        return (HiddenStates(x, held["mask"]) if self.view == "full" else x.numpy()), y


_SMALL, _DEEP = "minilm-l6", "smollm2-135m:12"
REAL = (
    Real(_SMALL, "rotten_tomatoes", 1000, "embed", "mean"),
    Real(_SMALL, "rotten_tomatoes", 1000, "block.2", "mean"),
    Real(_SMALL, "rotten_tomatoes", 1000, "block.5", "mean"),
    Real(_SMALL, "rotten_tomatoes", 1000, "block.5", "last"),
    Real(_SMALL, "rotten_tomatoes", 1000, "block.2", "full"),
    Real(_SMALL, "sst2", 800, "block.2", "mean"),
    Real(_DEEP, "rotten_tomatoes", 800, "block.5", "mean"),
    Real(_DEEP, "rotten_tomatoes", 800, "final_norm", "mean"),
    Real(_DEEP, "rotten_tomatoes", 800, "final_norm", "last"),
    Real(_DEEP, "rotten_tomatoes", 800, "block.5", "full"),
    Real(_SMALL, "hutto_tweets", 800, "block.2", "mean"),
    Real(_DEEP, "hutto_movies", 800, "block.5", "mean"),
)


def _times(n: int, seed: int) -> tuple[HiddenStates, np.ndarray]:
    """Y, a number, is the first token's leading coordinate times the last one's, noisy."""
    z, rng = _tokens(n, 12, seed)
    last = z.mask.sum(1).numpy() - 1
    ends = z.values[:, 0, 0].numpy() * z.values[np.arange(n), last, 0].numpy()
    return z, ends[:, None] + 0.3 * rng.normal(size=(n, 1))


def _needle(n: int, seed: int) -> tuple[HiddenStates, np.ndarray]:
    """One token of each row is marked and carries the code of its class, one of 70."""
    z, rng = _tokens(n, 8, seed)
    codes = rng.normal(size=(15, 70))
    codes = (3 * codes / np.linalg.norm(codes, axis=0)).T
    y, of = rng.integers(70, size=n), rng.integers(70, size=z.mask.shape)
    place = (rng.random(n) * z.mask.sum(1).numpy()).astype(int)
    of[np.arange(n), place] = y
    values = 0.3 * z.values.numpy()
    values[..., :15] += codes[of]
    values[np.arange(n), place, 15] += 3
    return HiddenStates(torch.as_tensor(values), z.mask), y


def _tokens(n: int, t: int, seed: int) -> tuple[HiddenStates, np.random.Generator]:
    """Tokens of normal noise, of t/2 to t a row."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, t, 16)).astype(np.float32)
    mask = np.arange(t) < rng.integers(t // 2, t + 1, size=(n, 1))
    return HiddenStates(torch.as_tensor(values), torch.as_tensor(mask)), rng


MADE = {"first times last token": _times, "needle, 70 classes": _needle}


def _capture(alike: Sequence[Real], path: Path) -> None:
    from mi_probe.backbones import load_backbone
    from mi_probe.capture import extract
    from mi_probe.tasks import load_task

    model, name, rows = alike[0].model, alike[0].task, alike[0].rows
    task = load_task(name, rows=rows)
    sites = list(dict.fromkeys(real.site for real in alike))
    states = extract(load_backbone(model), task, sites=sites, views=("full",))
    found = {"y": torch.as_tensor(np.asarray(task.labels))}
    for site in sites:
        hidden = states.hidden(site)
        found["mask"] = hidden.mask
        for view in (real.view for real in alike if real.site == site):
            taken = hidden.values if view == "full" else pool(hidden, view)
            found[f"{site}/{view}"] = taken.contiguous()
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(found, path.with_suffix(".part"))
    os.replace(path.with_suffix(".part"), path)


@dataclass(frozen=True)
class Cell:
    """One estimator on one data set."""

    data: str
    seed: int
    estimator: str

    @property
    def file(self) -> str:
        """Its place in a record's folder."""
        plain = "".join(c if c.isalnum() else "-" for c in self.data)
        hashed = zlib.crc32(self.data.encode())
        return f"{plain}-{hashed:08x}-{self.seed}-{self.estimator}.json"


class _OverTime(BaseException):
    """A cell took longer than it may."""


def _stop(*_: object) -> None:
    raise _OverTime


def run(cells: Sequence[Cell], folder: Path, n: int, limit: float) -> None:
    """Write every cell that is not there yet.

    Args:
        cells: those of one data set and seed should follow one another.
        folder: of the record.
        n: rows of a task of the zoo that does not come with its own.
        limit: CPU seconds a cell.
    """
    folder.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGPROF, _stop)
    drawn, data = None, None
    for cell in cells:
        if (folder / cell.file).exists():
            continue
        if drawn != (cell.data, cell.seed):
            drawn, data = (cell.data, cell.seed), _drawn(cell, n)
        assert data is not None
        x, y, group, truth = data
        nature = ESTIMATORS[cell.estimator].nature
        kind = "classes" if np.issubdtype(np.asarray(y).dtype, np.integer) else "scores"
        if kind not in nature.takes or (
            isinstance(x, HiddenStates) and not nature.sequences
        ):
            continue
        said = {"data": cell.data, "group": group, "seed": cell.seed, "truth": truth}
        said |= {"estimator": cell.estimator, "n": len(y)}
        began = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, limit)
        try:
            said |= _said(cell, x, y)
        except _OverTime:
            said["status"] = f"more than {limit:g} CPU seconds"
        except Exception as error:  # a failure is a result, and may be one that is new
            said["status"] = f"{type(error).__name__}: {error}"
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        said["cpu_seconds"] = round(time.process_time() - began, 2)
        part = folder / f"{cell.file}.part"
        part.write_text(json.dumps(said))
        os.replace(part, folder / cell.file)
        told = {key: value for key, value in said.items() if key != "pointwise"}
        print(*told.values(), sep=" | ", flush=True)


def _drawn(cell: Cell, n: int) -> tuple:
    """X, Y, the group and the truth."""
    real = next((real for real in REAL if real.name == cell.data), None)
    if real is not None:
        return (*real.draw(), real.group, None)
    if cell.data in MADE:
        return (*MADE[cell.data](2 * n, cell.seed), "sequences", None)
    task = ZOO[cell.data]
    known = task.draw(min(n, task.n), seed=cell.seed)
    return known.x, known.y, task.group, known.nats


def _said(cell: Cell, x: np.ndarray | HiddenStates, y: np.ndarray) -> dict:
    estimate = ESTIMATORS[cell.estimator].estimate(x, y, seed=cell.seed)
    limit = estimate.extrapolated
    return {
        "nats": estimate.nats,
        "stderr": estimate.stderr,
        "status": estimate.status,
        "extrapolated": None if limit is None else [limit.nats, *limit.ci],
        "pointwise": estimate.pointwise.tolist(),
    }


def compare(before: Path, after: Path, only: Sequence[str]) -> str:
    """Two tables in Markdown: by group and estimator, and the cells that clearly differ."""
    rows = []
    for path in sorted(before.glob("*.json")):
        if not (after / path.name).exists():
            continue
        old, new = (
            json.loads((place / path.name).read_text()) for place in (before, after)
        )
        if not only or any(part in f"{old['data']} {old['estimator']}" for part in only):
            rows.append(_compared(old, new))
    table = pd.DataFrame(rows)
    groups = [
        (
            f"{group} | {estimator} | {len(part)} | {part.equal.sum()}",
            f"{part.difference.mean():+.4f} +- {_joint_error(part.error):.4f}",
            f"{part.difference.min():+.4f} | {part.difference.max():+.4f}",
            f"{part.old_s.sum():.0f} | {part.new_s.sum():.0f}",
        )
        for (group, estimator), part in table.groupby(["group", "estimator"], sort=True)
    ]
    close = table.difference.abs() < np.maximum(2 * table.error, 1e-3)
    apart = [
        (
            f"{row.data}, seed {row.seed} | {row.estimator}",
            f"{row.old:.3f} | {row.new:.3f} | {row.difference:+.4f} +- {row.error:.4f}",
            f"{row.old_limit:.3f} | {row.new_limit:.3f} | {row.truth:.3f} | {row.status}",
        )
        for row in table[~table.equal & ~close].sort_values("difference").itertuples()
    ]
    head = "group | estimator | cells | equal | B - A, mean | worst | best | CPU s, A | B"
    cells = "data | estimator | A | B | B - A | limit, A | B | truth | status"
    return f"{_markdown(head, groups)}\n\n{_markdown(cells, apart)}"


def _joint_error(errors: pd.Series) -> float:
    return float(np.sqrt((errors**2).sum())) / len(errors)


def _markdown(head: str, rows: Sequence[Sequence[str]]) -> str:
    lines = [head, "|".join("---" for _ in head.split("|")), *(" | ".join(r) for r in rows)]
    return "\n".join(f"| {line} |" for line in lines)


def _compared(old: dict, new: dict) -> dict:
    same = {"status", "nats", "stderr", "extrapolated", "pointwise"}
    kept = {key: old[key] for key in ("data", "group", "seed", "estimator")}
    kept |= {"equal": all(old.get(key) == new.get(key) for key in same)}
    for name, said in (("old", old), ("new", new)):
        kept |= {name: said.get("nats", np.nan), f"{name}_s": said["cpu_seconds"]}
        kept[f"{name}_limit"] = (said.get("extrapolated") or [np.nan])[0]
    kept["difference"] = kept["new"] - kept["old"]
    apart = np.array([np.nan])
    if len(old.get("pointwise", ())) == len(new.get("pointwise", ())) > 0:
        apart = np.subtract(new["pointwise"], old["pointwise"])
    kept["error"] = float(apart.std() / np.sqrt(len(apart)))
    kept["truth"] = np.nan if old["truth"] is None else old["truth"]
    kept["status"] = " -> ".join(dict.fromkeys([old["status"], new["status"]]))
    return kept


def _asked_cells(asked: argparse.Namespace) -> Iterator[Cell]:
    real = [r.name for r in REAL]
    tasks = asked.tasks or [*real, *MADE, *(CORE_TASKS if asked.core else ZOO)]
    names = asked.estimators or (CORE_ESTIMATORS if asked.core else list(ESTIMATORS))
    seeds = asked.seeds or ([0] if asked.core else [0, 1])
    for seed in seeds:
        for task in tasks:
            for name in names:
                key = f"{task} {name}"
                if not asked.only or any(part in key for part in asked.only):
                    yield Cell(task, seed, name)


def main() -> None:
    """Write a record, or print how two differ."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    writing = commands.add_parser("run")
    writing.add_argument("name")
    writing.add_argument("--core", action="store_true")
    writing.add_argument("--estimators", nargs="+", choices=list(ESTIMATORS))
    writing.add_argument(
        "--tasks", nargs="+", choices=[*ZOO, *MADE, *(r.name for r in REAL)]
    )
    writing.add_argument("--seeds", nargs="+", type=int)
    writing.add_argument("--n", type=int, default=1000, help="rows of a task of the zoo")
    writing.add_argument("--limit", type=float, default=120, help="CPU seconds a cell")
    comparing = commands.add_parser("compare")
    comparing.add_argument("before")
    comparing.add_argument("after")
    for command in (writing, comparing):
        command.add_argument(
            "--only", nargs="+", default=[], help="parts of 'DATA ESTIMATOR'"
        )
    asked = parser.parse_args()
    if asked.command == "compare":
        print(compare(_HERE / asked.before, _HERE / asked.after, asked.only))
        return
    torch.set_num_threads(1)
    run(list(_asked_cells(asked)), _HERE / asked.name, asked.n, asked.limit)


if __name__ == "__main__":
    main()
