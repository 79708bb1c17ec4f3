"""Columns that are given: numbers or kinds, and what is said of them."""

import numpy as np
import pytest

from mi_probe.analysis.given import given_notes, numbers_or_kinds
from mi_probe.errors import InputError
from mi_probe.tasks import Task


def task_of(*values):
    n = len(values)
    return Task(
        name="t",
        prompts=tuple(f"row {i}" for i in range(n)),
        answers=("a",) * n,
        labels=np.arange(n) % 2,
        label_names=("no", "yes"),
        target="parity",
        ids=tuple(map(str, range(n))),
        columns={"speaker": values},
    )


@pytest.mark.parametrize(
    ("values", "found", "note"),
    [
        (
            ("1", "2", "2", "10"),
            np.eye(3)[[0, 2, 2, 1]],
            "3 kinds: whole numbers may be ids",
        ),
        ((1.0, 2.0, 2.0), np.eye(2)[[0, 1, 1]], "2 kinds: whole numbers may be ids"),
        (("007", "0.5", "007"), np.eye(2)[[1, 0, 1]], "2 kinds: whole numbers may be ids"),
        (("a", "b", "1"), np.eye(3)[[1, 2, 0]], "3 kinds"),
        (("1", "2.5", "\u22122"), [[1.0], [2.5], [-2.0]], "numbers"),
    ],
)
def test_numbers_with_fractions_are_numbers_and_all_else_kinds(values, found, note):
    assert numbers_or_kinds("speaker", values) == pytest.approx(np.array(found))
    assert given_notes(["words", "speaker"], task_of(*values)) == [
        f"given column 'speaker' is taken as {note}"
    ]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (range(300), "got 300. Whole numbers are kinds, as ids are; if they are amounts"),
        ([f"text {i}" for i in range(300)], "Is it the text itself"),
        (["1", "2.5", "nan"], "finite numbers; row 3 holds nan"),
        (["1", " ", "2"], "1 of 3 are empty, the first in row 2"),
    ],
)
def test_what_cannot_be_given_is_named(values, said):
    with pytest.raises(InputError, match=said):
        numbers_or_kinds("speaker", values)
