"""The whole chain as a user types it: three systems are trained, measured and drawn.

With a real estimator, on a tiny model and a task that one word decides.
"""

import math

import pytest
from planted_tasks import classes_file
from tiny import save_tiny

from mi_probe import estimate, figures, train
from mi_probe.results import read_results

OBJECTIVES = ("predictor", "generator", "predgen")


pytestmark = pytest.mark.slow


def run(module, *arguments) -> None:
    assert module.main([str(argument) for argument in arguments]) == 0


def test_train_estimate_figures(tmp_path, capsys):
    model = save_tiny(tmp_path / "llama", "llama", head="CausalLM")
    data = classes_file(tmp_path, rows=400)
    given = ("--backbone", model, "--data", data, "--device", "cpu", "--steps", "40")
    given = (*given, "--checkpoint-every", "20", "--learning-rate", "0.01")
    runs = [tmp_path / "runs" / name for name in OBJECTIVES]
    for name, out in zip(OBJECTIVES, runs, strict=True):
        run(train, *given, "--objective", name, "--validation-rows", "8", "--out", out)
    results = tmp_path / "results"
    given = (
        "--sites",
        "final_norm",
        "--pooling",
        "mean,head",
        "--estimator",
        "naive_bayes",
    )
    run(estimate, *runs, *given, "--no-keep-activations", "--out", results)

    table = read_results(results)
    assert set(table.objective) == set(OBJECTIVES)
    # Two steps; a predictor has 2 views of its prompt, the others 4 of 3 token sets.
    assert len(table) == 2 * (2 + 4 + 4)
    assert set(table.n) == {40}
    assert (table.H_Y_nats < math.log(2) + 1e-9).all()
    last = table[table.checkpoint_step == 40]
    # They learned the task, and what they learned is in their states.
    assert (last.metric_value > 0.9).all()
    used = last[(last.view == "mean") & (last.token_set != "prompt")]
    assert (used.value_nats > 0.3).all()
    head = last[(last.view == "head") & (last.objective == "predictor")]
    assert head.value_nats.item() > 0.3

    capsys.readouterr()
    drawn = tmp_path / "figures"
    run(figures, results, "--only", "systems,training", "--formats", "png", "--out", drawn)
    printed = capsys.readouterr().out
    assert "Systems on classes, prompt" in printed
    assert "the data processing inequality does not order" in printed
    for stem in ("systems", "training-classes-generated"):
        assert (drawn / f"{stem}.png").is_file()
        assert (drawn / f"{stem}.csv").is_file()


@pytest.mark.parametrize("objective", ["generator", "predgen"])
def test_an_encoder_decoder_goes_all_the_way(objective, tmp_path):
    model = save_tiny(tmp_path / "t5", "t5", head="Seq2SeqLM")
    data = classes_file(tmp_path, rows=160)
    out, results = tmp_path / objective, tmp_path / "results"
    given = ("--backbone", model, "--data", data, "--device", "cpu", "--steps", "2")
    run(train, *given, "--objective", objective, "--out", out)
    given = ("--no-series", "--sites", "enc.final_norm,dec.final_norm")
    given = (*given, "--pooling", "mean", "--estimator", "naive_bayes", "--out", results)
    run(estimate, out, *given, "--no-keep-activations")
    table = read_results(results)
    assert list(zip(table.token_set, table.site, strict=True)) == [
        ("prompt", "enc.final_norm"),
        ("prompt", "dec.final_norm"),
        ("generated", "dec.final_norm"),
        ("all", "dec.final_norm"),
    ]
    assert table.metric_value.notna().all()
