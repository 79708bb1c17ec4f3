"""A task's groups: those of the data set, of the user's column, and of copies."""

import json

import pytest

from mi_probe.errors import InputError
from mi_probe.tasks import load_splits, load_task, read_table


def table(path, rows, header="text,label,speaker"):
    path.write_text("\n".join([header, *rows]) + "\n", "utf-8")
    return path


ROWS = ["one,x,A", "two,y,A", "three,x,B", "four,y,B", "FIVE!,x,C", "five,y,D"]


def test_a_column_names_groups_and_copies_join_them(tmp_path):
    path = table(tmp_path / "a.csv", ROWS)
    task = read_table(path, group_column="speaker")
    assert task.groups == ("A", "A", "B", "B", "C", "C")
    assert task.notes == (
        "2 rows in 1 group of equal or nearly equal texts",
        "6 rows in 3 groups of one context, source or text, the largest of 2",
    )
    assert task.rows([5, 0]).groups == ("C", "A")
    assert read_table(path).groups == ("0", "1", "2", "3", "4", "4")
    assert read_table(table(tmp_path / "b.csv", ROWS[:4])).groups is None


def test_rows_drawn_keep_the_groups_of_all(tmp_path):
    task = read_table(
        table(tmp_path / "a.csv", ROWS), group_column="speaker", rows=3, seed=1
    )
    speaker = dict(enumerate("AABBCC"))
    assert task.groups == tuple(speaker[int(i)] for i in task.ids)


@pytest.mark.parametrize(
    ("rows", "column", "message"),
    [
        (["a,x,A", "b,y,"], "speaker", "group-column 'speaker' must be filled"),
        (["a,x,A", "b,y,A"], "speaker", "several groups.*all 2 rows are of 'A'"),
        (["a,x,A", "b,y,B"], "label", "must differ; both are 'label'"),
        (["a,x,A", "b,y,B"], "spaeker", "Did you mean 'speaker'"),
    ],
)
def test_columns_that_name_no_groups(tmp_path, rows, column, message):
    with pytest.raises(InputError, match=message):
        read_table(table(tmp_path / "a.csv", rows), group_column=column)


def lines(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(map(json.dumps, rows)), "utf-8")


def test_questions_on_one_passage_are_a_group_in_every_split(tmp_path):
    def rows(start):
        return [
            {
                "question": f"question {i}",
                "passage": f"passage {i // 2}",
                "answer": i % 2 > 0,
            }
            for i in range(start, start + 20)
        ]

    lines(tmp_path / "train.jsonl", rows(0))
    lines(tmp_path / "dev.jsonl", rows(18))
    test = load_task("boolq", data_folder=tmp_path)
    assert len(set(test.groups)) == 10
    train = load_task("boolq", data_folder=tmp_path, split="train")
    assert set(test.groups) & set(train.groups) == {test.groups[0]}
    parts = load_splits("boolq", data_folder=tmp_path)
    found = [set(part.groups) for part in parts.values()]
    assert not found[0] & (found[1] | found[2])
    assert not found[1] & found[2]
    assert any("dropped" in note for note in parts["train"].notes)


def test_pairs_that_share_a_sentence_are_a_group(tmp_path):
    pairs = [("a cat", "a dog"), ("a dog", "a hen"), ("a cow", "a pig"), ("a hen", "an ox")]
    (tmp_path / "stsb-en-test.csv").write_text(
        "\n".join(f"{one},{two},{i}.5" for i, (one, two) in enumerate(pairs)), "utf-8"
    )
    groups = load_task("stsb", data_folder=tmp_path).groups
    assert groups[0] == groups[1] == groups[3] != groups[2]


def test_sentences_of_one_editorial_are_a_group():
    task = load_task("hutto_nyt")
    piece = {i.rpartition("_")[0] for i in task.ids}
    named = dict(zip(task.ids, task.groups, strict=True))
    assert named["1_1"] == named["1_2"] != named["2_1"]
    assert len(set(task.groups)) <= len(piece)
    assert load_task("hutto_movies").groups[:2] == ("1", "2")
