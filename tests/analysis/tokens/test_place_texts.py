"""Names of the places of generated x input, from a token table written by hand."""

import pandas as pd
import pytest

from mi_probe.analysis.tokens.place_texts import with_texts


def test_places_have_the_tokens_that_stand_there():
    rows = []
    for i, answer in enumerate(("yes", "no", "yes")):
        # One text is longer: places are counted from the answer, and from its start.
        words = [*["a", "b"][i == 0 :], f"film{i}", ":", answer, "</s>"]
        rows += [
            {
                "row_id": f"r{i}",
                "position": place,
                "token": word,
                "role": "generated" if word in (answer, "</s>") else "prompt",
            }
            for place, word in enumerate(words)
        ]
    # The order of the rows is not that of the tokens.
    tokens = pd.DataFrame(rows).sample(frac=1.0, random_state=0)
    pairs = [(g, t) for g in (0, 1) for t in (0, 1, 9)]
    table = pd.DataFrame(pairs, columns=["generated_position", "input_from_end"])
    named = with_texts(table, tokens).set_index(["generated_position", "input_from_end"])
    assert named.written[0, 0] == "yes"
    assert named.written_share[0, 0] == pytest.approx(2 / 3)
    assert named.written[1, 1] == "</s>"
    assert named.written_share[1, 1] == 1
    # A template's token has a name, other words none, nor a place that no text has.
    assert named.read[0, 0] == ":"
    assert named.read[0, 1] == named.read[0, 9] == ""
