"""What a terminal shows of the table of words."""

import pandas as pd

from mi_probe.analysis.tokens.reading import format_tables


def printed(*words):
    names = ("word", "n", "value_nats", "ci_low", "template")
    table = pd.DataFrame(words, columns=names).assign(predicted_word="good")
    return format_tables({"site": "embed", "layer": 0, "reading": []}, {"words": table})


def test_only_words_that_are_sure_are_evidence():
    text = printed(
        ("great", 40, 0.31, 0.2, False),
        ("the", 90, -0.04, -0.05, False),
        ("maybe", 60, 0.02, -0.01, False),
        ("rare", 3, 0.6, 0.5, False),
        ("review", 99, 0.5, 0.4, True),
    )
    assert text.endswith("i(y; z_t) in nats: great 0.31 (n 40)")


def test_none_is_sure():
    assert "none is sure" in printed(("the", 90, -0.04, -0.05, False))
