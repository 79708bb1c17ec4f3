"""Running a study: its chains one after the other or side by side, killed and gone on with.

    OUT/study.json                      what was declared, and by which version it was run
    OUT/status.csv                      a line a chain: done, running, failed, to do
    OUT/NAME/trained/                   the chain's training
    OUT/NAME/results/                   what was measured of it
    OUT/NAME/steps/1-train.yaml         the settings of its commands, as ``--config`` takes
    OUT/NAME/steps/1-train.{log,json}   what a command said, and that it has ended well

Each command is a process of its own, which goes on where it was killed. One that has ended
well under the same settings is not begun again; one that fails is named, and stops its own
chain alone. What is sent to an engine is a chain, whose commands share a model and its
states.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

import yaml
from tqdm.auto import tqdm

from mi_probe.atomic import check_writable, write_atomically
from mi_probe.contents import read_json, sealed, unsealed
from mi_probe.division import LAUNCHER
from mi_probe.engine import opened
from mi_probe.errors import InputError
from mi_probe.provenance import code_version, now
from mi_probe.study.chains import Chain, Step
from mi_probe.study.declared import Study
from mi_probe.study.progress import (
    defined,
    ended,
    place_of,
    step_file,
    write_status,
)

State: TypeAlias = Literal["done", "failed", "to do"]
_RUNNING: set[subprocess.Popen[bytes]] = set()
"""Commands of this process: an interrupted one ends them, whichever thread waits."""
_LAST_LINES = 3
"""Lines of a failed command's own words that are shown."""


@dataclass(frozen=True)
class Outcome:
    """What came of a chain."""

    name: str
    state: State
    seconds: float
    """Time that its commands took, those of earlier runs too."""
    said: str = ""
    """The failed command's last words."""


def run_chains(
    study: Study,
    out: str | Path,
    *,
    jobs: int = 1,
    engine: str = "local",
    shard: tuple[int, int] = (1, 1),
    say: Callable[[str], object] = lambda _: None,
) -> list[Outcome]:
    """Run what is not done yet.

    Args:
        study: what `read_study` gave.
        out: the study's folder.
        jobs: chains side by side; the CPU's cores are shared among them.
        engine: ``local``, or ``dask://HOST:PORT`` of a cluster that shares this disk.
        shard: (i, n): of the chains, the i-th of every n, counted from 1.
        say: is told of each chain that ends.

    Raises:
        InputError: if the folder is another study's, or the engine is unknown.
    """
    folder = Path(out)
    check_writable(folder)
    _check_folder(folder, study)
    chosen = study.chains[shard[0] - 1 :: shard[1]]
    write_status(study, folder)
    outcomes: list[Outcome] = []
    threads = max(1, (os.cpu_count() or 1) // jobs)
    run = partial(_run_chain, out=str(folder), threads=threads)
    with (
        # Threads, since each command is a process of its own.
        opened(engine, jobs, side_by_side="threads") as working,
        tqdm(total=len(chosen), unit="chain", disable=None) as bar,
    ):
        for outcome in _interruptible(working.each(run, {c.name: c for c in chosen})):
            outcomes.append(outcome)
            bar.update()
            failed = sum(one.state == "failed" for one in outcomes)
            bar.set_postfix_str(f"{failed} failed" if failed else "")
            write_status(study, folder)
            words = f": {outcome.said}" if outcome.said else ""
            took = f" in {outcome.seconds:.0f} s" if outcome.state == "done" else ""
            say(f"{outcome.name}: {outcome.state}{took}{words}")
    return outcomes


def _interruptible(found: Iterator[Outcome]) -> Iterator[Outcome]:
    """The outcomes as they come; where this process is stopped, so are its commands."""
    try:
        yield from found
    except BaseException:
        for process in list(_RUNNING):
            _end(process)
        raise


def _run_chain(chain: Chain, out: str, threads: int) -> Outcome:
    """Run the commands of a chain that have not ended well, in order."""
    folder = Path(out)
    for number, (step, seconds) in enumerate(
        zip(chain.steps, ended(chain, folder), strict=True), start=1
    ):
        if seconds is not None:
            continue
        said = _run_step(chain, number, step, folder, threads)
        if said is not None:
            total = sum((s for s in ended(chain, folder) if s is not None), 0.0)
            return Outcome(chain.name, "failed", total, f"{step.command}: {said}")
    total = sum((s for s in ended(chain, folder) if s is not None), 0.0)
    return Outcome(chain.name, "done", total)


def _run_step(
    chain: Chain, number: int, step: Step, folder: Path, threads: int
) -> str | None:
    """Run one command; None where it ended well, else its last words."""
    file = step_file(chain, folder, number)
    settings = {**step.settings, "out": str(place_of(chain, folder, step.command))}
    if step.command != "train":
        model = step.model or str(place_of(chain, folder, "train"))
        settings = {"checkpoints": [model], **settings}
    write_atomically(file, yaml.safe_dump(settings, sort_keys=False).encode())
    file.with_suffix(".failed").unlink(missing_ok=True)
    line = [sys.executable, "-m", f"mi_probe.{step.command}", "--config", str(file)]
    # Whoever set it knows of a busy machine, where a thread a core thrashes.
    # Nor is a command one of several processes where the study is.
    own = {name: value for name, value in os.environ.items() if name not in LAUNCHER}
    environment = {"OMP_NUM_THREADS": str(threads), **own}
    began = time.perf_counter()
    with file.with_suffix(".log").open("wb") as log:
        process = subprocess.Popen(
            line, stdout=log, stderr=subprocess.STDOUT, env=environment
        )
        _RUNNING.add(process)
        try:
            code = process.wait()
        finally:
            _end(process)
    seconds = time.perf_counter() - began
    if code:
        words = file.with_suffix(".log").read_text(errors="replace").strip().splitlines()
        said = " ".join(words[-_LAST_LINES:])[-500:] or f"exit code {code}"
        if code not in (130, 143):  # stopped, and not wrong
            write_atomically(file.with_suffix(".failed"), said.encode())
        return said
    done = {"step": defined(step), "seconds": seconds, "version": code_version()}
    write_atomically(file.with_suffix(".json"), sealed({**done, "ended": now()}))
    return None


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a command that still runs; it keeps what is finished."""
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=30)
        process.kill()
    _RUNNING.discard(process)


def fixed_comparisons(out: str | Path) -> frozenset[str]:
    """`Comparison.digest` of those that were declared before the first chain was run.

    Empty where nothing was run yet.
    """
    return frozenset(_read_declared(Path(out) / "study.json").get("fixed", ()))


def _read_declared(path: Path) -> dict[str, Any]:
    """The content of a study's ``study.json``; empty where there is none.

    Raises:
        InputError: if it is not what was written.
    """
    if not path.is_file():
        return {}
    try:
        return unsealed(read_json(path))
    except ValueError as error:
        raise InputError(
            f"{path} must be as it was written; it is damaged ({error}). Remove it."
        ) from None


def _check_folder(folder: Path, study: Study) -> None:
    """Refuse the folder of another study; write down what this one declares."""
    path = folder / "study.json"
    before = _read_declared(path)
    if before and before.get("study") != study.name:
        raise InputError(
            f"out must be a new folder or that of study '{study.name}'; {folder} is "
            f"that of '{before.get('study')}'. Choose another."
        )
    there = folder.iterdir() if folder.is_dir() else ()
    if not before and any(not p.name.startswith(".") for p in there):
        raise InputError(
            f"out must be a new or empty folder, or a study's; {folder} holds something "
            "else. Choose another."
        )
    fixed = [one.digest for one in study.comparisons]
    if any(folder.glob("*/steps/*.json")):
        # Once there are results, nothing can be declared before them.
        fixed = list(before.get("fixed", []))
    declared = json.loads(json.dumps(study.declared, default=str))
    content = {"study": study.name, "declared": declared, "fixed": fixed}
    write_atomically(path, sealed({**content, "version": code_version()}))
