"""AdaLoRA inside a Trainer: its ranks fall, at the right steps, and its penalty counts."""

import pytest
import torch
from peft.tuners.adalora import AdaLoraModel
from tiny import save_tiny, tiny_model, tiny_tokenizer
from torch import nn
from transformers import Trainer, TrainerControl, TrainerState, TrainingArguments

from mi_probe.backbones import load_backbone
from mi_probe.errors import InputError
from mi_probe.predgen.adapters import save_model
from mi_probe.predgen.peft_methods import apply_peft
from mi_probe.predgen.peft_settings import PeftSettings
from mi_probe.predgen.rank_updates import (
    mean_rank,
    orthogonality_penalty,
    rank_update_callback,
)

ARGUMENTS = TrainingArguments(use_cpu=True)


class Wrapped(nn.Module):
    """As a training system does: the model within a module that returns the loss."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, labels):
        logits = self.model(input_ids=input_ids).logits
        loss = nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), labels.flatten())
        return {"loss": loss + orthogonality_penalty(self)}


def adalora(steps=10, **settings):
    settings = PeftSettings("adalora", **{"rank": 2, "initial_rank": 4, **settings})
    return apply_peft(tiny_model("llama", head="CausalLM"), settings, total_steps=steps)


def trainer(model, folder, *, max_steps=10, rows=8, **changes):
    ids = torch.arange(5, 5 + 6 * rows).reshape(rows, 6)
    data = [{"input_ids": row, "labels": row[1:]} for row in ids]
    args = TrainingArguments(
        str(folder),
        max_steps=max_steps,
        per_device_train_batch_size=4,
        learning_rate=1e-2,
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        save_strategy="no",
        logging_strategy="no",
        **changes,
    )
    return Trainer(
        model=model, args=args, train_dataset=data, callbacks=[rank_update_callback()]
    )


def test_ranks_fall_to_the_wanted_mean_and_the_steps_are_optimiser_steps(
    tmp_path, monkeypatch
):
    calls = []
    update = AdaLoraModel.update_and_allocate

    def watched(self, step):
        grads = [p.grad for n, p in self.model.named_parameters() if "lora_" in n]
        calls.append((step, all(g is not None for g in grads)))
        update(self, step)

    monkeypatch.setattr(AdaLoraModel, "update_and_allocate", watched)
    model = adalora()
    assert mean_rank(model) == 0  # all singular values start at zero
    trainer(Wrapped(model), tmp_path, gradient_accumulation_steps=2).train()
    assert calls == [(step, True) for step in range(1, 11)]
    assert mean_rank(model) == 2
    pattern = model.peft_config["default"].rank_pattern
    ranks = [sum(kept) for kept in pattern.values()]
    assert sum(ranks) == 2 * len(ranks)
    assert len(set(ranks)) > 1  # the budget went where it was of use


def test_another_number_of_steps_is_refused(tmp_path):
    with pytest.raises(InputError, match="optimiser steps of the training, 10; got 7"):
        trainer(Wrapped(adalora(steps=7)), tmp_path).train()


def test_other_methods_are_left_alone(tmp_path):
    model = apply_peft(
        tiny_model("llama", head="CausalLM"), PeftSettings("lora", rank=2), total_steps=3
    )
    trainer(Wrapped(model), tmp_path, max_steps=2).train()
    assert mean_rank(model) is None
    assert float(orthogonality_penalty(model)) == 0


def test_the_penalty_is_what_peft_adds_to_a_loss():
    model = adalora(orthogonality=0.7).eval()
    ids = torch.arange(5, 11)[None]
    with_labels = model(input_ids=ids, labels=ids).loss
    alone = model.base_model.model(input_ids=ids, labels=ids).loss
    penalty = orthogonality_penalty(model)
    torch.testing.assert_close(with_labels, alone + penalty)
    penalty.backward()
    trained = {n for n, p in model.named_parameters() if p.grad is not None}
    assert trained
    assert all("lora_A" in n or "lora_B" in n for n in trained)


def test_a_step_without_finite_gradients_leaves_the_importances_finite():
    model = adalora()
    callback, control = rank_update_callback(), TrainerControl()
    for step in range(10):
        ids = torch.arange(5 + step, 15 + step)[None]
        Wrapped(model)(ids, ids[:, 1:])["loss"].backward()
        trained = [p for p in model.parameters() if p.grad is not None]
        if step == 2:  # fp16 overflows: the Trainer skips the step, and still calls
            trained[0].grad.fill_(torch.inf)
            trained[1].grad.fill_(torch.nan)
        else:
            for weight in trained:
                weight.data -= 0.1 * weight.grad
        trained[-1].grad = None
        state = TrainerState(global_step=step, max_steps=10)
        callback.on_optimizer_step(ARGUMENTS, state, control, model=model)
        model.zero_grad()
    assert mean_rank(model) == 2


@pytest.mark.parametrize("grown", [False, True])
def test_a_cut_adapter_loads_bit_for_bit_even_where_it_has_grown_again(grown, tmp_path):
    base = save_tiny(tmp_path / "base", head="CausalLM")
    model = adalora()
    model.active_peft_config.base_model_name_or_path = str(base)
    for name, weight in model.named_parameters():
        if "lora_E" in name:
            weight.data += 1
            if not grown:
                weight.data[:2] = 0
    cut = {
        name: [False, False, True, True]
        for name, _ in model.get_base_model().named_parameters()
        if "lora_E" in name
    }
    model.active_peft_config.rank_pattern = cut
    ids = torch.arange(5, 11)[None]
    with torch.no_grad():
        expected = model.eval()(ids).logits
    save_model(model, tmp_path / "saved")
    assert model.active_peft_config.rank_pattern == cut
    tiny_tokenizer().save_pretrained(tmp_path / "saved")
    loaded = load_backbone(str(tmp_path / "saved"), lm_head=True)
    with torch.no_grad():
        assert torch.equal(loaded.model(ids).logits, expected)
    assert mean_rank(model) == (4 if grown else 2)
