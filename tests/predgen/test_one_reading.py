"""One reading of the prompt stands for two: the same answers, losses and gradients."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from tiny import tiny_model
from tiny_systems import ROWS, batch, system

from mi_probe.predgen import own_answers
from mi_probe.predgen.one_reading import can_read_once
from mi_probe.predgen.own_answers import OwnAnswers
from mi_probe.predgen.schedules import Schedule

# A prompt of 24 tokens is beyond the windows of the last two.
LONG = [replace(row, prompt=(1, *range(40, 62), *row.prompt[1:])) for row in ROWS]


@pytest.mark.parametrize("family", ["llama", "gpt2", "opt", "gemma2", "gemma3"])
@pytest.mark.parametrize("sampled", [False, True])
@pytest.mark.parametrize("adapter", ["states", "logits"])
def test_losses_and_gradients_are_those_of_two_readings(
    family, sampled, adapter, monkeypatch
):
    built = system(family, adapter=adapter).train()
    for module in built.modules():
        for name in ("p", "dropout", "layerdrop"):
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)
    head: Any = built.head
    for p in head.parameters():  # its last layer starts at zero
        p.data += 0.1 * torch.arange(p.numel()).view_as(p).sin()
    own = OwnAnswers(Schedule("always"), 10, sampled=sampled, temperature=2.0, seed=3)
    found = []
    for once in (True, False):
        monkeypatch.setattr(own_answers, "can_read_once", lambda _, once=once: once)
        given = batch(LONG, family=family)
        told = own.fed(built, given, step=1, place=0)
        assert ("writing" in told) == once
        losses: Any = built(**given, **told)
        built.zero_grad()
        losses["loss"].backward()
        grads = {
            n: p.grad.clone() for n, p in built.named_parameters() if p.grad is not None
        }
        found.append((losses, grads))
    (one, of_one), (two, of_two) = found
    assert one["writer"].item() == pytest.approx(two["writer"].item(), rel=1e-5)
    assert one["director"].item() == pytest.approx(two["director"].item(), rel=1e-5)
    assert set(of_one) == set(of_two)
    for name, grad in of_two.items():
        torch.testing.assert_close(of_one[name], grad, atol=2e-5, rtol=1e-3, msg=name)


def test_where_one_reading_would_be_another():
    def model(family: str, **changes: Any) -> Any:
        return tiny_model(family, head="CausalLM", **changes)

    assert can_read_once(model("llama"))
    assert not can_read_once(tiny_model("t5", head="Seq2SeqLM"))
    # Dropout in modules, in functions, and on the input of an adapter.
    assert not can_read_once(model("gpt2"))
    assert can_read_once(model("gpt2"), training=False)
    assert not can_read_once(model("opt"))
    assert not can_read_once(model("llama", attention_dropout=0.1))
    adapted = get_peft_model(model("llama"), LoraConfig(lora_dropout=0.1))
    assert not can_read_once(adapted)
    # None of GPT-2's is left but that of a head which is not there.
    off = dict.fromkeys(("attn_pdrop", "embd_pdrop", "resid_pdrop"), 0.0)
    without = model("gpt2", **off)
    assert without.config.summary_first_dropout > 0
    assert can_read_once(without)
    checkpointed = model("llama")
    checkpointed.model.gradient_checkpointing = True
    assert not can_read_once(checkpointed)
