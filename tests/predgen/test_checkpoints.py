"""A checkpoint comes back as it was saved; whatever is wrong with one is said."""

import json
import re
import shutil

import pytest
import torch
from planted_tasks import quick
from safetensors.torch import load_file, save_file
from tiny import save_tiny

from mi_probe.backbones import load_backbone
from mi_probe.backbones.fingerprint import sha256_file
from mi_probe.contents import sealed
from mi_probe.errors import InputError
from mi_probe.predgen.checkpoints import (
    check_files,
    check_task,
    is_checkpoint,
    load_checkpoint,
    read_config,
)
from mi_probe.predgen.training import train

FILES = (
    *("adapter_config.json", "adapter_model.safetensors", "head.safetensors"),
    *("predgen_config.json", "tokenizer.json", "tokenizer_config.json"),
)


@pytest.fixture(scope="module")
def saved(classes, folder_of, tmp_path_factory):
    """A PredGen system with a learned alignment, and its folder."""
    settings = quick(
        *("predgen", folder_of("llama"), classes),
        **{"steps": 2, "checkpoint_every": 1, "alignment": "uncertainty"},
    )
    return train(settings, tmp_path_factory.mktemp("saved") / "out").folder


@pytest.fixture
def broken(saved, tmp_path):
    """A copy of it, to be spoilt."""
    return shutil.copytree(saved, tmp_path / "copy")


def edited(folder, **changes):
    path = folder / "predgen_config.json"
    content = {**json.loads(path.read_text()), **changes}
    # Sealed again, as by somebody who means it.
    del content["sha256"]
    path.write_bytes(sealed(content))


def resealed(folder, name):
    """As if this file had been written so."""
    files = json.loads((folder / "predgen_config.json").read_text())["files"]
    edited(folder, files={**files, name: sha256_file(folder / name)})


def test_it_comes_back(saved):
    found = load_checkpoint(saved)
    assert found.config["objective"] == "predgen"
    assert not found.system.training
    assert found.system.alignment.log_variances.abs().max() > 0
    given = load_file(saved / "head.safetensors")
    for key, tensor in found.system.head.state_dict().items():
        assert torch.equal(tensor, given[f"head.{key}"])
    assert found.tokenizer.eos_token == "</s>"
    assert found.backbone.adapter == str(saved)


def test_each_step_s_checkpoint_is_whole(saved):
    steps = [load_checkpoint(saved / f"checkpoint-{s}").config["step"] for s in (1, 2)]
    assert steps == [1, 2]


def test_any_hugging_face_loader_reads_it(saved):
    backbone = load_backbone(str(saved / "checkpoint-2"))
    assert backbone.step == 2
    assert backbone.kind == "decoder"


def test_another_task_is_refused(saved):
    with pytest.raises(InputError, match=r"on, the file classes\.csv; got 'sst2'"):
        load_checkpoint(saved, task="sst2")


def test_a_file_named_like_a_declared_task_is_not_that_task(saved):
    config = read_config(saved)
    own = {**config, "task_options": {"data": "sick.csv", "task": None}}
    with pytest.raises(InputError, match=r"on, the file sick\.csv; got 'sick'"):
        check_task(own, "sick", saved)
    declared = {**config, "task_options": {"data": None, "task": "sick"}}
    check_task(declared, "sick", saved)
    with pytest.raises(InputError, match="on, 'sick'; got 'stsb'"):
        check_task(declared, "stsb", saved)


def test_a_folder_that_is_not_finished(broken):
    (broken / "predgen_config.json").unlink()
    assert not is_checkpoint(broken)
    with pytest.raises(InputError, match="has none. Was the training interrupted"):
        load_checkpoint(broken)


@pytest.mark.parametrize("name", ["head.safetensors", "adapter_model.safetensors"])
def test_a_truncated_file(broken, name):
    path = broken / name
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match=f"{name} is damaged or another's"):
        load_checkpoint(broken)
    resealed(broken, name)
    with pytest.raises(InputError, match="must be whole"):
        load_checkpoint(broken)


@pytest.mark.parametrize("name", FILES)
def test_one_flipped_bit_of_any_file_is_named(broken, name):
    path = broken / name
    content = bytearray(path.read_bytes())
    for at in (0, len(content) // 2, len(content) - 5):
        content[at] ^= 64
        path.write_bytes(content)
        with pytest.raises(InputError, match=re.escape(name)):
            load_checkpoint(broken)
        content[at] ^= 64
    path.write_bytes(content)
    check_files(broken)


def test_files_of_two_checkpoints_exchanged(broken):
    other = broken / f"checkpoint-{3 - read_config(broken)['step']}"
    for name in ("head.safetensors", "adapter_model.safetensors"):
        (broken / name).write_bytes((other / name).read_bytes())
    said = r"adapter_model\.safetensors, head\.safetensors are damaged or another's"
    with pytest.raises(InputError, match=said):
        check_files(broken)


def test_a_flipped_digit_of_the_configuration(broken):
    path = broken / "predgen_config.json"
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 1', 1))
    with pytest.raises(InputError, match="as it was written"):
        read_config(broken)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"step": "x"}, "differs in step, 'x'"),
        ({"step": True}, "differs in step, True"),
        ({"reserved_ids": None}, "differs in reserved_ids, None"),
        ({"files": {"../base/config.json": "0"}}, "lacks ../base/config.json"),
        ({"files": {"checkpoint-1/config.json": "0"}}, "lacks checkpoint-1/config.json"),
    ],
)
def test_a_configuration_that_is_tampered_with(broken, changes, said):
    edited(broken, **changes)
    with pytest.raises(InputError, match=re.escape(said)):
        load_checkpoint(broken)


def test_truncated_json(broken):
    path = broken / "predgen_config.json"
    path.write_text(path.read_text()[:50])
    with pytest.raises(InputError, match="must be whole JSON"):
        read_config(broken)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"schema": 99}, "schema of a checkpoint must be 3"),
        ({"more": 1}, "differs in more"),
        ({"settings": {"seed": 0}}, "lack train_rows, validation_rows, reserve, dtype"),
    ],
)
def test_another_version(broken, changes, said):
    edited(broken, **changes)
    with pytest.raises(InputError, match=said):
        load_checkpoint(broken)


def test_a_missing_and_an_unexpected_weight(broken):
    path = broken / "head.safetensors"
    given = load_file(path)
    name = next(iter(given))
    save_file({**given, "head.more": torch.zeros(1)}, path)
    resealed(broken, path.name)
    with pytest.raises(InputError, match=r"differs in head\.more"):
        load_checkpoint(broken)
    save_file({k: t for k, t in given.items() if k != name}, path)
    resealed(broken, path.name)
    with pytest.raises(InputError, match=f"differs in {name}"):
        load_checkpoint(broken)
    path.unlink()
    with pytest.raises(InputError, match="lacks head.safetensors"):
        load_checkpoint(broken)


def test_an_adapter_s_missing_key(broken):
    path = broken / "adapter_model.safetensors"
    given = load_file(path)
    given.popitem()
    save_file(given, path)
    resealed(broken, path.name)
    with pytest.raises(InputError, match="exactly the keys"):
        load_checkpoint(broken)


def based_on(folder, place):
    path = folder / "adapter_config.json"
    content = {**json.loads(path.read_text()), "base_model_name_or_path": str(place)}
    path.write_text(json.dumps(content))


def test_another_base_in_its_place(broken, tmp_path):
    """Of the same shape, so that the adapter fits it."""
    based_on(broken, save_tiny(tmp_path / "other", "llama", head="CausalLM", seed=5))
    with pytest.raises(InputError, match="must be the one that it was trained on"):
        load_checkpoint(broken)


def test_the_base_may_lie_elsewhere(broken, folder_of, tmp_path):
    based_on(broken, shutil.copytree(folder_of("llama"), tmp_path / "moved"))
    assert load_checkpoint(broken).backbone.adapter == str(broken)


@pytest.mark.parametrize("name", ["head.safetensors", "adapter_model.safetensors"])
def test_what_is_not_there_is_said_before_anything_is_loaded(broken, name):
    (broken / name).unlink()
    with pytest.raises(InputError, match=name):
        check_files(broken)
