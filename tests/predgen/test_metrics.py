"""Metrics against what they are by hand, and what a failed parse does to each."""

import math
from dataclasses import replace

import numpy as np
import pytest

from mi_probe.errors import InputError
from mi_probe.predgen.metrics import KINDS, METRICS, main_metric, score, selection_score
from mi_probe.tasks import Task

NAN = math.nan
CLASSES = Task(
    name="mine",
    prompts=("a", "b", "c", "d"),
    answers=("x", "y", "x", "y"),
    labels=np.array([0, 1, 0, 1]),
    label_names=("x", "y"),
    target="class",
    ids=("0", "1", "2", "3"),
)
SCORES = replace(CLASSES, labels=np.array([1.0, 2.0, 3.0, 5.0]), label_names=None)


def test_every_metric_has_a_kind():
    assert {name for names in KINDS.values() for name in names} == set(METRICS)


def test_classes():
    found = score(CLASSES, np.array([0.0, 1.0, 1.0, 1.0]))
    # x: precision 1, recall 1/2; y: precision 2/3, recall 1.
    assert found == pytest.approx({"accuracy": 0.75, "macro_f1": (2 / 3 + 4 / 5) / 2})


def test_what_could_not_be_read_is_a_wrong_class():
    said = np.array([0.0, 1.0, NAN, NAN])
    found = score(CLASSES, said, np.isnan(said))
    assert found["accuracy"] == 0.5
    assert found["macro_f1"] == pytest.approx(2 / 3)  # recall 1/2 of either
    assert found["parse_failure_rate"] == 0.5


def test_scores():
    said = np.array([1.0, 3.0, 3.0, 4.0])
    found = score(SCORES, said)
    assert found["mse"] == 0.5
    assert found["rmse"] == pytest.approx(math.sqrt(0.5))
    assert found["mae"] == 0.5
    assert found["r2"] == pytest.approx(1 - 2 / 8.75)
    assert found["pearson"] == pytest.approx(np.corrcoef(SCORES.labels, said)[0, 1])
    assert found["spearman"] == pytest.approx(
        np.corrcoef([1, 2, 3, 4], [1, 2.5, 2.5, 4])[0, 1]
    )
    assert "parse_failure_rate" not in found


def test_scores_leave_out_what_could_not_be_read():
    said = np.array([1.0, NAN, 3.0, 4.0])
    found = score(SCORES, said, np.isnan(said))
    kept = score(SCORES.rows([0, 2, 3]), said[[0, 2, 3]])
    assert {k: v for k, v in found.items() if k != "parse_failure_rate"} == kept
    assert found["parse_failure_rate"] == 0.25
    nothing = score(SCORES, np.full(4, NAN), np.ones(4, dtype=bool))
    assert nothing.pop("parse_failure_rate") == 1.0
    assert all(math.isnan(value) for value in nothing.values())


def test_a_checkpoint_is_not_chosen_for_the_hard_rows_that_it_leaves_unread():
    y, unread = SCORES.labels, 2.5
    evasive = np.where(np.arange(4) == 1, y, NAN)  # one row right, three unread
    plain = y + 0.5
    assert score(SCORES, evasive)["mse"] < score(SCORES, plain)["mse"]
    chosen = [selection_score(SCORES, said, unread) for said in (evasive, plain)]
    assert chosen == [
        np.mean((np.where(np.isnan(evasive), unread, evasive) - y) ** 2),
        0.25,
    ]
    said = np.where(CLASSES.labels == 0, NAN, CLASSES.labels)
    accuracy = score(CLASSES, said)["accuracy"]
    assert selection_score(CLASSES, said, unread) == accuracy < 1


def test_a_constant_has_no_correlation():
    found = score(SCORES, np.full(4, 2.0))
    assert math.isnan(found["pearson"])
    assert math.isnan(found["spearman"])


def test_one_prediction_a_row():
    with pytest.raises(InputError, match="one a row, 4 for task 'mine'; got 3"):
        score(CLASSES, np.zeros(3))


def test_the_reported_metric():
    assert main_metric(CLASSES) == "accuracy"
    assert main_metric(SCORES) == "mse"
    assert main_metric(replace(SCORES, metrics=("pearson", "mse"))) == "pearson"
    # A user's file has the metrics of its labels, whatever it is called.
    assert main_metric(replace(CLASSES, name="sick")) == "accuracy"
