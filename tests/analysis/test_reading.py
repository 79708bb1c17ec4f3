import math

import numpy as np
from kept_results import keep
from result_rows import grid, row, table

from mi_probe.analysis.reading import readings
from mi_probe.analysis.summaries import over_seeds
from mi_probe.folder_tables import ResultFolders


def lines(*rows):
    (reading,) = readings(over_seeds(table(*rows)))
    return reading.lines


def kept_lines(folder, *cells, unit="nats"):
    """The reading of estimates whose terms are kept: a value, a layer and a view each."""
    rng = np.random.default_rng(0)
    shared = rng.standard_normal(400)
    for value, layer, view, *more in cells:
        terms = value + 0.5 * shared + 0.1 * rng.standard_normal(400)
        told = {"layer": layer, "view": view} | (more[0] if more else {})
        keep(folder, terms, **told)
    folders = ResultFolders([folder])
    (reading,) = readings(folders.points(unit), folders.paired)
    return reading.lines


def test_a_chosen_layer_is_said_to_be_chosen_and_the_final_one_is_given():
    peak, _, _ = lines(row(0.2, layer=0), row(0.4, layer=3), row(0.3, layer=6))
    assert "largest at layer 3: 0.400 nats [0.380, 0.420], 58 % of H(Y)" in peak
    assert "chosen as the largest of 3 layers, so it leans high" in peak
    assert "layer 6, the deepest and not so chosen: 0.300 nats" in peak


def test_one_layer_was_not_chosen():
    peak, _, _ = lines(row(0.3))
    assert "the only one measured" in peak
    assert "chosen" not in peak


def test_the_best_layer_is_estimated_on_other_rows_than_it_was_chosen_on(tmp_path):
    peak, _, _ = kept_lines(tmp_path, (0.2, 0, "full"), (0.4, 3, "full"), (0.39, 6, "full"))
    assert peak.startswith(
        "I(Y;Z) of the best layer, chosen and estimated on different halves of the rows, "
    )
    assert "(chosen: " in peak
    assert "at 95 % any of 3, 6 may be the best, of 3 layers." in peak
    assert ", the largest on all rows," in peak
    assert "leans high" not in peak


def test_a_clear_best_layer_is_the_only_one_that_may_be(tmp_path):
    peak, _, _ = kept_lines(tmp_path, (0.1, 3, "full"), (0.4, 6, "full"), unit="bits")
    assert "only layer 6 may be the best at 95 %, of 2 layers" in peak
    assert " bits [" in peak


def test_a_difference_that_the_intervals_hide_is_seen_by_the_pairs(tmp_path):
    _, gap, _ = kept_lines(tmp_path, (0.34, 6, "full"), (0.27, 6, "mean"))
    assert "paired over rows [0.0" in gap
    assert "p < 0.001: a gap in the information usable at this critic's capacity" in gap
    assert "not proof that pooling loses Shannon information" in gap


def test_a_small_difference_is_no_gap(tmp_path):
    _, gap, _ = kept_lines(tmp_path, (0.300, 6, "full"), (0.300, 6, "mean"))
    assert "no gap is shown" in gap
    assert "usable" not in gap


def test_best_and_worst_pooled_views_have_a_verdict_each(tmp_path):
    cells = ((0.30, 6, "full"), (0.30, 6, "mean"), (0.1, 6, "last"))
    _, gap, _ = kept_lines(tmp_path, *cells)
    best, worst = gap.split("minus the worst")
    assert "best pooled view, I(Y;Z_mean), is " in best
    assert best.rstrip("; ").endswith("no gap is shown")
    assert ", I(Y;Z_last), +0.19" in worst
    assert "a gap in the information" in worst


def test_a_pooled_view_above_the_full_one_convicts_the_critic(tmp_path):
    _, gap, _ = kept_lines(tmp_path, (0.1, 6, "full"), (0.3, 6, "mean"))
    assert "wrong way round" in gap
    assert "critic of Z is the weaker one" in gap


def test_without_terms_or_pooled_views_or_full_states_nothing_is_claimed():
    alone = lines(row(0.3), row(0.1, view="mean"))[1]
    assert "+0.200: no pointwise values are kept here" in alone
    assert "No pooled view was measured" in lines(row(0.3))[1]
    assert "was not measured, so no gap" in lines(row(0.3, view="mean"))[1]


def test_the_null_is_told_or_its_absence():
    null = lines(row(0.30), row(0.01, view="mean"))[2]
    assert "up to 0.020 nats (95th percentile" in null
    assert "the largest estimate is above that, and 1 of 2 estimates are not" in null
    empty = {"null_mean": None, "null_high": None}
    cheaper = lines(row(0.3, **empty, p_value=0.3, p_statistic="kernel dependence"))[2]
    assert "no null of these values" in cheaper
    assert "1 of 1 estimates have p > 0.05" in cheaper
    none = lines(row(0.3, **empty, p_value=None, n_permutations=0))[2]
    assert "No permutation null was run" in none


def test_flagged_estimates_are_neither_peak_nor_gap():
    peak, gap, null = lines(
        row(0.9, layer=3, status="above_ceiling"),
        row(0.3, layer=6),
        row(0.1, layer=6, view="mean", status="diverged"),
    )
    assert "largest at layer 6" in peak
    assert "flagged estimates left aside" in peak
    assert "not read" in gap
    assert "2 of 3 estimates are flagged (above H(Y), diverged)" in null


def test_scores_have_no_share_and_no_value_is_said_so():
    assert "%" not in lines(row(0.3, H_Y_nats=None))[0]
    assert "No estimate has both" in lines(row(math.nan, status="diverged"))[0]


def test_one_reading_a_panel_with_its_sample():
    points = over_seeds(grid(seeds=(0, 1)))
    (reading,) = readings(points)
    assert reading.heading == "tiny on reviews, mine, n = 1,234, 2 seeds"
    assert len(str(reading).splitlines()) == 4


def test_a_leak_is_in_the_heading():
    (reading,) = readings(over_seeds(table(row(0.69, gold_leak=True))))
    assert "Z holds gold answer tokens" in reading.heading


def test_the_learning_curve_is_a_second_number_and_its_doubts_are_said():
    peak, _, _ = lines(row(0.3))
    assert "0.300 nats [0.280, 0.320]" in peak
    assert "With endless rows it is 0.330 nats [0.310, 0.350], if the law holds" in peak
    below = {"extrapolated_claim": "at_least", "extrapolated_high": None}
    least, _, _ = lines(row(0.3, **below))
    assert least.endswith(" With endless rows it is at least 0.310 nats.")
    none, _, _ = lines(row(0.3, extrapolated_nats=None))
    assert "endless" not in none
