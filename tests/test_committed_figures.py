"""Figures in figures/ and the page of findings are of the results in this repository."""

from pathlib import Path

import pandas as pd
import pytest
from errors_figure import error_points

from mi_probe.study.__main__ import main as study

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "figures"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """What `make figures` makes, of the study's archive and the benchmark's table."""
    out = tmp_path_factory.mktemp("study") / "out"
    archive = str(ROOT / "results" / "study-small.parquet")
    told = [str(ROOT / "studies" / "small.yaml"), "--no-run", "--restore", archive]
    assert study([*told, "--out", str(out)]) == 0
    return out


def test_the_page_of_findings_is_of_the_archive(made):
    page = (ROOT / "docs" / "findings.md").read_text()
    assert page == (made / "findings.md").read_text(), "make figures"


def test_every_committed_figure_is_of_these_results(made):
    drawn = {path.stem: path.read_text() for path in (made / "figures").glob("*.csv")}
    points = error_points(pd.read_csv(ROOT / "benchmarks" / "known_answers.csv"))
    drawn["benchmark"] = points.to_csv(index=False)
    committed = {path.stem: path.read_text() for path in FIGURES.glob("*.csv")}
    assert set(committed) == set(drawn)
    for kind in ("png", "pdf"):
        assert {path.stem for path in FIGURES.glob(f"*.{kind}")} == set(committed)
    for name, table in committed.items():
        assert table == drawn[name], f"{name}: make figures"
