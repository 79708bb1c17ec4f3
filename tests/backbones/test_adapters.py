"""PEFT adapters: the right ones change the states, and the wrong ones are refused."""

import json
import shutil

import peft
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import save_tiny, tiny_adapted, tiny_model, tiny_tokenizer

from mi_probe.backbones import expand_checkpoints, load_backbone, wrap_backbone
from mi_probe.capture import capture
from mi_probe.errors import InputError


def lora(task: str | None = "CAUSAL_LM", **settings) -> peft.LoraConfig:
    settings = {"target_modules": ["q_proj", "v_proj"], **settings}
    return peft.LoraConfig(r=2, init_lora_weights=False, task_type=task, **settings)


def save_adapter(base, folder, config, *, family="llama", head="CausalLM", **changes):
    """Save an adapter for the base in the folder `base`; returns what was saved."""
    model = tiny_model(family, head=head, **changes)
    model.name_or_path = str(base)
    adapted = tiny_adapted(model, config)
    adapted.save_pretrained(folder, save_embedding_layers=False)
    return adapted


def last_states(module, backbone) -> torch.Tensor:
    fed = {"input_ids": torch.arange(5, 14)[None]}
    if backbone.kind == "encoder-decoder":
        fed["decoder_input_ids"] = fed["input_ids"]
    with torch.no_grad():
        out = module(**fed, output_hidden_states=True)
    return (out.get("hidden_states") or out["decoder_hidden_states"])[-1]


def refusal(name, **settings) -> str:
    with pytest.raises(InputError) as error:
        load_backbone(str(name), **settings)
    message = str(error.value)
    assert "\n" not in message
    return message


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("base") / "llama", head="CausalLM")


@pytest.fixture
def adapter(base, tmp_path):
    save_adapter(base, tmp_path / "adapter", lora())
    return tmp_path / "adapter"


def edit(adapter, change) -> None:
    """Write the adapter's weights anew, after `change`."""
    weights = load_file(adapter / "adapter_model.safetensors")
    save_file(change(weights), adapter / "adapter_model.safetensors", {"format": "pt"})


@pytest.mark.parametrize(
    ("family", "head", "config"),
    [
        ("llama", "CausalLM", lora()),
        ("llama", None, lora("FEATURE_EXTRACTION")),
        ("llama", None, lora(None)),
        ("llama", "CausalLM", lora(None)),
        ("llama", "SequenceClassification", lora("SEQ_CLS")),
        ("bert", "SequenceClassification", lora("SEQ_CLS", target_modules=["query"])),
        (
            "roberta",
            "SequenceClassification",
            lora("SEQ_CLS", target_modules=["value"]),
        ),
        ("bert", "MaskedLM", lora(None, target_modules=["query"])),
        ("gpt2", "CausalLM", lora(target_modules=["c_attn"], fan_in_fan_out=True)),
        ("t5", "Seq2SeqLM", lora("SEQ_2_SEQ_LM", target_modules=["q", "v"])),
        ("bart", "Seq2SeqLM", lora("SEQ_2_SEQ_LM")),
        ("llama", "CausalLM", lora(modules_to_save=["lm_head"])),
        ("llama", "CausalLM", lora(modules_to_save=["norm"], bias="lora_only")),
        ("llama", "CausalLM", lora(use_dora=True)),
        (
            "llama",
            "CausalLM",
            peft.IA3Config(
                task_type="CAUSAL_LM",
                target_modules=["k_proj", "down_proj"],
                feedforward_modules=["down_proj"],
                init_ia3_weights=False,
            ),
        ),
        (
            "llama",
            "CausalLM",
            peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4),
        ),
        (
            "bert",
            "SequenceClassification",
            peft.PromptTuningConfig(task_type="SEQ_CLS", num_virtual_tokens=4),
        ),
        (
            "t5",
            "Seq2SeqLM",
            peft.PromptTuningConfig(task_type="SEQ_2_SEQ_LM", num_virtual_tokens=4),
        ),
        (
            "llama",
            "CausalLM",
            peft.PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4),
        ),
    ],
    ids=lambda value: getattr(getattr(value, "peft_type", value), "value", value),
)
def test_states_are_the_adapted_ones(family, head, config, tmp_path, caplog, capfd):
    labels = {"num_labels": 5} if head == "SequenceClassification" else {}
    published = tiny_model(family, head=head, **labels)
    if head == "SequenceClassification":
        # As users have it: the base was published without the adapter's head.
        published = published.base_model
    published.save_pretrained(tmp_path / "base")
    tiny_tokenizer().save_pretrained(tmp_path / "base")
    adapted = save_adapter(
        tmp_path / "base",
        tmp_path / "adapter",
        config,
        family=family,
        head=head,
        **labels,
    )
    capfd.readouterr()
    caplog.clear()
    before = torch.get_rng_state()
    backbone = load_backbone(str(tmp_path / "adapter"))
    assert torch.equal(torch.get_rng_state(), before)
    assert not caplog.records
    assert capfd.readouterr() == ("", "")
    own = wrap_backbone(adapted, backbone.tokenizer)
    states = last_states(backbone.runner, backbone)
    assert torch.equal(states, last_states(own.runner, own))
    plain = load_backbone(str(tmp_path / "base"))
    assert not torch.equal(states[:, -9:], last_states(plain.base, plain)), (
        "the adapter did nothing"
    )
    assert backbone.adapter == str(tmp_path / "adapter")
    assert backbone.fingerprint["model"] == plain.fingerprint["model"]
    assert "adapter" in backbone.fingerprint
    assert not any(parameter.requires_grad for parameter in backbone.base.parameters())


def test_adapters_are_told_apart(base, adapter):
    first = load_backbone(str(adapter)).fingerprint["adapter"]
    edit(adapter, lambda weights: {k: 2 * v for k, v in weights.items()})
    assert load_backbone(str(adapter)).fingerprint["adapter"] != first


def test_adapter_in_bfloat16_and_truncated(adapter):
    assert load_backbone(str(adapter), dtype="bfloat16").base.dtype == torch.bfloat16
    assert load_backbone(f"{adapter}:2").n_layers == 2


def test_renamed_keys(adapter):
    edit(adapter, lambda ws: {k.replace("self_attn", "attn"): v for k, v in ws.items()})
    message = refusal(adapter)
    assert "lacks 12 and has 12 others" in message


def test_one_key_too_few_or_too_many(adapter):
    kept = shutil.copytree(adapter, adapter.with_name("kept"))
    edit(adapter, lambda ws: dict(list(ws.items())[1:]))
    assert "lacks 1 and has 0 others" in refusal(adapter)
    edit(kept, lambda ws: ws | {"base_model.model.extra.lora_A.weight": torch.ones(2, 2)})
    assert "lacks 0 and has 1 others" in refusal(kept)


def test_an_adapter_that_does_nothing(adapter):
    edit(adapter, lambda ws: {k: v * ("lora_A" in k) for k, v in ws.items()})
    assert "must change the hidden states" in refusal(adapter)


def test_an_adapter_for_a_wider_base(tmp_path, adapter):
    save_tiny(tmp_path / "wide", hidden_size=64, head="CausalLM")
    rename_base(adapter, tmp_path / "wide")
    message = refusal(adapter)
    assert "must be whole and fit together" in message
    assert repr(str(tmp_path / "wide")) in message


def test_an_adapter_for_a_deeper_base(tmp_path, adapter):
    rename_base(adapter, save_tiny(tmp_path / "thin", num_hidden_layers=2))
    assert "lacks 0 and has 4 others" in refusal(adapter)


def test_an_adapter_for_another_family(tmp_path, adapter):
    rename_base(adapter, save_tiny(tmp_path / "gpt2", "gpt2", head="CausalLM"))
    assert "Target modules" in refusal(adapter)


def rename_base(adapter, name) -> None:
    path = adapter / "adapter_config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | {"base_model_name_or_path": name and str(name)}))


def test_an_adapter_without_its_base(adapter):
    rename_base(adapter, "/absent/base")
    assert "'/absent/base' is no such folder" in refusal(adapter)
    rename_base(adapter, None)
    assert "must name its base" in refusal(adapter)


def test_damaged_adapters(adapter):
    weights = adapter / "adapter_model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-10])
    assert "adapter in" in refusal(adapter)
    weights.rename(adapter / "adapter_model.bin")
    assert "only adapter_model.bin, a pickle" in refusal(adapter)
    weights.write_bytes(whole)
    (adapter / "adapter_config.json").write_text("{")
    assert "adapter_config.json in" in refusal(adapter)
    (adapter / "adapter_config.json").write_text('{"peft_type": "NONE"}')
    assert "peft_type in adapter_config.json must be" in refusal(adapter)


def test_adapter_checkpoints(base, adapter, tmp_path):
    for step in (10, 2):
        shutil.copytree(adapter, tmp_path / "run" / f"checkpoint-{step}")
    folders = expand_checkpoints(tmp_path / "run")
    assert [load_backbone(folder).step for folder in folders] == [2, 10]


def test_base_weights_are_not_those_of_the_adapter_folder(base, adapter):
    # Trainers with a resized vocabulary leave a config.json beside the adapter.
    shutil.copy(base / "config.json", adapter)
    assert load_backbone(str(adapter)).adapter == str(adapter)


@pytest.mark.parametrize("saved", [None, ["embed_tokens"]])
def test_adapter_with_an_enlarged_vocabulary(saved, base, tmp_path):
    model, tokenizer = tiny_model("llama", head="CausalLM"), tiny_tokenizer()
    tokenizer.add_tokens(["<new>", "<newer>"])
    with torch.random.fork_rng(devices=[]):
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    model.name_or_path = str(base)
    adapted = tiny_adapted(model, lora(modules_to_save=saved))
    # PEFT does so by itself, with a warning, when the size has changed.
    adapted.save_pretrained(tmp_path / "adapter", save_embedding_layers=True)
    tokenizer.save_pretrained(tmp_path / "adapter")
    backbone = load_backbone(str(tmp_path / "adapter"))
    own = wrap_backbone(adapted, tokenizer)
    fed = {"input_ids": tokenizer("a <newer> film", return_tensors="pt")["input_ids"]}
    with torch.no_grad():
        assert torch.equal(backbone.base(**fed)[0], own.base(**fed)[0])


def test_adapter_of_a_truncated_base(base, tmp_path):
    save_adapter(f"{base}:2", tmp_path / "adapter", lora(), num_hidden_layers=2)
    assert load_backbone(str(tmp_path / "adapter")).n_layers == 2


def test_single_tokens_that_were_trained(base, tmp_path):
    folder = tmp_path / "adapter"
    config = lora(trainable_token_indices=[5, 6])
    model = tiny_model("llama", head="CausalLM")
    model.name_or_path = str(base)
    adapted = tiny_adapted(model, config)
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "trainable_tokens" in name:
                weight.add_(1.0)
    adapted.save_pretrained(folder)
    backbone = load_backbone(str(folder))
    expected = last_states(adapted, backbone)
    torch.testing.assert_close(last_states(backbone.base, backbone), expected)
    plain = load_backbone(str(base))
    ids = torch.tensor([[5, 7]])
    with torch.no_grad(), capture(backbone, "embed") as states:
        backbone.base(input_ids=ids)
    table = plain.base.get_input_embeddings().weight
    moved = (states["embed"][0][0] - table[ids[0]]).abs().amax(1)
    assert moved[0] > 0.5
    assert moved[1] == 0


@pytest.mark.parametrize("name", ["r", "num_virtual_tokens"])
def test_a_size_that_the_weights_contradict_takes_no_memory(name, base, tmp_path):
    config = lora()
    if name != "r":
        config = peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=5)
    save_adapter(base, tmp_path, config)
    file = tmp_path / "adapter_config.json"
    written = json.loads(file.read_text())
    file.write_text(json.dumps({**written, name: 10**9}))
    assert f"{name} in adapter_config.json must be at most the" in refusal(tmp_path)
    # Few enough for the bytes of the file, and more than any of its weights is long.
    file.write_text(json.dumps({**written, name: 1000}))
    assert "rows or columns of any weight" in refusal(tmp_path)
    file.write_text(json.dumps({**written, name: 7}))
    assert "adapter in" in refusal(tmp_path)
