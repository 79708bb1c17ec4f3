"""Comparisons of what results folders hold: which pairs, what of each, what is refused."""

import numpy as np
import pytest
from kept_results import keep, networks

from mi_probe.analysis.comparisons import compare_results
from mi_probe.analysis.multiplicity import false_discovery, holm
from mi_probe.analysis.scored import Stored
from mi_probe.errors import InputError


def test_two_networks_are_paired_row_by_row(tmp_path):
    a, b = networks(tmp_path)
    (found,) = compare_results(tmp_path).to_dict("records")
    assert (found["between"], found["a"], found["b"]) == ("checkpoint", "b", "a")
    assert found["same"] == "final_norm, I(Y;Z), prompt, mine"
    assert found["difference_nats"] == pytest.approx(0.1, abs=0.03)
    assert found["ci_low"] > 0.05
    assert found["p_value"] < 1e-6
    assert found["p_holm"] == found["p_value"]
    assert (found["n"], found["units"], found["over"]) == (300, 300, "rows")
    assert (found["a_rows"], found["b_rows"]) == (b, a)
    # Each alone: +- .11.
    stored = Stored([tmp_path])
    assert stored.get(a).ci[1] > stored.get(b).ci[0]


def test_groups_that_were_kept_count_once(tmp_path):
    networks(tmp_path / "rows")
    networks(tmp_path / "groups", group=np.arange(300) // 10)
    alone = compare_results(tmp_path / "rows").iloc[0]
    grouped = compare_results(tmp_path / "groups").iloc[0]
    assert grouped["difference_nats"] == alone["difference_nats"]
    assert (grouped["units"], grouped["over"]) == (30, "30 groups of rows")
    assert grouped["stderr_nats"] != alone["stderr_nats"]


def many(folder):
    """Two models, three layers, two views and two estimators, all on the same rows."""
    rng = np.random.default_rng(0)
    for model in ("lab/a", "lab/b"):
        for layer in (0, 3, 6):
            for view in ("full", "mean"):
                for estimator in ("auto", "mine"):
                    terms = 0.2 + 0.05 * layer + rng.standard_normal(60)
                    told = {"model": model, "layer": layer, "view": view}
                    keep(folder, terms, estimator=estimator, **told)


def test_pairs_differ_in_one_thing(tmp_path):
    many(tmp_path)
    table = compare_results(tmp_path)
    assert table["between"].value_counts().to_dict() == {
        **{"checkpoint": 12, "layer": 24, "view": 12, "estimator": 12}
    }
    views = table[table["between"] == "view"]
    assert set(views["a"]) == {"I(Y;Z)"}
    assert set(views["b"]) == {"I(Y;Z_mean)"}
    assert (table["p_holm"] >= table["p_fdr"] - 1e-12).all()
    assert table["p_holm"].tolist() == pytest.approx(holm(table["p_value"].tolist()))


def test_what_differs_and_the_baseline_are_chosen(tmp_path):
    many(tmp_path)
    assert len(compare_results(tmp_path, between=["view"])) == 12
    found = compare_results(tmp_path, between=["layer"], baseline="embed")
    assert set(found["b"]) == {"embed"}
    assert len(found) == 16
    assert set(
        compare_results(tmp_path, between=["checkpoint"], baseline="lab/b")["b"]
    ) == {"b"}
    assert set(compare_results(tmp_path, between=["estimator"], baseline="auto")["b"]) == {
        "auto"
    }


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"between": ["colour"]}, "between must be of checkpoint, system.*got 'colour'"),
        ({"between": []}, "got none"),
        ({"baseline": "gpt"}, "two estimates with 'gpt' on one side"),
        ({"between": ["seed"]}, "differ in seed alone; of 24 none do"),
        ({"level": 2.0}, "level must lie between 0 and 1"),
    ],
)
def test_what_cannot_be_compared_is_said(tmp_path, asked, words):
    many(tmp_path)
    with pytest.raises(InputError, match=words):
        compare_results(tmp_path, **asked)


def test_other_rows_are_refused_by_name(tmp_path):
    rng = np.random.default_rng(0)
    keep(tmp_path, rng.standard_normal(50), model="lab/a")
    keep(tmp_path, rng.standard_normal(50), model="lab/b", ids=[f"q{i}" for i in range(50)])
    with pytest.raises(
        InputError, match=r"b, final_norm.* and a, final_norm.*50 of 50 rows"
    ):
        compare_results(tmp_path)
    keep(tmp_path, rng.standard_normal(40), model="lab/c")
    with pytest.raises(InputError, match="have"):
        compare_results(tmp_path)
    said = []
    keep(tmp_path, rng.standard_normal(50), model="lab/d")
    found = compare_results(tmp_path, say=said.append)
    assert found[["a", "b"]].to_numpy().tolist() == [["d", "a"]]
    assert len(said) == 5
    assert any("40 rows and 50" in line or "50 rows and 40" in line for line in said)


def test_another_y_is_refused(tmp_path):
    rng = np.random.default_rng(0)
    keep(tmp_path, rng.standard_normal(50), model="lab/a")
    keep(tmp_path, rng.standard_normal(50), model="lab/b", labels=np.arange(50) // 2 % 2)
    with pytest.raises(InputError, match="of another Y"):
        compare_results(tmp_path)


def trained(folder, name, seed, value, *, n=200, **more):
    """A network of one training with several seeds."""
    rng = np.random.default_rng([seed, len(name)])
    told = {"model": f"runs/{name}-{seed}", "objective": name, "training": f"{name}-told"}
    terms = value + 0.3 * rng.standard_normal(n)
    keep(folder, terms, training_seed=seed, **{"checkpoint_step": 9} | told | more)


def test_trainings_that_differ_in_their_seed_are_one_side(tmp_path):
    for seed, luck in enumerate((0.0, 0.15, 0.3)):
        trained(tmp_path, "predictor", seed, 0.2 + luck)
        trained(tmp_path, "predgen", seed, 0.4 + luck)
    (found,) = compare_results(tmp_path, between=["system"]).to_dict("records")
    assert found["trainings"] == 3
    assert found["over"] == "rows and 3 trainings"
    assert "predgen (3 trainings: runs/predgen-0, " in found["b"] + found["a"]
    # The seeds are paired, so what they have in common is no error.
    assert abs(found["difference_nats"]) == pytest.approx(0.2, abs=0.05)
    assert found["p_value"] < 0.05
    assert len(found["a_rows"].split()) == 3


def test_one_training_says_that_it_is_one(tmp_path):
    trained(tmp_path, "predictor", 0, 0.2)
    trained(tmp_path, "predgen", 0, 0.4)
    (found,) = compare_results(tmp_path, between=["system"]).to_dict("records")
    assert found["over"] == "rows; one training of each"


def test_seeds_that_stop_at_other_steps_are_still_one_training(tmp_path):
    for seed in range(2):
        trained(tmp_path, "predictor", seed, 0.2)
        trained(tmp_path, "predgen", seed, 0.4, checkpoint_step=10 + seed)
    (found,) = compare_results(tmp_path, between=["system"]).to_dict("records")
    assert found["trainings"] == 2


def test_seeds_of_the_critic_are_averaged_or_compared(tmp_path):
    networks(tmp_path)
    rng = np.random.default_rng(5)
    for seed in (1, 2):
        for name in ("lab/a", "lab/b"):
            keep(tmp_path, 0.3 + rng.standard_normal(300), model=name, seed=seed)
    (found,) = compare_results(tmp_path, between=["checkpoint"]).to_dict("records")
    assert (found["seeds"], found["over"]) == (3, "rows and 3 seeds of the critic")
    assert len(compare_results(tmp_path, between=["seed"])) == 6


def test_a_flag_goes_with_the_pair(tmp_path):
    networks(tmp_path, status="diverged")
    assert compare_results(tmp_path)["status"].tolist() == ["diverged"]


@pytest.mark.parametrize("how", ["gone", "none"])
def test_an_estimate_without_its_terms_is_said(tmp_path, how, monkeypatch):
    many(tmp_path)
    whole = compare_results(tmp_path)
    lost = whole["a_rows"].iloc[0]
    if how == "gone":
        (kept,) = (tmp_path / "pointwise").glob(f"{lost}.*")
        kept.unlink()
    else:
        get = Stored.get
        monkeypatch.setattr(
            Stored,
            "get",
            lambda s, row, name="": None if row == lost else get(s, row, name),
        )
    said = []
    table = compare_results(tmp_path, say=said.append)
    assert 0 < len(table) < len(whole)
    (line,) = said
    assert "is compared with nothing" in line
    assert ("is another or gone" if how == "gone" else "1 of 1 estimates of it") in line


def test_corrections_have_their_known_values():
    assert holm([0.01, 0.04, 0.03, None])[:3] == pytest.approx([0.04, 0.09, 0.09])
    assert np.isnan(holm([0.01, None])[1])
    assert false_discovery([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.04, 0.04])
    assert np.isnan(false_discovery([None])[0])
