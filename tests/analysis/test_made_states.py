"""Commands read a store of states where a checkpoint may stand."""

import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from tiny import save_tiny

from mi_probe import estimate, gap, ingest, tokens
from mi_probe.backbones import load_backbone
from mi_probe.capture import extract, load_activations
from mi_probe.results import read_results
from mi_probe.tasks import read_table

SITES = "block.0,block.1,final_norm"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A model, its rows, and its states as another program leaves them."""
    folder = tmp_path_factory.mktemp("made")
    name = str(save_tiny(folder / "llama"))
    texts = [f"{'good' if i % 3 else 'bad'} film number {i}" for i in range(36)]
    labels = ["pos" if i % 3 else "neg" for i in range(36)]
    data = folder / "mine.csv"
    pd.DataFrame({"text": texts, "label": labels}).to_csv(data, index=False)
    task = read_table(str(data), None, "label")
    found = extract(load_backbone(name), task, sites=SITES, progress=False)
    states = {site: found.hidden(site) for site in found.sites}
    z = states["block.0"]
    arrays = {site: one.values.contiguous() for site, one in states.items()}
    beside = {"mask": z.mask.to(torch.uint8), "token_ids": z.token_ids.contiguous()}
    save_file({**arrays, **beside}, folder / "states.safetensors")
    return folder, name, str(data)


@pytest.fixture
def store(made, tmp_path, capsys):
    folder, name, data = made
    told = ["--data", data, "--model", name, "--out", str(tmp_path / "store")]
    assert ingest.main([str(folder / "states.safetensors"), *told]) == 0
    capsys.readouterr()
    return str(tmp_path / "store")


def test_a_store_gives_the_estimates_of_its_model(made, store, tmp_path, capsys):
    _, name, data = made
    told = ["--data", data, "--sites", "block.1,final_norm", "--estimator", "linear"]
    told += ["--pooling", "mean", "--out", str(tmp_path / "out")]
    assert estimate.main([name, store, *told]) == 0
    printed = capsys.readouterr().out
    assert "states made elsewhere, 8 rows run again: equal" in printed
    assert "no control 'answer': the model is not at hand" in printed
    table = read_results(tmp_path / "out")
    states = table[table.control.isna()]
    assert len(states) == 4
    own, taken = states[states.parity.isna()], states[states.parity == "equal"]
    assert list(own.site) == list(taken.site)
    assert list(own.layer) == list(taken.layer)
    assert list(own.value_nats) == list(taken.value_nats)
    # Their texts are controls of each.
    assert set(table.control.dropna()) == {"words", "length"}
    assert estimate.main([store, *told]) == 0
    assert "4 of 4 were finished before" in capsys.readouterr().out


def test_a_store_is_neither_captured_again_nor_removed(made, store, tmp_path, capsys):
    told = ["--data", made[2], "--sites", "block.1", "--pooling", "full,mean"]
    told += ["--estimator", "auto", "--controls", "none", "--out", str(tmp_path / "out")]
    assert estimate.main([store, *told, "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert "states: 36 rows" in printed
    assert "full/block.1: 36 x " in printed
    assert not (tmp_path / "out").exists()
    told[told.index("auto")] = "linear"
    told[told.index("full,mean")] = "mean"
    assert estimate.main([store, *told, "--no-keep-activations"]) == 0
    assert not (tmp_path / "out" / "activations").exists()
    assert len(load_activations(store)) == 36


def test_gaps_of_a_store(made, store, tmp_path):
    told = ["--data", made[2], "--estimator", "attention", "--draws", "0"]
    told += ["--pooling", "mean", "--out", str(tmp_path / "gap")]
    assert gap.main([store, *told]) == 0
    table = pd.read_csv(tmp_path / "gap" / "gaps.csv")
    assert set(table.site) == {"final_norm"}
    assert set(table.parity) == {"equal"}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--dtype", "bfloat16"], "dtype belongs to a model that is run"),
        (["--batch-size", "4"], "batch-size belongs to a model that is run"),
        (["--sites", "block.7"], "must be of block.0, block.1, final_norm; got 'block.7'"),
        (["--pooling", "head"], "pooling 'head' needs the model"),
        (["--token-sets", "generated"], "must be 'prompt'; got generated"),
        (["--rows", "12"], "states must be of the task's rows"),
    ],
)
def test_what_states_alone_cannot_answer(made, store, tmp_path, more, said, capsys):
    told = ["--data", made[2], "--out", str(tmp_path / "out"), *more]
    assert estimate.main([store, *told]) == 2
    assert said in capsys.readouterr().err


def test_tokens_need_the_model(made, store, tmp_path, capsys):
    told = ["--data", made[2], "--out", str(tmp_path / "out"), "--sites", "block.1"]
    assert tokens.main([store, *told]) == 2
    assert "must be models, whose tokenizer" in capsys.readouterr().err
