"""Controls in tables: no reader takes one for a site, and each finds those beside it."""

import math

import pandas as pd
import pytest
from result_rows import control, grid, table, with_controls

from mi_probe.analysis.control_points import (
    AT_SITES,
    control_words,
    controls_beside,
    controls_of,
    states_of,
)
from mi_probe.analysis.finding import findings, systems_table
from mi_probe.analysis.reading import readings
from mi_probe.analysis.summaries import at_layer, layer_words, over_seeds


def test_points_of_states_are_what_they_are_without_controls():
    alone, points = over_seeds(grid()), over_seeds(with_controls())
    pd.testing.assert_frame_equal(states_of(points), alone)
    assert len(controls_of(points)) == 5 + 12
    # Controls come last, in one order.
    assert (points["control"] == "").tolist() == [True] * 6 + [False] * 17
    names = [*dict.fromkeys(controls_of(points)["control"])]
    assert names == ["words", "length", "answer", *names[3:]]
    # Their settings make no names longer: they have the states' own labels.
    assert set(points["estimator_label"]) == {"mine", "answer"}
    assert set(points["model_label"]) == {"tiny"}
    assert set(points["task_label"]) == {"reviews"}


def test_no_reader_takes_a_control_for_a_site():
    points, alone = over_seeds(with_controls()), over_seeds(grid())
    assert [str(r) for r in readings(points)] == [str(r) for r in readings(alone)]
    pd.testing.assert_frame_equal(at_layer(points), at_layer(alone))
    pd.testing.assert_frame_equal(systems_table(points), systems_table(alone))
    whole = at_layer(points, controls=True)
    assert layer_words(whole) == layer_words(at_layer(alone))


def test_controls_beside_a_panel_are_of_its_rows_and_its_own_sites():
    points = over_seeds(with_controls())
    beside = controls_beside(at_layer(points), points)
    at_sites = beside[beside["control"].str.startswith("random")]
    assert set(at_sites["site"]) == {"final_norm"}
    assert len(at_sites) == 4
    assert len(beside) == 9
    # Of another task, model or number of rows there is none.
    for change in ({"task": "other"}, {"model_label": "other"}, {"n": 99.0}):
        assert controls_beside(at_layer(points).assign(**change), points).empty
    # Nor of another estimator, but for the model's answer, which none makes.
    other = controls_beside(at_layer(points).assign(estimator_label="knn"), points)
    assert set(other["control"]) == {"answer"}


def test_what_the_text_says_stands_beside_every_token_set():
    generated = grid(token_set="generated").assign(row_id=lambda t: t["row_id"] + "-g")
    points = over_seeds(pd.concat([generated, with_controls()], ignore_index=True))
    states = states_of(points)
    assert set(states["task_label"]) == {"reviews, prompt", "reviews, generated"}
    written = states[states["task_label"] == "reviews, generated"]
    beside = controls_beside(written, points)
    assert set(beside["control"]) == {"words", "length", "answer", "embeddings"}


def test_words_of_controls_name_each_once():
    points = over_seeds(with_controls())
    beside = controls_beside(at_layer(points), points)
    beside = beside[~beside["control"].isin(AT_SITES) | (beside["view"] == "full")]
    assert control_words(beside) == (
        "the words alone give 0.021, the length alone 0.000, the embeddings 0.050, random "
        "weights 0.030, the model's own answer -0.900 (0.200 calibrated) and random labels "
        "0.000"
    )
    assert control_words(beside.iloc[:0]) == ""


def test_a_table_of_controls_alone_has_points_and_no_states():
    points = over_seeds(table(control("words", 0.021)))
    assert states_of(points).empty
    assert findings(points) == []
    assert points["value"].tolist() == pytest.approx([0.021])
    assert points["model_label"].tolist() == ["tiny"]


def test_bits_are_bits_for_controls_too_and_scores_keep_their_units():
    results = with_controls().assign(accuracy=0.75, code_length_bits=900.0)
    points = over_seeds(results, unit="bits")
    words = points[points["control"] == "words"].iloc[0]
    assert words["value"] == pytest.approx(0.021 / math.log(2))
    assert words["accuracy"] == 0.75
    assert words["code_length_bits"] == 900.0
