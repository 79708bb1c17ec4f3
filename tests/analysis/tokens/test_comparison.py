"""Gradient x input and attention, against the same made another way."""

import numpy as np
import pytest
import torch
from tiny import tiny_model, tiny_tokenizer

from mi_probe.analysis.tokens.comparison import attention_received, gradient_x_input
from mi_probe.backbones import wrap_backbone
from mi_probe.capture import Sequences, extract
from mi_probe.estimators.prefixes.linear import MeanReadout, mean_readout

IDS = [[5, 9, 12, 7], [8, 30, 11], [20, 21, 22, 23, 24]]
Y = np.array([0, 1, 1])


@pytest.fixture(scope="module")
def data():
    return Sequences(ids=("a", "b", "c"), input_ids=IDS)


@pytest.fixture
def readout():
    weights = torch.randn(2, 32, 2, generator=torch.Generator().manual_seed(0))
    return MeanReadout(weights, np.array([0, 1, 0]))


def test_gradients_are_those_of_the_embeddings_fed_in_directly(
    tiny_backbone, data, readout
):
    backbone = tiny_backbone("llama")
    found = gradient_x_input(backbone, data, "final_norm", readout, Y, batch_size=2)
    assert found.reason == ""
    base = backbone.base
    for row, ids in enumerate(IDS):
        e = base.get_input_embeddings()(torch.tensor([ids])).detach().requires_grad_()
        z = base(inputs_embeds=e).last_hidden_state[0]
        w = readout.weights[int(readout.fold[row])]
        s = z.mean(0) @ (w[:, Y[row]] - w.mean(1))
        [slope] = torch.autograd.grad(s, [e])
        expected = (slope * e.detach())[0].sum(1).numpy()
        np.testing.assert_allclose(found.values[row, : len(ids)], expected, rtol=1e-3)
        assert np.isnan(found.values[row, len(ids) :]).all()


def test_at_the_embeddings_a_token_counts_for_itself_alone(tiny_backbone, data, readout):
    backbone = tiny_backbone("llama")
    found = gradient_x_input(backbone, data, "embed", readout, Y).values
    z = extract(backbone, data, sites=["embed"], progress=False).hidden("embed")
    w = readout.weights[0]
    expected = z.values[0] @ (w[:, 0] - w.mean(1)) / len(IDS[0])
    np.testing.assert_allclose(found[0, :4], expected[:4].numpy(), rtol=1e-4)


def test_the_model_is_left_as_it_was(data, readout):
    backbone = wrap_backbone(tiny_model("llama"), tiny_tokenizer())
    parameters = list(backbone.model.parameters())
    parameters[0].requires_grad_(False)
    before = [p.requires_grad for p in parameters]
    implementation = backbone.base.config._attn_implementation
    backbone.model.train()
    gradient_x_input(backbone, data, "block.0", readout, Y)
    attention_received(backbone, data, "block.0")
    assert [p.requires_grad for p in parameters] == before
    assert backbone.model.training
    assert backbone.base.config._attn_implementation == implementation
    assert all(p.grad is None for p in parameters)


@pytest.mark.parametrize(("site", "layer"), [("block.0", 0), ("final_norm", 2)])
def test_attention_of_a_decoder_is_the_last_tokens(tiny_backbone, data, site, layer):
    backbone = tiny_backbone("llama")
    found = attention_received(backbone, data, site, batch_size=2)
    assert found.reason == ""
    model = tiny_model("llama", attn_implementation="eager")
    for row, ids in enumerate(IDS):
        with torch.no_grad():
            output = model(torch.tensor([ids]), output_attentions=True)
        expected = output.attentions[layer][0].mean(0)[-1].numpy()
        np.testing.assert_allclose(found.values[row, : len(ids)], expected, atol=1e-5)
    np.testing.assert_allclose(np.nansum(found.values, 1), 1, atol=1e-5)


@pytest.mark.parametrize("family", ["bert", "gpt2", "t5"])
def test_attention_is_a_share_in_other_families(tiny_backbone, data, family):
    backbone = tiny_backbone(family)
    site = "enc.block.1" if family == "t5" else "block.1"
    found = attention_received(backbone, data, site)
    assert found.reason == ""
    np.testing.assert_allclose(np.nansum(found.values, 1), 1, atol=1e-5)


def test_where_there_is_no_attention_the_reason_is_given(tiny_backbone, data):
    found = attention_received(tiny_backbone("llama"), data, "embed")
    assert found.reason == "no block comes before the embeddings"
    assert np.isnan(found.values).all()


def test_a_readout_tells_classes_apart_that_differ_in_their_means(data):
    del data
    from mi_probe.hidden import HiddenStates

    rng = np.random.default_rng(0)
    y = rng.integers(2, size=120)
    z = rng.normal(size=(120, 4, 6)).astype(np.float32)
    z[..., 2] += 2 * y[:, None]
    fold = np.arange(120) % 3
    readout = mean_readout(HiddenStates(z, np.ones((120, 4), bool)), y, fold)
    w = readout.weights_of(0, 1)
    assert int(w.abs().argmax()) == 2
    assert w[2] > 0
    torch.testing.assert_close(readout.weights_of(0, 0), -w)
