"""The comparison's parts: a cell in a process of its own, and the table it ends in."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mi_probe.synthetic import ZOO

ROOT = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def _path(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))


@pytest.fixture
def rows(tmp_path):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "rows.npz", x=rng.normal(size=(40, 2)), y=rng.integers(2, size=40))
    return tmp_path / "rows.npz"


def cell(folder: Path, rows: Path, body: str, limit: float = 20) -> dict | None:
    """What a child says that runs an adapter with this function body."""
    adapter, out = folder / "adapter.py", folder / "said.json"
    adapter.write_text(
        "DISTRIBUTION = 'numpy'\n"
        f"def f(x, y, mask, seed):\n    {body}\n"
        "METHODS = {'m': f}\n"
    )
    child = ROOT / "comparing" / "child.py"
    arguments = [child, adapter, "m", rows, out, 3, limit]
    subprocess.run([sys.executable, *map(str, arguments)], check=False)
    return json.loads(out.read_text()) if out.exists() else None


def test_a_cell_reports_value_and_cost(tmp_path, rows):
    said = cell(tmp_path, rows, "return {'nats': float(seed) + len(x)}")
    assert said is not None
    assert said["status"] == "ok"
    assert said["nats"] == 43
    assert said["version"] == np.__version__
    assert 0 <= said["cpu_seconds"] < 5
    assert said["peak_mb"] > 10


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        ("raise ValueError('no')", "failed", "ValueError: no"),
        ("raise NotImplementedError('one column')", "refused", "one column"),
        ("return {'nats': float('nan')}", "failed", "nats = nan"),
        ("import not_there", "failed", "ModuleNotFoundError"),
    ],
)
def test_a_failure_is_a_result(tmp_path, rows, body, status, reason):
    said = cell(tmp_path, rows, body)
    assert said is not None
    assert said["status"] == status
    assert reason in said["reason"]


def test_a_cell_that_does_not_end_is_ended(tmp_path, rows):
    assert cell(tmp_path, rows, "\n    while True: pass", limit=0.5) is None


def test_default_tasks_exist_and_cover_every_group():
    from comparing.cells import DEFAULT_TASKS, METHODS, cells
    from comparing.environments import PEERS

    assert {ZOO[task].group for task in DEFAULT_TASKS} == {
        task.group for task in ZOO.values()
    }
    for package in METHODS:
        assert (PEERS / f"{package}.py").exists()
        assert package == "mi_probe" or (PEERS / f"{package}.txt").exists()
    todo = cells(["order", "normal 1x1"], ("full", "mean"), [0], {"p": ("a", "b")})
    assert len({one.key for one in todo}) == len(todo) == 6


def test_rows_are_drawn_once_and_seen_by_all(tmp_path):
    from comparing.cells import drawn

    task = drawn("order", 1, tmp_path, 50)
    assert set(task.truths) >= {"full", "mean", "first", "last"}
    with np.load(task.rows("full", "mi_probe")) as ours:
        values, mask = ours["x"], ours["mask"]
    with np.load(task.rows("full", "npeet-plus")) as theirs:
        flat = theirs["x"]
    assert np.array_equal(values.reshape(50, -1), flat)
    with np.load(task.rows("mean", "npeet-plus")) as theirs:
        np.testing.assert_allclose(
            theirs["x"], values.sum(1) / mask.sum(1, keepdims=True), rtol=1e-4, atol=1e-5
        )
    written = task.rows("full", "mi_probe").stat().st_mtime_ns
    assert drawn("order", 1, tmp_path, 50).truths == task.truths
    assert task.rows("full", "mi_probe").stat().st_mtime_ns == written


def test_summary_counts_failures_and_leaves_refusals_out():
    from comparing.running import COLUMNS
    from comparing.summary import markdown, summary

    common = {"group": "staircase", "package": "p", "true": 2.0, "true_stderr": 0.0}
    good = {**common, "estimator": "a", "status": "ok", "cpu_seconds": 1.0, "peak_mb": 9.0}
    curve = {"extrapolated": 1.9, "extrapolated_error": -0.1}
    curve |= {"extrapolated_low": 1.8, "extrapolated_high": 2.1}
    table = pd.DataFrame(
        [
            {**good, "nats": 1.5, "error": -0.5, "covers": False, "extrapolated": 1.9}
            | {
                "extrapolated_error": -0.1,
                "extrapolated_low": 1.8,
                "extrapolated_high": 2.1,
            },
            {**good, "nats": 2.1, "error": 0.1, "covers": True},
            {**common, "estimator": "a", "status": "time-out"},
            {**common, "estimator": "b", "status": "refused"},
            {**common, "estimator": "c", "status": "failed"},
        ],
        columns=COLUMNS,
    )
    found = summary(table).set_index("estimator")
    assert list(found.index) == ["a, extrapolated", "a", "c"]
    assert found.loc["a", "failures"] == 1
    assert found.loc["a", "median_error"] == pytest.approx(0.3)
    assert found.loc["a", "bias"] == pytest.approx(-0.2)
    assert found.loc["a", "coverage"] == 0.5
    assert found.loc["a, extrapolated", "coverage"] == 1.0
    assert "| p | c | 1 | 1 |  |  |" in markdown(summary(table))


def test_binomial_interval():
    from calibration import binomial_interval

    # Known values of Clopper and Pearson.
    assert binomial_interval(10, 200) == pytest.approx((0.0242, 0.0900), abs=2e-4)
    assert binomial_interval(0, 10) == pytest.approx((0.0, 0.3085), abs=2e-4)
