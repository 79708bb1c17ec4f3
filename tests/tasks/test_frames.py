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
from mi_probe.tasks.files import check_names

TEXTS = ["good", "bad", "fine, really", 'a "great" film', "poor\nfilm", "so-so"]
LABELS = ["neg", "pos"] * 3
COLUMNS = {"text": TEXTS, "label": LABELS, "speaker": ["a", "a", "b", "b", "c", "c"]}


TWICE = pd.DataFrame([[1, 2, "a"]] * 6, columns=["text", "text", "label"])


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

        self.column_names = ["text", "label"]

    def __len__(self):
        return len(self._table)

    def select_columns(self, names):
        return SimpleNamespace(
            with_format=lambda kind: {"arrow": _Sliced(self._table.select(names))}[kind]
        )

    def with_format(self, kind):
        raise AssertionError("only the columns that are asked for are read")


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
        (pd.Series(TEXTS), r"got Series.*\(texts, labels\)"),
        (TWICE, "has 2 called 'text'. Rename or drop"),
        (
            pa.table([TEXTS, TEXTS, LABELS], ["text", "text", "label"]),
            "has 2 called 'text'",
        ),
        ([], "must hold rows"),
        ("hf:", "hf:ID"),
        ("hf:a:b:c:d", "hf:ID"),
    ],
)
def test_what_is_no_table_is_said(table, said):
    with pytest.raises(InputError, match=said):
        read_table(table)


def test_columns_that_nobody_asked_for_refuse_nothing():
    odd = [1, "a", 2.5, None, object(), [3]]
    frame = pd.DataFrame(COLUMNS).assign(odd=odd, twice=0)
    frame.insert(0, "twice", 1, allow_duplicates=True)
    tables = [frame, {**COLUMNS, "odd": odd, "short": [1], "one": 7}]
    for table in tables:
        assert read_table(table).prompts == tuple(TEXTS)
        with pytest.raises(InputError, match="text-column must be a column.*'odd'"):
            read_table(table, "review")
        with pytest.raises(InputError, match="got 'labels'. Did you mean 'label'"):
            read_table(table, "text", "labels")


def test_one_kept_column_may_be_named_by_itself():
    assert read_table(COLUMNS, kept_columns="speaker").columns["speaker"][:3] == tuple(
        "aab"
    )


def test_neither_can_they_refuse_a_file(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("text,note,label,note\ngood,a,1,b\nbad,c,0,d\n")
    assert read_table(path).prompts == ("good", "bad")
    with pytest.raises(InputError, match="note come twice. Rename or drop"):
        read_table(path, "note")


def test_an_index_with_a_name_may_be_a_column():
    frame = pd.DataFrame(COLUMNS, index=pd.Index(list("fedcba"), name="review"))
    assert read_table(frame, id_column="review").ids == tuple("fedcba")
    assert read_table(frame).ids == tuple("012345")


def test_texts_and_labels_as_two_arguments_are_told_to_be_one():
    with pytest.raises(InputError, match=r"text_column.*got list.*\(\(texts, labels\)\)"):
        check_names(text_column=LABELS, label_column="label")


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
