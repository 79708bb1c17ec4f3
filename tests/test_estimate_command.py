"""The command: results, resumption, and one clear line with exit code 2."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from fakes import ANYTHING, Told
from safetensors.torch import load_file, save_file
from tiny import save_tiny

from mi_probe.capture.stored_states import StoredStates
from mi_probe.errors import InputError
from mi_probe.estimate import main
from mi_probe.estimators import ESTIMATORS, Estimate
from mi_probe.estimators.core.split import Blocks, Dependence, Split
from mi_probe.results import COLUMNS, read_pointwise, read_results

CALLS: list[int] = []


@dataclass(frozen=True)
class Fake:
    """Instant; counts its calls, and can fail at one of them."""

    name = "fake"
    nature = ANYTHING

    def estimate(self, x, y, *, groups=None, seed=0):
        CALLS.append(seed)
        if len(CALLS) == Fake.fails_at:
            raise Fake.failure
        return Estimate(
            nats=0.25,
            stderr=0.05,
            ci=(0.15, 0.35),
            pointwise=np.full(len(y), 0.25),
            entropy_y=0.625 if np.asarray(y).dtype.kind == "i" else None,
            status="ok",
            bound="lower bound",
            estimator=self,
            seed=seed,
        )


@pytest.fixture(autouse=True)
def fake(monkeypatch):
    CALLS.clear()
    Fake.fails_at, Fake.failure = None, None
    monkeypatch.setitem(ESTIMATORS, "fake", Fake())
    return Fake


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    return str(save_tiny(tmp_path_factory.mktemp("models") / "llama", "llama"))


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "mine.csv"
    texts = [f"{'good' if i % 3 else 'bad'} film number {i}" for i in range(16)]
    labels = ["pos" if i % 3 else "neg" for i in range(16)]
    pd.DataFrame({"text": texts, "label": labels}).to_csv(path, index=False)
    return str(path)


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def run(*arguments):
    """The command; without controls, unless the test names them."""
    none = [] if "--controls" in arguments else ["--controls", "none"]
    return main([*(str(argument) for argument in arguments), *none])


def refused(capsys, *arguments) -> str:
    """Exit code 2, one line on stderr, nothing on stdout; returns the line."""
    assert run(*arguments) == 2
    captured = capsys.readouterr()
    lines = [x for x in captured.err.splitlines() if "\r" not in x and x.strip()]
    assert len(lines) == 1, captured.err
    assert lines[0].startswith("mi_probe.estimate: error: ")
    return lines[0]


def test_a_model_and_a_file_give_a_table_and_a_folder(model, data, out, capsys):
    code = run(
        *(model, "--data", data, "--estimator", "fake", "--sites", "0,block.1"),
        *("--pooling", "full,mean", "--seeds", "0,1", "--out", out),
    )
    assert code == 0
    printed = capsys.readouterr().out
    assert "n = 16; Y: column 'label' of mine.csv; H(Y) = 0.6" in printed
    lines = [" ".join(line.split()) for line in printed.splitlines()]
    assert "embed 0 full fake 0 0.250 0.150 .. 0.350 - - - 40% - ok" in lines
    assert str(out / "results.csv") in printed
    table = read_results(out)
    assert list(table.columns) == list(COLUMNS)
    assert len(table) == len(CALLS) == 8
    assert set(table.model) == {model}
    assert len(pd.read_csv(out / "results.csv")) == 8
    assert len(read_pointwise(out, table.row_id[0])["pointwise"]) == 16
    (run_record,) = json.loads((out / "provenance.json").read_text())["runs"]
    assert run_record["config"]["seeds"] == [0, 1]
    assert run_record["config_sha"] == table.config_sha[0]
    assert run_record["environment"]["threads"] == 1
    assert run_record["models"][0]["fingerprint"]["model"]
    assert run_record["task"]["sha256"]
    (store,) = (out / "activations").iterdir()
    assert (store / "manifest.jsonl").is_file()


def test_sites_inside_blocks_by_anybodys_names(model, data, out, capsys):
    wanted = "blocks.1.hook_attn_out,model.layers[1].mlp,mid,final_norm"
    code = run(
        *(model, "--data", data, "--estimator", "fake", "--sites", wanted),
        *("--pooling", "mean", "--out", out),
    )
    assert code == 0
    table = read_results(out)
    assert set(table.site) == {
        *("block.1.attn_out", "block.1.mlp_out", "final_norm"),
        *(f"block.{i}.mid" for i in range(3)),
    }
    inside = table[table.site != "final_norm"]
    assert inside.layer.isna().all()
    assert set(inside.n_layers) == {3}
    assert "final_norm 3 mean" in " ".join(capsys.readouterr().out.split())


def test_a_task_is_read_from_its_original_files(model, tmp_path, out, capsys):
    rows = "".join(f"{i}\ta {i}\tb {i}\t{1 + i % 5}\n" for i in range(16))
    head = "pair_ID\tsentence_A\tsentence_B\trelatedness_score\n"
    for name in ("SICK_train.txt", "SICK_trial.txt"):
        (tmp_path / name).write_text(head + rows, encoding="utf-8")
    code = run(
        *(model, "--task", "sick", "--data-folder", tmp_path, "--split", "validation"),
        *("--estimator", "fake", "--sites", "0", "--pooling", "mean", "--out", out),
    )
    assert code == 0
    printed = capsys.readouterr().out
    assert "on sick: n = 16; Y: mean relatedness of the two sentences, 1 to 5" in printed
    assert "note: 16 rows, where 500 are published" in printed
    table = read_results(out)
    assert table.split.tolist() == ["validation"]
    assert table.y_kind.tolist() == ["scores"]
    (record,) = json.loads((out / "provenance.json").read_text())["runs"]
    assert record["task"]["source"].startswith("SICK_trial.txt, sha256 ")


def test_a_second_call_computes_nothing(model, data, out, capsys, monkeypatch):
    given = (model, "--data", data, "--estimator", "fake", "--sites", "0", "--out", out)
    assert run(*given) == 0
    CALLS.clear()
    monkeypatch.setattr("mi_probe.parts.extract", lambda *_, **__: 1 / 0)
    assert run(*given) == 0
    assert CALLS == []
    assert "3 of 3 were finished before" in capsys.readouterr().out


def test_controls_are_rows_beside_the_states(tmp_path, data, out, capsys):
    speaks = str(save_tiny(tmp_path / "speaks", "llama", head="CausalLM"))
    given = (speaks, "--data", data, "--estimator", "fake", "--sites", "0,block.1")
    given = (*given, "--pooling", "mean", "--controls", "all", "--out", out)
    assert run(*given) == 0
    printed = capsys.readouterr().out
    table = read_results(out)
    states = table[table.control.isna()]
    assert states.site.tolist() == ["embed", "block.1"]
    counts = {"words": 1, "length": 1, "answer": 2, "likelihood": 2, "embeddings": 1}
    counts |= {"random_weights": 2, "random_labels": 2}
    assert table.control.value_counts().to_dict() == counts
    said = table[table.control == "answer"]
    assert said.accuracy.between(0, 1).all()
    assert said.auroc.notna().all()
    lines = [" ".join(line.split()) for line in printed.splitlines()]
    assert "words text - words fake 0 0.250 0.150 .. 0.350 - - - 40% - ok" in lines
    assert "I(Y;Z_mean) at layer 2 of 3 is 0.250 nats [" in printed
    assert "; the words alone give 0.250, the length alone 0.250, the" in printed
    # Both random controls have labels, or states, of their own.
    stores = [*(out / "activations").iterdir()]
    assert len([p for p in stores if p.is_dir()]) == 3
    CALLS.clear()
    assert run(*given) == 0
    assert CALLS == []
    assert f"{len(table)} of {len(table)} were finished before." in capsys.readouterr().out
    assert read_results(out).row_id.tolist() == table.row_id.tolist()


def test_cheap_controls_are_on_by_default_and_what_cannot_be_made_is_said(
    model, data, out, capsys
):
    given = ["--data", data, "--estimator", "fake", "--sites", "0", "--pooling", "mean"]
    assert main([model, *given, "--out", str(out)]) == 0
    assert read_results(out).control.fillna("").tolist() == ["", "words", "length"]
    assert "note: no control 'answer'" in capsys.readouterr().out


def test_a_dry_run_counts_controls(model, data, out, capsys):
    given = (model, "--data", data, "--estimator", "fake", "--sites", "0,1")
    assert run(*given, "--controls", "words,random_labels", "--dry-run", "--out", out) == 0
    printed = capsys.readouterr().out
    assert "words (prompt): 1 estimates, 0 finished" in printed
    assert "random_labels (prompt): 6 estimates, 0 finished" in printed
    assert not out.exists()


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), InputError("too bad.")])
def test_an_interruption_keeps_what_is_finished(
    failure, model, data, out, capsys, fake, monkeypatch
):
    given = (model, "--data", data, "--estimator", "fake", "--sites", "0,1,2")
    given = (*given, "--pooling", "mean", "--out", out)
    fake.fails_at, fake.failure = 3, failure
    assert run(*given) == (130 if isinstance(failure, KeyboardInterrupt) else 2)
    error = capsys.readouterr().err
    if isinstance(failure, KeyboardInterrupt):
        assert "the same command goes on from there" in error
    assert len(read_results(out)) == 2
    assert len(pd.read_csv(out / "results.csv")) == 2
    fake.fails_at = None
    CALLS.clear()
    assert run(*given) == 0
    assert len(CALLS) == 1
    assert len(read_results(out)) == 3


def test_sigterm_is_an_interruption(model, data, out, capsys):
    handler = signal.getsignal(signal.SIGTERM)

    given = (model, "--data", data, "--estimator", "fake", "--pooling", "mean")
    original = Fake.estimate

    def estimate(self, x, y, *, groups=None, seed=0):
        if len(CALLS) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(self, x, y, seed=seed)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Fake, "estimate", estimate)
        assert run(*given, "--out", out) == 143
    assert "terminated. What is finished is kept" in capsys.readouterr().err
    assert len(pd.read_csv(out / "results.csv")) == 2
    assert signal.getsignal(signal.SIGTERM) == handler


def test_ctrl_c_ends_every_process_and_the_same_command_resumes(
    tmp_path, model, data, out, capsys, monkeypatch
):
    flag = tmp_path / "wait"
    flag.touch()
    arguments = [
        *(model, "--data", data, "--estimator", "told", "--sites", "0,1"),
        *("--pooling", "mean", "--seeds", "0,1", "--threads", "1"),
        *("--jobs", "2", "--out", str(out)),
    ]
    told = Told(str(flag))
    code = (
        # A suite that runs in the background inherits that Ctrl-C is ignored.
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "import sys; from fakes import Told; from mi_probe.estimators import ESTIMATORS\n"
        f"from mi_probe.estimate import main; ESTIMATORS['told'] = {told!r}\n"
        f"sys.exit(main({arguments!r}))"
    )
    command = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
        text=True,
    )
    try:
        # Seed 0 of either site is finished; both workers wait in seed 1.
        wait_until(
            lambda: len([*out.glob("rows/*.json")]) == 2 or command.poll() is not None
        )
        os.killpg(command.pid, signal.SIGINT)  # a terminal sends it to all of them
        try:
            _, error = command.communicate(timeout=180)
        except subprocess.TimeoutExpired:
            os.killpg(command.pid, signal.SIGKILL)
            pytest.fail(f"it did not end: {command.communicate()[1]}")
        assert command.returncode == 130, error
        assert "interrupted. What is finished is kept" in error
        assert "Traceback" not in error
        assert len(pd.read_csv(out / "results.csv")) == 2
        wait_until(lambda: not alive(command.pid))
    finally:
        if alive(command.pid):
            os.killpg(command.pid, signal.SIGKILL)
    flag.unlink()
    monkeypatch.setitem(ESTIMATORS, "told", told)
    assert run(*arguments, "--jobs", 1) == 0
    assert "2 of 4 were finished before" in capsys.readouterr().out
    assert sorted(read_results(out).seed) == [0, 0, 1, 1]


def wait_until(true):
    end = time.monotonic() + 300  # of a busy machine
    while not true():
        assert time.monotonic() < end, "waited for 300 s"
        time.sleep(0.05)


def alive(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_full_disk_is_seen_before_the_capture(model, data, out, capsys, monkeypatch):
    usage = shutil.disk_usage(out.parent)._replace(free=10_000)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    given = (model, "--data", data, "--estimator", "fake")
    assert run(*given, "--out", out) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "must have room for the hidden states" in error
    assert not list(out.rglob("shard-*"))


def test_bugs_keep_their_traceback(model, data, out, fake):
    fake.fails_at, fake.failure = 1, ZeroDivisionError("ours")
    with pytest.raises(ZeroDivisionError):
        run(model, "--data", data, "--estimator", "fake", "--out", out)


def test_a_full_disk_is_one_line(model, data, out, fake, capsys):
    fake.fails_at, fake.failure = 1, OSError(28, "No space left on device", "x")
    line = refused(capsys, model, "--data", data, "--estimator", "fake", "--out", out)
    assert "No space left" in line


def test_a_real_estimator_finds_the_word_that_decides(tmp_path, model, out):
    path = tmp_path / "words.csv"
    words = ["good", "bad"]
    texts = [f"a {words[i % 2]} film, {i}" for i in range(60)]
    labels = [words[i % 2] for i in range(60)]
    pd.DataFrame({"text": texts, "label": labels}).to_csv(path, index=False)
    given = ("--data", path, "--sites", "embed", "--pooling", "mean", "--out", out)
    assert run(model, *given, "--estimator", "classifier") == 0
    (row,) = read_results(out).itertuples()
    assert row.H_Y_nats == pytest.approx(np.log(2))
    assert 0.4 < row.value_nats <= row.H_Y_nats + 1e-6
    assert json.loads(row.settings)["bound"] == "barber_agakov"


def test_bare_checkpoints_may_stand_apart(tmp_path, model, data, out):
    other = save_tiny(tmp_path / "other", "bert")
    given = ("--data", data, "--estimator", "fake", "--sites", "0", "--pooling", "mean")
    assert run(model, "--no-keep-activations", *given, other, "--out", out) == 0
    assert len({*read_results(out).model}) == 2


def test_several_checkpoints_and_a_trainer_folder(tmp_path, model, data, out):
    trainer = tmp_path / "trainer"
    for step in (10, 9):
        save_tiny(trainer / f"checkpoint-{step}", "gpt2", seed=step)
    given = ("--data", data, "--estimator", "fake", "--sites", "-1", "--pooling", "last")
    assert run(model, trainer, *given, "--out", out) == 0
    table = read_results(out)
    assert table.checkpoint_step.tolist() == [pd.NA, 9, 10]
    assert set(table.site) == {"final_norm"}
    assert len({*table.row_id}) == 3


def test_activations_can_be_let_go(model, data, out):
    given = (model, "--data", data, "--estimator", "fake", "--sites", "0", "--out", out)
    assert run(*given, "--no-keep-activations") == 0
    assert not list(out.rglob("shard-*"))
    assert len(read_results(out)) == 3


def test_a_dry_run_writes_nothing(model, data, out, capsys):
    given = (model, "--data", data, "--estimator", "fake", "--sites", "0,2")
    before = sorted(out.parent.rglob("*"))
    assert run(*given, "--permutations", 3, "--dry-run", "--out", out) == 0
    printed = capsys.readouterr().out
    assert "16 rows" in printed
    assert "full/embed: 16 x " in printed
    assert "kB, read into memory at once" in printed
    assert "estimates: 6, of which 0 are finished; 24 runs" in printed
    assert "fake, full: about 0 s a run (timed)" in printed
    assert "fake, pooled: about 0 s a run (timed)" in printed
    assert "with 1 job of 1 thread; assumes" in printed
    assert "  rows, by planting in 32 columns: a value of 0.033 nats is" in printed
    assert "; here 16\n" in printed
    assert "nothing was written" in printed
    assert sorted(out.parent.rglob("*")) == before


def test_states_larger_than_what_is_held_are_read_by_rows(
    model, data, out, capsys, fake, monkeypatch
):
    read, real = [], fake.estimate
    monkeypatch.setattr(
        fake, "estimate", lambda f, x, y, **told: (read.append(x), real(f, x, y, **told))[1]
    )
    given = (model, "--data", data, "--estimator", "fake", "--sites", "0")
    given = (*given, "--pooling", "full", "--out")
    assert run(*given, out / "one") == 0
    small = ("--memory", "10kB")
    assert run(*given, out / "two", *small, "--dry-run") == 0
    printed = capsys.readouterr().out
    assert "read from the disk by rows (in memory with --memory 1GB or --rows " in printed
    del read[1:]
    assert run(*given, out / "two", *small) == 0
    held, stored = read
    assert not isinstance(held, StoredStates)
    assert isinstance(stored, StoredStates)
    assert torch.equal(held.values, stored.values)


def test_the_command_line_goes_over_the_file(tmp_path, model, data, out):
    config = tmp_path / "run.yaml"
    config.write_text(
        f"checkpoints: [{model}]\ndata: {data}\nestimator: fake\nsites: [0, block.1]\n"
        f"pooling: [mean]\nseeds: [5, 6]\nmax_tokens: 9\nout: {out}\n"
    )
    assert run("--config", config) == 0
    table = read_results(out)
    assert sorted(zip(table.site, table.seed, strict=True)) == [
        ("block.1", 5),
        ("block.1", 6),
        ("embed", 5),
        ("embed", 6),
    ]
    # Before or after --config: the command line wins.
    other = out.parent / "other"
    assert run("--seeds", 7, "--out", other, "--config", config, "--sites", 0) == 0
    table = read_results(other)
    assert table[["site", "seed"]].to_numpy().tolist() == [["embed", 7]]
    as_json = tmp_path / "run.json"
    as_json.write_text(json.dumps({"estimator": "fake", "sites": 0, "data": data}))
    assert run(model, f"--config={as_json}", "--out", out.parent / "third") == 0


def test_a_file_of_scores_and_a_template(tmp_path, model, out):
    path = tmp_path / "scores.tsv"
    rows = [f"text {i}\t{i / 7}" for i in range(12)]
    path.write_text("t\ty\n" + "\n".join(rows) + "\n")
    code = run(
        *(model, "--data", path, "--text-column", "t", "--label-column", "y"),
        *("--template", r"Text: {t}\nScore:", "--estimator", "fake", "--sites", "0"),
        *("--rows", 10, "--out", out),
    )
    assert code == 0
    table = read_results(out)
    assert set(table.y_kind) == {"scores"}
    assert set(table.n) == {10}
    assert table.H_Y_nats.isna().all()
    source = json.loads((out / "provenance.json").read_text())["runs"][0]["task"]
    assert r"'Text: {t}\nScore:'" in source["source"]


@pytest.fixture
def grouped(tmp_path):
    """Sixteen rows of two speakers each."""
    path = tmp_path / "spoken.csv"
    words = ["kind", "slow", "loud", "wry", "odd", "long", "warm", "dull"]
    texts = [f"{word} film {word * (k + 2)}" for word in words for k in range(2)]
    labels = ["pos" if i % 4 < 2 else "neg" for i in range(16)]
    speakers = [i // 2 for i in range(16)]
    table = pd.DataFrame({"text": texts, "label": labels, "speaker": speakers})
    table.to_csv(path, index=False)
    return str(path)


def test_groups_and_blocks_reach_the_estimator_and_are_other_estimates(
    model, grouped, out, monkeypatch
):
    told = []

    class Grouped(Fake):
        def estimate(self, x, y, *, groups=None, seed=0):
            told.append(groups)
            return super().estimate(x, y, seed=seed)

    monkeypatch.setitem(ESTIMATORS, "fake", Grouped())
    given = (model, "--data", grouped, "--estimator", "fake", "--sites", "0")
    given = (*given, "--pooling", "mean", "--out", out)
    for more in ((), ("--group-column", "speaker"), ("--blocks", "4"), ("--blocks", "5")):
        assert run(*given, *more) == 0
        assert run(*given, *more) == 0  # and once only
    alone, speakers, four, five = told
    assert alone is None
    assert list(speakers) == [str(i // 2) for i in range(16)]
    assert (four, five) == (Blocks(4), Blocks(5))
    assert len({*read_results(out).row_id}) == 4


def test_blocks_leave_rows_out_between_folds(model, tmp_path, out):
    path = tmp_path / "series.csv"
    rng = np.random.default_rng(0)
    labels = ["up", "down"] * 40
    texts = [f"{one} {rng.integers(10**6)} and {rng.integers(10**6)}" for one in labels]
    pd.DataFrame({"text": texts, "label": labels}).to_csv(path, index=False)
    given = (model, "--data", path, "--estimator", "lda", "--sites", "0")
    given = (*given, "--pooling", "mean", "--out", out)
    assert run(*given, "--blocks", "20") == 0
    (row,) = read_results(out).itertuples()
    assert row.n == 80 - 4 * 4  # five folds, four blocks of 4 rows between them
    assert len(read_pointwise(out, row.row_id)["pointwise"]) == row.n


def test_what_rows_show_is_said_and_kept(model, data, out, capsys, monkeypatch):
    sign = Dependence("clusters", "5 % of the rows lie in small clusters.")

    class Noting(Fake):
        def estimate(self, x, y, *, groups=None, seed=0):
            split = Split(np.arange(16) % 4, np.zeros(16, int), 0, signs=(sign,))
            return dataclasses.replace(super().estimate(x, y, seed=seed), split=split)

    monkeypatch.setitem(ESTIMATORS, "noting", Noting())
    given = (model, "--data", data, "--estimator", "noting,fake", "--sites", "0")
    assert run(*given, "--pooling", "mean", "--seeds", "0,1", "--out", out) == 0
    assert f"\nnote on 2 of 4: {sign.words}\n" in capsys.readouterr().out
    table = read_results(out)
    assert table.notes[table.estimator == "noting"].tolist() == [sign.words] * 2
    assert table.notes[table.estimator == "fake"].isna().all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "checkpoints must name at least one model"),
        (["MODEL"], "one of task and data must be given; got neither"),
        (["MODEL", "--data", "DATA", "--task", "sst2"], "got both"),
        (["MODEL", "--data", "DATA", "--split", "test"], "split belongs to a declared"),
        (["MODEL", "--data", "DATA", "--data-folder", "x"], "data-folder belongs to a"),
        (["MODEL", "--task", "sick", "--data-folder", "nowhere"], "there is no nowhere"),
        (["MODEL", "--task", "sst3"], "task must be one of"),
        (["MODEL", "--data", "nowhere.csv"], "there is no nowhere.csv"),
        (["MODEL", "--data", "DATA", "--label-column", "y"], "got 'y'"),
        (["./nowhere", "--data", "DATA"], "nowhere"),
        (["MODEL", "--data", "DATA", "--sites", "7"], "0 (embeddings) ... 3"),
        (["MODEL", "--data", "DATA", "--sites", "block.9"], "block.9"),
        (["MODEL", "--data", "DATA", "--estimator", "mime"], "'mime'"),
        (["MODEL", "--data", "DATA", "--pooling", "median"], "'median'"),
        (["MODEL", "--data", "DATA", "--rows", "17"], "1 ... 16"),
        (["MODEL", "--data", "DATA", "--controls", "word"], "controls must be of words"),
        (["MODEL", "--data", "DATA", "--controls", "all,words"], "'all' or 'none' alone"),
        (["MODEL", "--data", "DATA", "--rows", "0"], "rows must be at least 1"),
        (["MODEL", "--data", "DATA", "--rows", "1"], "at least two classes"),
        (["MODEL", "--data", "DATA", "--rows", "9"], "at least 10 rows"),
        (
            ["MODEL", "--data", "DATA", "--blocks", "4", "--group-column", "label"],
            "blocks and group-column must not both be given",
        ),
        (["MODEL", "--data", "DATA", "--blocks", "1"], "blocks must be at least 2"),
        (["MODEL", "--data", "DATA", "--group-column", "who"], "got 'who'"),
        (["MODEL", "--data", "DATA", "--jobs", "0"], "jobs must be at least 1"),
        (["MODEL", "--data", "DATA", "--rows", "x"], "rows"),
        (["MODEL", "--data", "DATA", "--seeds", "a"], "seeds must be int"),
        (["MODEL", "--data", "DATA", "--seeds", "1,1"], "each once"),
        (["MODEL", "--data", "DATA", "--dtype", "int8"], "dtype"),
        (["MODEL", "--data", "DATA", "--device", "tpu9"], "device"),
        (["MODEL", "--data", "DATA", "--out", "DATA"], "out must be a folder"),
        (["MODEL", "--data", "DATA", "--bogus", "1"], "--bogus"),
        (["MODEL", "--data", "DATA", "--config", "nowhere.yaml"], "nowhere.yaml"),
        (["MODEL", "--data"], "--data"),
    ],
)
def test_mistakes_are_one_line(arguments, message, model, data, out, capsys):
    put = {"MODEL": model, "DATA": data}
    given = [put.get(argument, argument) for argument in arguments]
    if "--out" not in given:
        given += ["--out", out]
    if "--estimator" not in given:
        given += ["--estimator", "fake"]
    if given[-3] == "--data":  # an option without its value comes last
        given = [*given[:-3], *given[-2:], "--data"]
    assert message in refused(capsys, *given)
    assert not out.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("estimtor: fake\n", "estimtor"),
        ("rows: many\n", "rows"),
        ("rows: [1\n", "config"),
        ("- 1\n", "config"),
    ],
)
def test_a_wrong_config_file(content, message, tmp_path, model, data, capsys):
    config = tmp_path / "c.yaml"
    config.write_text(content)
    line = refused(capsys, model, "--data", data, "--config", config)
    assert message in line


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("text,label\n", "must hold rows"),
        ("text,label\na,1\nb,1\n", "two classes"),
        ("text,label\na,1\n", "its one row has '1'"),
        ("text,label\na,1\nb,\n", "1 of 2 are empty"),
    ],
)
def test_a_wrong_data_file(content, message, tmp_path, model, out, capsys):
    path = tmp_path / "a.csv"
    path.write_text(content)
    line = refused(capsys, model, "--data", path, "--estimator", "fake", "--out", out)
    assert message in line


def test_the_second_checkpoint_is_looked_at_before_the_first_is_measured(
    model, data, out, capsys
):
    given = ("--data", data, "--estimator", "fake", "--out", out)
    assert "nowhere" in refused(capsys, model, "./nowhere", *given)
    assert CALLS == []


def test_nan_weights_are_one_line(tmp_path, data, out, capsys):
    folder = save_tiny(tmp_path / "nan", "llama")
    path = folder / "model.safetensors"
    weights = load_file(path)
    name = next(n for n in weights if "layers.1.mlp" in n)
    weights[name] = torch.full_like(weights[name], torch.nan)
    save_file(weights, path, metadata={"format": "pt"})
    assert run(folder, "--data", data, "--estimator", "fake", "--out", out) == 2
    lines = capsys.readouterr().err.splitlines()
    assert "states must be finite; at site 'block.1'" in lines[-1]


def test_help_and_no_import_by_the_package(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    assert "--permutations" in capsys.readouterr().out
    code = "import sys, mi_probe; sys.exit('mi_probe.estimate' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_estimator_of_vectors_is_refused_all_tokens_before_anything_starts(
    model, data, out, capsys, monkeypatch
):
    class OfVectors(Fake):
        nature = dataclasses.replace(ANYTHING, sequences=False)

    monkeypatch.setitem(ESTIMATORS, "vectors", OfVectors())
    given = (model, "--data", data, "--estimator", "vectors", "--out", out)
    assert run(*given) == 2
    error = capsys.readouterr().err
    assert "estimator 'vectors' takes pooled vectors, not all tokens" in error
    assert not out.exists()
    assert run(*given, "--sites", "0", "--pooling", "mean") == 0


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_the_self_test_speaks_first_and_is_recorded(more, model, data, out, capsys):
    given = (model, "--data", data, "--estimator", "fake", "--sites", "0", "--out", out)
    assert run(*given, "--self-test", *more) == 0
    printed = capsys.readouterr().out
    assert "self-test of fake on full states" in printed
    assert "At n = 16, d = " in printed
    assert "fake says 0.250 nats where there is nothing" in printed
    if more:
        assert not out.exists()
        return
    (recorded,) = json.loads((out / "provenance.json").read_text())["runs"]
    kinds = {(test["estimator"], test["states"]) for test in recorded["self_tests"]}
    assert kinds == {("fake", "full"), ("fake", "pooled")}
    levels = {row["true"] for row in recorded["self_tests"][0]["table"]}
    assert 0.0 in levels
    assert max(levels) > 0.3
