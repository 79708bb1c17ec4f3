"""Answers as text: written short, read back without guessing."""

import numpy as np
import pytest

from mi_probe.errors import InputError
from mi_probe.tasks.answers import Letters, Number, OptionText, Words, read_answers
from mi_probe.tasks.task import Task


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (3.799999952316284, 2, " 3.8"),
        (2.11111111111111, 2, " 2.11"),
        (5, 2, " 5.0"),
        (-0.001, 2, " 0.0"),
        (-1.25, 2, " -1.25"),
        (0.10294117647058826, 3, " 0.103"),
        (1e-7, 3, " 0.0"),
    ],
)
def test_numbers_are_written_rounded(value, decimals, text):
    form = Number(decimals=decimals)
    assert form.write(value) == text
    assert form.read(form.write(value)) == pytest.approx(value, abs=0.5 * 10**-decimals)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (" 3.8", 3.8),
        ("3.8.", 3.8),
        ("3.8\nSentence 1: 4", 3.8),
        (" .5", 0.5),
        ("-3", -3),
        ("\u22122.5", -2.5),
        ("+4", 4),
        ("1e-05", 1e-5),
        ("2.5E1", 25),
        ("1e\u22122", 0.01),
        ("3.80000000000000000000123", 3.8),
        ("4 out of 5", 4),
        ("about 4/5", 4),
        ("the score is 2.", 2),
        # A range is its middle ...
        ("3-4", 3.5),
        ("3 to 4", 3.5),
        ("between 3.0\u20134.0", 3.5),
        ("-2--1", -1.5),
        ("-2 to -1", -1.5),
        # ... but the scale itself is no answer, and what goes down is no range.
        ("on a scale from 1 to 5: 2.5", 2.5),
        ("1-5", None),
        ("5-3", 5),
        # The numbers of a date or a time are none ...
        ("2024-05-01", None),
        ("2024-05", None),
        ("1/5/2024", None),
        ("May 5, 2024", None),
        ("on 5 May 2024: 3.5", 3.5),
        ("10:30", None),
        ("In March 2021 it was 4", 4),
        # ... but a rating, a range and a word that begins like a month are.
        ("4/5", 4),
        ("maybe 3 or 4", 3),
        ("3.5-4.5", 4),
        # Never a number made up: neither 0 nor a part of something else.
        ("", None),
        ("very similar", None),
        ("-", None),
        ("e5", 5),
        ("3,5", None),
        ("1,000", None),
        ("3.8.2", None),
        ("1e999", None),
        ("1e5.5", None),
        ("nan", None),
        ("inf", None),
    ],
)
def test_numbers_are_read(text, value):
    found = Number(scale=(1.0, 5.0)).read(text)
    assert found == (value if value is None else pytest.approx(value, rel=1e-12))


def test_a_number_outside_of_the_scale_is_kept_and_flagged():
    parsed = read_answers(Number(scale=(1.0, 5.0)), ["3", "7", "-1", "no idea"])
    assert parsed.values[:3].tolist() == [3, 7, -1]
    assert np.isnan(parsed.values[3])
    assert parsed.outside.tolist() == [False, True, True, False]
    assert parsed.failed.tolist() == [False, False, False, True]
    assert parsed.failure_rate == 0.25
    unbounded = read_answers(Number(), ["-1e6"])
    assert not unbounded.outside.any()
    assert read_answers(Number(), []).failure_rate == 0


@pytest.mark.parametrize(
    ("text", "label"),
    [
        (" positive", 1),
        ("Negative.", 0),
        ("It is negative, not positive", 0),
        ("positively", None),
        ("", None),
        ("neutral", None),
    ],
)
def test_words_are_read(text, label):
    assert Words(("negative", "positive")).read(text) == label


def test_words_have_synonyms_that_are_not_written():
    form = Words(("no", "yes"), (("false",), ("true",)))
    assert form.read("the correct answer is true") == 1
    assert form.read("nobody knows") is None
    assert form.write(0) == " no"


def test_words_may_be_numbers():
    form = Words(("-1", "0", "0.5", "1", "10"))
    for label, word in enumerate(form.words):
        assert form.read(f" {word}.") == label, word
    assert form.read("100") is None
    assert Words(("1", "2")).read("-1") is None
    assert Words(("C", "C++")).read("C++ it is") == 1


@pytest.mark.parametrize(
    ("text", "label"),
    [
        (" A", 0),
        ("B) the second", 1),
        ("(C)", 2),
        ("**D**", 3),
        ("a", 0),
        ("A\nQuestion: next", 0),
        ("The answer is B.", 1),
        ("Answer: C", 2),
        ("the correct answer is answer2", 1),
        ("solution1", 0),
        ("Option 2", 1),
        # An article, a pronoun, an option that the row does not have.
        ("A man swings", None),
        ("E", None),
        ("answer5", None),
        ("B52 bombers", None),
        ("", None),
        ("none of them", None),
    ],
)
def test_letters_are_read(text, label):
    assert Letters().read(text, ("one", "two", "three", "four")) == label


def test_option_texts_are_read():
    form = OptionText()
    options = ("Go home", "go home and see Riley", "Find somewhere to go.")
    assert form.write(2, options) == " Find somewhere to go."
    assert form.read(" go home\nQuestion:", options) == 0
    assert form.read("Go home and see  Riley!", options) == 1
    assert form.read("find somewhere to go, and then", options) == 2
    assert form.read("going home", options) is None
    assert form.read("", options) is None
    # Two of one text: no telling which.
    assert form.read("yes it is", ("Yes", "yes ")) == 1
    assert form.read("YES", ("Yes", "yes")) is None
    assert form.read("yes", ("yes", " yes")) is None
    assert form.read("anything", ("...", "x")) is None


@pytest.mark.parametrize(
    ("options", "text", "label"),
    [
        (("5", "-5"), "-5.", 1),
        (("5", "-5"), "\u22125", 1),
        (("-5", "3"), "5", None),
        (("5", "5.5"), "5.5", 1),
        (("5", "6"), "5.5", None),
        (("polish", "Polish"), "Polish is spoken", 1),
        (("Its ok", "It's ok"), "It's ok.", 1),
        (("C", "C++", "C#"), "C++", 1),
        (("C", "C++", "C#"), "C#.", 2),
        (("C", "C++", "C#"), "C.", 0),
    ],
)
def test_options_that_differ_in_sign_case_or_mark_alone(options, text, label):
    assert OptionText().read(text, options) == label


@pytest.mark.parametrize(
    ("words", "text", "label"),
    [
        (("US", "us"), "us", 1),
        (("US", "us"), "US.", 0),
        (("US", "us"), "Us", None),
        (("sure", "not sure"), " not  sure", 1),
        (("sure", "not sure"), "Not\nsure", 1),
        (("sure", "not  sure"), "not sure", 1),
        (("1", "-1"), "\u22121", 1),
        (("1", "\u22121"), "-1", 1),
    ],
)
def test_classes_that_differ_in_case_sign_or_blanks_alone(words, text, label):
    assert Words(words).read(text) == label


@pytest.mark.parametrize(
    ("form", "options"),
    [
        (Letters(), [("a", "b", "c")] * 3),
        (OptionText(), [("one", "one more", "two")] * 3),
        (Words(("bad", "fair", "good")), []),
    ],
)
def test_what_is_written_is_read_back(form, options):
    texts = [form.write(y, options[y] if options else ()) for y in range(3)]
    assert all(text.startswith(" ") for text in texts)
    assert read_answers(form, texts, options).values.tolist() == [0, 1, 2]


def task(**more) -> Task:
    usual = {
        "name": "mine",
        "prompts": ("x", "y", "z"),
        "answers": (" neg", " pos", " neg"),
        "labels": np.array([0, 1, 0]),
        "label_names": ("neg", "pos"),
        "target": "mood",
        "ids": ("0", "1", "2"),
    }
    return Task(**{**usual, **more})


def test_a_task_without_a_form_reads_its_classes_or_numbers():
    parsed = task().parse([" pos", "neg", "?"])
    assert parsed.values[:2].tolist() == [1, 0]
    assert parsed.failure_rate == pytest.approx(1 / 3)
    scores = task(labels=np.array([0.5, 1.0, 2.0]), label_names=None)
    assert scores.parse(["0.5", "1", "-2"]).values.tolist() == [0.5, 1, -2]
    with pytest.raises(InputError, match="one a row, 3.*got 2"):
        task().parse(["pos", "neg"])


def test_rows_keep_their_options():
    options = (("a", "b"), ("c", "d"), ("e", "f"))
    chosen = task(form=OptionText(), options=options).rows([2, 0])
    assert chosen.options == (options[2], options[0])
    assert chosen.parse(["f", "a"]).values.tolist() == [1, 0]
