"""Fine-tuning methods: what they train, and that they start from the model as it is."""

import pytest
import torch
from safetensors.torch import load_file
from tiny import save_tiny, tiny_config, tiny_model, tiny_tokenizer
from transformers import PreTrainedModel

from mi_probe.backbones import load_backbone
from mi_probe.errors import InputError
from mi_probe.predgen.adapters import merge_adapter, save_model
from mi_probe.predgen.peft_methods import PEFT_METHODS, apply_peft, linear_layers
from mi_probe.predgen.peft_settings import METHODS, PeftSettings

HEADS = {"llama": "CausalLM", "gpt2": "CausalLM", "bert": "MaskedLM", "t5": "Seq2SeqLM"}
ADAPTERS = [name for name in METHODS if name != "none"]


def logits(model, family):
    ids = torch.arange(5, 17).reshape(2, 6)
    fed = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if family == "t5":
        fed["decoder_input_ids"] = ids[:, :3]
    return model(**fed).logits


# T5's attention runs in another kernel where its position bias needs a gradient.
outputs = torch.no_grad()(logits)


def applied(family, method, *, seed=0, head=None, **settings):
    model = tiny_model(family, head=head or HEADS[family])
    before = outputs(model, family)
    settings = PeftSettings(method, **{"rank": 2, **settings})
    return apply_peft(model, settings, total_steps=10, seed=seed), before


def trained_names(model):
    return {name for name, weight in model.named_parameters() if weight.requires_grad}


def perturb(model):
    """Move every trained weight, so that the adapter does something."""
    draw = torch.Generator().manual_seed(1)
    for weight in model.parameters():
        if weight.requires_grad:
            weight.data += 0.1 * torch.randn(weight.shape, generator=draw)
    return model.eval()


def test_methods_and_settings_name_the_same():
    assert set(PEFT_METHODS) == set(METHODS)


@pytest.mark.parametrize("family", HEADS)
@pytest.mark.parametrize("method", METHODS)
def test_the_output_at_the_start_is_the_bases(family, method):
    model, before = applied(family, method)
    # DoRA divides by a norm and multiplies with it.
    atol = 1e-5 if method == "dora" else 0
    torch.testing.assert_close(outputs(model, family), before, rtol=0, atol=atol)


@pytest.mark.parametrize("family", HEADS)
@pytest.mark.parametrize("method", ADAPTERS)
def test_only_the_blocks_updates_train(family, method):
    model, _ = applied(family, method)
    names = trained_names(model)
    layers = linear_layers(tiny_model(family, head=HEADS[family]))
    assert all("lora_" in name or name.endswith(method) for name in names)
    parts = {"lora": 2, "dora": 3, "adalora": 3, "rocoft_row": 1, "rocoft_column": 1}
    assert len(names) == parts[method] * len(layers)
    assert not any("lm_head" in name or "shared" in name for name in names)
    loss = logits(model, family).square().mean()
    loss.backward()
    assert {n for n, p in model.named_parameters() if p.grad is not None} == names


def test_all_weights_train_without_a_method():
    model, _ = applied("llama", "none")
    assert trained_names(model) == {name for name, _ in model.named_parameters()}


def test_the_count_of_trained_weights_is_the_formula():
    config = tiny_config("llama")
    width, inner, kv = config.hidden_size, config.intermediate_size, 16
    shapes = 2 * [(width, width)] + 2 * [(kv, width)]
    shapes += 2 * [(inner, width)] + [(width, inner)]
    blocks = config.num_hidden_layers
    lora = blocks * sum(2 * (out + into) for out, into in shapes)
    count = {
        "lora": lora,
        "dora": lora + blocks * sum(out for out, _ in shapes),
        "adalora": blocks * sum(3 * (out + into + 1) for out, into in shapes),
        "rocoft_row": blocks * sum(2 * into for _, into in shapes),
        "rocoft_column": blocks * sum(2 * out for out, _ in shapes),
    }
    for method in ADAPTERS:
        model, _ = applied("llama", method)
        trained = (p.numel() for p in model.parameters() if p.requires_grad)
        assert sum(trained) == count[method], method


def test_the_seed_makes_the_weights_and_the_global_state_stays():
    before = torch.random.get_rng_state()
    weights = [
        dict(applied("llama", "lora", seed=seed)[0].named_parameters())
        for seed in (0, 0, 1)
    ]
    assert torch.equal(torch.random.get_rng_state(), before)
    name = next(name for name in weights[0] if "lora_A" in name)
    assert torch.equal(weights[0][name], weights[1][name])
    assert not torch.equal(weights[0][name], weights[2][name])


@pytest.mark.parametrize("method", ADAPTERS)
@pytest.mark.parametrize("family", ["llama", "gpt2", "t5"])
def test_merging_keeps_the_output(family, method):
    model, before = applied(family, method)
    trained = outputs(perturb(model), family)
    assert not torch.allclose(trained, before, atol=1e-2)
    merged = merge_adapter(model)
    assert isinstance(merged, PreTrainedModel)
    exact = method.startswith("rocoft")
    close = {"rtol": 0, "atol": 0} if exact else {"rtol": 1e-5, "atol": 1e-5}
    torch.testing.assert_close(outputs(merged, family), trained, **close)
    plain = tiny_model(family, head=HEADS[family])
    assert set(merged.state_dict()) == set(plain.state_dict())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("family", ["llama", "gpt2", "t5"])
def test_a_saved_model_loads_as_a_backbone(family, method, tmp_path):
    base = save_tiny(tmp_path / "base", family, head=HEADS[family])
    model = tiny_model(family, head=HEADS[family])
    settings = PeftSettings(method, rank=2)
    model = apply_peft(model, settings, total_steps=10, base_name=str(base))
    place = tmp_path / "saved"
    save_model(perturb(model), place)
    tiny_tokenizer().save_pretrained(place)
    loaded = load_backbone(str(place), lm_head=True)
    assert torch.equal(outputs(loaded.model, family), outputs(model, family))
    assert (loaded.adapter is None) == (method == "none")
    assert (place / "model.safetensors").is_file() == (method == "none")


def test_a_classifiers_head_is_trained_only_where_asked(tmp_path):
    model, _ = applied("llama", "lora", head="SequenceClassification")
    assert not any("score" in name for name in trained_names(model))
    model, _ = applied(
        "llama", "lora", head="SequenceClassification", also_train=("score", "norm")
    )
    assert {n for n in trained_names(model) if "lora_" not in n} == {
        "base_model.model.score.modules_to_save.default.weight",
        "base_model.model.model.norm.modules_to_save.default.weight",
    }
    save_model(model, tmp_path)
    kept = load_file(tmp_path / "adapter_model.safetensors")
    assert "base_model.model.score.weight" in kept


def test_named_layers_only():
    model, _ = applied("llama", "lora", target_modules=("q_proj", "mlp.up_proj"))
    layers = {name.rpartition(".lora_")[0] for name in trained_names(model)}
    assert len(layers) == 6
    assert all(name.endswith(("q_proj", "mlp.up_proj")) for name in layers)


def test_few_steps_leave_one_in_which_ranks_fall():
    settings = PeftSettings("adalora", rank=1, warm_up=0.5, settling=0.4)
    with pytest.raises(InputError, match="total_steps of AdaLoRA must be at least 2"):
        apply_peft(tiny_model("llama"), settings, total_steps=1)
    for steps in range(2, 8):
        model = apply_peft(tiny_model("llama"), settings, total_steps=steps)
        config = model.peft_config["default"]
        assert (
            0 <= config.tinit < config.total_step - config.tfinal == steps - config.tfinal
        )


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"target_modules": ("lm_head",)}, "target_modules must name linear layers"),
        ({"target_modules": ()}, "target_modules must name linear layers"),
        ({"also_train": ("nothing",)}, "also_train must name modules.*, norm"),
        ({"also_train": ("embed_tokens",)}, "tied weights"),
    ],
)
def test_names_that_fit_nothing_are_refused(settings, said):
    model = tiny_model("llama", head="CausalLM", tie_word_embeddings=True)
    with pytest.raises(InputError, match=said):
        apply_peft(model, PeftSettings("lora", **settings), total_steps=1)


@pytest.mark.parametrize(
    "settings",
    [
        {"method": "bitfit"},
        {"rank": 0},
        {"alpha": 0.0},
        {"dropout": 1.0},
        {"warm_up": 0.6, "settling": 0.4},
        {"rank": 4, "initial_rank": 4},
        {"orthogonality": -1.0},
        {"update_every": 0},
    ],
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(InputError, match="must"):
        PeftSettings(**settings)


def test_a_second_adapter_is_refused():
    model, _ = applied("llama", "lora")
    with pytest.raises(InputError, match="without an adapter"):
        apply_peft(model, PeftSettings(), total_steps=1)
    inner = model.get_base_model()
    with pytest.raises(InputError, match="without an adapter"):
        apply_peft(inner, PeftSettings(), total_steps=1)
    rows, _ = applied("llama", "rocoft_row")
    with pytest.raises(InputError, match="without an adapter"):
        apply_peft(rows, PeftSettings(), total_steps=1)


@pytest.mark.parametrize("method", ["lora", "rocoft_row"])
def test_biases_train_where_asked(method):
    without, _ = applied("gpt2", method)
    assert not any(name.endswith("bias") for name in trained_names(without))
    model, _ = applied("gpt2", method, bias=True)
    biases = [name for name in trained_names(model) if name.endswith("bias")]
    assert len(biases) == len(linear_layers(tiny_model("gpt2", head="CausalLM")))
