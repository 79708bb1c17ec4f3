"""The results folder: whole rows or none, a tidy table, and clear refusals."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mi_probe.contents import canonical, digest, plain
from mi_probe.errors import InputError
from mi_probe.folder_tables import ResultFolders
from mi_probe.provenance import code_version, environment
from mi_probe.results import (
    COLUMNS,
    SCHEMA_VERSION,
    Results,
    Row,
    read_pointwise,
    read_results,
    read_runs,
    table_of,
    write_atomically,
)
from mi_probe.rows import check_row

ROW = Row(
    row_id="r0",
    quantity="I_YZp",
    control=None,
    site="block.1",
    layer=2,
    n_layers=3,
    view="mean",
    token_set="prompt",
    y_kind="classes",
    target="column 'label' of a.csv",
    task="None",
    split="",
    n=4,
    n_classes=2,
    model="org/model",
    revision=None,
    adapter=None,
    adapter_sha=None,
    checkpoint_step=None,
    objective="predgen",
    trainable=150_000,
    training=None,
    training_seed=None,
    estimator="mine",
    settings="{}",
    critic="network kept in 1 of 5 folds",
    seed=0,
    value_nats=0.25,
    stderr=0.1,
    ci_low=0.05,
    ci_high=0.45,
    ci_method="95 %",
    bound="lower bound",
    accuracy=0.7,
    auroc=0.8,
    brier=0.4,
    ece=0.05,
    code_length_bits=3.5,
    extrapolated_nats=0.3,
    extrapolated_low=0.1,
    extrapolated_high=0.5,
    extrapolated_claim="at_least",
    extrapolated_assumes=None,
    extrapolated_reason="the curve is flat",
    extrapolated_method="learning curve",
    null_mean=None,
    null_high=None,
    n_permutations=0,
    p_value=None,
    p_statistic=None,
    H_Y_nats=0.69,
    metric="accuracy",
    metric_value=0.75,
    parse_failure_rate=None,
    status="ok",
    notes=None,
    gold_leak=False,
    seconds=1.0,
    code_version="0",
    config_sha="c",
    created="2026-01-01T00:00:00.000+00:00",
)
ARRAYS = {"pointwise": np.arange(4.0), "labels": np.array([0, 1, 0, 1])}


def add(folder, **changes):
    results = Results(folder)
    row = replace(ROW, **changes)
    key = key_of(row.seed, row.n_permutations)
    results.add(replace(row, row_id=digest(key)), key, ARRAYS)
    return results


def key_of(seed, n_permutations=0):
    return {"site": ROW.site, "seed": seed, "n_permutations": n_permutations}


R0, R1 = digest(key_of(0)), digest(key_of(1))


def test_columns_are_the_contract():
    assert ",".join(COLUMNS) == (
        "schema_version,row_id,quantity,control,site,layer,n_layers,view,token_set,y_kind,"
        "target,task,split,n,n_classes,model,revision,adapter,adapter_sha,"
        "checkpoint_step,objective,trainable,training,training_seed,estimator,settings,critic,seed,value_nats,stderr,ci_low,ci_high,"
        "ci_method,bound,accuracy,auroc,brier,ece,code_length_bits,extrapolated_nats,extrapolated_low,extrapolated_high,"
        "extrapolated_claim,extrapolated_assumes,extrapolated_reason,extrapolated_method,"
        "null_mean,null_high,n_permutations,p_value,p_statistic,H_Y_nats,"
        "metric,metric_value,parse_failure_rate,status,notes,parity,"
        "gold_leak,seconds,code_version,config_sha,created"
    )


def test_what_is_added_is_read_back(tmp_path):
    out = tmp_path / "out"
    add(out)
    none = {"layer": None, "value_nats": float("nan"), "stderr": np.inf}
    add(out, seed=1, created="2026-01-02T00:00:00.000+00:00", **none)
    table = read_results(out)
    assert list(table.columns) == list(COLUMNS)
    assert table.row_id.tolist() == [R0, R1]
    assert table.value_nats[0] == 0.25
    assert table[["value_nats", "stderr"]].iloc[1].isna().all()
    assert table.layer.tolist() == [2, pd.NA]
    assert table.task.tolist() == ["None", "None"]
    pointwise = read_pointwise(out, R0)
    assert pointwise["pointwise"].tolist() == [0, 1, 2, 3]
    assert pointwise["labels"].dtype == np.int64
    with pytest.raises(InputError, match="there is no nope"):
        read_pointwise(out, "nope")


def test_the_csv_is_the_table(tmp_path):
    results = add(tmp_path / "out")
    text = results.write_table().read_text()
    assert text.splitlines()[0] == ",".join(COLUMNS)
    assert ",block.1,2,3,mean," in text
    assert (
        ",None,,4,2,org/model,,,,,predgen,150000,,,mine" in text
    )  # 'None' is a task, empty is none


def test_the_parquet_is_the_table_with_its_types_and_is_read_where_it_is_alone(tmp_path):
    results = add(tmp_path / "out")
    results.write_table()
    whole = results.table()
    path = tmp_path / "out" / "results.parquet"
    kept = pd.read_parquet(path)
    pd.testing.assert_frame_equal(kept, whole, check_dtype=False)
    assert kept["n"].dtype.kind == "i"
    alone = tmp_path / "alone"
    alone.mkdir()
    path.rename(alone / path.name)
    shared = ResultFolders([alone]).points("nats")
    assert (
        shared["value"].tolist()
        == ResultFolders([tmp_path / "out"]).points("nats")["value"].tolist()
    )
    (alone / path.name).write_bytes(b"PAR1")
    with pytest.raises(InputError, match="results must be whole tables"):
        ResultFolders([alone]).points("nats")


def test_a_folder_is_made_by_the_first_row_only(tmp_path):
    out = tmp_path / "out"
    results = Results(out)
    assert not out.exists()
    assert R0 not in results
    add(out)
    assert R0 in Results(out)


def test_several_folders_are_one_table(tmp_path):
    add(tmp_path / "a")
    add(tmp_path / "b", seed=1)
    add(tmp_path / "b")  # the same row twice counts once
    assert len(read_results(tmp_path / "a", tmp_path / "b")) == 2


def test_more_permutations_supersede_the_same_estimate(tmp_path):
    for n in (0, 20, 5):
        add(tmp_path / "out", n_permutations=n)
    table = read_results(tmp_path / "out")
    assert table.row_id.tolist() == [digest(key_of(0, 20))]
    assert len(list((tmp_path / "out/rows").iterdir())) == 3


def test_a_row_without_its_json_is_not_finished(tmp_path, monkeypatch):
    # As when the machine stops between the two files of a row.
    out = tmp_path / "out"
    add(out)
    import mi_probe.row_files as module

    original = write_atomically

    def stops(path, content):
        if path.suffix == ".json":
            raise KeyboardInterrupt
        original(path, content)

    monkeypatch.setattr(module, "write_atomically", stops)
    with pytest.raises(KeyboardInterrupt):
        add(out, seed=1)
    assert R1 not in Results(out)
    assert read_results(out).row_id.tolist() == [R0]


def test_a_failed_write_leaves_the_old_file_and_no_debris(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    write_atomically(path, b"old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]
    assert path.read_bytes() == b"old"


def test_runs_are_recorded_one_after_the_other(tmp_path):
    results = Results(tmp_path / "out")
    results.record({"run_id": "a", "models": []})
    results.record({"run_id": "b", "models": []})
    results.record({"run_id": "a", "models": ["m"]})
    content = json.loads((tmp_path / "out/provenance.json").read_text())
    assert [run["run_id"] for run in content["runs"]] == ["b", "a"]
    assert content["runs"][1]["models"] == ["m"]


def test_folders_that_hold_no_results(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/thesis.tex").write_text("x")
    Results(tmp_path / "out").record({"run_id": "a"})
    with pytest.raises(InputError, match="is a file"):
        Results(tmp_path / "file")
    with pytest.raises(InputError, match=r"holds thesis.tex"):
        Results(tmp_path / "other")
    with pytest.raises(InputError, match="must be a folder that exists"):
        read_results(tmp_path / "nowhere")
    with pytest.raises(InputError, match="has no rows/"):
        read_results(tmp_path / "other")
    with pytest.raises(InputError, match="none yet"):
        read_results(tmp_path / "out")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[: len(text) // 2], "damaged.*Run the estimate again"),
        (lambda text: text.replace('"value_nats": 0.25', '"value_nats": 99.0'), "damaged"),
        (lambda text: text.replace('"seed": 0,', '"seed": 1,'), "damaged"),
        (lambda text: text.replace('"sha256"', '"sha257"'), "damaged"),
        (lambda text: text[: text.index("{")] + "[" * 10**5, "damaged.*deeper than 100"),
    ],
)
def test_a_damaged_row_is_named_and_it_alone_is_made_again(tmp_path, change, message):
    out = tmp_path / "out"
    add(out, seed=1)
    whole = add(out).write_table().read_text()
    path = out / "rows" / f"{R0}.json"
    assert path.read_text() != change(path.read_text())
    path.write_text(change(path.read_text()))
    with pytest.raises(InputError, match=message):
        read_results(out)
    said = []
    results = Results(out, said.append)
    assert (R0 in results, R1 in results) == (False, True)
    (line,) = said
    assert str(path) in line
    assert results.write_table().read_text() != whole  # the other row alone
    assert add_quietly(out).write_table().read_text() == whole
    assert len(read_results(out)) == 2


def add_quietly(folder):
    results = Results(folder, lambda _: None)
    results.add(replace(ROW, row_id=R0), key_of(0), ARRAYS)
    return results


@pytest.mark.parametrize("place", ["flipped", "cut", "gone", "exchanged"])
def test_a_damaged_pointwise_file_is_named_and_its_row_made_again(tmp_path, place):
    out = tmp_path / "out"
    add(out)
    add(out, seed=1)
    path = out / "pointwise" / f"{R0}.safetensors"
    content = bytearray(path.read_bytes())
    content[-3] ^= 64
    match place:
        case "flipped":
            path.write_bytes(content)
        case "cut":
            path.write_bytes(content[:-9])
        case "gone":
            path.unlink()
        case "exchanged":
            other = {**ARRAYS, "pointwise": np.ones(4)}
            Results(tmp_path / "b").add(replace(ROW, row_id=R0), key_of(0), other)
            path.write_bytes((tmp_path / "b" / path.relative_to(out)).read_bytes())
    with pytest.raises(InputError, match=f"{R0}.safetensors in pointwise/ is another"):
        read_pointwise(out, R0)
    read_pointwise(out, R1)
    with pytest.warns(UserWarning, match="It counts as not there"):
        results = Results(out)
    assert (R0 in results, R1 in results) == (False, True)


def test_exchanged_rows_are_named(tmp_path):
    out = tmp_path / "out"
    add(out)
    add(out, seed=1)
    a, b = (out / "rows" / f"{name}.json" for name in (R0, R1))
    a_text, b_text = a.read_text(), b.read_text()
    a.write_text(b_text)
    b.write_text(a_text)
    with pytest.raises(InputError, match="of different estimates.*So are 1 more"):
        read_results(out)


def test_a_row_that_could_not_be_read_again_is_refused():
    # As of a checkpoint whose configuration was tampered with.
    check_row(plain(ROW))
    for column, value in (("checkpoint_step", "x"), ("seed", 2**63), ("gold_leak", 1)):
        with pytest.raises(ValueError, match=f"{column} is {value!r}"):
            check_row({**plain(ROW), column: value})


def test_a_name_with_bytes_that_are_no_letters(tmp_path):
    add(tmp_path / "out", model="caf\udce9").write_table()
    assert "caf\\udce9" in (tmp_path / "out/results.csv").read_text()


def test_rows_of_another_schema(tmp_path):
    add(tmp_path / "out")
    path = tmp_path / "out" / "rows" / f"{R0}.json"
    content = json.loads(path.read_text()) | {"schema_version": 3}
    del content["sha256"]
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=f"schema_version must be {SCHEMA_VERSION}.* 3"):
        read_results(tmp_path / "out")
    with pytest.raises(InputError, match=f"schema_version must be {SCHEMA_VERSION}"):
        Results(tmp_path / "out")


def test_a_damaged_record_of_runs_is_named_before_anything_is_done(tmp_path):
    out = tmp_path / "out"
    Results(out).record({"run_id": "a"})
    path = out / "provenance.json"
    path.write_text(path.read_text().replace('"a"', '"b"'))
    with pytest.raises(InputError, match=r"provenance\.json must be the record"):
        Results(out)


def test_two_that_write_at_once_lose_nothing(tmp_path):
    code = (
        "import sys; from test_results import *\n"
        "for i in range(15):\n"
        "    results = add(sys.argv[1], seed=int(sys.argv[2]) + i)\n"
        "    results.record({'run_id': sys.argv[2] + str(i)})\n"
        "    results.write_table()\n"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    both = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / "out"), start],
            stderr=subprocess.PIPE,
            text=True,
            env=env,
        )
        for start in ("100", "200")
    ]
    for process in both:
        _, error = process.communicate(timeout=120)
        assert process.returncode == 0, error
    assert len(pd.read_csv(tmp_path / "out/results.csv")) == 30
    assert len(read_runs(tmp_path / "out")) == 30


def test_equal_contents_have_one_digest():
    one = {"b": np.float64(1.5), "a": (np.int64(1), None), "c": np.array([1, 2])}
    two = {"a": [1, None], "c": [1, 2], "b": 1.5}
    assert canonical(one) == canonical(two)
    assert digest(one) == digest(two) != digest({**two, "b": 1.25})


def test_the_environment_names_versions_and_no_machine():
    import platform

    found = environment()
    assert found["packages"]["torch"].startswith("2.")
    assert found["threads"] >= 1
    node = platform.node()
    assert not node or node not in json.dumps(found)
    assert code_version().startswith(found["mi_probe"])


def test_an_empty_table_has_the_columns():
    assert list(table_of([]).columns) == list(COLUMNS)
    assert table_of([ROW]).seed.tolist() == [0]


def test_a_folder_shows_itself_in_a_notebook(tmp_path):
    add(tmp_path / "out", model="<i>")
    html = Results(tmp_path / "out")._repr_html_()
    assert "&lt;i&gt;" in html
    assert "1 estimates, in nats" in html
