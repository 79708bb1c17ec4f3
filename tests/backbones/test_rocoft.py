"""RoCoFT's layer: the published gradient, the merged output; its folder, and refusals."""

import copy
import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import save_tiny, tiny_model
from torch import nn
from torch.nn import functional
from transformers.pytorch_utils import Conv1D

from mi_probe.backbones import load_backbone, wrap_backbone
from mi_probe.backbones.rocoft import RocoftLayer, merge_rocoft, rocoft_layers
from mi_probe.backbones.rocoft_folder import attach_rocoft, write_rocoft
from mi_probe.errors import InputError

AXES = ["row", "column"]
PATHS = ["model.layers.0.self_attn.q_proj", "model.layers.2.mlp.down_proj"]


def linear(kind=nn.Linear, inputs=5, outputs=7):
    draw = torch.Generator().manual_seed(0)
    layer = kind(outputs, inputs) if kind is Conv1D else kind(inputs, outputs)
    for weight in layer.parameters():
        weight.data = torch.randn(weight.shape, generator=draw)
    return layer


def matrix(layer):
    return layer.weight.T if isinstance(layer, Conv1D) else layer.weight


def published(layer, axis, count, x):
    """The authors' form: a trained and a frozen part, joined in each forward."""
    weight, cut = matrix(layer).detach(), 0 if axis == "row" else 1
    first, rest = weight.split([count, weight.shape[cut] - count], cut)
    first = first.clone().requires_grad_()
    return functional.linear(x, torch.cat([first, rest], cut), layer.bias), first


@pytest.mark.parametrize("kind", [nn.Linear, Conv1D])
@pytest.mark.parametrize("axis", AXES)
def test_output_and_gradients_are_the_published_forms(axis, kind):
    layer = linear(kind)
    x = torch.linspace(-1, 1, 2 * 3 * 5).reshape(2, 3, 5)
    x1, x2 = x.clone().requires_grad_(), x.clone().requires_grad_()
    want, trained = published(layer, axis, 2, x1)
    ours = RocoftLayer(copy.deepcopy(layer), axis, 2, bias=True)
    got = ours(x2)
    assert torch.equal(got, layer(x))
    pull = torch.randn(got.shape, generator=torch.Generator().manual_seed(1))
    want.backward(pull)
    got.backward(pull)
    torch.testing.assert_close(ours.trained.grad, trained.grad)
    torch.testing.assert_close(x2.grad, x1.grad)
    torch.testing.assert_close(ours.bias.grad, layer.bias.grad)
    assert ours.weight.grad is None
    assert torch.autograd.gradcheck(ours.double(), x.double().requires_grad_())


@pytest.mark.parametrize("axis", AXES)
def test_two_passes_before_one_backward_add_up(axis):
    layer = RocoftLayer(linear(), axis, 2)
    x = torch.ones(2, 5)
    layer(x).sum().backward()
    once = layer.trained.grad.clone()
    layer.trained.grad = None
    (layer(x).sum() + layer(x).sum()).backward()
    torch.testing.assert_close(layer.trained.grad, 2 * once)


@pytest.mark.parametrize("axis", AXES)
def test_autocast_and_half_precision_train_in_full(axis):
    layer = RocoftLayer(linear(), axis, 2, bias=True)
    x = torch.ones(2, 5, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x)
    assert y.dtype == torch.bfloat16
    y.sum().backward()
    assert layer.trained.grad.dtype == x.grad.dtype == torch.float32
    half = RocoftLayer(linear().bfloat16(), axis, 2)
    assert half.trained.dtype == torch.float32
    assert half.weight.dtype == half(x.bfloat16()).dtype == torch.bfloat16
    half(x.bfloat16()).sum().backward()
    assert half.trained.grad.dtype == torch.float32


@pytest.mark.parametrize("kind", [nn.Linear, Conv1D])
@pytest.mark.parametrize("axis", AXES)
def test_state_and_merged_layer_hold_what_was_trained_last(axis, kind):
    layer = RocoftLayer(linear(kind), axis, 2)
    old = layer.weight.clone()
    layer.trained.data += 1  # as an optimiser does, with no forward after it
    state = layer.state_dict()["weight"]
    x = torch.randn(3, 5, generator=torch.Generator().manual_seed(2))
    merged = layer.merged()
    assert type(merged) is kind
    assert torch.equal(merged(x), layer(x))
    assert torch.equal(merged.weight, state)
    changed = int((state != old).sum())
    assert changed == layer.trained.numel()


@pytest.mark.parametrize(("axis", "most"), [("row", 7), ("column", 5)])
def test_more_rows_than_there_are_are_refused(axis, most):
    RocoftLayer(linear(), axis, most)
    with pytest.raises(InputError, match=f"rank must lie in 1 ... {most}"):
        RocoftLayer(linear(), axis, most + 1)


def test_a_quantised_layer_is_refused():
    layer = linear()
    layer.weight = nn.Parameter(layer.weight.to(torch.int8), requires_grad=False)
    with pytest.raises(InputError, match="without quantisation"):
        RocoftLayer(layer, "row", 1)


def adapted(base, axis="row", head="CausalLM", **settings):
    model = tiny_model("llama", head=head)
    model.name_or_path = str(base)
    attach_rocoft(model, PATHS, axis=axis, count=2, **settings)
    draw = torch.Generator().manual_seed(3)
    for weight in model.parameters():
        if weight.requires_grad:
            weight.data += torch.randn(weight.shape, generator=draw)
    return model


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("base") / "llama", head="CausalLM")


@pytest.fixture
def folder(base, tmp_path):
    write_rocoft(adapted(base), tmp_path / "adapter")
    return tmp_path / "adapter"


def refusal(folder, **settings):
    with pytest.raises(InputError) as error:
        load_backbone(str(folder), **settings)
    assert "\n" not in str(error.value)
    return str(error.value)


def edit(folder, change):
    path = folder / "adapter_model.safetensors"
    save_file(change(load_file(path)), path, {"format": "pt"})


def configure(folder, **changes):
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize("axis", AXES)
def test_a_folder_holds_the_trained_alone_and_loads_bit_for_bit(axis, base, tmp_path):
    model = adapted(base, axis, whole=["model.norm"]).eval()
    write_rocoft(model, tmp_path)
    kept = load_file(tmp_path / "adapter_model.safetensors")
    names = {f"base_model.model.{path}.rocoft_{axis}" for path in PATHS}
    assert set(kept) == names | {"base_model.model.model.norm.weight"}
    loaded = load_backbone(str(tmp_path), lm_head=True)
    ids = torch.arange(5, 14)[None]
    with torch.no_grad():
        assert torch.equal(loaded.model(ids).logits, model(ids).logits)
    assert loaded.adapter == str(tmp_path)
    assert "adapter" in loaded.fingerprint
    merge_rocoft(loaded.model)
    assert not rocoft_layers(loaded.model)
    with torch.no_grad():
        assert torch.equal(loaded.model(ids).logits, model(ids).logits)


def test_a_model_in_memory_says_what_it_is(base, tokenizer):
    assert wrap_backbone(adapted(base), tokenizer).adapter == "ROCOFT"


def test_a_base_cut_short_takes_what_it_has(folder):
    assert len(rocoft_layers(load_backbone(f"{folder}:2").model)) == 1


def test_another_precision_of_the_base_is_taken(folder):
    layers = rocoft_layers(load_backbone(str(folder), dtype="bfloat16").model)
    assert {layer.weight.dtype for layer in layers.values()} == {torch.bfloat16}


def test_another_base_is_refused(folder, tmp_path):
    other = save_tiny(tmp_path / "other", head="CausalLM", seed=1)
    configure(folder, base_model_name_or_path=str(other))
    assert "must have the weights that the adapter was made on" in refusal(folder)
    wide = save_tiny(tmp_path / "wide", head="CausalLM", intermediate_size=80)
    configure(folder, base_model_name_or_path=str(wide), base_dtype="float64")
    edit(folder, lambda kept: {k: v[:, :-1].contiguous() for k, v in kept.items()})
    assert "must have the shape" in refusal(folder)
    gpt2 = save_tiny(tmp_path / "gpt2", "gpt2", head="CausalLM")
    configure(folder, base_class="GPT2LMHeadModel", base_model_name_or_path=str(gpt2))
    assert "Is it for another base?" in refusal(folder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda kept: dict(list(kept.items())[1:]), "lacks 1 and has 0"),
        (lambda kept: {**kept, "more": torch.ones(1)}, "lacks 0 and has 1"),
        (
            lambda kept: {
                k.replace("rocoft_row", "rocoft_rows"): v for k, v in kept.items()
            },
            "lacks 2 and has 2",
        ),
    ],
)
def test_other_keys_are_refused(folder, change, said):
    edit(folder, change)
    assert said in refusal(folder)


def test_damaged_files_are_refused(folder):
    path = folder / "adapter_model.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-7])
    assert "must be whole" in refusal(folder)
    path.write_bytes(whole)
    configure(folder, axis="diagonal")
    assert "axis in adapter_config.json must be one of row, column" in refusal(folder)
    configure(folder, peft_type="FUTURE_PEFT")
    assert "peft_type in adapter_config.json must be ROCOFT or one" in refusal(folder)
    (folder / "adapter_config.json").write_text("{")
    assert "must be whole" in refusal(folder)


def test_an_adapter_that_does_nothing_is_refused(base, tmp_path):
    model = tiny_model("llama", head="CausalLM")
    model.name_or_path = str(base)
    write_rocoft(attach_rocoft(model, PATHS, axis="row", count=2), tmp_path)
    assert "must change the hidden states" in refusal(tmp_path)


def test_a_model_without_rocoft_is_not_written(tmp_path):
    with pytest.raises(InputError, match="has none"):
        write_rocoft(tiny_model("llama"), tmp_path)
