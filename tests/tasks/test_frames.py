"""Tables in memory and data sets of the hub: the same task as from a file."""

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from mi_probe.errors import InputError
from mi_probe.tasks import read_table

TEXTS = ["good", "bad", "fine, really", 'a "great" film', "poor\nfilm", "so-so"]
LABELS = ["neg", "pos"] * 3
COLUMNS = {"text": TEXTS, "label": LABELS, "speaker": ["a", "a", "b", "b", "c", "c"]}


class OtherLibrary:
    """A frame that only says that it can be read as Arrow, as polars' does."""

    def __init__(self, table):
        self._table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self._table.__arrow_c_stream__(requested_schema)


class DataSet:
    """What is used of a ``datasets.Dataset``, whose labels are numbered."""

    def __init__(self, labels=(0, 1) * 3):
        self._table = pa.table({"text": TEXTS, "label": list(labels)})
        self.features = {
            "label": SimpleNamespace(names=["neg", "pos"]),
            "text": SimpleNamespace(),
        }

    def with_format(self, kind):
        assert kind == "arrow"
        return [self._table][0:1] and _Sliced(self._table)


class _Sliced:
    def __init__(self, table):
        self._table = table

    def __getitem__(self, rows):
        assert rows == slice(None)
        return self._table


def of_file(tmp_path):
    path = tmp_path / "mine.parquet"
    pd.DataFrame(COLUMNS).to_parquet(path)
    return path


@pytest.mark.parametrize(
    "table",
    [
        pd.DataFrame(COLUMNS),
        pd.DataFrame(COLUMNS, index=list("fedcba")),
        pa.table(COLUMNS),
        OtherLibrary(pa.table(COLUMNS)),
        COLUMNS,
        {name: np.array(values) for name, values in COLUMNS.items()},
        [
            dict(zip(COLUMNS, row, strict=True))
            for row in zip(*COLUMNS.values(), strict=True)
        ],
        (TEXTS, LABELS),
        (pd.Series(TEXTS), np.array(LABELS)),
        DataSet(),
    ],
    ids=lambda table: type(table).__name__,
)
def test_each_kind_gives_what_a_file_gives(tmp_path, table):
    read, filed = read_table(table), read_table(of_file(tmp_path))
    assert read.prompts == filed.prompts
    assert read.label_names == filed.label_names == ("neg", "pos")
    assert read.labels.tolist() == filed.labels.tolist()
    assert read.ids == filed.ids


def test_its_hash_is_of_what_was_read():
    changed = {**COLUMNS, "label": ["pos", *LABELS[1:]]}
    read = [
        read_table(one).file_sha256 for one in (COLUMNS, pd.DataFrame(COLUMNS), changed)
    ]
    assert read[0] == read[1] != read[2]
    assert read_table(COLUMNS, group_column="speaker").groups is not None


def test_scores_of_a_tensor_are_scores():
    task = read_table((TEXTS, torch.tensor([0.5, 1.25, 2.0, 3.0, 4.0, 5.5])))
    assert task.kind == "scores"
    assert task.labels.tolist() == [0.5, 1.25, 2.0, 3.0, 4.0, 5.5]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (pd.DataFrame({**COLUMNS, "label": [1, "a", 2.5, None, "b", 3]}), "of one type"),
        (pd.DataFrame({**COLUMNS, "text": ["a", None, "b", "c", "d", "e"]}), "data row 2"),
        (pd.DataFrame({"review": TEXTS, "label": LABELS}), "'review', 'label'; got 'text'"),
        ({"text": TEXTS, "label": LABELS[:4]}, "'text' 6, 'label' 4"),
        (TEXTS, r"row 1 is str.*\(texts, labels\)"),
        ({"train": DataSet(), "test": DataSet()}, r"one split.*data\['train'\]"),
        ({"text": TEXTS, "label": None}, "'label' is one value"),
        ({"text": [pd.NA, *TEXTS[1:]], "label": LABELS}, "data row 1"),
        (({"text": "a"}, {"text": "b"}), "'label'"),
        (7, "pandas or polars DataFrame.*got int"),
        ([], "must hold rows"),
        ("hf:", "hf:ID"),
        ("hf:a:b:c:d", "hf:ID"),
    ],
)
def test_what_is_no_table_is_said(table, said):
    with pytest.raises(InputError, match=said):
        read_table(table)


def test_a_frame_has_no_encoding():
    with pytest.raises(InputError, match="encoding must be left out"):
        read_table(COLUMNS, encoding="latin-1")


@pytest.fixture
def hub(monkeypatch):
    """A library that has one data set of two splits."""

    def load_dataset(id_, configuration, split=None, revision=None):
        if id_ != "org/reviews":
            raise ValueError(f"Dataset '{id_}' doesn't exist on the Hub")
        splits = {"train": DataSet(), "test": DataSet((1, 0) * 3)}
        if configuration == "raw":
            splits = {"train": DataSet(), "extra": DataSet()}
        return splits if split is None else splits[split]

    module = ModuleType("datasets")
    module.load_dataset = load_dataset  # type: ignore[attr-defined]
    module.__spec__ = SimpleNamespace(name="datasets")  # type: ignore[assignment]
    monkeypatch.setitem(sys.modules, "datasets", module)


def test_a_data_set_of_the_hub(hub):
    task = read_table("hf:org/reviews")
    assert task.name == "org/reviews:test"  # the split that is for reporting
    assert task.labels.tolist() == [1, 0] * 3
    assert read_table("hf:org/reviews::train").labels.tolist() == [0, 1] * 3
    with pytest.raises(InputError, match="one of train, extra"):
        read_table("hf:org/reviews:raw")
    with pytest.raises(InputError, match="could not be read from the hub .*doesn't exist"):
        read_table("hf:org/none")


def test_without_the_library_it_is_named(monkeypatch):
    monkeypatch.setattr("mi_probe.tasks.hub.has_datasets", lambda: False)
    with pytest.raises(InputError, match="pip install datasets"):
        read_table("hf:org/reviews")
