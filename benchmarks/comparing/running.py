"""Run cells one after another, each in its own process, and keep what is finished."""

import json
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from comparing.cells import Cell, Drawn, drawn
from comparing.environments import PEERS, python_of
from mi_probe.synthetic import ZOO

COLUMNS = (
    *("task", "group", "view", "n", "seed", "package", "version", "estimator"),
    *("true", "true_stderr", "nats", "error", "ci_low", "ci_high", "covers"),
    *("extrapolated", "extrapolated_error", "extrapolated_low", "extrapolated_high"),
    *("claim", "cpu_seconds", "peak_mb", "status", "said", "reason"),
)
_ONE_THREAD = {
    **dict.fromkeys(
        (
            "OMP_NUM_THREADS",
            "OPENBLAS_NUM_THREADS",
            "MKL_NUM_THREADS",
            "NUMEXPR_MAX_THREADS",
        ),
        "1",
    ),
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "JAX_PLATFORMS": "cpu",
    "CUDA_VISIBLE_DEVICES": "",
    "PYTHONWARNINGS": "ignore",
}
_CHILD = Path(__file__).with_name("child.py")
_PATHS = re.compile(r"(?:/[\w.+-]+){2,}/?")


def run(
    todo: Iterable[Cell], out: Path, data: Path, *, limit: float, n: int | None
) -> pd.DataFrame:
    """Run the cells that `out` does not hold yet; each row is written at once.

    Args:
        todo: the cells.
        out: CSV of all finished cells.
        data: folder of the drawn tasks.
        limit: CPU seconds a cell; wall time is limited to six times that.
        n: rows, instead of each task's own number.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    rows = pd.read_csv(out).to_dict("records") if out.exists() else []
    done = {
        tuple(row[c] for c in ("task", "view", "seed", "package", "estimator"))
        for row in rows
    }
    for cell in todo:
        if cell.key in done:
            continue
        task = drawn(cell.task, cell.seed, data, n)
        row = _row(cell, task, _said(cell, task, limit))
        rows.append(row)
        pd.DataFrame(rows, columns=COLUMNS).to_csv(out, index=False)
        print(
            *(row[c] for c in ("task", "view", "package", "estimator")), sep=", ", end=": "
        )
        print(row["status"], row["true"], row["nats"], row["cpu_seconds"], flush=True)
    return pd.DataFrame(rows, columns=COLUMNS)


def _said(cell: Cell, task: Drawn, limit: float) -> dict:
    python = python_of(cell.package)
    if python is None:
        return {"status": "failed", "reason": "does not install"}
    with tempfile.TemporaryDirectory() as place:
        out = Path(place) / "said.json"
        arguments = [python, _CHILD, PEERS / f"{cell.package}.py", cell.estimator]
        arguments += [task.rows(cell.view, cell.package), out, cell.seed, limit]
        # A folder of its own: one of them keeps weights under names that clash.
        child = subprocess.Popen(
            [str(a) for a in arguments],
            cwd=place,
            env={**os.environ, **_ONE_THREAD, "PYTHONPATH": _our_path(cell.package)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            code = child.wait(timeout=6 * limit)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            code = -signal.SIGXCPU
        if out.exists():
            return json.loads(out.read_text())
    if code in (-signal.SIGXCPU, -signal.SIGKILL):
        return {"status": "time-out", "reason": f"more than {limit:g} CPU seconds"}
    return {"status": "failed", "reason": f"ended with code {code}"}


def _our_path(package: str) -> str:
    return str(Path(__file__).parents[2]) if package == "mi_probe" else ""


def _row(cell: Cell, task: Drawn, said: dict) -> dict:
    true = task.truths[cell.view]
    row: dict = dict.fromkeys(COLUMNS)
    row |= {"task": cell.task, "group": ZOO[cell.task].group, "view": cell.view}
    row |= {"n": task.n, "seed": cell.seed, "package": cell.package}
    row |= {"estimator": cell.estimator, "true": true, "true_stderr": task.stderr}
    row |= {key: said[key] for key in COLUMNS if key in said}
    row["reason"] = _PATHS.sub("", str(said.get("reason", "")))[:160]
    if row["nats"] is not None:
        row["error"] = row["nats"] - true
        if row["ci_low"] is not None:
            # As far as the truth itself is known.
            slack = 2 * task.stderr
            row["covers"] = row["ci_low"] - slack <= true <= row["ci_high"] + slack
    if row["extrapolated"] is not None:
        row["extrapolated_error"] = row["extrapolated"] - true
    return {k: round(v, 5) if isinstance(v, float) else v for k, v in row.items()}
