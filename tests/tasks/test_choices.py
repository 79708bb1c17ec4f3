"""Questions with options, in every form in which they are published."""

import json

import pytest

from mi_probe.errors import InputError
from mi_probe.tasks import TASKS, load_task

PIQA = [
    {"id": "x-1", "goal": " Open a jar ", "sol1": 'Twist "it" ', "sol2": "Don't"},
    {"id": "x-2", "goal": "dresser", "sol1": "bobby\tpin", "sol2": "a: b\u2028c"},
]
SIQA = [
    {
        "context": "Tracy stayed.",
        "question": "Why?",
        "answerA": "tired",
        "answerB": "Riley's dog",
        "answerC": "late",
    },
    {
        "context": "Jan left.",
        "question": "Where?",
        "answerA": "home",
        "answerB": "work",
        "answerC": "out",
    },
]


def jsonl(path, rows):
    path.write_text("".join(json.dumps(r) + "\n" for r in rows), "utf-8")


def packed(path, *rows):
    content = [
        {
            "instruction": instruction,
            "input": "",
            "output": f"the correct answer is {answer}",
            "answer": answer,
        }
        for instruction, answer in rows
    ]
    path.write_text(json.dumps(content), "utf-8")


def test_piqa_pairs_and_packed_are_the_same_rows(tmp_path):
    pair, other = tmp_path / "pair", tmp_path / "other"
    pair.mkdir()
    other.mkdir()
    jsonl(pair / "dev.jsonl", PIQA)
    (pair / "dev-labels.lst").write_text("1\n0\n", "utf-8")
    packed(
        other / "test.json",
        (
            "Please choose the correct solution to the question:  Open a jar \n\n"
            'Solution1: Twist "it" \n\nSolution2: Don\'t\n\n'
            "Answer format: solution1/solution2",
            "solution2",
        ),
        (
            "Please choose the correct solution to the question: dresser\n\n"
            "Solution1: bobby\tpin\n\nSolution2: a: b\u2028c\n\n"
            "Answer format: solution1/solution2",
            "solution1",
        ),
    )
    one, two = (load_task("piqa", data_folder=folder) for folder in (pair, other))
    assert one.prompts == two.prompts
    assert one.prompts[0] == 'Question: Open a jar\nA: Twist "it"\nB: Don\'t\nAnswer:'
    assert one.labels.tolist() == two.labels.tolist() == [1, 0]
    assert one.answers == (" B", " A")
    assert one.ids == two.ids == ("test-0", "test-1")
    assert one.split == "test"
    assert one.metrics == ("accuracy", "macro_f1")
    assert "2 rows, where 1,838 are published" in one.notes


def test_the_options_text_can_be_the_answer(tmp_path):
    jsonl(tmp_path / "dev.jsonl", [*PIQA, {**PIQA[0], "sol1": "Don't"}])
    (tmp_path / "dev-labels.lst").write_text("1\n0\n0\n", "utf-8")
    task = load_task("piqa", data_folder=tmp_path, answer="text")
    assert task.answers == (" Don't", " bobby\tpin", " Don't")
    assert task.labels.tolist() == [1, 0, 0]
    assert "1 rows have two options of one text, which cannot be told apart" in task.notes
    parsed = task.parse(["don't.", "bobby pin and so on", "don't"])
    assert parsed.values[:2].tolist() == [1, 0]
    assert parsed.failed.tolist() == [False, False, True]
    # Only questions with options have a text of their own to answer with.
    with pytest.raises(InputError, match="'boolq' must be 'label'; got 'text'"):
        load_task("boolq", data_folder=tmp_path, answer="text")


@pytest.mark.parametrize("name", ["train.jsonl", "valid.jsonl"])
def test_official_names_of_files_that_are_not_at_hand_are_read(tmp_path, name):
    jsonl(tmp_path / name, PIQA)
    labels = name.replace(".jsonl", "-labels.lst")
    (tmp_path / labels).write_text("0\r\n1\r\n", "utf-8")
    split = "train" if name.startswith("train") else "test"
    task = load_task("piqa", data_folder=tmp_path, split=split)
    assert task.labels.tolist() == [0, 1]
    assert task.ids == (f"{split}-0", f"{split}-1")


def test_siqa_labels_count_from_one(tmp_path):
    jsonl(tmp_path / "train.jsonl", SIQA)
    (tmp_path / "train-labels.lst").write_text("3\n1\n", "utf-8")
    task = load_task("siqa", data_folder=tmp_path, split="train")
    assert task.labels.tolist() == [2, 0]
    assert task.prompts[0] == (
        "Question: Tracy stayed. Why?\nA: tired\nB: Riley's dog\nC: late\nAnswer:"
    )
    (tmp_path / "train-labels.lst").write_text("3\n0\n", "utf-8")
    with pytest.raises(InputError, match="one of 1, 2, 3; got '0'"):
        load_task("siqa", data_folder=tmp_path, split="train")
    (tmp_path / "train-labels.lst").write_bytes(b"3\n\xe9\n")
    with pytest.raises(InputError, match="must be UTF-8"):
        load_task("siqa", data_folder=tmp_path, split="train")
    (tmp_path / "train-labels.lst").write_text("3\n", "utf-8")
    with pytest.raises(InputError, match="each of the 2 rows.*got 1.*same split"):
        load_task("siqa", data_folder=tmp_path, split="train")


BLOCK = "Roof: the man: sits\n3\nis \"using\n[x] isn't\nholds a cube\nstarts\n"


def test_hellaswag_blocks_and_lines_are_the_same_rows(tmp_path):
    (tmp_path / "hellaswag_val_full.txt").write_text(BLOCK * 2, "utf-8")
    blocks = load_task("hellaswag", data_folder=tmp_path)
    assert len(blocks) == 2
    assert blocks.labels.tolist() == [3, 3]
    assert blocks.prompts[0] == (
        "Text: Roof: the man: sits\nA: is \"using\nB: [x] isn't\nC: holds a cube\n"
        "D: starts\nEnding:"
    )
    row = {
        "activity_label": "Roof",
        "ctx": "the man: sits",
        "endings": ['is "using', "[substeps] [x] isn't", "holds a  cube", "starts"],
        "label": 3,
    }
    jsonl(tmp_path / "hellaswag_train.jsonl", [row, {**row, "label": "0"}])
    lines = load_task("hellaswag", data_folder=tmp_path, split="train")
    assert lines.prompts[0] == blocks.prompts[0]
    assert lines.labels.tolist() == [3, 0]
    (tmp_path / "hellaswag_val_full.txt").write_text(BLOCK + "one more\n", "utf-8")
    with pytest.raises(InputError, match="blocks of six lines; it has 7"):
        load_task("hellaswag", data_folder=tmp_path)
    (tmp_path / "hellaswag_val_full.txt").write_text("shifted\n" + BLOCK[:-7], "utf-8")
    with pytest.raises(InputError, match="line 2 must be one of 0, 1, 2, 3; got 'Roof"):
        load_task("hellaswag", data_folder=tmp_path)


def test_winogrande_lines_and_packed_are_the_same_rows(tmp_path):
    row = {
        "qID": "3Q-1",
        "sentence": "Sarah beat Maria so _ won.",
        "option1": "Sarah",
        "option2": "Maria",
        "answer": "1",
    }
    jsonl(tmp_path / "train_xl.jsonl", [row, {**row, "answer": "2"}])
    jsonl(tmp_path / "train_xs.jsonl", [row])
    packed(
        tmp_path / "test.json",
        (
            "Please choose the correct answer to fill in the blank to complete the given "
            "sentence: Sarah beat Maria so _ won.\n\nOption1: Sarah Option2: Maria "
            "Answer format: option1/option2",
            "option2",
        ),
    )
    train = load_task("winogrande", data_folder=tmp_path, split="train")
    small = load_task("winogrande", data_folder=tmp_path, split="train_xs")
    test = load_task("winogrande", data_folder=tmp_path, split="test")
    assert set(train.prompts) == set(small.prompts) == set(test.prompts)
    assert train.labels.tolist() == [0, 1]
    assert test.answers == (" B",)
    unlabelled = {k: v for k, v in row.items() if k != "answer"}
    jsonl(tmp_path / "train_xl.jsonl", [unlabelled])
    with pytest.raises(InputError, match="'answer' is missing in 1 of 1.*with labels"):
        load_task("winogrande", data_folder=tmp_path, split="train")


def test_arc_has_three_to_five_options_under_letters_or_numbers(tmp_path):
    def row(key, labels, answer):
        found = [{"text": f"choice {x}", "label": x} for x in labels]
        return {
            "id": key,
            "question": {"stem": "Why?", "choices": found},
            "answerKey": answer,
        }

    rows = [row("M1", "ABC", "C"), row("M2", "1234", "2"), row("M3", "ABCDE", "E")]
    jsonl(tmp_path / "ARC-Easy-Dev.jsonl", rows)
    task = load_task("arc_easy", data_folder=tmp_path, split="validation")
    assert task.labels.tolist() == [2, 1, 4]
    assert task.ids == ("M1", "M2", "M3")
    assert [len(options) for options in task.options] == [3, 4, 5]
    assert task.prompts[0].endswith("A: choice A\nB: choice B\nC: choice C\nAnswer:")
    # An answer that only other rows could have is none.
    assert task.parse([" E", " E", " E"]).failed.tolist() == [True, True, False]
    packed(
        tmp_path / "test.json",
        (
            "Please choose the correct answer to the question: Why? Because:\n\n"
            "Answer1: one Answer2: two, see Answer Answer3: three\n\n"
            "Answer format: answer1/answer2/answer3",
            "answer3",
        ),
    )
    (prompt,) = load_task("arc_easy", data_folder=tmp_path).prompts
    assert prompt == (
        "Question: Why? Because:\nA: one\nB: two, see Answer\nC: three\nAnswer:"
    )


HEADER = "ID\tQuestion Stem\tChoices\tComplete Question\tAnswer Key\n"


def test_obqa_choices_lie_in_one_cell(tmp_path):
    cell = "(A) a \"b (B) it's (C) eggs (D) worms (D) pups"
    (tmp_path / "dev.tsv").write_text(f"{HEADER}8-1\tThe sun\t{cell}\tx\tB\n", "utf-8")
    task = load_task("obqa", data_folder=tmp_path, split="validation")
    assert task.options == (('a "b', "it's", "eggs (D) worms", "pups"),)
    assert task.labels.tolist() == [1]
    assert task.ids == ("8-1",)
    (tmp_path / "dev.tsv").write_text(f"{HEADER}8-1\tThe sun\t(A) x\tx\tA\n", "utf-8")
    with pytest.raises(InputError, match="row '8-1' has '\\(A\\) x'"):
        load_task("obqa", data_folder=tmp_path, split="validation")
    nested = {
        "id": "8-1",
        "question": {
            "stem": "The sun",
            "choices": [
                {"text": t, "label": x} for t, x in zip("wxyz", "ABCD", strict=True)
            ],
        },
        "answerKey": "D",
    }
    jsonl(tmp_path / "train.jsonl", [nested])
    assert load_task("obqa", data_folder=tmp_path, split="train").labels.tolist() == [3]


def test_boolq_with_and_without_passages(tmp_path):
    ask = "Please answer the following question with true or false, question: {}?\n\n"
    packed(
        tmp_path / "test.json",
        (ask.format("is it so") + "Answer format: true/false", "true"),
        (ask.format("is: it") + "Answer format: true/false", "false"),
    )
    bare = load_task("boolq", data_folder=tmp_path)
    assert bare.prompts == ("Question: is it so?\nAnswer:", "Question: is: it?\nAnswer:")
    assert bare.answers == (" yes", " no")
    assert any("no passages" in note for note in bare.notes)
    whole = {"question": "is it so", "title": "T", "answer": True, "passage": "It is.\n"}
    jsonl(tmp_path / "dev.jsonl", [whole, {**whole, "answer": False}])
    full = load_task("boolq", data_folder=tmp_path)
    assert full.prompts[0] == "It is.\nQuestion: is it so?\nAnswer:"
    assert full.labels.tolist() == [1, 0]
    assert not any("no passages" in note for note in full.notes)
    # The copy that is pointed at is the one that is read.
    assert load_task("boolq", data_folder=tmp_path / "test.json").prompts == bare.prompts


@pytest.mark.parametrize(
    ("instruction", "answer"),
    [
        ("Please choose: what?\n\nAnswer1: a Answer3: b\n\nAnswer format: x", "answer1"),
        ("Please choose: what?\n\nAnswer1: a Answer2: b\n\nAnswer format: x", "answer3"),
        ("Please choose: what?\n\nAnswer1: a Answer2: b\n\nAnswer format: x", "true"),
        ("Please choose: what?\n\nAnswer1: a Answer2: b", "answer1"),
    ],
)
def test_a_packed_entry_of_another_form_is_refused(tmp_path, instruction, answer):
    packed(tmp_path / "test.json", (instruction, answer))
    with pytest.raises(InputError, match="entry 0 of test.json must list options"):
        load_task("obqa", data_folder=tmp_path)


def test_the_index_is_said_to_be_arbitrary():
    for name, entry in TASKS.items():
        assert ("arbitrary" in entry.target) == (entry.alternative is not None), name
