"""Cutting and splitting: disjoint, complete, the same each time."""

import json

import numpy as np
import pytest

from mi_probe.errors import InputError
from mi_probe.tasks import load_splits, load_task
from mi_probe.tasks.cut import SHARES, cut
from mi_probe.tasks.splits import _disjoint
from mi_probe.tasks.task import Task


def task(prompts) -> Task:
    n = len(prompts)
    return Task(
        name="mine",
        prompts=tuple(prompts),
        answers=(" a",) * n,
        labels=np.arange(n) % 2,
        label_names=("a", "b"),
        target="mood",
        ids=tuple(str(i) for i in range(n)),
        split="all",
    )


def test_parts_are_the_whole_and_share_no_prompt():
    whole = task([f"prompt {i % 70}" for i in range(100)])
    parts = cut(whole, SHARES)
    assert list(parts) == ["train", "validation", "test"]
    ids = [i for part in parts.values() for i in part.ids]
    assert sorted(ids, key=int) == list(whole.ids)
    prompts = [set(part.prompts) for part in parts.values()]
    assert [len(p) for p in prompts] == [56, 7, 7]
    assert sum(len(p) for p in prompts) == len(set.union(*prompts))
    assert all(part.split == name for name, part in parts.items())


def test_the_cut_depends_on_rows_and_seed_alone():
    whole = task([f"prompt {i}" for i in range(50)])
    first, again, other = (cut(whole, SHARES, seed=seed) for seed in (3, 3, 4))
    assert first["test"].ids == again["test"].ids != other["test"].ids
    # Not the first rows: files are sorted.
    assert first["train"].ids != whole.ids[:40]


def test_twins_and_groups_stay_in_one_part():
    prompts = [f"thanks a lot {i // 2}" for i in range(60)]
    prompts[1::2] = [prompt.capitalize() + "!" for prompt in prompts[1::2]]
    speakers = [f"s{i // 6}" for i in range(60)]
    for groups, size in ((None, 2), (speakers, 6)):
        parts = cut(task(prompts), SHARES, groups=groups)
        for part in parts.values():
            blocks = {int(i) // size for i in part.ids}
            assert len(part) == size * len(blocks)
    with pytest.raises(InputError, match="has 2 groups of different prompts"):
        cut(task("abcd"), SHARES, groups=["x", "x", "y", "y"])


def test_small_and_wrong_shares():
    assert [len(p) for p in cut(task("abc"), SHARES).values()] == [1, 1, 1]
    with pytest.raises(InputError, match="has 2 different prompts"):
        cut(task("aab"), SHARES)
    for wrong in ({}, {"a": 0.5}, {"a": 1.5, "b": -0.5}):
        with pytest.raises(InputError, match="positive and together 1"):
            cut(task("abc"), wrong)


def packed(path, questions):
    content = [
        {
            "instruction": "Please answer the following question with true or false, "
            f"question: {question}?\n\nAnswer format: true/false",
            "answer": "true" if i % 2 else "false",
        }
        for i, question in enumerate(questions)
    ]
    path.write_text(json.dumps(content), "utf-8")


def test_training_gets_a_validation_split_that_is_not_the_reported_one(tmp_path):
    packed(tmp_path / "train.json", [*(f"train {i}" for i in range(49)), "both"])
    packed(tmp_path / "test.json", ["test 0", "BOTH", "test 1"])
    parts = load_splits("boolq", data_folder=tmp_path)
    assert list(parts) == ["train", "validation", "test"]
    prompts = [set(part.prompts) for part in parts.values()]
    assert sum(map(len, prompts)) == len(set.union(*prompts)) == 52
    assert parts["test"].prompts == load_task("boolq", data_folder=tmp_path).prompts
    assert 4 <= len(parts["validation"]) <= 5
    notes = parts["train"].notes + parts["validation"].notes
    assert any("rows of 'train', cut by seed 0" in note for note in notes)
    assert any("1 rows dropped: their prompt is in" in note for note in notes)
    # Whole, as it is published, for who asks for it by name.
    assert len(load_task("boolq", data_folder=tmp_path, split="train")) == 50
    file = load_splits("boolq", data_folder=tmp_path / "test.json")
    assert file["train"].ids == parts["train"].ids


def test_a_group_of_a_later_split_is_left_out_of_the_earlier_ones():
    parts = {
        name: task([f"{name} {i}" for i in range(3)])
        for name in ("train", "validation", "test")
    }
    groups = {"train": "abc", "validation": "cde", "test": "aeg"}
    found = _disjoint(parts, groups)
    assert [part.ids for part in found.values()] == [("1",), ("0", "1"), ("0", "1", "2")]
    assert "2 rows dropped" in found["train"].notes[-1]


def test_without_training_files_it_asks_first(tmp_path):
    line = json.dumps({"sentence": "_ {}", "option1": "a", "option2": "b", "answer": "1"})
    (tmp_path / "dev.jsonl").write_text(
        "".join(line.replace("{}", str(i)) + "\n" for i in range(20)), "utf-8"
    )
    with pytest.raises(InputError, match="train_xl.jsonl .40,398 rows.*only test"):
        load_splits("winogrande", data_folder=tmp_path)
    parts = load_splits("winogrande", data_folder=tmp_path, without_train="cut")
    assert [len(part) for part in parts.values()] == [16, 2, 2]
    assert any("rows of 'test', cut by seed 0" in note for note in parts["test"].notes)


def test_training_files_alone_have_nothing_to_report_on(tmp_path):
    packed(tmp_path / "train.json", [f"train {i}" for i in range(20)])
    with pytest.raises(InputError, match="train and test to train on; there is only train"):
        load_splits("boolq", data_folder=tmp_path)


def test_data_without_official_splits_is_cut_as_load_task_cuts_it(tmp_path):
    rows = "".join(f"{i},text {i},{i / 10}\n" for i in range(30))
    path = tmp_path / "CLEAR_corpus_final.csv"
    path.write_text("ID,Excerpt,BT_easiness\n" + rows, "utf-8")
    parts = load_splits("clear", data_folder=tmp_path)
    for split, part in parts.items():
        assert load_task("clear", data_folder=tmp_path, split=split).ids == part.ids
