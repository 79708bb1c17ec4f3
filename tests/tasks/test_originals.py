"""What the user points at: the right folder, the wrong one, a file, a split."""

import json
import re

import pytest

from mi_probe.errors import InputError
from mi_probe.tasks import load_task
from mi_probe.tasks.catalogue import TASKS
from mi_probe.tasks.originals import splits_there

SICK = "pair_ID\tsentence_A\tsentence_B\trelatedness_score\n1\ta\tb\t2\n2\tc\td\t3.5\n"
SCIENCE = {
    "instruction": "Please choose: why?\n\nAnswer1: a Answer2: b\n\nAnswer format: x",
    "answer": "answer2",
}


def refused(name, match, **arguments):
    """Whether it is refused in one line that says what ``match`` has."""
    with pytest.raises(InputError) as caught:
        load_task(name, **arguments)
    said = str(caught.value)
    assert "\n" not in said
    return re.search(match, said)


def test_wrong_places(tmp_path):
    assert refused("sick", "must exist; there is no", data_folder=tmp_path / "nowhere")
    assert refused(
        "sick", "SICK_test_annotated.txt .4,927 rows.; .*nothing", data_folder=tmp_path
    )
    (tmp_path / "notes.txt").write_text("x", "utf-8")
    assert refused("sick", "none of the task's files, but notes.txt", data_folder=tmp_path)
    assert refused(
        "sick", "official name, one of SICK_", data_folder=tmp_path / "notes.txt"
    )
    assert refused("hutto_nyt", "has no reader of original files", data_folder=tmp_path)


def test_splits(tmp_path):
    path = tmp_path / "SICK_train.txt"
    path.write_text(SICK, "utf-8")
    # Without a test file, what is there.
    assert load_task("sick", data_folder=tmp_path).split == "train"
    assert load_task("sick", data_folder=path).split == "train"
    assert load_task("sick", data_folder=path, split="train", rows=1).split == "train"
    assert splits_there(TASKS["sick"].original, tmp_path) == ["train"]
    assert refused("sick", "'test' .*holds only train", data_folder=tmp_path, split="test")
    assert refused(
        "sick", "train, validation, test; got 'dev'", data_folder=path.parent, split="dev"
    )
    assert refused(
        "sick", "that of the file, 'train'.*'test'", data_folder=path, split="test"
    )
    assert refused(
        "boolq",
        "load_splits.* cuts a validation",
        data_folder=path.parent,
        split="validation",
    )
    assert refused("sst2", "one of train, validation, test; got 'dev'", split="dev")


def test_another_tasks_folder_with_the_same_file_names(tmp_path):
    folder = tmp_path / "arc_easy"
    folder.mkdir()
    (folder / "test.json").write_text(json.dumps([SCIENCE]), "utf-8")
    assert len(load_task("arc_easy", data_folder=folder)) == 1
    assert len(load_task("arc_easy", data_folder=tmp_path)) == 1
    assert refused("arc_challenge", "the folder of task 'arc_easy'", data_folder=folder)
    assert refused(
        "obqa", "the folder of task 'arc_easy'", data_folder=folder / "test.json"
    )
    # A name of one's own says nothing; the count does.
    mine = folder.rename(tmp_path / "mine")
    assert load_task("obqa", data_folder=mine).notes[0] == "1 rows, where 500 are published"


def test_packed_files_are_found(tmp_path):
    import bz2

    (tmp_path / "SICK_trial.txt.bz2").write_bytes(bz2.compress(SICK.encode()))
    task = load_task("sick", data_folder=tmp_path / "SICK_trial.txt.bz2")
    assert task.split == "validation"
    assert "SICK_trial.txt.bz2, sha256" in task.source


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("", "is empty"),
        ("pair_ID\tsentence_A\n1\ta\n", "'sentence_B' is missing in 1 of 1.*right file"),
        (SICK.replace("relatedness_score", "score"), "'relatedness_score' is missing"),
        (SICK.replace("1\ta\tb", "1\t\tb"), "'sentence_A' .* must be filled; 1 of 2"),
        (SICK.replace("\t3.5", ""), "line 3 has 3"),
        (SICK.replace("2\tc", "1\tc"), "unique; '1' comes more than once"),
        (SICK.replace("3.5", "7"), "lie in 1 ... 5; 1 of 2 do not, the first 7"),
        (SICK.splitlines()[0], "must hold rows"),
    ],
)
def test_wrong_files(tmp_path, content, match):
    (tmp_path / "SICK_train.txt").write_text(content, "utf-8")
    assert refused("sick", match, data_folder=tmp_path)


def test_a_file_that_is_not_utf8(tmp_path):
    (tmp_path / "SICK_train.txt").write_bytes(SICK.encode() + b"3\t\xe9\tb\t2\n")
    assert refused("sick", "must be UTF-8", data_folder=tmp_path)


def test_without_files_it_says_what_is_needed(monkeypatch):
    monkeypatch.setattr("mi_probe.tasks.load.has_datasets", lambda: False)
    assert refused(
        "wassa", "'test' of task 'wassa' needs its data, none is embedded.*--data-folder"
    )
    assert refused(
        "stsb", "--data-folder PATH, or run `pip install datasets` to read mteb/"
    )
    assert refused("sst2", "'train' .*only 'test' of it is embedded", split="train")
