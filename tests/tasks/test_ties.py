"""Rows that copying alone tells apart are tied; rows that say something else are not."""

import numpy as np
import pytest

from mi_probe.tasks.ties import levelled, ties


@pytest.mark.parametrize(
    "copy",
    [
        *(
            "THANKS a lot, 3.5",
            "thanks  a\tlot, 3.5",
            "Thanks a lot: 3.5.",
            "thanks a lot 3.5",
        ),
        # Full-width digits, a joiner, a soft hyphen.
        *("thanks a lot \uff13.5", "thanks\u200d a lot 3.5", "tha\u00adnks a lot 3.5"),
    ],
)
def test_copies_are_one_text(copy):
    assert levelled(copy) == levelled("Thanks a lot 3.5!")


@pytest.mark.parametrize(
    ("one", "other"),
    [("-3", "3"), ("3.5", "35"), (".5", "5"), ("C++", "C"), (":)", ":("), ("not ok", "ok")],
)
def test_what_is_said_is_kept(one, other):
    assert levelled(one) != levelled(other)


def test_signs_have_one_form_and_hyphens_none():
    assert levelled("\u22123") == levelled("-3")
    assert levelled("covid-19") == levelled("covid 19")
    assert levelled("The us", case=True) != levelled("The US", case=True)


def test_ties_go_on_from_row_to_row():
    texts = ["a", "A ", "b", "c", "d"]
    assert ties(texts).tolist() == [0, 0, 1, 2, 3]
    one, two = [None, None, "x", "x", None], ["p", None, None, "q", "q"]
    assert ties(texts, one).tolist() == [0, 0, 1, 1, 2]
    assert ties(texts, one, two).tolist() == [0, 0, 1, 1, 1]
    # A name in one grouping is another than the same name in another.
    assert ties(texts, ["x", *[None] * 4], [None, None, "x", None, None]).tolist() == [
        *(0, 0, 1, 2, 3)
    ]
    assert ties([]).dtype == np.int64
