"""Copies of texts share a group, whatever copying changed; other texts do not."""

import numpy as np
import pytest

from mi_probe.errors import InputError
from mi_probe.tasks.near_copies import Copies, text_groups, tied

WORDS = np.array([f"word{i}" for i in range(2000)])


def texts(n, length=20, seed=0):
    rng = np.random.default_rng(seed)
    chance = 1 / np.arange(1, len(WORDS) + 1)
    drawn = rng.choice(WORDS, (n, length), p=chance / chance.sum())
    return [" ".join(row) for row in drawn]


def test_independent_texts_are_their_own_groups():
    groups, copies = text_groups(texts(2000))
    assert groups.tolist() == list(range(2000))
    assert copies == Copies(0, 0)
    assert copies.notes() == ()


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text + " ",
        lambda text: text.upper().replace(" ", "  "),
        lambda text: text.replace(" ", ", ") + "!",
        lambda text: text.replace("word1", "ｗｏｒｄ1"),
        lambda text: "\u200b" + text,
        lambda text: " ".join([*text.split()[:3], "another", *text.split()[4:]]),
        lambda text: text.rpartition(" ")[0],
        lambda text: "Posted yesterday: " + text,
    ],
)
def test_a_copy_shares_its_texts_group(change):
    own = texts(300)
    groups, copies = text_groups([*own, *map(change, own)])
    assert groups.tolist() == [*range(300), *range(300)]
    assert copies == Copies(600, 300)
    assert copies.notes() == ("600 rows in 300 groups of equal or nearly equal texts",)


def test_what_every_prompt_shares_makes_no_copies():
    long = "Read the review below with care and say in one word what its author felt. "
    groups, _ = text_groups([long + text for text in texts(500, length=6)])
    assert len(set(groups.tolist())) == 500


def test_a_template_filled_from_short_lists_makes_no_copies():
    rng = np.random.default_rng(0)
    fillers = [[f"{slot}{i}" for i in range(10)] for slot in "abcd"]
    rows = {" ".join(rng.choice(f) for f in fillers) for _ in range(1500)}
    assert len(set(text_groups(sorted(rows))[0].tolist())) == len(rows)


def test_one_template_of_several_is_no_giant_group():
    frames = [" ".join(f"frame{k}x{i}" for i in range(30)) for k in range(5)]
    rows = [f"{frames[i % 5]} {text}" for i, text in enumerate(texts(500, length=2))]
    groups, copies = text_groups(rows)
    assert np.bincount(groups).max() < 10
    assert copies.templated > 400
    assert "--group-column" in copies.notes()[-1]


def test_scripts_without_blanks_are_compared_too():
    rng = np.random.default_rng(0)
    own = ["".join(chr(0x4E00 + c) for c in rng.integers(0, 800, 30)) for _ in range(200)]
    groups, _ = text_groups([*own, *(text[:10] + "好" + text[11:] for text in own)])
    assert groups.tolist() == [*range(200), *range(200)]


def test_marks_alone_are_told_apart():
    assert text_groups([":)", ":(", "?", ":) "])[0].tolist() == [0, 1, 2, 0]


def test_given_groups_and_copies_join():
    groups, copies = text_groups(["Yes.", "yes", "no", "so"], ["a", "b", "b", "c"])
    assert groups.tolist() == [0, 0, 0, 1]
    assert copies == Copies(2, 1)
    with pytest.raises(InputError, match="one a row, 2 here; got 1"):
        text_groups(["a", "b"], ["x"])
    assert text_groups([])[0].tolist() == []


def test_rows_are_tied_by_a_name_in_any_column():
    left, right = ["p", "q", "s", None, None], ["q", "r", None, "p", None]
    assert tied(left, right).tolist() == [0, 0, 1, 0, 2]
