"""States that stay on the disk against the same in memory: peak memory, and the estimate.

    python benchmarks/larger_than_memory.py [ROWS TOKENS WIDTH [TASK]]

writes a store of ROWS rows of TOKENS x WIDTH states in 16 bit (3,000 x 64 x 576 by default;
200000 64 576 is the judged case) for two planted tasks, the order of two tokens and a
needle among many, whose 16 columns are turned into WIDTH with a little noise. `auto` then
reads it by rows, and once more as a whole, each in a process of its own. Memory is looked
at four times a second, above what it was once everything was imported: all that is
resident, and without pages of mapped files (shards, and what is made of states beside
them), which the system can take back. The whole is left out where it would not fit.
Stores and scratch files lie under TMPDIR. Prints a table in Markdown.
"""

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from mi_probe.capture import load_activations
from mi_probe.capture.store import open_store
from mi_probe.estimators import ESTIMATORS
from mi_probe.hidden import HiddenStates
from mi_probe.synthetic.marked_tokens import needle, order

SITE, PLANTED, PART = "block.0", 16, 1000
TASKS = {"order": order, "needle": needle}
_NOISE = 0.05
_MOST = 8e9
"""Bytes of float32 states up to which the whole is read too."""


def written(folder: Path, task: str, rows: int, tokens: int, width: int) -> None:
    """A store of a planted task, and its labels beside it."""
    known = TASKS[task](rows, tokens, PLANTED, seed=0)
    z = known.x
    assert isinstance(z, HiddenStates)
    draw = torch.Generator().manual_seed(1)
    turn = torch.linalg.qr(torch.randn(width, PLANTED, generator=draw))[0].T
    ids = [str(i) for i in range(rows)]
    header = {"fingerprint": {"task": task}, "ids": ids, "sites": [SITE], "notes": []}
    store = open_store(folder, {**header, "views": ["full"], "stacks": {SITE: "text"}})
    for start in range(0, rows, PART):
        part = z[start : start + PART]
        packed = part.values[part.mask].float() @ turn
        packed += _NOISE * torch.randn(packed.shape, generator=draw)
        lengths = part.mask.sum(1).int()
        store.append(
            ids[start : start + PART],
            {
                "lengths/text": lengths,
                "position/text": torch.full_like(lengths, -1),
                "tokens/text": torch.zeros(len(packed), dtype=torch.int32),
                "roles/text": torch.ones(len(packed), dtype=torch.int8),
                f"full/{SITE}": packed.half(),
            },
        )
    np.save(folder / "labels.npy", known.y)


def resident() -> np.ndarray:
    """What is resident now, in GB: all, and without mapped files (Linux only)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    said = dict(line.split(":", 1) for line in lines)
    return np.array([int(said[k].split()[0]) for k in ("VmRSS", "RssAnon")]) * 1024 / 1e9


def watched(most: np.ndarray) -> None:
    """Keep the largest that is seen, as long as the process lives."""
    while True:
        np.maximum(most, resident(), out=most)
        time.sleep(0.25)


def estimated(folder: Path, how: str) -> None:
    """Print an estimate, its memory and its time, as JSON."""
    torch.set_num_threads(1)
    y, before, began = np.load(folder / "labels.npy"), resident(), time.process_time()
    most = before.copy()
    threading.Thread(target=watched, args=[most], daemon=True).start()
    z = load_activations(folder).read_by_rows(SITE)
    found = ESTIMATORS["auto"].estimate(z if how == "by rows" else z[:], y, seed=0)
    told = {"nats": found.nats, "stderr": found.stderr, "gb": (most - before).tolist()}
    print(json.dumps({**told, "seconds": time.process_time() - began}))


def row(rows: str, size: str, task: str, how: str, said: str) -> str:
    """A row of the table, of what `estimated` printed."""
    got = json.loads(said.splitlines()[-1])
    gb = " | ".join(f"{one:.2f}" for one in got["gb"])
    value = f"{got['nats']:.4f} ({got['stderr']:.4f})"
    return f"| {rows} | {size} | {task} | {how} | {value} | {gb} | {got['seconds']:.0f} |"


def main(
    rows: int = 3000, tokens: int = 64, width: int = 576, only: Sequence[str] = ()
) -> None:
    """Write, estimate both ways, print."""
    for_all = 4 * rows * tokens * width
    print(
        "| rows | states on the disk | task | read | nats (error) | resident, GB |", end=""
    )
    print(" without files, GB | CPU s |\n|" + " --- |" * 8)
    for task in only or TASKS:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / "store"
            written(folder, task, rows, tokens, width)
            for how in ("by rows", "whole") if for_all <= _MOST else ("by rows",):
                said = subprocess.run(
                    [sys.executable, __file__, "--of", str(folder), how],
                    check=True,
                    capture_output=True,
                    text=True,
                ).stdout
                size = sum(f.stat().st_size for f in folder.glob("shard-*")) / 1e9
                print(row(f"{rows:,}", f"{size:.2f} GB", task, how, said), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--of"]:
        estimated(Path(sys.argv[2]), sys.argv[3])
    else:
        main(*map(int, sys.argv[1:4]), only=sys.argv[4:])
