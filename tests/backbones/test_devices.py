"""A model that is larger than a device: the same states, wherever its layers are."""

import peft
import pytest
import torch
from tiny import save_tiny, tiny_adapted, tiny_model

from mi_probe.backbones import load_backbone, wrap_backbone
from mi_probe.backbones.random_twin import random_twin
from mi_probe.backbones.trial import is_spread
from mi_probe.capture import extract, forecast
from mi_probe.errors import InputError

TEXTS = ["a good film", "bad", "a film about a dog that ran", "the cat"]
# Three of these parts are fetched from the disk as they are used.
SPREAD = {
    **{"embed_tokens": "disk", "layers.0": "disk", "layers.1": "cpu"},
    **{"layers.2": "disk", "norm": "cpu", "rotary_emb": "cpu"},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(save_tiny(tmp_path_factory.mktemp("models") / "llama", "llama"))


def test_states_are_the_same_over_several_devices(folder):
    whole, spread = (load_backbone(folder, device=d) for d in ("cpu", SPREAD))
    assert not is_spread(whole.base)
    assert is_spread(spread.base)
    assert {str(p.device) for p in spread.base.parameters()} == {"cpu", "meta"}
    assert spread.device == torch.device("cpu")
    assert spread.sites == whole.sites
    assert spread.fingerprint == whole.fingerprint
    told = {"views": ("full", "mean", "last", "head"), "progress": False, "batch_size": 2}
    for sites in ("all", "block.0", "block.1.attn_out"):
        one, two = (extract(b, TEXTS, sites=sites, **told) for b in (whole, spread))
        for site in one.sites:
            assert torch.equal(one.hidden(site).values, two.hidden(site).values)
            for view in told["views"][1:]:
                assert torch.equal(one.pooled(site, view), two.pooled(site, view))
    assert forecast(spread, TEXTS)["tokens"] == forecast(whole, TEXTS)["tokens"]


def test_auto_is_the_one_device_where_there_is_one(folder):
    backbone = load_backbone(folder, device="auto")
    assert backbone.fingerprint == load_backbone(folder).fingerprint
    if not torch.cuda.is_available():
        assert backbone.device == torch.device("cpu")


def test_a_twin_of_a_spread_model_is_in_memory(folder):
    spread, whole = (load_backbone(folder, device=d) for d in (SPREAD, "cpu"))
    one, two = (random_twin(b)(3) for b in (spread, whole))
    assert not is_spread(one.base)
    assert one.fingerprint == two.fingerprint


def test_what_cannot_be_spread_is_refused(folder, tmp_path):
    spread = load_backbone(folder, device=SPREAD)
    with pytest.raises(InputError, match="must have its weights in memory; .* on a disk"):
        wrap_backbone(spread.model, spread.tokenizer)
    with pytest.raises(InputError, match="must be one that torch can use here .*auto, cpu"):
        load_backbone(folder, device="toaster")
    model = tiny_model("llama", head="CausalLM")
    model.name_or_path = folder
    config = peft.LoraConfig(task_type="CAUSAL_LM", init_lora_weights=False)
    tiny_adapted(model, config).save_pretrained(tmp_path, save_embedding_layers=False)
    with pytest.raises(InputError, match="device must be one for a model with an adapter"):
        load_backbone(str(tmp_path), device="auto")


@pytest.mark.parametrize(
    ("local", "place"), [("3", "cuda:1"), ("0", "cuda:0"), ("", "cuda")]
)
def test_a_launchers_processes_have_a_gpu_each(folder, local, place, monkeypatch):
    asked = []
    monkeypatch.setenv("LOCAL_RANK", local)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(
        torch, "empty", lambda *_, device: asked.append(str(device)) or 1 / 0
    )
    with pytest.raises(ZeroDivisionError):
        load_backbone(folder, device="cuda")
    assert asked == [place]
