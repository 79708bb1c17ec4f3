"""A kill at any moment costs nothing but time: the same command ends with the same files.

Each run is a forked child. It dies either before a chosen call that touches its files (an
audit hook counts them) or at a chosen time, in whatever it does then; SIGKILL's like runs
no handler and no `finally`. Then the same command runs again, and what it leaves is
compared with what a run leaves that nobody killed.
"""

import faulthandler
import os
import signal
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from planted_tasks import quick
from safetensors.numpy import load_file
from tqdm.std import tqdm

from mi_probe import estimate, gap, token_jobs, tokens
from mi_probe.analysis.tokens.files import TokenTables, read_about
from mi_probe.backbones import load_backbone
from mi_probe.capture import extract, load_activations
from mi_probe.predgen.training import train
from mi_probe.results import read_pointwise, read_results
from tests.tiny import save_tiny

TOUCHES = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate")
DIES = 137
STANDS_STILL = 240
"""Seconds after which a child says where its threads are, and ends."""
_MEASURED = ("value_nats", "ci_low", "ci_high", "stderr", "site", "view", "n", "seed")


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """A tiny model and a few rows."""
    place = tmp_path_factory.mktemp("given")
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(["good", "bad", "film", "so"], 5)) for _ in range(60)]
    labels = ["yes" if "good" in text[:9] else "no" for text in texts]
    pd.DataFrame({"text": texts, "label": labels}).to_csv(place / "rows.csv", index=False)
    model = save_tiny(place / "llama", "llama", head="CausalLM")
    return str(model), str(place / "rows.csv")


def run_estimate(given, out):
    told = ("--pooling", "mean,last", "--sites", "0,1", "--estimator", "linear")
    return estimate.main([given[0], "--data", given[1], *told, "--out", str(out)])


def run_gap(given, out):
    told = ("--estimator", "auto", "--draws", "19", "--pooling", "mean")
    return gap.main([given[0], "--data", given[1], *told, "--out", str(out)])


def run_tokens(given, out):
    def instant(_backbone, task, _data, z, **_):
        words = pd.DataFrame({"predicted_word": [], "word": [], "value_nats": []})
        table = pd.DataFrame({"row_id": list(task.ids), "sum": z.values.sum((1, 2))})
        return TokenTables(table, table, table, words, None, None, {"reading": ["fine"]})

    token_jobs.measure_tokens = instant  # in this child alone
    told = ("--sites", "0,1", "--out", str(out))
    return tokens.main([given[0], "--data", given[1], *told])


def run_train(given, out):
    few = {"steps": 4, "checkpoint_every": 2, "validation_rows": 8, "reserve": 8}
    train(quick("predictor", *given, train_rows=24, **few), out)
    return 0


def run_shards(given, out):
    backbone = load_backbone(given[0])
    texts = [f"text number {i}" for i in range(24)]
    extract(backbone, texts, views=("full",), store=out, rows_per_shard=4, progress=False)
    return 0


def left_by_estimate(out):
    table = read_results(out).sort_values("row_id").reset_index(drop=True)
    assert len(pd.read_csv(out / "results.csv")) == len(table)
    found = {
        f"{row.row_id}.{k}": getattr(row, k)
        for row in table.itertuples()
        for k in _MEASURED
    }
    for row_id in table.row_id:
        found[row_id] = read_pointwise(out, row_id)["pointwise"].tobytes()
    return found


def left_by_gap(out):
    table = pd.read_csv(out / "gaps.csv").sort_values("piece_id")
    return table.drop(columns=["created", "code_version"]).to_csv()


def left_by_tokens(out):
    places = sorted((out / "tokens").glob("*.json"))
    return {path.name: read_about(path)["key"] for path in places} | {
        path.name: path.read_bytes() for path in (out / "tokens").glob("*.csv")
    }


def left_by_train(out):
    found = {path.name: path.read_text() for path in [out / "losses.csv"]}
    for path in [*out.glob("*.safetensors"), *out.glob("checkpoint-*/head.safetensors")]:
        for name, tensor in load_file(path).items():
            found[f"{path.relative_to(out)} {name}"] = tensor.tobytes()
    assert not (out / ".unfinished").exists()
    return found


def left_by_shards(out):
    activations = load_activations(out)
    return [activations.hidden(site).values.numpy().tobytes() for site in activations.sites]


RUNS = {
    "estimate": (run_estimate, left_by_estimate),
    "gap": (run_gap, left_by_gap),
    "tokens": (run_tokens, left_by_tokens),
    "train": (run_train, left_by_train),
    "shards": (run_shards, left_by_shards),
}


def in_child(work, given, out, *, before=None, after=None):
    """Run in a fork; give its exit status, and how often it touched files of its own.

    Args:
        work: one of `RUNS`.
        given: what it works on.
        out: where it writes.
        before: die in place of this call that touches a file in or beside ``out``.
        after: die after so many seconds.
    """
    count = out.parent / "touches"
    sys.stdout.flush(), sys.stderr.flush()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of forks of a process with threads
        child = os.fork()
    if child == 0:
        try:
            _live(work, given, out, count, before, after)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return code, int(count.read_text()) if code == 0 else 0


def _live(work, given, out, count, before, after):
    quiet = os.open(out.parent / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    sys.stdout = sys.stderr = os.fdopen(quiet, "w", buffering=1)  # pytest's are others
    os.dup2(quiet, 1), os.dup2(quiet, 2)
    faulthandler.dump_traceback_later(STANDS_STILL, exit=True, file=quiet)
    locks_of_its_own()
    touched = 0

    def watch(event, told):
        nonlocal touched
        ours = event in TOUCHES and told and str(out) in str(told[0])
        if ours and (event != "open" or (told[1] or "r") not in ("r", "rb")):
            touched += 1
            if touched == before:
                os._exit(DIES)

    sys.addaudithook(watch)
    if after is not None:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends the process, wherever it is
        signal.setitimer(signal.ITIMER_REAL, after)
    try:
        code = work(given, out)
    except BaseException:
        import traceback

        traceback.print_exc()
        os._exit(1)
    signal.setitimer(signal.ITIMER_REAL, 0)
    Path(count).write_text(str(touched))
    os._exit(code)


def locks_of_its_own():
    """Bars of this process wait for no other's.

    The lock of tqdm is a semaphore in memory that forks share with whoever drew a bar
    before them. A child that dies while it draws holds it for ever: the next one stood
    still at its first bar, once in hundreds of kills. Commands that a user starts share
    nothing of the kind.
    """
    kinds = [tqdm]
    for kind in kinds:
        kinds += kind.__subclasses__()
        kind.set_lock(threading.RLock())


def test_a_fork_killed_as_it_drew_a_bar_stops_no_other():
    with open(os.devnull, "w") as nowhere:
        list(tqdm(range(1), file=nowhere))
    for dies in (True, False):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of forks of a process with threads
            child = os.fork()
        if child == 0:
            faulthandler.dump_traceback_later(60, exit=True)
            locks_of_its_own()
            with tqdm.get_lock():
                os._exit(DIES if dies else 0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert status == (DIES if dies else 0)


@pytest.fixture(scope="module")
def unharmed(given, tmp_path_factory):
    """Of each command: what it leaves, how often it touched its files, and its time."""
    made = {}

    def of(name):
        if name not in made:
            out = tmp_path_factory.mktemp(name) / "out"
            work, left_by = RUNS[name]
            began = time.monotonic()
            code, touches = in_child(work, given, out)
            seconds = time.monotonic() - began
            assert code == 0, (out.parent / "log").read_text()
            made[name] = left_by(out), touches, seconds
        return made[name]

    return of


KILLS = [
    (name, kind, share) for name in RUNS for kind in ("call", "time") for share in range(10)
]
SAMPLE = {("estimate", "call", 6), ("gap", "call", 4), ("tokens", "call", 7)} | {
    *(("train", "call", 5), ("train", "time", 6), ("shards", "call", 5)),
    ("shards", "time", 5),
}


@pytest.mark.parametrize(
    ("name", "kind", "share"),
    [pytest.param(*k, marks=() if k in SAMPLE else pytest.mark.slow) for k in KILLS],
)
def test_a_kill_costs_nothing_but_time(name, kind, share, given, unharmed, tmp_path):
    expected, touches, seconds = unharmed(name)
    work, left_by = RUNS[name]
    out = tmp_path / "out"
    if kind == "call":
        before = 1 + round((touches - 1) * share / 9)
        assert in_child(work, given, out, before=before)[0] == DIES
    else:
        in_child(work, given, out, after=seconds * (share + 0.5) / 10)
    code, _ = in_child(work, given, out)
    assert code == 0, (tmp_path / "log").read_text()
    assert left_by(out) == expected


def run_estimate_without_keeping(given, out):
    told = ("--pooling", "mean,last", "--sites", "0,1", "--estimator", "linear")
    more = ("--no-keep-activations", "--out", str(out))
    return estimate.main([given[0], "--data", given[1], *told, *more])


@pytest.mark.parametrize(
    "name", ["estimate", pytest.param("tokens", marks=pytest.mark.slow), "train"]
)
def test_two_at_once_harm_each_other_nothing(name, given, unharmed, tmp_path):
    expected, _, _ = unharmed(name)
    work, left_by = RUNS[name]
    if name == "estimate":
        work = run_estimate_without_keeping  # the one takes away what the other reads
    out = tmp_path / "out"
    with ThreadPoolExecutor(2) as both:
        codes = [both.submit(in_child, work, given, out) for _ in range(2)]
        codes = sorted(one.result()[0] for one in codes)
    said = (tmp_path / "log").read_text()
    if name == "train" and codes == [0, 1]:
        assert "out must have one writer at a time" in said
    else:
        assert codes == [0, 0], said
    assert left_by(out) == expected
