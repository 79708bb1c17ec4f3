"""Chains: what is done is not done again, what fails stops its own chain alone."""

import stat

import pandas as pd
import pytest
import yaml

from mi_probe.errors import InputError
from mi_probe.study import __main__ as command
from mi_probe.study import running
from mi_probe.study.declared import study_of
from mi_probe.study.findings import findings
from mi_probe.study.progress import status
from mi_probe.study.running import fixed_comparisons, run_chains


def declared(**changes):
    return study_of(
        {
            "study": "stub",
            "train": {"backbone": "x", "steps": 1},
            "tasks": ["sst2"],
            "systems": {"predictor": {"objective": "predictor"}, "predgen": {}},
            "trainings": [{"seeds": [0]}],
            "measure": [{"command": "estimate", "pooling": ["mean"]}],
            **changes,
        }
    )


@pytest.fixture
def stub(tmp_path, monkeypatch):
    """Commands that write a line into a log, and fail where their settings hold a word."""
    log, words = tmp_path / "log", tmp_path / "words"
    words.write_text("")
    program = tmp_path / "stub"
    program.write_text(
        "#!/bin/sh\n"  # called as: -m mi_probe.COMMAND --config FILE
        f'echo "$2 $(basename $(dirname $(dirname $4)))" >> {log}\n'
        f'while read word; do if grep -q "$word" "$4"; then\n'
        '  echo "first words" ; echo "it was $word"; exit 2\n'
        f"fi; done < {words}\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(running.sys, "executable", str(program))

    class Stub:
        fail = staticmethod(lambda *some: words.write_text("".join(f"{s}\n" for s in some)))

        @staticmethod
        def ran():
            lines = log.read_text().splitlines() if log.is_file() else []
            log.unlink(missing_ok=True)
            return lines

    return Stub()


PREDICTOR, PREDGEN = "x_sst2_lora_predictor_0", "x_sst2_lora_predgen_0"


def test_what_is_done_is_not_done_again(stub, tmp_path):
    out, study = tmp_path / "out", declared()
    said = []
    outcomes = run_chains(study, out, say=said.append)
    assert [o.state for o in outcomes] == ["done", "done"]
    assert stub.ran() == [
        f"mi_probe.train {PREDICTOR}",
        f"mi_probe.estimate {PREDICTOR}",
        f"mi_probe.train {PREDGEN}",
        f"mi_probe.estimate {PREDGEN}",
    ]
    assert said[0].startswith(f"{PREDICTOR}: done in ")
    settings = yaml.safe_load((out / PREDGEN / "steps" / "2-estimate.yaml").read_text())
    assert settings["checkpoints"] == [str(out / PREDGEN / "trained")]
    assert settings["out"] == str(out / PREDGEN / "results")
    run_chains(study, out)
    assert stub.ran() == []
    # Another setting of one command: it is done again, the training is not.
    other = declared(measure=[{"command": "estimate", "pooling": ["last"]}])
    run_chains(other, out)
    assert stub.ran() == [f"mi_probe.estimate {PREDICTOR}", f"mi_probe.estimate {PREDGEN}"]
    # A damaged mark is no mark.
    (out / PREDGEN / "steps" / "1-train.json").write_text("{}")
    run_chains(other, out)
    assert stub.ran() == [f"mi_probe.train {PREDGEN}", f"mi_probe.estimate {PREDGEN}"]


def test_a_failure_is_named_and_stops_its_own_chain_alone(stub, tmp_path):
    out, study = tmp_path / "out", declared()
    stub.fail("predictor")
    outcomes = {o.name: o for o in run_chains(study, out, jobs=2)}
    assert outcomes[PREDGEN].state == "done"
    assert outcomes[PREDICTOR].state == "failed"
    assert outcomes[PREDICTOR].said == "train: first words it was predictor"
    assert f"mi_probe.estimate {PREDICTOR}" not in stub.ran()
    table = pd.read_csv(out / "status.csv").set_index("chain")
    assert table.loc[PREDICTOR, "state"] == "failed"
    assert table.loc[PREDICTOR, "command"] == "train"
    assert table.loc[PREDGEN, "commands_done"] == "2 of 2"
    # Mended, it goes on; the forecast of what is left is what the other took.
    left = status(study, out).set_index("chain")
    assert left.loc[PREDICTOR, "seconds_left"] == pytest.approx(
        left.loc[PREDGEN, "seconds"]
    )
    stub.fail()
    assert {o.state for o in run_chains(study, out)} == {"done"}
    assert set(status(study, out)["state"]) == {"done"}


def test_shards_are_all_chains_once(stub, tmp_path):
    out, study = tmp_path / "out", declared()
    for i in (1, 2):
        assert len(run_chains(study, out, shard=(i, 2))) == 1
    assert len(stub.ran()) == 4
    assert run_chains(study, out)[0].state == "done"
    assert stub.ran() == []


def test_a_launcher_divides_chains_and_not_their_commands(stub, tmp_path, monkeypatch):
    file, out = tmp_path / "study.yaml", tmp_path / "out"
    file.write_text(yaml.safe_dump(dict(declared().declared)))
    told = []
    run, begin = command.run_chains, running.subprocess.Popen
    monkeypatch.setattr(
        command, "run_chains", lambda *a, **k: (told.append(k["shard"]), run(*a, **k))[1]
    )
    environments = []
    monkeypatch.setattr(
        running.subprocess,
        "Popen",
        lambda line, **k: (environments.append((line[0], k["env"])), begin(line, **k))[1],
    )
    monkeypatch.setattr(command, "findings", lambda *_: {})
    monkeypatch.setattr(command, "write_findings", lambda *_: [])
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    assert command.main([str(file), "--out", str(out)]) == 0
    assert told == [(2, 2)]
    own = [given for program, given in environments if program == running.sys.executable]
    assert len(stub.ran()) == len(own) == 2
    assert not any("RANK" in given or "WORLD_SIZE" in given for given in own)


def test_another_study_s_folder_is_refused(stub, tmp_path):
    out = tmp_path / "out"
    run_chains(declared(), out)
    with pytest.raises(InputError, match="that of 'stub'"):
        run_chains(declared(study="other"), out)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a.txt").write_text("mine")
    with pytest.raises(InputError, match="holds something else"):
        run_chains(declared(), tmp_path / "full")
    with pytest.raises(InputError, match="engine must be local or dask"):
        run_chains(declared(), out, engine="slurm")


def test_comparisons_are_fixed_by_the_first_run(stub, tmp_path):
    a, b = {"system": "predgen"}, {"system": "predictor"}
    one = {"name": "one", "primary": True, "of": "score", "a": a, "b": b}
    study, out = declared(comparisons=[one]), tmp_path / "out"
    assert fixed_comparisons(out) == frozenset()
    run_chains(study, out)
    assert fixed_comparisons(out) == {study.comparisons[0].digest}
    turned = declared(comparisons=[{**one, "a": b, "b": a}])
    run_chains(turned, out)
    assert turned.comparisons[0].digest not in fixed_comparisons(out)
    page = findings(turned, out).page
    assert "declared primary" not in page  # nothing was measured: no line
