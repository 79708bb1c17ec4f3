"""16 x 1 is 4 x 4: a step's loss and gradient do not depend on how its rows are batched."""

from typing import Any

import pandas as pd
import pytest
import torch
from planted_tasks import quick
from tiny_systems import ROWS, batch, system
from transformers import TrainerCallback

from mi_probe.predgen.alignment import ALIGNMENTS
from mi_probe.predgen.step_ahead import loss_of, share_of_step, sums_of
from mi_probe.predgen.training import train


class Gradients(TrainerCallback):
    """Those of the first step, and what its loss was."""

    def __init__(self) -> None:
        self.found: dict[str, torch.Tensor] = {}

    def on_pre_optimizer_step(self, args, state, control, model, **kwargs):
        if not self.found:
            for name, weight in model.named_parameters():
                if weight.grad is not None:
                    self.found[name] = weight.grad.clone()


OWN = {"schedule": "always", "director": "huber"}


@pytest.mark.parametrize(
    ("objective", "changes"),
    [
        ("predictor", {}),
        ("generator", {}),
        ("generator", {"loss_on": "all"}),
        ("predgen", {"schedule": "never"}),
        ("predgen", {"schedule": "never", "alignment": "uncertainty"}),
        ("predgen", {**OWN, "alignment": "sum"}),
        ("predgen", {**OWN, "alignment": "code", "sampling": "token"}),
        ("predgen", OWN),
        ("predgen", {**OWN, "peft": "adalora"}),
    ],
)
def test_a_step_is_one_whatever_its_batches(
    objective, changes, scores, folder_of, tmp_path
):
    found: list[dict[str, torch.Tensor]] = []
    lines = []
    uneven = [(6, 3)] if changes is OWN else []
    for size, times in [(16, 1), (4, 4), *uneven]:
        few = {"steps": 2, "train_rows": 16, "validation_rows": 2, "reserve": 2}
        few |= {"batch_size": size, "accumulation": times, "max_grad_norm": 1e9}
        # Rates so small that the second step is of the same weights.
        few |= {"learning_rate": 1e-12, "warmup": 0.0}
        settings = quick(objective, folder_of("llama"), scores, **{**few, **changes})
        gradients, out = Gradients(), tmp_path / f"{size}"
        train(settings, out, callbacks=[gradients])
        found.append(gradients.found)
        lines.append(pd.read_csv(out / "losses.csv")[["loss", "writer", "director"]])
    first = found[0]
    assert first
    for other, line in zip(found[1:], lines[1:], strict=True):
        pd.testing.assert_frame_equal(line, lines[0], rtol=2e-5)
        assert set(other) == set(first)
        largest = max(float(grad.abs().max()) for grad in first.values())
        for name, grad in first.items():
            torch.testing.assert_close(other[name], grad, atol=2e-5 * largest, rtol=1e-3)


@pytest.mark.parametrize("alignment", ALIGNMENTS)
def test_shares_add_up_to_the_loss_and_gradient_of_all_rows(alignment):
    built: Any = system(alignment=alignment)
    for p in built.head.parameters():  # its last layer starts at zero
        p.data += 0.1 * torch.arange(p.numel()).view_as(p).sin()
    weights = [p for p in built.parameters() if p.requires_grad]
    whole = built(**batch())
    expected = torch.autograd.grad(whole["loss"], weights, allow_unused=True)
    parts = [built(**batch([row])) for row in ROWS]
    step = torch.stack([sums_of(part) for part in parts]).sum(0)
    torch.testing.assert_close(step, sums_of(whole), rtol=1e-5, atol=1e-5)
    assert loss_of(built, step) == pytest.approx(whole["loss"].item(), rel=1e-5)
    loss: Any = sum(share_of_step(built, part, step) for part in parts)
    assert loss.item() == pytest.approx(whole["loss"].item(), rel=1e-5)
    given = torch.autograd.grad(loss, weights, allow_unused=True)
    for one, other in zip(given, expected, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)
