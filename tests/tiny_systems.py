"""Untrained systems on tiny models, and a batch for them."""

from typing import Any

from tiny import tiny_model, tiny_tokenizer

from mi_probe.backbones import wrap_backbone
from mi_probe.predgen.build import build_system
from mi_probe.predgen.design import Design
from mi_probe.predgen.encoding import Encoded, collate

ROWS = [
    Encoded((1, 40, 41, 42), (50, 51, 2), 1.0),
    Encoded((1, 43), (52, 2), 0.0),
    Encoded((1, 44, 45), (53, 54, 55, 2), 1.0),
]


def system(family="llama", objective: Any = "predgen", **changes) -> Any:
    head = {"t5": "Seq2SeqLM", "bart": "Seq2SeqLM"}.get(family, "CausalLM")
    backbone = wrap_backbone(tiny_model(family, head=head), tiny_tokenizer())
    options = {"kind": "classes", "n_outputs": 2, "director": "cross_entropy", **changes}
    return build_system(backbone, Design(objective, **options))


def batch(rows=ROWS, family="llama", objective="predgen"):
    left = family not in ("t5", "bart") and objective != "predictor"
    return collate(rows, pad=0, left=left, classes=True)
