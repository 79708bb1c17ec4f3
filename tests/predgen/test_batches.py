"""The three systems read identical prompts in identical batches, whatever the options."""

from collections import Counter

import pytest
from planted_tasks import quick
from tiny import tiny_model
from tiny_tokenizers import TOKENIZERS

from mi_probe.predgen.design import OBJECTIVES
from mi_probe.predgen.systems import System
from mi_probe.predgen.training import train


@pytest.mark.parametrize(
    ("tokenizer", "changes"),
    [
        ("byte_level", {}),
        ("byte_level", {"group_by_length": True, "accumulation": 2, "epochs": 2.0}),
        # It ends every text, of which an answer is to be the rest.
        ("sentencepiece_closed", {"group_by_length": True}),
        # Prompts that leave the model no room for an answer.
        ("byte_level", {"template": "bad " * 100 + "{text}"}),
    ],
)
def test_batches_are_the_same(tokenizer, changes, classes, tmp_path, monkeypatch):
    model = tiny_model("gpt2", head="CausalLM")
    model.save_pretrained(tmp_path / "model")
    TOKENIZERS[tokenizer]().save_pretrained(tmp_path / "model")
    read: list[list[list[int]]] = []
    forward = System.forward

    def noted(self, prompt_ids, prompt_mask, *args, **kwargs):
        if self.training:
            pairs = zip(prompt_ids, prompt_mask, strict=True)
            read.append([ids[mask].tolist() for ids, mask in pairs])
        return forward(self, prompt_ids, prompt_mask, *args, **kwargs)

    monkeypatch.setattr(System, "forward", noted)
    few = {"steps": None, "epochs": 1.0, "train_rows": 22, "batch_size": 4, "reserve": 4}
    few |= {"validation_rows": 4, "checkpoint_every": 9, "alignment": "sum"}
    of = {}
    for objective in OBJECTIVES:
        settings = quick(objective, str(tmp_path / "model"), classes, **{**few, **changes})
        train(settings, tmp_path / objective)
        of[objective], read = read, []
    assert len(of["predictor"]) == 6 * changes.get("epochs", 1)
    assert of["predictor"] == of["generator"] == of["predgen"]


def test_whole_epochs_read_each_row_equally_often(
    classes, folder_of, tmp_path, monkeypatch
):
    read: Counter[tuple[int, ...]] = Counter()
    forward = System.forward

    def noted(self, prompt_ids, prompt_mask, *args, **kwargs):
        pairs = zip(prompt_ids, prompt_mask, strict=True)
        read.update(tuple(ids[mask].tolist()) for ids, mask in pairs if self.training)
        return forward(self, prompt_ids, prompt_mask, *args, **kwargs)

    monkeypatch.setattr(System, "forward", noted)
    few = {"steps": None, "epochs": 3.0, "train_rows": 21, "batch_size": 4}
    few |= {"accumulation": 2, "reserve": 4, "validation_rows": 4, "checkpoint_every": 99}
    train(quick("predictor", folder_of("llama"), classes, **few), tmp_path / "out")
    assert set(read.values()) == {3}
    assert len(read) == 21
