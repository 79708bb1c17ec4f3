"""Generated x input on states whose dependence is known."""

import numpy as np
import pandas as pd
import pytest
import torch

from mi_probe.analysis.tokens.generated import COLUMNS, generated_by_input, with_texts
from mi_probe.errors import InputError
from mi_probe.hidden import HiddenStates, Role


def test_a_written_state_depends_on_the_input_it_copies():
    rng = np.random.default_rng(0)
    n, d = 300, 5
    values = rng.normal(size=(n, 6, d))
    roles = np.array([1, 1, 1, 1, 2, 2]) * np.ones((n, 1), dtype=int)
    # The first written token copies the second-last input token, with noise.
    values[:, 4] = values[:, 2] + 0.5 * rng.normal(size=(n, d))
    z = HiddenStates(values.astype(np.float32), roles > 0, roles=roles)
    table = generated_by_input(z, most_read=3)
    assert tuple(table.columns) == COLUMNS
    assert len(table) == 2 * 3
    assert (table.n == n).all()
    value = table.set_index(["generated_position", "input_from_end"]).value_nats
    # Each of five columns: -ln(1 - 1/1.25) / 2 nats.
    assert value[0, 1] == pytest.approx(5 * 0.5 * np.log(5), rel=0.1)
    assert value.drop((0, 1)).abs().max() < 0.1


def test_positions_that_do_not_vary_or_are_rare_are_left_out():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(60, 4, 3)).astype(np.float32)
    values[:, 1] = 1.0
    roles = np.array([[1, 1, 2, 0]] * 50 + [[1, 1, 2, 2]] * 10)
    table = generated_by_input(HiddenStates(values, roles > 0, roles=roles))
    assert table[["generated_position", "input_from_end"]].values.tolist() == [[0, 1]]
    with pytest.raises(InputError, match="generated tokens; it has none"):
        generated_by_input(HiddenStates(values, torch.ones(60, 4)))
    assert Role.GENERATED == 2


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
