"""What a folder from anybody may ask for: refused by name, before a library obeys."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import save_tiny

from mi_probe.backbones import load_backbone
from mi_probe.backbones.adapters import read_adapter
from mi_probe.backbones.modules import panicked, user_files
from mi_probe.backbones.untrusted import IMPLEMENTATIONS, check_folder
from mi_probe.errors import InputError


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("model") / "llama", "llama")


@pytest.fixture
def folder(saved, tmp_path):
    """A copy of a model, to be spoilt."""
    return shutil.copytree(saved, tmp_path / "copy")


def edited(folder, name="config.json", **changes):
    path = folder / name
    content = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps({**content, **changes}))


def indexed(folder, place):
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    edited(folder, "model.safetensors.index.json", weight_map=dict.fromkeys(weights, place))
    return weights


@pytest.mark.parametrize(
    "place",
    [
        *("weights.bin", "../copy/weights.safetensors", "/tmp/x.safetensors", 3),
        *("..\\x.safetensors", "sub/x.safetensors", ".."),
    ],
)
def test_an_index_names_safetensors_of_its_folder_alone(folder, place):
    torch.save(indexed(folder, place), folder / "weights.bin")
    with pytest.raises(InputError, match=r"must be safetensors beside .* names"):
        load_backbone(str(folder))


@pytest.mark.parametrize(
    "changes",
    [
        {"attn_implementation": "somebody/kernel"},
        {"_attn_implementation": "paged|somebody/kernel"},
        {"_attn_implementation_internal": "somebody/kernel:forward"},
        {"attn_implementation": {"": "eager", "text": "somebody/kernel"}},
        {"experts_implementation": "somebody/kernel"},
        {"text_config": {"attn_implementation": "somebody/kernel"}},
    ],
)
def test_an_implementation_is_one_of_transformers_own(folder, changes):
    edited(folder, **changes)
    with pytest.raises(InputError, match=f"must be one of {', '.join(IMPLEMENTATIONS)}"):
        load_backbone(str(folder))


def test_the_known_ones_are_taken(folder):
    edited(folder, attn_implementation="eager")
    assert load_backbone(str(folder)).kind == "decoder"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"vocab_size": 10**10}, "vocab_size in config.json must be at most"),
        ({"hidden_size": 10**9}, "hidden_size in config.json must be at most"),
        ({"num_hidden_layers": 10**9}, "num_hidden_layers in config.json must be at m"),
        ({"transformers_weights": "x.safetensors"}, "must be left out"),
    ],
)
def test_sizes_beyond_the_file_are_refused_before_anything_is_made(folder, changes, said):
    edited(folder, **changes)
    with pytest.raises(InputError, match=said):
        load_backbone(str(folder))


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
@pytest.mark.parametrize("content", ["[" * 10**5, "{", "\udcff", '{"a": NaN}'])
def test_json_that_is_none_is_named(folder, name, content):
    (folder / name).write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError, match=f"{name} in .* must be whole JSON"):
        load_backbone(str(folder))


def test_a_tokenizer_reads_no_file_elsewhere(folder, tmp_path):
    (tmp_path / "secret.txt").write_text("x")
    edited(folder, "tokenizer_config.json", vocab_file="../secret.txt")
    with pytest.raises(InputError, match="vocab_file in tokenizer_config.json must be a f"):
        load_backbone(str(folder))
    # A place on the machine that saved it is a common leftover.
    edited(folder, "tokenizer_config.json", vocab_file="/nowhere/vocab.txt")
    check_folder(folder)


ADAPTER = {"peft_type": "LORA", "base_model_name_or_path": "base", "r": 8}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"target_modules": "(a+)+$"}, "repeats what repeats"),
        ({"target_modules": "(a|a)*$"}, "repeats a choice"),
        ({"exclude_modules": ".*.*.*.*.*x"}, "has 5 repeats"),
        ({"target_modules": "("}, "is none"),
        ({"target_modules": "a" * 5000}, "has 5000 characters"),
        ({"rank_pattern": {"(a*)*": 4}}, "repeats what repeats"),
        ({"rank_pattern": {"q_proj": 10**9}}, "must give ranks"),
        ({"alpha_pattern": {"(a*)*": 4}}, "repeats what repeats"),
        ({"layers_pattern": ["(a*)*"]}, "repeats what repeats"),
        ({"r": 10**9}, "r in adapter_config.json must be at most the 8 rows"),
        ({"num_virtual_tokens": 10**9}, "must be at most the 8 rows"),
        ({"token_dim": 10**9}, "token_dim in .* must be at most the 40 numbers"),
    ],
)
def test_an_adapter_asks_for_no_endless_work(tmp_path, changes, said):
    weights = {"lora_A.weight": torch.zeros(8, 5)}
    save_file(weights, tmp_path / "adapter_model.safetensors")
    edited(tmp_path, "adapter_config.json", **ADAPTER, **{"target_modules": ["q_proj"]})
    read_adapter(tmp_path)
    edited(tmp_path, "adapter_config.json", **changes)
    with pytest.raises(InputError, match=said):
        read_adapter(tmp_path)


def test_usual_patterns_are_taken(tmp_path):
    for pattern in (
        r".*\.(q_proj|v_proj)$",
        r"^(?!.*visual).*(q|k)_proj.*$",
        r"model\.layers\.(\d+)\.self_attn\.(q|k|v|o)_proj",
        r"(?:.*\.)?(wi_0|wi_1)",
        "all-linear",
    ):
        edited(tmp_path, "adapter_config.json", target_modules=pattern)
        check_folder(tmp_path)


def test_a_list_as_an_adapter_is_named(tmp_path):
    (tmp_path / "adapter_config.json").write_text("[]")
    with pytest.raises(InputError, match="must hold an object; it holds list"):
        read_adapter(tmp_path)


class PanicException(BaseException):
    """As pyo3 makes one."""


def test_a_panic_of_a_library_in_rust_is_one_line(tmp_path):
    said = "PanicException: index out of"
    with pytest.raises(InputError, match=said), user_files("tokenizer", tmp_path):
        raise PanicException("index out of range")
    assert not panicked(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt), user_files("tokenizer", tmp_path):
        raise KeyboardInterrupt
