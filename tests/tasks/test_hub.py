"""The hub's copies, through a `datasets` library that is told what to give."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from mi_probe.errors import InputError
from mi_probe.tasks import TASKS, load_splits, load_task
from mi_probe.tasks.hub import read_hub

ARC = {"text": ["one", "two", "three"], "label": ["1", "2", "3"]}
ROWS = {
    "sst2": {"sentence": "fine ", "label": 1, "idx": 0},
    "boolq": {"question": "is it", "answer": True, "passage": "It is."},
    "piqa": {"goal": "open", "sol1": "twist", "sol2": "turn", "label": 1},
    "siqa": {
        "context": "x.",
        "question": "y?",
        "answerA": "a",
        "answerB": "b",
        "answerC": "c",
        "label": "2",
    },
    "hellaswag": {
        "activity_label": "Roof",
        "ctx": "a man",
        "endings": list("abcd"),
        "label": "3",
    },
    "winogrande": {"sentence": "_ won", "option1": "I", "option2": "you", "answer": "2"},
    "arc_easy": {"id": "M", "question": "why?", "choices": ARC, "answerKey": "2"},
    "arc_challenge": {"id": "M", "question": "why?", "choices": ARC, "answerKey": "3"},
    "obqa": {"id": "8", "question_stem": "why?", "choices": ARC, "answerKey": "1"},
    "sick": {
        "id": "6",
        "sentence_A": "a",
        "sentence_B": "b",
        "label": 1,
        "relatedness_score": float(np.float32(3.8)),
    },
    "stsb": {"sentence1": "a", "sentence2": "b", "score": float(np.float32(3.8))},
    "lcp": {"id": "3Z", "sentence": "a b", "token": "b", "complexity": 0.25},
    "humicroedit": {
        "id": "1",
        "original": "the <a/> b",
        "edit": "c",
        "grades": "10",
        "meanGrade": float(np.float32(0.6)),
    },
}


@pytest.fixture
def library(monkeypatch):
    asked = []

    def load_dataset(path, name=None, *, split, revision=None):
        asked.append((path, name, split, revision))
        if isinstance(library.content, Exception):
            raise library.content
        return library.content(split) if callable(library.content) else library.content

    library = SimpleNamespace(load_dataset=load_dataset, asked=asked, content=[])
    monkeypatch.setitem(sys.modules, "datasets", library)
    for module in ("hub", "load", "splits"):
        monkeypatch.setattr(f"mi_probe.tasks.{module}.has_datasets", lambda: True)
    return library


def test_every_copy_has_a_row_here():
    assert set(ROWS) == {name for name, entry in TASKS.items() if entry.hub}


@pytest.mark.parametrize("name", ROWS)
def test_rows_become_a_task(name, library):
    library.content = [ROWS[name]]
    hub = TASKS[name].hub
    task = load_task(name, split="train")
    assert library.asked == [(hub.id, hub.configuration, "train", hub.revision)]
    assert len(task) == 1
    assert task.split == "train"
    assert hub.id in task.source
    value = task.labels[0]
    assert task.parse([task.answers[0]]).values[0] == pytest.approx(value, abs=0.01)


def test_the_noise_of_single_precision_is_no_part_of_a_score(library):
    assert ROWS["stsb"]["score"] != 3.8
    library.content = [ROWS["stsb"]]
    task = load_task("stsb")
    assert task.labels.tolist() == [3.8]
    assert task.answers == (" 3.8",)


def test_what_is_reported_is_the_same_rows_everywhere(library):
    library.content = [ROWS["winogrande"]]
    for name, entry in TASKS.items():
        if entry.hub and entry.notes.get("test", "").startswith("the official validation"):
            assert entry.hub.splits == {"train": "train", "test": "validation"}, name


def test_training_reads_the_hub_where_no_files_are_given(library):
    with pytest.raises(InputError, match="task must be one of"):
        load_splits("nothing")
    library.content = lambda split: [{**ROWS["stsb"], "sentence1": split}]
    parts = load_splits("stsb")
    assert [asked[2] for asked in library.asked] == ["train", "test", "validation"]
    assert all(name in part.prompts[0] for name, part in parts.items())
    library.content = [ROWS["stsb"]]
    with pytest.raises(InputError, match="'train' .* must have rows of its own"):
        load_splits("stsb")


@pytest.mark.parametrize(
    "error",
    [
        ConnectionError("Couldn't reach it\nand more"),
        FileNotFoundError("no such data set"),
        ValueError("Unknown split"),
        RuntimeError("Dataset scripts are no longer supported"),
    ],
)
def test_what_cannot_be_had_is_one_line(library, error):
    library.content = error
    with pytest.raises(
        InputError, match="could not be read from the hub.*--data-folder"
    ) as e:
        load_task("stsb")
    assert "\n" not in str(e.value)


def test_a_missing_library_or_split_says_so(monkeypatch):
    hub = TASKS["stsb"].hub
    monkeypatch.setattr("mi_probe.tasks.hub.has_datasets", lambda: False)
    with pytest.raises(InputError, match="not installed; run `pip install datasets`"):
        read_hub("stsb", hub, "test")
    with pytest.raises(
        InputError, match="on the hub must be one of train, validation, test; got 'dev'"
    ):
        read_hub("stsb", hub, "dev")
