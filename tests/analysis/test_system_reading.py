"""Systems side by side: what is compared, and that it is no inequality."""

import numpy as np
import pandas as pd
from kept_results import keep
from result_rows import row, table

from mi_probe.analysis.finding import system_readings, systems_table
from mi_probe.analysis.summaries import over_seeds
from mi_probe.folder_tables import ResultFolders


def systems(*, low: float = 0.3, **more):
    """Three systems, PredGen on top, with a full and two pooled views each."""
    return [
        row(
            value - fall,
            model=f"runs/{name}",
            objective=name,
            view=view,
            metric="accuracy",
            metric_value=accuracy,
            parse_failure_rate=failed,
            row_id=f"{name}-{view}-{sorted(more.items())}",
            **more,
        )
        for name, value, accuracy, failed in (
            ("predictor", low, 0.8, None),
            ("predgen", 0.5, 0.95, 0.02),
            ("generator", low + 0.005, 0.9, 0.0),
        )
        for view, fall in (("full", 0.0), ("mean", 0.1), ("last", 0.05))
    ]


def points(*rows):
    return over_seeds(table(*rows))


def test_the_table_holds_the_full_and_the_best_pooled_view_of_each():
    found = systems_table(points(*systems()))
    assert found["objective"].tolist() == ["predictor", "generator", "predgen"]
    assert found["value"].round(3).tolist() == [0.3, 0.305, 0.5]
    assert found["pooled_view"].tolist() == ["last"] * 3
    assert found["pooled_value"].round(3).tolist() == [0.25, 0.255, 0.45]
    assert found["metric_value"].tolist() == [0.8, 0.9, 0.95]
    assert set(found["site"]) == {"final_norm"}


def test_of_a_run_the_last_step_counts():
    early = systems(checkpoint_step=10, low=0.1)
    late = systems(checkpoint_step=20)
    found = systems_table(points(*early, *late))
    assert found["checkpoint_step"].tolist() == [20, 20, 20]
    assert found["value"].round(3).tolist() == [0.3, 0.305, 0.5]


def test_what_was_not_measured_is_empty():
    rows = [r for r in systems() if r["objective"] != "predictor" or r["view"] != "full"]
    found = systems_table(points(*rows))
    assert pd.isna(found["value"][0])
    assert found["pooled_value"].notna().all()


def test_the_reading_names_the_highest_and_what_it_is_not():
    (reading,) = system_readings(points(*systems()))
    full, pooled, caution = reading.lines
    assert "Predictor 0.300 [0.280, 0.320], Generator 0.305" in full
    assert "no pointwise values of the same rows are kept here" in full
    assert "PredGen, I(Y;Z_last), 0.450" in pooled
    assert "the data processing inequality does not order" in caution
    assert "accuracy on these rows: Predictor 0.800, Generator 0.900, PredGen 0.950" in (
        caution
    )
    assert "(2% unreadable)" in caution


def kept(folder, *, low):
    """The first line of the reading of three systems whose terms are kept."""
    rng = np.random.default_rng(0)
    shared = rng.standard_normal(300)
    for name, value in (("predictor", low), ("predgen", 0.5), ("generator", low)):
        terms = value + shared + 0.2 * rng.standard_normal(300)
        keep(folder, terms, model=f"runs/{name}", objective=name)
    folders = ResultFolders([folder])
    (reading,) = system_readings(folders.points("nats"), folders.paired)
    return reading.lines[0]


def test_pairs_show_the_highest_though_the_intervals_overlap(tmp_path):
    line = kept(tmp_path, low=0.42)
    assert "paired over rows, PredGen minus " in line
    assert "minus Predictor +0." in line
    assert line.endswith("it is above all others.")


def test_equal_systems_have_no_order(tmp_path):
    assert "which is the highest is not shown" in kept(tmp_path, low=0.5)


def test_a_flagged_estimate_is_not_ordered():
    (reading,) = system_readings(points(*systems(status="diverged")))
    assert "PredGen 0.500 [0.480, 0.520] (flagged)" in reading.lines[0]
    assert "no order is read" in reading.lines[0]


def test_token_sets_and_runs_are_told_apart():
    twice = [
        dict(r, model=r["model"] + "-b", row_id=r["row_id"] + "b", seed=0)
        for r in systems()
        if r["objective"] == "predgen"
    ]
    found = system_readings(points(*systems(), *twice, *systems(token_set="all")))
    assert len(found) == 2
    assert "PredGen (runs/predgen-b) 0.500" in found[0].lines[0]
    assert found[0].heading != found[1].heading


def test_one_system_or_none_is_no_comparison():
    assert system_readings(points(row(0.3))) == []
    alone = [r for r in systems() if r["objective"] == "predgen"]
    assert system_readings(points(*alone)) == []
