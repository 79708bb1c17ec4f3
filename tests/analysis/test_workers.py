"""Several processes: the same numbers, and an end to every one of them."""

import numpy as np
import pandas as pd
import pytest
import torch
from fakes import Told

from mi_probe.analysis.cells import subject_of
from mi_probe.analysis.measuring import measure
from mi_probe.analysis.threads import limited_threads
from mi_probe.analysis.workers import Workers
from mi_probe.capture import extract, load_activations
from mi_probe.errors import InputError
from mi_probe.estimators import ESTIMATORS
from mi_probe.results import table_of
from mi_probe.tasks import Task

SITES = ["embed", "block.1", "final_norm"]


@pytest.fixture(scope="module")
def workers():
    with Workers(2, 1) as crew:
        yield crew
    assert not crew._crew


@pytest.fixture(scope="module")
def task():
    words = ["good", "bad"]
    return Task(
        name="t",
        prompts=tuple(f"a {words[i % 2]} film, {i}" for i in range(60)),
        answers=tuple(" a" for _ in range(60)),
        labels=np.arange(60) % 2,
        label_names=("no", "yes"),
        target="parity",
        ids=tuple(f"row{i}" for i in range(60)),
    )


@pytest.fixture
def given(tiny_backbone, task, tmp_path):
    """A store, and what is asked of it."""
    backbone = tiny_backbone("llama")
    extract(
        backbone, task, sites=SITES, views=("full", "mean"), store=tmp_path, progress=False
    )
    return tmp_path, {"subject": subject_of(backbone), "sites": SITES, "views": ["mean"]}


def test_a_site_is_one_workers_and_its_cells_stay_in_order(workers, given, task):
    store, settings = given
    asked = {**settings, "views": ["full", "mean"], "seeds": (0, 2)}
    found = list(workers.measure(store, task, estimators={"told": Told()}, **asked))
    assert len(found) == 12
    by_site = {
        site: [m for m in found if m.row.site == site] for site in dict.fromkeys(SITES)
    }
    processes = {s: {m.estimate.pointwise[0] for m in ms} for s, ms in by_site.items()}
    assert all(len(p) == 1 for p in processes.values())
    assert len(set.union(*processes.values())) == 2
    for cells in by_site.values():
        assert [(m.row.view, m.row.seed) for m in cells] == [
            *(("full", 0), ("full", 2), ("mean", 0), ("mean", 2))
        ]
    # What is done is left out, and the workers are still there for more.
    done = {m.row.row_id for m in found[1:]}
    again = workers.measure(store, task, estimators={"told": Told()}, done=done, **asked)
    assert [m.row.row_id for m in again] == [found[0].row.row_id]


def test_the_same_numbers_as_with_one_job(workers, given, task):
    store, settings = given
    asked = {**settings, "estimators": {"classifier": ESTIMATORS["classifier"]}}
    many = list(workers.measure(store, task, **asked))
    with limited_threads(1):
        one = list(measure(load_activations(store), task, **asked))
    tables = [
        table_of(m.row for m in found)
        .drop(columns=["seconds", "created"])
        .sort_values("row_id", ignore_index=True)
        for found in (one, many)
    ]
    pd.testing.assert_frame_equal(*tables, check_exact=True)
    of_one = {m.row.row_id: m.estimate.pointwise for m in one}
    for m in many:
        np.testing.assert_array_equal(m.estimate.pointwise, of_one[m.row.row_id])


@pytest.mark.parametrize(
    ("behaviour", "kind", "message"),
    [
        ("mistake", InputError, "^x must be better"),
        ("bug", RuntimeError, "at site 'embed'(.|\n)*ZeroDivisionError: ours"),
        ("die", InputError, "'embed' was killed.*fewer"),
    ],
)
def test_a_worker_that_fails_keeps_what_it_finished(
    behaviour, kind, message, workers, given, task
):
    store, settings = given
    asked = {**settings, "sites": ["embed"], "seeds": (0, 1)}
    found = workers.measure(store, task, estimators={"told": Told(behaviour)}, **asked)
    assert next(found).row.seed == 0
    with pytest.raises(kind, match=message):
        next(found)


def test_threads_are_put_back():
    before = torch.get_num_threads()
    with limited_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
