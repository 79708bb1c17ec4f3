"""Local folders: what loads, what is refused, and in which words."""

import json
import shutil
import sys

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tiny import (
    DECODERS,
    ENCODERS,
    FAMILIES,
    save_tiny,
    tiny_config,
    tiny_model,
    tiny_tokenizer,
)

from mi_probe.backbones import expand_checkpoints, load_backbone
from mi_probe.capture import extract
from mi_probe.errors import InputError


def refusal(name, **settings) -> str:
    with pytest.raises(InputError) as error:
        load_backbone(str(name), **settings)
    message = str(error.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("family", ["llama", "gpt2", "t5"])
def test_a_model_that_writes_has_its_head_and_the_same_states(family, tmp_path):
    head = "Seq2SeqLM" if family == "t5" else "CausalLM"
    folder = save_tiny(tmp_path / "model", family, head=head)
    plain, writing = (load_backbone(str(folder), lm_head=w) for w in (False, True))
    assert writing.model.get_output_embeddings() is not None
    assert plain.fingerprint == writing.fingerprint
    assert [s.name for s in plain.sites] == [s.name for s in writing.sites]
    states = [
        extract(b, ["a good film", "bad"], sites=[b.sites[-1].name], progress=False)
        for b in (plain, writing)
    ]
    one, two = (found.hidden(plain.sites[-1].name).values for found in states)
    torch.testing.assert_close(one, two, rtol=0, atol=0)


def test_what_cannot_write_is_refused(tmp_path):
    encoder = save_tiny(tmp_path / "bert", "bert", head="MaskedLM")
    assert "is an encoder (bert)" in refusal(encoder, lm_head=True)
    # Untied and without its head's weights: they would be random.
    headless = save_tiny(tmp_path / "llama", "llama")
    assert "lack 1, such as lm_head.weight" in refusal(headless, lm_head=True)


def last_state(backbone) -> torch.Tensor:
    fed = {"input_ids": torch.arange(5, 14)[None]}
    if backbone.kind == "encoder-decoder":
        fed["decoder_input_ids"] = torch.arange(5, 10)[None]
    with torch.no_grad():
        return backbone.base(**fed)[0]


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("llama") / "model", head="CausalLM")


@pytest.fixture
def copied(llama, tmp_path):
    return shutil.copytree(llama, tmp_path / "copy")


@pytest.mark.parametrize(
    ("family", "head"),
    [
        *((family, "CausalLM") for family in DECODERS),
        *((family, "MaskedLM") for family in ENCODERS),
        *((family, None) for family in ("llama", "bert", "t5", "bart")),
        ("t5", "Seq2SeqLM"),
        ("bart", "Seq2SeqLM"),
        ("encoder_decoder", None),
        ("llama", "SequenceClassification"),
        ("bert", "SequenceClassification"),
        ("deberta_v2", "SequenceClassification"),
    ],
)
def test_folder_loads_without_its_head_and_without_noise(
    family, head, tmp_path, caplog, capfd
):
    folder = save_tiny(tmp_path / "model", family, head=head)
    capfd.readouterr()
    backbone = load_backbone(str(folder))
    assert not caplog.records
    assert capfd.readouterr() == ("", "")
    assert backbone.base is backbone.model
    assert backbone.tokenizer("bad")["input_ids"]
    original = tiny_model(family, head=head)
    base = original if family == "encoder_decoder" else original.base_model
    for name, weight in backbone.base.state_dict().items():
        # The checkpoint of a head has no pooler: it is new, and touches no state.
        if not name.startswith("pooler"):
            own = name if name in base.state_dict() else f"transformer.{name}"
            assert torch.equal(weight, base.state_dict()[own]), name


def test_loading_leaves_the_global_random_state_alone(llama, tmp_path):
    bert = save_tiny(tmp_path / "bert", "bert", head="MaskedLM")  # its pooler is drawn
    before = torch.get_rng_state()
    load_backbone(str(llama))
    load_backbone(str(bert))
    assert torch.equal(torch.get_rng_state(), before)


def test_loading_leaves_the_libraries_verbosity_alone(llama):
    logging = transformers.utils.logging
    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    load_backbone(str(llama))
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_dtype(llama, dtype):
    backbone = load_backbone(str(llama), dtype=dtype)
    assert backbone.fingerprint["dtype"] == dtype
    assert last_state(backbone).dtype == getattr(torch, dtype)


def test_unknown_dtype_and_device(llama):
    assert refusal(llama, dtype="int8") == (
        "dtype must be one of float32, bfloat16, float16; got 'int8'."
    )
    assert "got 'gpu'" in refusal(llama, device="gpu")
    assert "got 'cuda:77'" in refusal(llama, device="cuda:77")


@pytest.mark.parametrize(
    "family", ["llama", "gemma2", "gpt2", "bert", "distilbert", "t5", "bart", "mbart"]
)
def test_truncation_keeps_the_first_blocks(family, tmp_path):
    folder = save_tiny(tmp_path / "model", family)
    full, cut = load_backbone(str(folder)), load_backbone(f"{folder}:2")
    assert {cut.depth(stack) for stack in cut.stacks} == {2}
    assert set(cut.fingerprint["layers"].split("+")) == {"2"}
    assert cut.fingerprint != full.fingerprint
    inputs = {"input_ids": torch.arange(5, 14)[None], "output_hidden_states": True}
    if full.kind == "encoder-decoder":
        inputs["decoder_input_ids"] = inputs["input_ids"]
    key = "hidden_states" if len(full.stacks) == 1 else "encoder_hidden_states"
    with torch.no_grad():
        long, short = full.base(**inputs)[key], cut.base(**inputs)[key]
    assert len(short) == 3
    assert torch.equal(long[1], short[1])
    assert not torch.equal(long[1], long[2])


def test_truncation_of_an_encoder_decoder_model(tmp_path):
    folder = save_tiny(tmp_path / "model", "encoder_decoder")
    assert load_backbone(f"{folder}:1").depth("dec") == 1


def test_truncation_out_of_range(llama):
    for layers in (0, 4):
        assert refusal(llama, num_hidden_layers=layers) == (
            f"num_hidden_layers must lie in 1 ... 3, the layers of the model; got {layers}."
        )
    assert "got 9" in refusal(f"{llama}:9")
    assert "agree" in refusal(f"{llama}:2", num_hidden_layers=3)


def test_tokenizer_without_pad_pads_with_eos_in_memory_only(tmp_path):
    folder = save_tiny(tmp_path / "model", tokenizer=False)
    tiny_tokenizer(pad=False).save_pretrained(folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert load_backbone(str(folder)).tokenizer.pad_token == "</s>"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_tokenizer_of_another_model(tmp_path):
    folder = save_tiny(tmp_path / "model", vocab_size=300)
    assert "it has 384" in refusal(folder)


def test_no_tokenizer(tmp_path):
    folder = save_tiny(tmp_path / "model", tokenizer=False)
    assert "tokenizer must be in the model's folder" in refusal(folder)


# What users' folders look like when something went wrong.


def test_truncated_weights(copied):
    weights = copied / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    assert "must be whole" in refusal(copied)
    weights.write_bytes(b"")
    assert "must be whole" in refusal(copied)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "config.json in"),
        ("", "config.json in"),
        ("[]", "configuration in"),
        ("{}", "configuration in"),
        ('{"model_type": "none"}', "configuration in"),
    ],
)
def test_corrupt_config(copied, text, said):
    (copied / "config.json").write_text(text)
    found = refusal(copied)
    assert said in found
    assert str(copied) in found
    assert "must be whole" in found


def test_config_of_another_shape(copied):
    config = json.loads((copied / "config.json").read_text())
    (copied / "config.json").write_text(json.dumps({**config, "hidden_size": 64}))
    assert "must be whole and fit together" in refusal(copied)
    (copied / "config.json").write_text(json.dumps({**config, "hidden_size": "wide"}))
    assert "must be whole and fit together" in refusal(copied)


@pytest.fixture
def unread(monkeypatch):
    """Weights may not be read, nor memory taken for them."""
    for auto in (transformers.AutoModel, transformers.LlamaModel):
        monkeypatch.setattr(auto, "from_pretrained", lambda *a, **k: pytest.fail("read"))


@pytest.mark.parametrize(
    ("entry", "value", "said"),
    [
        # Below the numbers of the weights: what they are is said by their shapes.
        (
            "vocab_size",
            5000,
            "embed_tokens.weight has the shape (384, 32), and the configuration calls "
            "for (5000, 32) (vocab_size is 5000)",
        ),
        ("intermediate_size", 5001, "(intermediate_size is 5001)"),
        ("vocab_size", 10**10, "vocab_size in config.json must be at most the"),
        ("intermediate_size", 10**9, "intermediate_size in config.json must be at most"),
        ("num_hidden_layers", 10**6, "num_hidden_layers in config.json must be at most"),
        ("num_hidden_layers", 100, "tensors of the weights"),
    ],
)
def test_numbers_that_the_weights_contradict_take_no_memory(
    entry, value, said, copied, unread
):
    config = json.loads((copied / "config.json").read_text())
    (copied / "config.json").write_text(json.dumps({**config, entry: value}))
    assert said in refusal(copied)


def test_weights_without_a_place_are_named(copied):
    config = json.loads((copied / "config.json").read_text())
    fewer = {**config, "num_hidden_layers": 2, "layer_types": None}
    (copied / "config.json").write_text(json.dumps(fewer))
    message = refusal(copied)
    assert "must all have a place in LlamaModel as config.json" in message
    assert "9 have none, such as model.layers.2.input_layernorm.weight" in message
    # Blocks left out on purpose are no surprise, and a head is none either.
    (copied / "config.json").write_text(json.dumps(config))
    load_backbone(f"{copied}:2")


@pytest.mark.parametrize("head", [None, "CausalLM"])
def test_a_norm_that_the_configuration_leaves_out_is_named(head, tmp_path):
    folder = save_tiny(tmp_path / "qwen", "qwen3", head=head)
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "llama", "architectures": ["LlamaForCausalLM"]}
    (folder / "config.json").write_text(json.dumps(config))
    assert "6 have none" in refusal(folder)
    assert "self_attn.k_norm.weight" in refusal(folder)


@pytest.mark.parametrize("name", ["T5EncoderModel", "MT5EncoderModel", "UMT5EncoderModel"])
def test_an_encoder_alone(name, tmp_path):
    config = getattr(transformers, name.replace("EncoderModel", "Config"))(
        **{k: v for k, v in FAMILIES["t5"][1].items() if k != "num_decoder_layers"}
    )
    with torch.random.fork_rng(devices=[]):
        model = getattr(transformers, name)(config).eval()
    model.save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    backbone = load_backbone(str(tmp_path))
    assert backbone.kind == "encoder"
    assert [site.name for site in backbone.sites] == [
        *("embed", "block.0", "block.1", "block.2", "final_norm")
    ]
    found = extract(backbone, ["a good film", "bad"], progress=False)
    z = found.hidden("final_norm")
    for row in range(2):
        ids = z.token_ids[row, z.mask[row]][None]
        with torch.no_grad():
            own = model(input_ids=ids).last_hidden_state[0]
        torch.testing.assert_close(z.values[row, z.mask[row]], own, atol=1e-5, rtol=1e-5)
    assert load_backbone(f"{tmp_path}:2").depth() == 2
    assert "is an encoder" in refusal(tmp_path, lm_head=True)


def test_a_decoder_alone(tmp_path):
    config = tiny_config("bart", is_decoder=True, is_encoder_decoder=False)
    with torch.random.fork_rng(devices=[]):
        model = transformers.BartForCausalLM(config).eval()
    model.save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    backbone = load_backbone(str(tmp_path))
    assert (backbone.kind, backbone.depth()) == ("decoder", 2)
    z = extract(backbone, ["a good film", "bad"], progress=False).hidden("block.1")
    ids = z.token_ids[0, z.mask[0]][None]
    with torch.no_grad():
        own = model.model.decoder(input_ids=ids).last_hidden_state[0]
    torch.testing.assert_close(z.values[0, z.mask[0]], own, atol=1e-5, rtol=1e-5)


def test_corrupt_tokenizer(copied):
    (copied / "tokenizer.json").write_text("{")
    assert refusal(copied).startswith("tokenizer in")


def test_weights_of_another_model(copied):
    weights = load_file(copied / "model.safetensors")
    renamed = {f"module.{name}": tensor for name, tensor in weights.items()}
    save_file(renamed, copied / "model.safetensors", {"format": "pt"})
    message = refusal(copied)
    assert "must hold every weight of LlamaModel" in message
    lacking = "model.layers.1.mlp.up_proj.weight"
    del weights[lacking]
    save_file(weights, copied / "model.safetensors", {"format": "pt"})
    assert "lack 1, such as" in refusal(copied)


def test_only_pickles(copied):
    (copied / "model.safetensors").rename(copied / "pytorch_model.bin")
    assert "only pytorch_model.bin, a pickle" in refusal(copied)
    (copied / "pytorch_model.bin").unlink()
    assert "holds none" in refusal(copied)


def test_a_missing_shard(tmp_path):
    tiny_model("llama").save_pretrained(tmp_path, max_shard_size="20KB")
    tiny_tokenizer().save_pretrained(tmp_path)
    whole = load_backbone(str(tmp_path))
    shard = sorted(tmp_path.glob("model-*.safetensors"))[0]
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    assert load_backbone(str(tmp_path)).fingerprint != whole.fingerprint
    shard.unlink()
    assert f"{shard.name} is not in" in refusal(tmp_path)


def test_a_quantised_model_whose_reader_is_not_there(copied, monkeypatch):
    """Whatever is installed here: the loader says so by an ImportError."""
    config = json.loads((copied / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "bitsandbytes", "load_in_4bit": True}
    (copied / "config.json").write_text(json.dumps(config))

    def lacks(*_, **__):
        raise ImportError("4-bit quantization requires bitsandbytes: pip install it")

    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", lacks)
    monkeypatch.setattr(transformers.AutoModel, "from_pretrained", lacks)
    said = refusal(copied)
    assert "must be readable by what is installed; 4-bit quantization requires" in said
    assert "or save the model without quantisation" in said


def test_pickled_training_arguments_are_never_read(copied, monkeypatch):
    before = load_backbone(str(copied)).fingerprint
    (copied / "training_args.bin").write_bytes(b"not even a pickle")
    monkeypatch.setattr(torch, "load", lambda *a, **k: pytest.fail("a pickle was read"))
    assert load_backbone(str(copied)).fingerprint == before


@pytest.mark.parametrize(
    "name", ["./absent", "../absent", "~/absent-folder", "/absent", "a/b/c", "absent/"]
)
def test_an_absent_path_is_not_taken_for_a_hub_name(name, monkeypatch):
    import huggingface_hub

    monkeypatch.setattr(
        huggingface_hub,
        "snapshot_download",
        lambda *a, **k: pytest.fail("asked the hub"),
    )
    assert "is no such folder" in refusal(name)
    assert "is no such folder" in refusal("run/checkpoint-50")


def test_an_absent_folder_in_a_present_one(tmp_path, monkeypatch):
    (tmp_path / "results").mkdir()
    monkeypatch.chdir(tmp_path)
    assert "is no such folder" in refusal("results/run1")
    (tmp_path / "results" / "checkpoint-8").mkdir()
    message = refusal("results/checkpoint-9")
    assert "is no such folder, and beside it there are 'checkpoint-8'" in message


def test_other_wrong_names(llama, tmp_path):
    assert "is a file" in refusal(llama / "config.json")
    assert "holds nothing" in refusal(tmp_path)
    assert "got 'two words'" in refusal("two words")
    assert "got ''" in refusal("")
    assert "which is local" in refusal(llama, revision="main")


@pytest.mark.parametrize("local", [True, False])
def test_hub_without_network(local):
    message = refusal("nobody-here/no-such-model", local_files_only=local)
    assert "must be on the hub" in message
    assert ("local_files_only" in message) == local


def test_hub_snapshot_is_loaded_as_a_folder(llama, tmp_path, monkeypatch):
    import huggingface_hub

    commit = "0123456789abcdef0123456789abcdef01234567"
    snapshot = shutil.copytree(llama, tmp_path / commit)
    asked = {}

    def download(name, **settings):
        asked.update(settings, name=name)
        return str(snapshot)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    backbone = load_backbone("someone/tiny:2", revision="v1")
    assert (backbone.name, backbone.revision) == ("someone/tiny:2", commit)
    assert (asked["name"], asked["revision"]) == ("someone/tiny", "v1")
    assert not any(
        "bin" in pattern or "py" in pattern for pattern in asked["allow_patterns"]
    )
    assert backbone.fingerprint["model"] == load_backbone(str(llama)).fingerprint["model"]


def test_code_of_a_model_is_not_run(copied):
    config = json.loads((copied / "config.json").read_text())
    config |= {"model_type": "theirs", "auto_map": {"AutoConfig": "theirs.Theirs"}}
    (copied / "config.json").write_text(json.dumps(config))
    (copied / "theirs.py").write_text("import sys\nsys.modules['they_ran'] = sys\n")
    assert "trust_remote_code" in refusal(copied)
    assert "they_ran" not in sys.modules


# Trainer folders.


def test_checkpoints_are_in_the_order_of_their_steps(llama, tmp_path):
    for step in (10, 2, 100):
        shutil.copytree(llama, tmp_path / f"checkpoint-{step}")
    (tmp_path / "checkpoint-best").mkdir()
    (tmp_path / "checkpoint-7").write_text("a file")
    folders = [str(tmp_path / f"checkpoint-{step}") for step in (2, 10, 100)]
    assert expand_checkpoints(tmp_path) == folders
    assert [load_backbone(folder).step for folder in folders] == [2, 10, 100]
    last = load_backbone(str(tmp_path))
    assert (last.step, last.name) == (100, str(tmp_path))


def test_anything_else_expands_to_itself(llama):
    assert expand_checkpoints(str(llama)) == [str(llama)]
    assert expand_checkpoints("smollm2-135m:4") == ["smollm2-135m:4"]


def test_a_final_model_beside_its_checkpoints_is_the_one_loaded(llama, tmp_path):
    run = shutil.copytree(llama, tmp_path / "run")
    save_tiny(run / "checkpoint-5", seed=1)
    backbone = load_backbone(str(run))
    assert backbone.step is None
    assert backbone.fingerprint == load_backbone(str(llama)).fingerprint
    assert expand_checkpoints(run) == [str(run / "checkpoint-5")]


def test_checkpoint_without_tokenizer_uses_the_one_beside_it(tmp_path):
    save_tiny(tmp_path / "checkpoint-5", tokenizer=False)
    tiny_tokenizer().save_pretrained(tmp_path)
    assert load_backbone(str(tmp_path)).step == 5


def test_a_real_trainer_run(tmp_path):
    model, tokenizer = tiny_model("llama", head="CausalLM"), tiny_tokenizer()
    rows = [{"input_ids": [1, 7, 8, 9], "labels": [1, 7, 8, 9]}] * 4
    settings = transformers.TrainingArguments(
        output_dir=str(tmp_path), max_steps=2, save_steps=1, report_to=[],
        disable_tqdm=True, use_cpu=True, per_device_train_batch_size=2,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        transformers.Trainer(
            model=model, args=settings, train_dataset=rows, processing_class=tokenizer
        ).train()
    backbones = [load_backbone(path) for path in expand_checkpoints(tmp_path)]
    assert [backbone.step for backbone in backbones] == [1, 2]
    assert backbones[0].fingerprint["model"] != backbones[1].fingerprint["model"]
