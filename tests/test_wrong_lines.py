"""What a newcomer mistypes: each line ends with exit code 2 and one line that helps."""

import importlib
import json

import pytest
from tiny import save_tiny

from mi_probe.errors import meant

_ROWS = [(f"film number {i}", "ab"[i % 2]) for i in range(40)]
_OWN = ("m", "--data", "good.csv")
_TRAIN = ("--backbone", "m", "--data", "good.csv")

LINES = [
    ("estimate", (), "checkpoints must name at least one model; got none"),
    ("estimate", ("./nowhere", "--data", "good.csv"), "is no such folder. Check the path"),
    ("estimate", ("m",), "one of task and data must be given; got neither"),
    ("estimate", ("m", "--data", "no.csv"), "there is no no.csv"),
    ("estimate", ("m", "--data", "m"), "data must be a file; m is a folder"),
    ("estimate", ("m", "--task", "sst3"), "Did you mean 'sst2'?"),
    ("estimate", ("m", "--data", "empty.csv"), "is empty (0 bytes)"),
    ("estimate", ("m", "--data", "header.csv"), "header.csv has none"),
    ("estimate", ("m", "--data", "same.csv"), "all 40 rows are 'a', so H(Y) = 0"),
    ("estimate", ("m", "--data", "differ.csv"), "40 classes in 40 rows"),
    ("estimate", ("m", "--data", "alike.csv"), "Take texts that are not all alike"),
    ("estimate", ("m", "--data", "broken.jsonl"), "line 2 of broken.jsonl must be JSON"),
    ("estimate", ("m", "--data", "sheet.xlsx"), "data must end in .csv, .tsv"),
    ("estimate", (*_OWN, "--text-column", "txt"), "Did you mean 'text'?"),
    ("estimate", (*_OWN, "--label-column", "y"), "which has 'text', 'label'; got 'y'"),
    ("estimate", (*_OWN, "--group-column", "label"), "rows of one label are no group"),
    ("estimate", (*_OWN, "--template", "{txt}"), "may name the columns text; got {txt}"),
    ("estimate", (*_OWN, "--sites", "nonsense"), "or names such as 'block.2'"),
    ("estimate", (*_OWN, "--pooling", "meen"), "Did you mean 'mean'?"),
    ("estimate", (*_OWN, "--estimator", "MINE"), "Did you mean 'mine'?"),
    (
        "estimate",
        (*_OWN, "--rows", "ten"),
        "rows must be a whole number or null; got 'ten'",
    ),
    ("estimate", (*_OWN, "--rows", "999"), "rows must lie in 1 ... 40"),
    ("estimate", (*_OWN, "--batch_sizes", "4"), "Did you mean '--batch-size'?"),
    ("estimate", (*_OWN, "--num_fewshot", "4"), "there is no --num-fewshot. See"),
    ("estimate", (*_OWN, "--label-kind", "class"), "must be one of classes, scores"),
    ("estimate", (*_OWN, "--device", "gpu9"), "device must be one that torch can use"),
    ("estimate", (*_OWN, "--config", "five.yaml"), "config must be a mapping"),
    ("estimate", (*_OWN, "--config", "rowz.yaml"), "it has 'rowz'. Did you mean 'rows'?"),
    ("estimate", (*_OWN, "--out", "m"), "out must be a new or empty folder"),
    ("estimate", ("figures", "--data", "good.csv"), "'figures' holds nothing"),
    ("train", (), "backbone must name a model"),
    ("train", ("m", "--data", "good.csv"), "each value must follow its option"),
    ("train", (*_TRAIN, "--objective", "predictr"), "must be one of predictor, generator"),
    ("train", (*_TRAIN, "--learning-rate", "fast"), "learning-rate must be a number"),
    ("train", (*_TRAIN, "--out", "m"), "out must be a new or empty folder"),
    ("gap", (*_OWN, "--pooling", "full"), "got 'full'. Several are joined by '+'"),
    ("gap", (*_OWN, "--sigmas", "0"), "sigmas must be above 0"),
    ("tokens", ("m", "--data", "differ.csv"), "40 classes in 40 rows"),
    ("tokens", (*_OWN, "--sites", "q"), "or names such as 'block.2'"),
    ("figures", (), "results must name at least one folder"),
    ("figures", ("m",), "m has no rows/ in it"),
    ("figures", ("good.csv",), "it lacks 48 of its columns, the first 'control'"),
    ("report.__main__", ("nowhere",), "must be a folder that exists; got nowhere"),
    ("report.__main__", ("m", "--out", "page.pdf"), "out must be an .html file"),
    ("report.__main__", ("m", "--titel", "x"), "Did you mean '--title'?"),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a model and files that somebody might give by mistake."""
    folder = tmp_path_factory.mktemp("wrong")
    save_tiny(folder / "m", "llama")
    (folder / "figures").mkdir()
    tables = {
        "good": _ROWS,
        "header": [],
        "same": [(text, "a") for text, _ in _ROWS],
        "differ": [(text, f"l{i}") for i, (text, _) in enumerate(_ROWS)],
        "alike": [("one film", label) for _, label in _ROWS],
    }
    for name, rows in tables.items():
        lines = ["text,label", *(",".join(row) for row in rows)]
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")
    (folder / "empty.csv").write_text("")
    (folder / "sheet.xlsx").write_bytes(b"PK\x03\x04")
    first = json.dumps({"text": "a", "label": 1})
    (folder / "broken.jsonl").write_text(f'{first}\n{{"text": "b"\n')
    (folder / "five.yaml").write_text("5\n")
    (folder / "rowz.yaml").write_text("rowz: 3\n")
    return folder


@pytest.mark.parametrize(
    ("command", "arguments", "said"),
    LINES,
    ids=[f"{c.partition('.')[0]} {' '.join(a)}" for c, a, _ in LINES],
)
def test_a_wrong_line_is_one_that_helps(
    command, arguments, said, place, monkeypatch, capsys
):
    monkeypatch.chdir(place)
    before = sorted(place.rglob("*"))
    out = () if "--out" in arguments else ("--out", f"out{'.html' * ('.' in command)}")
    main = importlib.import_module(f"mi_probe.{command}").main
    assert main([*arguments, *out]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if "error:" in line]
    assert len(lines) == 1
    assert said in lines[0]
    assert len(lines[0]) < 700
    # Nothing but an empty folder may come of it.
    assert all(path.is_dir() for path in {*place.rglob("*")} - {*before})


def test_a_far_name_is_no_likely_one():
    assert meant("limit", ["split", "rows"]) == ""
    assert meant("LDA", ["lda", "qda"]) == " Did you mean 'lda'?"
