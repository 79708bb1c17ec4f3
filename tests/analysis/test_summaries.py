import json
import math

import numpy as np
import pandas as pd
import pytest
from result_rows import grid, row, table

from mi_probe.analysis.summaries import at_layer, layer_words, null_band, over_seeds
from mi_probe.errors import InputError


def test_one_seed_keeps_the_interval_of_its_row():
    found = over_seeds(table(row(0.3, ci_low=0.25, ci_high=0.41))).iloc[0]
    assert (found["value"], found["low"], found["high"]) == (0.3, 0.25, 0.41)
    assert found["interval"] == "over examples"


def test_seeds_are_averaged_within_and_between():
    found = over_seeds(table(row(0.30, seed=0), row(0.34, seed=1))).iloc[0]
    assert found["value"] == pytest.approx(0.32)
    # W = 1e-4, B / m = 0.0008 / 2 = 4e-4; Welch-Satterthwaite: 25e-8 / 16.0008e-8.
    freedom = (5e-4) ** 2 / (16e-8 + 1e-8 / 1233)
    assert freedom == pytest.approx(1.5624, abs=1e-3)
    half = found["high"] - found["value"]
    # Student's t at 1.56 degrees of freedom is about 5.7 (between 12.7 and 4.3).
    assert 4.3 * math.sqrt(5e-4) < half < 12.7 * math.sqrt(5e-4)
    assert found["low"] == pytest.approx(0.32 - half)
    assert found["interval"] == "over examples and 2 seeds"
    assert json.loads(found["seed_values"]) == [0.30, 0.34]


def test_equal_seeds_do_not_shrink_the_error_over_examples():
    rows = [row(0.3, seed=seed) for seed in range(4)]
    found = over_seeds(table(*rows)).iloc[0]
    assert found["high"] - found["value"] == pytest.approx(0.0196, rel=2e-3)


def test_bits_convert_every_drawn_column():
    nats = over_seeds(grid())
    bits = over_seeds(grid(), unit="bits")
    columns = ["value", "low", "high", "ceiling", "null_mean", "null_high"]
    np.testing.assert_allclose(bits[columns], nats[columns] / math.log(2))
    assert bits["ceiling"].iloc[0] == pytest.approx(1.0)
    assert set(bits["unit"]) == {"bits"}


def test_nothing_is_clipped_and_flags_survive_averaging():
    rows = [
        row(-0.05, view="mean", seed=0),
        row(0.9, view="full", seed=0, status="above_ceiling"),
        row(0.6, view="full", seed=1),
    ]
    found = over_seeds(table(*rows)).set_index("view")
    assert found.loc["mean", "value"] == -0.05
    assert found.loc["full", "value"] == pytest.approx(0.75)
    assert found.loc["full", "status"] == "above_ceiling"
    assert found.loc["full", "n_flagged"] == 1


def test_a_seed_without_a_value_flags_but_does_not_spoil_the_mean():
    rows = [row(0.3, seed=0), row(math.nan, seed=1, status="diverged")]
    found = over_seeds(table(*rows)).iloc[0]
    assert found["value"] == 0.3
    assert found["status"] == "diverged"
    assert found["n_seeds"] == 2


def test_last_block_before_the_final_norm_lies_half_a_layer_before_it():
    rows = [
        row(0.3, layer=6),
        row(0.3, layer=math.nan, site="block.5"),
        row(0.3, layer=math.nan, site="elsewhere"),
        row(0.3, layer=math.nan, site="enc.block.5"),
    ]
    found = over_seeds(table(*rows)).set_index("site")
    assert found.loc["final_norm", "x"] == 6
    assert found.loc["block.5", "x"] == 5.5
    assert "L - 0.5" in found.loc["block.5", "note"]
    assert math.isnan(found.loc["elsewhere", "x"])
    assert "not in profiles" in found.loc["elsewhere", "note"]
    assert found.loc["enc.block.5", "stack"] == "enc"


def test_rows_that_differ_in_more_than_the_seed_are_not_averaged():
    rows = [
        row(0.3, checkpoint_step=100, row_id="a"),
        row(0.4, checkpoint_step=200, row_id="b"),
        row(0.5, checkpoint_step=200, settings='{"hidden": 128}', row_id="c"),
    ]
    found = over_seeds(table(*rows))
    assert found["value"].tolist() == [0.3, 0.4, 0.5]
    assert set(found["model_label"]) == {"tiny, step 100", "tiny, step 200"}
    assert set(found["estimator_label"]) == {"mine, hidden=64", "mine, hidden=128"}


def test_labels_hold_what_tells_two_apart_and_no_more():
    rows = [
        row(0.3, model="a/same", row_id="1"),
        row(0.3, model="b/same", row_id="2"),
        row(0.3, model="c/other", adapter="runs/lora", row_id="3"),
        row(0.3, model="c/other", task="x", n=10, row_id="4"),
        row(0.3, model="c/other", task="x", n=20, row_id="5"),
    ]
    found = over_seeds(table(*rows))
    assert set(found["model_label"]) == {"a/same", "b/same", "other + lora", "other"}
    assert set(found["task_label"]) == {"reviews", "x, n = 10", "x, n = 20"}


def test_order_is_that_of_appearance_then_of_views_then_of_layers():
    one = grid(model="z", layers=(6, 0), views=("mean", "full"))
    found = over_seeds(pd.concat([one, grid(model="a", layers=(6,))]))
    assert found["model_label"].tolist() == ["z"] * 4 + ["a"] * 2
    assert found["view"].tolist() == ["full"] * 2 + ["mean"] * 2 + ["full", "mean"]
    assert found["x"].tolist() == [0, 6, 0, 6, 6, 6]


def test_a_folder_given_twice_counts_once_and_a_contradiction_is_an_error():
    once = table(row(0.3, row_id="a"))
    assert over_seeds(pd.concat([once, once]))["n_seeds"].tolist() == [1]
    with pytest.raises(InputError, match="rows a and b are two values of the same"):
        over_seeds(pd.concat([once, table(row(0.31, row_id="b"))]))


def test_what_is_no_results_table_is_refused():
    with pytest.raises(InputError, match="unit must be one of nats, bits; got 'bit'"):
        over_seeds(grid(), unit="bit")
    with pytest.raises(InputError, match="lacks 1 of its columns, the first 'H_Y_nats'"):
        over_seeds(grid().drop(columns="H_Y_nats"))
    with pytest.raises(InputError, match="hold no rows"):
        over_seeds(grid().iloc[:0])


def test_null_band_is_the_envelope_over_views():
    rows = [
        row(0.3, null_mean=-0.01, null_high=0.02),
        row(0.3, view="mean", null_mean=0.0, null_high=0.05),
        row(0.3, view="last", null_mean=None, null_high=None),
    ]
    band = null_band(over_seeds(table(*rows)))
    assert band.to_dict("list") == {"x": [6], "null_mean": [-0.01], "null_high": [0.05]}


def test_default_layer_is_the_deepest_never_the_largest():
    rows = [row(0.6, layer=3), row(0.2, layer=6), row(0.5, model="m", layer=3)]
    found = at_layer(over_seeds(table(*rows)))
    assert found["value"].tolist() == [0.2, 0.5]
    assert layer_words(found) == "deepest measured layer of each"
    assert layer_words(found.iloc[:1]) == "after the final norm"
    assert layer_words(found.iloc[1:]) == "layer 3 of 6"


def test_layer_by_index_or_site_and_the_decoder_of_two_stacks():
    points = over_seeds(grid())
    assert at_layer(points, 3)["site"].tolist() == ["block.2"] * 2
    assert at_layer(points, "block.2")["x"].tolist() == [3, 3]
    with pytest.raises(InputError, match="got '5'; measured: embed, block.2, final"):
        at_layer(points, 5)
    rows = [row(0.3, site="enc.final_norm"), row(0.2, site="dec.final_norm")]
    assert at_layer(over_seeds(table(*rows)))["stack"].tolist() == ["dec"]


def test_extrapolations_are_averaged_and_at_least_if_one_seed_is():
    below = {"extrapolated_claim": "at_least", "extrapolated_high": None}
    rows = [row(0.3, seed=0), row(0.5, seed=1, **below)]
    (point,) = over_seeds(table(*rows), unit="bits").to_dict("records")
    assert point["value"] == pytest.approx(0.4 / math.log(2))
    assert point["extrapolated"] == pytest.approx(0.43 / math.log(2))
    assert 0 <= point["extrapolated_low"] < 0.43 / math.log(2)
    assert math.isnan(point["extrapolated_high"])
    assert point["claim"] == "at_least"
    (alone,) = over_seeds(table(rows[1])).to_dict("records")
    assert alone["extrapolated_low"] == pytest.approx(0.51)
    assert math.isnan(alone["extrapolated_high"])
    assert over_seeds(table(rows[0]))["claim"].tolist() == ["two_sided"]


def test_a_seed_without_a_learning_curve_leaves_the_place_empty():
    empty = dict.fromkeys(
        f"extrapolated_{name}" for name in ("nats", "low", "high", "claim", "reason")
    )
    (point,) = over_seeds(table(row(0.3), row(0.5, seed=1, **empty))).to_dict("records")
    assert math.isnan(point["extrapolated"])
    assert point["claim"] is None
