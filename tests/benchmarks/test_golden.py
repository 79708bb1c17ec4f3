"""The record of what estimators say: cells written once, and what differs told."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "benchmarks"
TASK = "gaussians d=1 c=2"


@pytest.fixture
def golden(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    import golden

    return golden


@pytest.fixture
def records(golden, tmp_path):
    """Two records of the same two cells."""
    cells = [golden.Cell(TASK, 0, "lda"), golden.Cell(TASK, 0, "linear")]
    for name in ("a", "b"):
        golden.run(cells, tmp_path / name, 80, 60)
    return tmp_path / "a", tmp_path / "b", cells


def test_the_same_code_is_equal_to_the_last_bit(golden, records):
    before, after, _ = records
    assert "| discrete-low | lda | 1 | 1 | +0.0000 +- 0.0000 |" in golden.compare(
        before, after, []
    )


def test_a_difference_is_paired_and_its_cell_named(golden, records):
    before, after, cells = records
    path = after / cells[0].file
    said = json.loads(path.read_text())
    said["nats"] += 0.1
    said["pointwise"] = [term + 0.1 for term in said["pointwise"]]
    path.write_text(json.dumps(said))
    text = golden.compare(before, after, [])
    assert "| discrete-low | lda | 1 | 0 | +0.1000 +- 0.0000 |" in text
    assert f"| {TASK}, seed 0 | lda |" in text
    assert f"| {TASK}, seed 0 | linear |" not in text
    assert "| lda |" not in golden.compare(before, after, ["linear"])


def test_finished_cells_are_not_made_again(golden, records):
    before, _, cells = records
    path = before / cells[0].file
    path.write_text("{}")
    golden.run(cells, before, 80, 60)
    assert path.read_text() == "{}"


def test_a_cell_that_takes_too_long_is_a_result(golden, tmp_path):
    cell = golden.Cell("independent classes d=768 c=4 n=500", 0, "auto")
    golden.run([cell], tmp_path, 500, 0.02)
    said = json.loads((tmp_path / cell.file).read_text())
    assert said["status"] == "more than 0.02 CPU seconds"
    assert "pointwise" not in said
