"""The command: a table, a file beside the results, one line for a mistake."""

import numpy as np
import pandas as pd
import pytest
from kept_results import keep, networks

from mi_probe.compare import main
from mi_probe.figures import main as figures


def test_it_prints_writes_and_its_table_is_drawn(tmp_path, capsys):
    out = tmp_path / "results"
    networks(out)
    assert main([str(out)]) == 0
    said = capsys.readouterr().out
    assert "between     a  b  of" in said
    assert "1 of 1 differences are shown at 5 %" in said
    assert "data processing inequality" in said
    table = pd.read_csv(out / "comparisons.csv")
    assert table["difference_nats"][0] == pytest.approx(0.1, abs=0.03)
    drawn = tmp_path / "figures"
    assert figures([str(out), "--out", str(drawn), "--only", "comparisons"]) == 0
    assert {path.name for path in drawn.iterdir()} == {
        *("comparisons.csv", "comparisons.pdf", "comparisons.png", "comparisons.txt")
    }


def test_two_folders_are_compared_and_the_table_goes_where_it_is_told(tmp_path, capsys):
    rng = np.random.default_rng(0)
    keep(tmp_path / "one", rng.standard_normal(60), model="lab/a")
    keep(tmp_path / "two", rng.standard_normal(60), model="lab/b")
    folders = [str(tmp_path / "one"), str(tmp_path / "two")]
    told = ["--between", "checkpoint", "--baseline", "lab/b", "--level", "0.9"]
    assert main([*folders, "--out", str(tmp_path / "both"), *told]) == 0
    assert "90% interval" in capsys.readouterr().out
    (row,) = pd.read_csv(tmp_path / "both" / "comparisons.csv").to_dict("records")
    assert (row["a"], row["b"], row["level"]) == ("a", "b", 0.9)
    assert not (tmp_path / "one" / "comparisons.csv").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--between", "colour"], "between must be of checkpoint, system, layer"),
        (["--baseline", "gpt"], "two estimates with 'gpt' on one side"),
        (["--level", "95"], "level must lie between 0 and 1"),
        (["--colour", "red"], "--colour"),
    ],
)
def test_a_mistake_is_one_line(tmp_path, options, words, capsys):
    networks(tmp_path / "results")
    assert main([str(tmp_path / "results"), *options]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert err.count("\n") == 1
    assert not (tmp_path / "results" / "comparisons.csv").exists()


def test_without_results_or_with_other_rows_nothing_is_written(tmp_path, capsys):
    assert main([]) == 2
    assert "results must name at least one folder" in capsys.readouterr().err
    rng = np.random.default_rng(0)
    keep(tmp_path / "r", rng.standard_normal(50), model="lab/a")
    keep(tmp_path / "r", rng.standard_normal(50), model="lab/b", ids=list("xy") * 25)
    assert main([str(tmp_path / "r")]) == 2
    err = capsys.readouterr().err
    assert "estimates must be of the same rows and Y to be compared; b, final_norm" in err
    assert not (tmp_path / "r" / "comparisons.csv").exists()
