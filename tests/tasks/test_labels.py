"""One rule for labels: text as it is written, unless scores are asked for or plain."""

import time

import pytest

from mi_probe.errors import InputError
from mi_probe.tasks.labels import classes_or_scores


@pytest.mark.parametrize("kind", [None, "classes"])
@pytest.mark.parametrize(
    ("values", "names"),
    [
        (["007", "7", "0100", "100"], ("007", "7", "0100", "100")),
        (
            ["1234567890123456790", "1234567890123456789", "22"],
            ("22", "1234567890123456789", "1234567890123456790"),
        ),
        (["1e5", "100000", "2e3"], ("2e3", "100000", "1e5")),
        (["1.0", "0.0"], ("0.0", "1.0")),
        ([1.0, 0.0], ("0.0", "1.0")),
        (["10", "9", "+1", "\u22121"], ("\u22121", "+1", "9", "10")),
        (["1.10", "01.1"], ("01.1", "1.10")),
        ([True, False], ("False", "True")),
        (["b", "10", "9"], ("10", "9", "b")),
        ([3, 20, 100], ("3", "20", "100")),
    ],
)
def test_classes_are_called_what_the_file_says(values, names, kind):
    labels = classes_or_scores(values * 3, "y", kind)
    assert labels.names == names
    assert [labels.names[i] for i in labels.values] == [str(v) for v in values] * 3


@pytest.mark.parametrize(
    ("values", "scores"),
    [
        (["0.5", "1", "-2"], [0.5, 1, -2]),
        ([0.5, 1.0], [0.5, 1]),
        (["1e-3", "2e5"], [0.001, 200_000]),
        (["\u22120.5", "\u20132", "\uff0d1"], [-0.5, -2, -1]),
        ([".5", " 1. "], [0.5, 1]),
    ],
)
def test_numbers_with_a_fraction_are_plainly_scores(values, scores):
    labels = classes_or_scores(values, "y")
    assert labels.names is None
    assert labels.values.tolist() == scores
    assert classes_or_scores(values, "y", "classes").names is not None


def test_scores_are_taken_where_they_are_asked_for():
    assert classes_or_scores(["007", "1e1"], "y", "scores").values.tolist() == [7, 10]
    assert classes_or_scores([1.0, 0.0], "y", "scores").names is None


@pytest.mark.parametrize(
    ("values", "note"),
    [
        ([1.0, 0.0], "0.0 ... 1.0 are whole numbers, taken as 2 classes"),
        (list(range(12)) * 2, "taken as 12 classes; if they are scores, say --label-kind"),
        (["1", "1.0", "2"], "classes 1 and 1.0 are one number"),
        (["Pos", "pos", "neg"], "classes Pos and pos differ in the case of letters only"),
    ],
)
def test_what_may_be_meant_otherwise_is_noted(values, note):
    assert note in "; ".join(classes_or_scores(values, "y").notes)


def test_a_very_long_row_of_digits_takes_no_time():
    began = time.process_time()
    found = classes_or_scores(["1" * 30_000 + "x", "1"], "y")
    assert found.names is not None
    assert time.process_time() - began < 1  # quadratic once


def test_what_is_plain_has_no_note():
    assert classes_or_scores(["0", "1"], "y").notes == ()
    ids = ["1234567890123456789", "1234567890123456790"]
    assert "one number" not in str(classes_or_scores(ids, "y").notes)
    assert classes_or_scores(["1", "1.0"], "y", "classes").notes == ()


@pytest.mark.parametrize(
    ("values", "what"),
    [
        (["50%", "12.5 %"], "a percent sign"),
        (["0,5", "1,25"], "a decimal comma"),
        (["1.234,5", "2"], "a decimal comma"),
        (["1\u202f234,5", "2"], "a decimal comma"),
        (["1,234", "5,678"], "commas that group thousands"),
        (["1,234,567.8", "5"], "commas that group thousands"),
        (["1\u00a0234", "1'000"], "blanks or other marks that group thousands"),
        (["1.234.567", "2"], "blanks or other marks"),
        (["$5", "12 \u20ac"], "a currency sign"),
    ],
)
def test_numbers_that_are_written_otherwise_are_refused_by_name(values, what):
    for kind in (None, "scores"):
        with pytest.raises(InputError, match=f"{what}.*data row 1"):
            classes_or_scores(values * 4, "y", kind)
    assert classes_or_scores(values * 4, "y", "classes").names == tuple(sorted(values))


@pytest.mark.parametrize("gap", ["nan", "NA", "?", "-", "#N/A", "None"])
def test_a_word_for_a_gap_among_numbers_is_no_class(gap):
    with pytest.raises(InputError, match=r"data row 3.*--label-kind classes"):
        classes_or_scores(["1", "2", gap, "1"], "y")


def test_a_word_among_scores_is_no_class():
    with pytest.raises(InputError, match=r"1 of 21 hold a word such as 'n\.d\.'"):
        classes_or_scores(["0.5", "1.5"] * 10 + ["n.d."], "y")
    assert classes_or_scores(["1", "2"] * 10 + ["other"], "y").names == ("1", "2", "other")
