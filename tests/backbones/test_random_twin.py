"""The same architecture with random weights."""

import pytest
import torch
from tiny import tiny_adapted, tiny_model, tiny_tokenizer

from mi_probe.backbones import random_twin, wrap_backbone
from mi_probe.capture import extract

TEXTS = ["a charming film:", "bad:"]


@pytest.mark.parametrize("family", ["llama", "bert", "t5", "bart"])
def test_a_twin_has_the_sites_and_tokens_of_its_network_and_other_weights(family):
    backbone = wrap_backbone(tiny_model(family), tiny_tokenizer(), name=family)
    make = random_twin(backbone)
    state = torch.random.get_rng_state()
    twin, again, other = make(0), make(0), make(1)
    assert torch.equal(state, torch.random.get_rng_state())
    assert [s.name for s in twin.sites] == [s.name for s in backbone.sites]
    assert [s.index for s in twin.sites] == [s.index for s in backbone.sites]
    assert twin.tokenizer is backbone.tokenizer
    assert twin.name == backbone.name
    assert twin.fingerprint == again.fingerprint
    prints = [one.fingerprint["model"] for one in (backbone, twin, other)]
    assert len(set(prints)) == 3
    site = backbone.sites[-1].name
    states = [
        extract(one, TEXTS, sites=[site], views=("mean",), progress=False).pooled(
            site, "mean"
        )
        for one in (backbone, twin, again, other)
    ]
    assert torch.equal(states[1], states[2])
    assert not torch.allclose(states[0], states[1], atol=1e-3)
    assert not torch.allclose(states[1], states[3], atol=1e-3)


def test_an_adapter_is_left_out_and_the_backbone_is_not_held():
    import gc
    import weakref

    import peft

    config = peft.LoraConfig(r=2, init_lora_weights=False)
    adapted = tiny_adapted(tiny_model("llama"), config, seed=1)
    backbone = wrap_backbone(adapted, tiny_tokenizer())
    make = random_twin(backbone)
    twin = make(0)
    assert not any("lora" in name for name, _ in twin.base.named_parameters())
    assert twin.adapter is None
    gone = weakref.ref(backbone.base)
    del adapted, backbone
    gc.collect()
    assert gone() is None
