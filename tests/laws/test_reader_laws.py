"""Whatever a file holds, a reader gives what was written or an `InputError`, and soon.

Files of every kind are spoilt: bits flipped, parts cut, doubled, exchanged; values of JSON
replaced, and sealed again, as by somebody who means harm.
"""

import json
import random
import signal
import time
import warnings
from collections import Counter
from contextlib import contextmanager
from dataclasses import fields
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from planted_tasks import classes_file, quick

from mi_probe.analysis.tokens.files import TokenTables, write_token_tables
from mi_probe.backbones import load_backbone
from mi_probe.capture import extract, load_activations
from mi_probe.contents import digest, sealed
from mi_probe.errors import InputError
from mi_probe.estimate_settings import Settings
from mi_probe.folder_tables import ResultFolders
from mi_probe.options import parse_settings
from mi_probe.predgen.checkpoints import load_checkpoint, source_of
from mi_probe.predgen.records import read_losses
from mi_probe.predgen.training import train
from mi_probe.results import Results, Row, read_pointwise, read_results, read_runs
from mi_probe.rows import SCHEMA_VERSION
from mi_probe.tasks import read_table
from tests.tiny import save_tiny

LONGEST = 5.0
"""Seconds that a reader may take."""
NASTY = (
    *(None, True, -1, 0, 2**63, 10**400, 1e308, "", "\0", "\ud800", "x" * 10**5, [], {}),
    *([[[[]]]], {"a": {"a": {}}}, "../..", "1e999", "NaN", "(a+)+$"),
)
BYTES = (b"\0", b"\xff\xfe", b'"', b"{", b"[" * 5000, b",", b"\n", b"1" * 5000, b"\\ud800")

KEY = {"site": "a", "seed": 1}
R0 = digest(KEY)


def some_row():
    """A row with a value in every column, whichever there are."""
    some = {str: "a", int: 1, float: 0.25, bool: False}
    kinds = {f.name: (get_args(f.type) or (f.type,))[0] for f in fields(Row)}
    del kinds["schema_version"]
    return Row(**{name: some[kind] for name, kind in kinds.items()} | {"row_id": R0})


def rows_read(folder):
    read_results(folder).to_csv()
    read_pointwise(folder, R0)
    Results(folder, lambda _: None).table()


def tables_read(folder):
    found = ResultFolders([folder])
    _ = found.results, found.token_sets
    found.points("nats")
    for name in ("gaps.csv", "noise.csv"):
        found.table(name)


def states_read(folder):
    found = load_activations(folder)
    for site in found.sites:
        found.hidden(site)
        found.pooled(site, "mean")


def checkpoint_read(folder):
    source_of(load_checkpoint(folder).config)


def settings_read(path):
    parse_settings(Settings, ["--config", str(path)], program="it", description="")


@pytest.fixture(scope="module")
def readers(tmp_path_factory):
    """Each file, and what reads it: (path, reader, what the reader takes)."""
    place = tmp_path_factory.mktemp("read")
    out = place / "results"
    results = Results(out)
    arrays = {"pointwise": np.arange(4.0), "labels": np.array([0, 1, 0, 1])}
    results.add(some_row(), KEY, arrays)
    results.record({"run_id": "a", "environment": {"packages": {"torch": "2"}}})
    results.write_table()
    gap = dict.fromkeys(("seed", "sigma"), 0) | {"pooling": "mean"}
    path = out / "gaps" / f"{digest(gap)}.json"
    path.parent.mkdir()
    told = {"schema_version": SCHEMA_VERSION, "kind": "gap", "key": gap, "rows": []}
    path.write_bytes(sealed(told))
    pd.DataFrame({"task": ["a"], "pooling": ["mean"], "gap_nats": [0.1]}).to_csv(
        out / "gaps.csv", index=False
    )
    table = pd.DataFrame(
        {"row_id": ["a"], "position": [0], "token": ["b"], "label": ["c"]}
        | {"pointwise_nats": [0.1], "value_nats": [0.1], "anchor": ["start"], "n": [1]}
    )
    words = pd.DataFrame({"predicted_word": ["a"], "word": ["b"], "value_nats": [0.1]})
    tables = TokenTables(table, table, table, words, None, None, {})
    key = {"subject": "m", "task": "t", "site": "embed"}
    about = write_token_tables(out, key, {"subject": "m"}, tables)
    model = save_tiny(place / "llama", "llama", head="CausalLM")
    backbone = load_backbone(str(model))
    store = place / "states"
    texts = [f"a text {i}" for i in range(8)]
    extract(backbone, texts, store=store, rows_per_shard=4, progress=False)
    data = classes_file(place)
    few = {"steps": 1, "validation_rows": 4, "reserve": 4, "train_rows": 16}
    trained = train(quick("predictor", str(model), data, **few), place / "trained").folder
    rows = [{"text": f"t{i}", "label": "ab"[i % 2]} for i in range(6)]
    frame = pd.DataFrame(rows)
    frame.to_csv(place / "t.csv", index=False)
    frame.to_csv(place / "t.tsv", index=False, sep="\t")
    frame.to_parquet(place / "t.parquet", index=False)
    (place / "t.json").write_text(json.dumps(rows))
    (place / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (place / "config.yaml").write_text("task: sst2\nsites: [1, 2]\nrows: 10\nseeds: 0,1\n")
    listed = [
        *((out / "rows" / f"{R0}.json", rows_read, out),),
        *((out / "pointwise" / f"{R0}.safetensors", rows_read, out),),
        *((out / "provenance.json", read_runs, out),),
        *((path, gaps_read, out),),
        *((out / "gaps.csv", tables_read, out),),
        *((about, tables_read, out),),
        *((about.with_suffix(".tokens.parquet"), tables_read, out),),
        *((about.with_suffix(".words.csv"), tables_read, out),),
        *((out / "results.csv", tables_read, out / "results.csv"),),
        *((store / "fingerprint.json", states_read, store),),
        *((store / "manifest.jsonl", states_read, store),),
        *((next(store.glob("shard-*")), states_read, store),),
        *((trained / "losses.csv", read_losses, trained / "losses.csv"),),
        *((place / "config.yaml", settings_read, place / "config.yaml"),),
        *((p, read_table, p) for p in sorted(place.glob("t.*"))),
    ]
    slower = [
        (folder / name, reader, folder)
        for folder, reader in ((trained, checkpoint_read), (model, load))
        for name in (
            *("config.json", "model.safetensors", "tokenizer.json", "head.safetensors"),
            *("tokenizer_config.json", "predgen_config.json", "adapter_config.json"),
            *("adapter_model.safetensors", "generation_config.json"),
        )
        if (folder / name).is_file()
    ]
    return listed, slower


def load(folder):
    load_backbone(str(folder))


def gaps_read(folder):
    Results(folder, lambda _: None).rows("gap")


def spoilt(content, rng):
    """The bytes with one to three mistakes in them."""
    found = bytearray(content)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(found) + 1)
        more = at + rng.randint(1, 40)
        kind = rng.randrange(6)
        if kind == 0 and at < len(found):
            found[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del found[at:]
        elif kind == 2:
            found[at:at] = rng.choice(BYTES)
        elif kind == 3:
            found[at:at] = found[at:more]
        elif kind == 4:
            del found[at:more]
        else:
            found[at:more] = bytes(rng.randrange(256) for _ in range(8))
    return bytes(found)


def tampered(content, rng):
    """JSON with one value replaced, sealed again; None where it is no object."""
    try:
        told = json.loads(content)
    except ValueError:
        return None
    places, left = [], [told]
    while left:
        value = left.pop()
        inside = value.items() if isinstance(value, dict) else enumerate(value)
        for key, child in list(inside):
            places.append((value, key))
            if isinstance(child, dict | list) and child:
                left.append(child)
    if not places or not isinstance(told, dict):
        return None
    holder, key = rng.choice(places)
    holder[key] = rng.choice(NASTY)
    if "sha256" not in told:
        return json.dumps(told).encode()
    del told["sha256"]
    try:
        return sealed(told)
    except ValueError:
        return None


@contextmanager
def soon(what):
    """Raise where it takes longer than a reader may."""

    def late(*_):
        raise AssertionError(f"{what} takes more than {LONGEST} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, 4 * LONGEST)  # of a busy machine
    began = time.process_time()
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert time.process_time() - began < LONGEST, what


def try_one(path, read, taken, rng):
    """How a reader took a spoilt file: it "read" or "refused" it, and CPU seconds.

    Anything else that a reader may do (a traceback, a hang) is raised.
    """
    whole = path.read_bytes()
    content = tampered(whole, rng) if rng.random() < 0.4 else None
    path.unlink()  # nobody's mapped file is rewritten
    path.write_bytes(spoilt(whole, rng) if content is None else content)
    began = time.process_time()
    try:
        with soon(path.name), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read(taken)
        outcome = "read"
    except InputError as error:
        outcome = "refused" if str(error).strip() else "refused without a word"
    finally:
        path.unlink()
        path.write_bytes(whole)
    return outcome, time.process_time() - began


FAST = settings(
    deadline=None,
    max_examples=250,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def test_what_nobody_spoilt_is_read(readers):
    refused = []
    for path, read, taken in [*readers[0], *readers[1]]:
        try:
            read(taken)
        except InputError as error:
            refused.append(f"{path.name}: {error}")
    assert refused == []


@FAST
@given(seed=st.integers(0, 2**32))
def test_a_spoilt_file_is_read_or_refused(readers, seed):
    rng = random.Random(seed)
    outcome, seconds = try_one(*rng.choice(readers[0]), rng)
    assert outcome in ("read", "refused")
    assert seconds < LONGEST


@settings(FAST, max_examples=40)
@given(seed=st.integers(0, 2**32))
def test_a_spoilt_model_is_read_or_refused(readers, seed):
    rng = random.Random(seed)
    outcome, seconds = try_one(*rng.choice(readers[1]), rng)
    assert outcome in ("read", "refused")
    assert seconds < LONGEST


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 6000, 500))
def test_six_thousand_spoilt_files(readers, first):
    outcomes = Counter()
    for seed in range(first, first + 500):
        rng = random.Random(seed)
        outcome, _ = try_one(*rng.choice(readers[0] if seed % 8 else readers[1]), rng)
        outcomes[outcome] += 1
    # Some mistakes are in what nothing reads; most are not.
    assert set(outcomes) == {"read", "refused"}
    assert outcomes["refused"] > outcomes["read"] / 4


@settings(FAST, max_examples=100)
@given(data=st.data())
def test_states_of_any_mask_length_and_type_come_back(data, tmp_path_factory):
    import torch

    from mi_probe.capture.store import open_store

    rows = data.draw(st.integers(1, 6))
    lengths = data.draw(st.lists(st.integers(1, 5), min_size=rows, max_size=rows))
    width = data.draw(st.integers(1, 4))
    kind = data.draw(st.sampled_from([torch.float32, torch.bfloat16, torch.float16]))
    total = sum(lengths)
    values = torch.arange(total * width).reshape(total, width).to(kind)
    roles = torch.tensor(
        data.draw(st.lists(st.sampled_from([0, 1, 2]), min_size=total, max_size=total))
    )
    ids = [f"é{i}" for i in range(rows)]
    header = {
        **{"fingerprint": {"a": 1}, "ids": ids, "sites": ["s"], "views": ["full"]},
        **{"stacks": {"s": "text"}, "notes": []},
    }
    store = open_store(tmp_path_factory.mktemp("any") / "store", header)
    cut = data.draw(st.integers(1, rows))
    starts = np.cumsum([0, *lengths])
    for first, last in ((0, cut), (cut, rows)):
        if first < last:
            part = slice(int(starts[first]), int(starts[last]))
            store.append(
                ids[first:last],
                {
                    "full/s": values[part],
                    "lengths/text": torch.tensor(lengths[first:last], dtype=torch.int32),
                    "position/text": torch.zeros(last - first, dtype=torch.int32),
                    "tokens/text": torch.arange(total, dtype=torch.int32)[part],
                    "roles/text": roles[part].to(torch.int8),
                },
            )
    z = load_activations(store.folder).hidden("s")
    assert z.values.dtype == kind
    for row, length in enumerate(lengths):
        part = slice(int(starts[row]), int(starts[row + 1]))
        kept = z.values[row, :length]
        assert torch.equal(kept, values[part])
        assert z.roles is not None
        assert torch.equal(z.roles[row, :length].long(), roles[part])
