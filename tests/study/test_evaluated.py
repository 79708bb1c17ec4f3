"""Declared comparisons and tables on entries whose truth is known."""

from dataclasses import replace

import numpy as np
import pytest
from figure_checks import overlaps, texts

from mi_probe.analysis.scored import Scored, rows_alone
from mi_probe.errors import InputError
from mi_probe.plots.curves import critic_rows_figure
from mi_probe.plots.differences import declared_figure, system_dots_figure
from mi_probe.plots.style import style
from mi_probe.study.declared import study_of
from mi_probe.study.evaluated import evaluate
from mi_probe.study.gathered import Measured
from mi_probe.study.ordering import ordering
from mi_probe.study.tables import TABLES, critic_lines, latex, markdown, table_lines

TASKS = ("sst2", "hutto_tweets")
STATES = {"view": "full", "token_set": "prompt", "control": "", "step": "last"}
STUDY = study_of(
    {
        "train": {"backbone": "x", "steps": 1},
        "tasks": list(TASKS),
        "systems": {"predictor": {"objective": "predictor"}, "predgen": {}},
        "trainings": [{"seeds": [0, 1, 2]}],
        "measure": [{"command": "estimate"}],
        "comparisons": [
            {
                "name": "PredGen knows more",
                "primary": True,
                "a": {"system": "predgen"},
                "b": {"system": "predictor"},
            },
            {
                "name": "PredGen answers better",
                "of": "score",
                "a": {"system": "predgen"},
                "b": {"system": "predictor"},
            },
        ],
    }
)


def entries(difference, n=400, spread=0.0):
    """Both systems on both tasks: information and score of each row, by three trainings."""
    rng = np.random.default_rng(0)
    found = []
    for task in TASKS:
        rows = rng.normal(0.3, 0.3, n)
        entropy = np.log(2) if task == "sst2" else None
        for seed in range(3):
            for system in ("predictor", "predgen"):
                shift = difference * (system == "predgen") + spread * rng.normal()
                terms = rows + rng.normal(0, 0.1, n) + shift
                told = {
                    **{"backbone": "x", "task": task, "method": "lora", "system": system},
                    "seed": seed,
                }
                for of, metric in (("information", "nats"), ("score", "accuracy")):
                    place = {} if of == "score" else {"site": "final_norm", **STATES}
                    scored = Scored(
                        name=system,
                        nats=float(terms.mean()),
                        stderr=0.0,
                        ci=(0.0, 0.0),
                        terms=terms,
                        influence=terms,
                        split=rows_alone(n, 0),
                        entropy_y=entropy if of == "information" else None,
                        draw=(seed, 0),
                    )
                    found.append(Measured(of, metric, {**told, **place}, scored))
    return found


def test_a_difference_is_found_on_each_task_and_on_average():
    table = evaluate(STUDY, entries(0.05))
    assert len(table) == 2 * 3
    of = table.set_index(["comparison", "task"])
    for task in TASKS:
        line = of.loc[("PredGen knows more", task)]
        assert line["unit"] == "nats"
        assert line["trainings"] == 3
        assert line["low"] < 0.05 < line["high"]
        assert line["difference"] == pytest.approx(0.05, abs=0.02)
        assert line["p_holm"] < 0.01
        # An interval of half-width h shows 2.8 / 1.96 h in 80 % of runs, with many rows.
        assert line["seen"] == pytest.approx((line["high"] - line["low"]) * 0.72, rel=0.1)
    line = of.loc[("PredGen knows more", "average")]
    assert line["unit"] == "share of H(Y)"
    # Of classes .05 / log 2; of scores the slope of 1 - exp(-2 I) at I = .3.
    assert line["difference"] == pytest.approx((0.05 / np.log(2) + 0.05) / 2, abs=0.02)
    # Holm: the primary ones of a task are two, the average is one.
    assert of["p_holm"].ge(of["p_value"]).all()


def test_sites_methods_and_critics_are_no_trainings():
    known = entries(0.05)
    told = [
        replace(e, told={**e.told, "site": "block.0", "method": "dora"})
        for e in known
        if e.of == "information"
    ]
    again = [replace(e, scored=replace(e.scored, draw=(e.told["seed"], 1))) for e in known]
    table = evaluate(STUDY, [*known, *told, *again])
    of = table[table["comparison"] == "PredGen knows more"].set_index("task")
    assert (table["trainings"] == 3).all()
    place = ["lora, final_norm", "dora, block.0"]
    lines = [f"{task}, {at}" for at in place for task in TASKS]
    assert sorted(of.index) == sorted([*lines, *(f"average, {at}" for at in place)])
    # The rows of a task count once in each average.
    assert of.loc["average, lora, final_norm", "n"] == 2 * 400
    lines = table_lines([*known, *told], replace(TABLES[1], wanted={"view": "full"}))
    assert set(lines["system"]) == {
        f"{system}, {at}"
        for system in ("predictor", "predgen")
        for at in ("lora, final_norm", "dora, block.0")
    }


def test_what_was_declared_after_results_is_exploratory():
    known = entries(0.05)
    primary = STUDY.comparisons[0]
    assert evaluate(STUDY, known, {primary.digest})["primary"].any()
    assert not evaluate(STUDY, known, {"another"})["primary"].any()


def test_no_difference_and_few_trainings_are_not_shown():
    table = evaluate(STUDY, entries(0.0))
    assert (table["p_holm"] > 0.05).all()
    # Trainings that differ more than systems do: three of them cannot show .05.
    wide_apart = evaluate(STUDY, entries(0.05, spread=0.1))
    assert (wide_apart["high"] - wide_apart["low"]).min() > 0.15
    assert (wide_apart["seen"] > 0.1).all()


def test_the_best_is_bold_only_where_it_is_shown():
    shown = table_lines(entries(0.05), TABLES[1])
    best = shown.set_index(["system", "task"])["best"]
    assert best[("predgen", "sst2")]
    assert best[("predgen", "average")]
    assert not best[("predictor", "sst2")]
    assert not table_lines(entries(0.0), TABLES[1])["best"].any()
    text = markdown(shown)
    assert text.splitlines()[0] == "| system | sst2 | hutto_tweets | average |"
    assert "**" in text.splitlines()[3]
    assert "**" not in text.splitlines()[2]
    assert "±" in text
    source = latex(shown, "a caption with 5 % and an _")
    assert r"\textbf{" in source
    assert r"\toprule" in source
    assert r"5 \% and an \_" in source
    assert "hutto\\_tweets" in source
    assert source.count(r"\\") == 3


def test_figures_say_units_and_what_is_shown():
    shown = table_lines(entries(0.05), TABLES[1])
    drawn = shown.assign(
        measure="I(Y;Z) (nats)",
        low=shown["mean"] - shown["half_width"],
        high=shown["mean"] + shown["half_width"],
    )
    with style("acl", "page"):
        figure = system_dots_figure(drawn[drawn["task"] != "average"])
        assert [ax.get_xlabel() for ax in figure.axes] == ["I(Y;Z) (nats)"]
        table = evaluate(STUDY, entries(0.05))
        figure = declared_figure(table)
        assert len(figure.axes) == table["unit"].nunique()
        words = texts(figure)
        assert not list(overlaps(figure))
    assert "95 % interval, paired over rows and trainings" in words
    for unit in table["unit"].unique():
        assert f"difference ({unit})" in words


def test_earlier_steps_and_controls_are_compared_only_where_they_are_named():
    known = entries(0.05)
    states = [one for one in known if one.of == "information"]
    early = [replace(e, told={**e.told, "step": 50}) for e in states]
    place = {"site": "text", "view": "words", "control": "words", "estimator": "words"}
    words = [
        replace(e, told={**e.told, **place}, scored=less(e.scored, 0.1)) for e in states
    ]
    everything = [*known, *early, *words]
    table, alone = (evaluate(STUDY, some) for some in (everything, known))
    assert table.equals(alone)
    one = replace(
        STUDY.comparisons[0],
        name="states know more than the words",
        a={"system": "predgen"},
        b={"system": "predgen", "control": "words"},
    )
    found = evaluate(replace(STUDY, comparisons=(one,)), everything).set_index("task")
    assert found.loc["sst2", "difference"] == pytest.approx(0.1)
    both = [
        *everything,
        *(replace(e, told={**e.told, "view": "calibrated"}) for e in words),
    ]
    with pytest.raises(InputError, match="several, of view calibrated, words"):
        evaluate(replace(STUDY, comparisons=(one,)), both)


def less(scored, amount):
    return replace(
        scored,
        nats=scored.nats - amount,
        terms=scored.terms - amount,
        influence=scored.influence - amount,
    )


def test_information_that_orders_systems_as_answers_do_is_told_from_noise():
    # Systems whose difference is 16 errors are ordered alike in each of 6 pairs.
    table = ordering(entries(0.1)).set_index("task")
    assert table.loc["sst2", ["tau", "low", "high", "pairs", "seeds"]].tolist() == [
        1,
        1,
        1,
        3,
        3,
    ]
    assert table.loc["all tasks", "tau"] == 1
    # All six of two shuffles agree in 2 of 64 cases.
    assert table.loc["all tasks", "p_value"] == pytest.approx(2 / 64, abs=0.01)
    # Of three pairs none can be shown: 2 of 8.
    assert table.loc["sst2", "p_value"] == pytest.approx(2 / 8, abs=0.03)
    against = [
        replace(e, scored=less(e.scored, 0.3 * (e.told["system"] == "predgen")))
        if e.of == "score"
        else e
        for e in entries(0.1)
    ]
    assert ordering(against).set_index("task").loc["all tasks", "tau"] == -1
    # Answers that have nothing to do with what the states know.
    rng = np.random.default_rng(1)
    tossed = [
        replace(e, scored=less(e.scored, rng.normal(0, 0.1))) if e.of == "score" else e
        for e in entries(0.0)
    ]
    assert ordering(tossed).set_index("task").loc["all tasks", "p_value"] > 0.05
    assert ordering([e for e in entries(0.1) if e.of == "score"]).empty


def test_critics_are_listed_where_rows_and_estimators_vary():
    def one(estimator, rows, nats):
        place = {"site": "final_norm", **STATES, "view": "mean", "estimator": estimator}
        told = {"backbone": "x", "task": "sst2", "method": "", "system": "", "seed": None}
        like = entries(0.0, n=rows)[0].scored
        return Measured(
            *("information", "nats", {**told, **place, "rows": rows}),
            replace(like, nats=nats, ci=(nats - 0.1, nats + 0.1)),
        )

    known = [one(e, n, 0.1 + n / 1e4) for e in ("lda", "linear") for n in (100, 400)]
    table = critic_lines([*known, *entries(0.0)])
    assert table[["estimator", "family", "rows"]].to_numpy().tolist() == [
        *(["linear", "discriminative", 100], ["linear", "discriminative", 400]),
        *(["lda", "generative", 100], ["lda", "generative", 400]),
    ]
    assert critic_lines(known[:2]).empty
    with style("acl", "page"):
        figure = critic_rows_figure(table)
    for word in (
        "lda (generative)",
        "linear (discriminative)",
        "rows",
        "I(Y;Z",
        "95 % interval over rows",
    ):
        assert word in texts(figure)
    assert list(overlaps(figure)) == []
