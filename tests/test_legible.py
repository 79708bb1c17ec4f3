"""Texts of anybody: what cannot be seen is a code point, and none is endless."""

import pandas as pd
import pytest

from mi_probe.legible import LONGEST, legible, legible_table, legible_within


@pytest.mark.parametrize("text", ["plain", "a\tb\nc\r", "naïve 漢字 🙂", "کتاب‌ها"])
def test_what_is_seen_stays(text):
    assert legible(text) == text


@pytest.mark.parametrize("code", [0, 0x1B, 0x7F, 0x9B, 0x202E, 0x2066, 0xD800, 0xFEFF])
def test_what_is_not_seen_is_its_code_point(code):
    assert legible(f"a{chr(code)}b") == f"aU+{code:04X}b"


def test_a_long_text_is_cut_and_stays_another():
    one, two = legible("a" * 10**6), legible("a" * 10**6 + "b")
    assert one != two
    assert max(map(len, (one, two))) < LONGEST
    assert "(1000000 letters, " in one


def test_whatever_holds_texts():
    assert legible_within({"a\0": ["\0", 1, None]}) == {"aU+0000": ["U+0000", 1, None]}
    table = pd.DataFrame({"name": ["a\0", None], "n": [1, 2]})
    assert legible_table(table).name.tolist()[0] == "aU+0000"
    assert legible_table(table[["n"]]) is not None
