"""Controls beside a map: nothing where nothing is known, what memorising gives, copies."""

import numpy as np
import pandas as pd
import pytest

from mi_probe.analysis.tokens.controls import (
    CONTROLS,
    checked_controls,
    control_task,
    random_labels,
    token_controls,
)
from mi_probe.analysis.tokens.population import by_position, by_word
from mi_probe.analysis.tokens.table import word_types
from mi_probe.errors import InputError
from mi_probe.estimators.prefixes.token_information import token_information
from mi_probe.hidden import HiddenStates

N, T, D, VOCABULARY = 200, 8, 24, 40


@pytest.fixture(scope="module")
def identities():
    """States that are the token's identity; Y is whether the fourth token is odd."""
    rng = np.random.default_rng(0)
    ids = rng.integers(VOCABULARY, size=(N, T))
    z = rng.normal(size=(VOCABULARY, D))[ids] + 0.3 * rng.normal(size=(N, T, D))
    y = rng.integers(2, size=N)
    z[:, 3, 0] += 6 * (2 * y - 1)
    states = HiddenStates(z.astype(np.float32), np.ones((N, T), bool))
    return states, token_information(states, y, readers=["prefix"])["prefix"], ids


def test_random_labels_give_nothing_with_the_same_shares(identities):
    z, found, _ = identities
    twin = random_labels(z, found)["prefix"]
    assert found.nats > 0.6
    assert sorted(twin.y) == sorted(found.y)
    assert (twin.y != found.y).any()
    assert abs(twin.nats) <= 2 * twin.split.standard_error(twin.totals) + 1e-3


def test_the_control_task_is_what_memorising_words_gives(identities):
    z, found, ids = identities
    values, about = control_task(z, found, ids)
    # Forty types that the states name: their random labels are known by heart.
    assert about["nats"] > 0.9 * about["H_nats"]
    assert np.nanmean(values) == pytest.approx(about["nats"])
    assert (about["words"], about["types"]) == (N * T, VOCABULARY)
    few = np.where(np.arange(T) == 2, ids, -1)
    assert np.isnan(np.delete(control_task(z, found, few)[0], 2, axis=1)).all()
    # States that do not name the word: nothing to memorise.
    rng = np.random.default_rng(1)
    noise = HiddenStates(rng.normal(size=(N, T, D)).astype(np.float32), z.mask)
    assert abs(control_task(noise, found, ids)[1]["nats"]) < 0.01


def test_a_control_that_cannot_be_made_says_why(identities):
    z, found, ids = identities
    one = token_controls(z, found, ["control_task"], types=np.zeros_like(ids))
    assert one.task is None
    assert "of 1. Take more rows" in one.about["control_task"]["reason"]
    with pytest.raises(InputError, match="controls must be of .* got 'words'"):
        checked_controls(["words"])
    assert checked_controls(CONTROLS[::-1]) == CONTROLS


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.0, 1e-6])
def test_copies_with_random_labels_tell_nothing(noise):
    """A copy in another fold would be known by heart: .13 nats in an earlier version."""
    rng = np.random.default_rng(0)
    half = rng.normal(size=(150, 6, 32))
    z = np.concatenate([half, half + noise * rng.normal(size=half.shape)])
    y, text = np.tile(rng.integers(2, size=150), 2), np.tile(np.arange(150), 2)
    states = HiddenStates(z.astype(np.float32), np.ones((300, 6), bool))
    # Exact copies are found; near ones are named by the texts' groups.
    groups = text if noise else None
    prefix = token_information(states, y, groups=groups, readers=["prefix"])["prefix"]
    assert prefix.split.units == 150
    assert abs(prefix.nats) <= 2 * prefix.split.standard_error(prefix.totals)
    twin = random_labels(states, prefix)["prefix"]
    assert (twin.y[:150] == twin.y[150:]).all()
    assert abs(twin.nats) <= 2 * twin.split.standard_error(twin.totals) + 1e-3


def test_types_end_at_a_words_last_piece_and_leave_template_and_special_out():
    tokens = pd.DataFrame(
        {
            "row_id": ["a"] * 6,
            "word": [-1, 0, 0, 1, 2, 3],
            "word_text": ["", "Film", "Film", "film", ":", "Review"],
            "special": [True] + [False] * 5,
            "template": [False] * 5 + [True],
        }
    )
    types = word_types(tokens, np.array([[True] * 6 + [False]]))
    assert types.tolist() == [[-1, -1, 0, 0, -1, -1, -1]]


def test_controls_stand_beside_the_values():
    tokens = pd.DataFrame(
        {
            "row_id": ["a", "a", "b", "b"],
            "group": [0, 0, 0, 0],
            "position": [0, 1, 0, 1],
            "position_from_end": [1, 0, 1, 0],
            "pointwise_nats": [0.0, 1.0, 0.0, 2.0],
            "random_pointwise_nats": [0.1, 0.2, 0.3, 0.4],
            "control_task_nats": [np.nan, 0.5, np.nan, 0.7],
            "ceiling_nats": 3.0,
        }
    )
    start = by_position(tokens).query("anchor == 'start'").set_index("position")
    assert start.random_nats.tolist() == pytest.approx([0.2, 0.3])
    assert start.control_task_nats[1] == pytest.approx(0.6)
    assert np.isnan(start.control_task_nats[0])
    assert start.ci_low.isna().all()  # two copies are one group, which says nothing


def test_words_that_are_sure_lead_and_the_templates_stand_apart():
    rng = np.random.default_rng(0)
    rows = []
    for word, times, mean, spread, template in (
        ("sure", 40, 0.3, 0.1, False),
        ("rare", 5, 0.9, 0.05, False),
        ("wild", 40, 0.5, 2.0, False),
        ("sure", 40, 0.6, 0.1, True),
    ):
        for i in range(times):
            value = mean + spread * rng.normal()
            row = {"row_id": f"r{i}", "word_text": word, "role": "prompt"}
            row |= {"predicted": "good", "pointwise_nats": value, "ceiling_nats": 0.7}
            row |= {"increment_nats": value, "template": template}
            row |= {"random_label": "good", "random_pointwise_nats": 0.01}
            rows.append(row)
    table = by_word(pd.DataFrame(rows))
    assert table.word.tolist() == ["sure", "sure", "wild", "rare"]
    assert table.template.tolist() == [True, False, False, False]
    assert table.random_nats.tolist() == pytest.approx([0.01] * 4)
