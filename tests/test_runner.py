"""Jobs in several processes, on a cluster and in shards: the same rows, and none twice."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pandas as pd
import pytest
import torch
from fakes import Told
from tiny import save_tiny

from mi_probe import estimate, gap
from mi_probe.analysis.threads import limited_threads
from mi_probe.division import shard_of
from mi_probe.engine import opened
from mi_probe.errors import InputError
from mi_probe.estimators import ESTIMATORS
from mi_probe.results import read_pointwise, read_results


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(save_tiny(tmp_path_factory.mktemp("models") / "llama", "llama"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "mine.csv"
    words = ["good", "bad"]
    texts = [f"a {words[i % 2]} film, {i}" for i in range(60)]
    labels = [words[i % 2] for i in range(60)]
    pd.DataFrame({"text": texts, "label": labels}).to_csv(path, index=False)
    return str(path)


def run(command, model, data, out, *more):
    told = [model, "--data", data, "--threads", "1", "--out", str(out), *more]
    if command is estimate:
        told += ["--controls", "none"]
    return command.main([str(one) for one in told])


def told_by(monkeypatch, behaviour=""):
    monkeypatch.setitem(ESTIMATORS, "told", Told(behaviour))
    return ("--estimator", "told", "--sites", "0,1,2")


def test_a_site_is_one_worker_s_and_its_cells_stay_in_order(
    model, data, tmp_path, monkeypatch
):
    asked = (*told_by(monkeypatch), "--pooling", "full,mean", "--seeds", "0,2")
    assert run(estimate, model, data, tmp_path, *asked, "--jobs", "2") == 0
    table = read_results(tmp_path)
    assert len(table) == 12
    for _, rows in table.groupby("site"):
        pids = {read_pointwise(tmp_path, row_id)["pointwise"][0] for row_id in rows.row_id}
        assert len(pids) == 1
        assert os.getpid() not in pids
        made = [*zip(rows.view, rows.seed, strict=True)]
        assert made == [("full", 0), ("full", 2), ("mean", 0), ("mean", 2)]


@pytest.mark.parametrize(
    ("command", "asked", "table"),
    [
        (estimate, ["--estimator", "lda", "--pooling", "mean,last"], "results.csv"),
        (gap, ["--pooling", "mean", "--draws", "0", "--estimator", "closed"], "gaps.csv"),
    ],
)
def test_jobs_and_shards_give_the_same_numbers(
    command, asked, table, model, data, tmp_path, monkeypatch, capsys
):
    from mi_probe.analysis.ladders import RUNGS

    monkeypatch.setitem(ESTIMATORS, "closed", RUNGS["linear on views"])
    asked = [*asked, "--sites", "0,1,final_norm"]
    tables = []
    for name, ways in {
        "one": [[]],
        "jobs": [["--jobs", "2"]],
        "shards": [["--shard", "1/2"], ["--shard", "2/2"]],
    }.items():
        for way in ways:
            assert run(command, model, data, tmp_path / name, *asked, *way) == 0
        read = pd.read_csv(tmp_path / name / table)
        read = read.drop(columns=["created", "config_sha"]).drop(
            columns="seconds", errors="ignore"
        )
        tables.append(read.sort_values(list(read), ignore_index=True))
    pd.testing.assert_frame_equal(tables[0], tables[1], check_exact=True)
    pd.testing.assert_frame_equal(tables[0], tables[2], check_exact=True)
    capsys.readouterr()
    assert run(command, model, data, tmp_path / "shards", *asked) == 0
    assert f"{len(tables[0])} of {len(tables[0])} were" in capsys.readouterr().out


@pytest.mark.slow
def test_processes_of_a_launcher_divide_capture_and_sites(model, data, tmp_path):
    asked = ["--estimator", "lda", "--pooling", "mean", "--sites", "0,1,final_norm"]
    told = [model, "--data", data, "--threads", "1", "--controls", "none", *asked]
    line = [sys.executable, "-m", "mi_probe.estimate", *told, "--out", tmp_path / "two"]
    running = [
        subprocess.Popen(line, env={**os.environ, "RANK": str(rank), "WORLD_SIZE": "2"})
        for rank in range(2)
    ]
    assert [one.wait(300) for one in running] == [0, 0]
    assert run(estimate, model, data, tmp_path / "one", *asked) == 0
    one, two = (
        read_results(tmp_path / name).set_index("site").value_nats
        for name in ("one", "two")
    )
    assert len(two) == 3
    assert two.to_dict() == one.to_dict()
    (store,) = (tmp_path / "two" / "activations").glob("[0-9a-f]*")
    lines = [*map(json.loads, (store / "manifest.jsonl").read_text().splitlines())]
    assert sum(len(line["ids"]) for line in lines) == 60  # nothing was captured twice


def test_a_shard_makes_its_own_sites_alone(model, data, tmp_path, monkeypatch, capsys):
    asked = (*told_by(monkeypatch), "--pooling", "mean", "--no-keep-activations")
    assert run(estimate, model, data, tmp_path, *asked, "--shard", "2/2") == 0
    assert read_results(tmp_path).site.tolist() == ["block.0"]
    # The states are left, for the others.
    assert "Hidden states: " in capsys.readouterr().out
    assert run(estimate, model, data, tmp_path, *asked, "--shard", "1/2") == 0
    assert sorted(read_results(tmp_path).site) == ["block.0", "block.1", "embed"]
    assert run(estimate, model, data, tmp_path, *asked, "--shard", "3/2") == 2
    assert "shard must be i/n with 1 <= i <= n" in capsys.readouterr().err
    assert shard_of("3/3") == (3, 3)


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        ("mistake", "x must be better"),
        ("die", "jobs must leave .* one at 'embed' or .* was killed.* fewer"),
    ],
)
def test_a_worker_that_fails_keeps_what_it_finished(
    behaviour, said, model, data, tmp_path, monkeypatch, capsys
):
    asked = (*told_by(monkeypatch, behaviour), "--pooling", "mean", "--seeds", "0,1")
    assert run(estimate, model, data, tmp_path, *asked, "--jobs", "2") == 2
    line = capsys.readouterr().err.splitlines()[-1]
    with pytest.raises(InputError, match=said):
        raise InputError(line)
    assert set(read_results(tmp_path).seed) == {0}


@pytest.mark.slow
def test_a_bug_in_a_worker_keeps_its_traceback(model, data, tmp_path, monkeypatch):
    asked = (*told_by(monkeypatch, "bug"), "--pooling", "mean", "--seeds", "0,1")
    with pytest.raises(ZeroDivisionError, match="ours") as caught:
        run(estimate, model, data, tmp_path, *asked, "--jobs", "2")
    assert "fakes.py" in str(caught.value.__cause__)


def test_engines_that_there_are_not(model, data, tmp_path, capsys):
    with pytest.raises(InputError, match=r"engine must be local or dask://HOST:PORT"):
        opened("slurm").__enter__()
    asked = ("--estimator", "lda", "--pooling", "mean", "--engine", "ray://a:1")
    assert run(estimate, model, data, tmp_path / "out", *asked) == 2
    assert "got 'ray://a:1'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.filterwarnings("ignore")
def test_a_worker_of_a_cluster_that_is_killed_costs_nothing(
    model, data, tmp_path, monkeypatch
):
    distributed = pytest.importorskip("distributed", reason="distributed is not installed")
    flag, out = tmp_path / "wait", tmp_path / "out"
    flag.touch()
    asked = (*told_by(monkeypatch, str(flag)), "--pooling", "mean", "--seeds", "0,1")
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address=None,
    ) as cluster:

        def kill_one():
            # Both workers have made a seed 0, and wait in seed 1.
            while len([*out.glob("rows/*.json")]) < 2:
                time.sleep(0.05)
            os.kill(next(iter(cluster.workers.values())).pid, signal.SIGKILL)
            flag.unlink()

        killer = threading.Thread(target=kill_one, daemon=True)
        killer.start()
        engine = cluster.scheduler_address.replace("tcp://", "dask://")
        assert run(estimate, model, data, out, *asked, "--engine", engine) == 0
        killer.join(timeout=60)
        assert not killer.is_alive()
    table = read_results(out)
    assert sorted(zip(table.site, table.seed, strict=True)) == sorted(
        (site, seed) for site in ("embed", "block.0", "block.1") for seed in (0, 1)
    )
    # What was finished before the kill was not made again.
    pids = [read_pointwise(out, row_id)["pointwise"][0] for row_id in table.row_id]
    assert os.getpid() not in np.unique(pids)


def test_threads_are_put_back():
    before = torch.get_num_threads()
    with limited_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
