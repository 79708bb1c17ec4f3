"""What a RoCoFT layer costs in training, in its published form and in others.

    python benchmarks/rocoft_cost.py              # writes rocoft_cost.json

A layer of SmolLM2-135M's shapes, 576 to 1,536, reads 8 x 64 tokens, forward and
backward, on one thread. Each form's CPU time is the least of several rounds in which all
take turns; flops are counted by torch; bytes are what is kept for the backward pass.
"""

import argparse
import json
import platform
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from mi_probe.backbones.rocoft import RocoftLayer

INPUTS, OUTPUTS, COUNT, TOKENS = 576, 1536, 3, (8, 64)
Form = Callable[[Tensor], Tensor]


def _part(weight: Tensor, axis: str) -> tuple[Tensor, Tensor]:
    cut = 0 if axis == "row" else 1
    first, rest = weight.split([COUNT, weight.shape[cut] - COUNT], cut)
    return first.clone().requires_grad_(), rest.contiguous()


def ours(weight: Tensor, axis: str) -> Form:
    """One weight, a gradient of the trained part only."""
    layer = nn.Linear(INPUTS, OUTPUTS, bias=False)
    layer.weight = nn.Parameter(weight.clone())
    return RocoftLayer(layer, "row" if axis == "row" else "column", COUNT)


def published(weight: Tensor, axis: str) -> Form:
    """Both parts joined in each forward."""
    first, rest = _part(weight, axis)
    cut = 0 if axis == "row" else 1
    return lambda x: functional.linear(x, torch.cat([first, rest], cut))


def split(weight: Tensor, axis: str) -> Form:
    """Two products, joined (rows) or added (columns)."""
    first, rest = _part(weight, axis)
    if axis == "row":
        return lambda x: torch.cat(
            [functional.linear(x, first), functional.linear(x, rest)], -1
        )
    return lambda x: (
        functional.linear(x[..., :COUNT], first) + functional.linear(x[..., COUNT:], rest)
    )


def delta(weight: Tensor, axis: str) -> Form:
    """The frozen product, and the change of the trained part added to it."""
    first, _ = _part(weight, axis)
    old = first.detach().clone()
    if axis == "column":
        return lambda x: (
            functional.linear(x, weight) + functional.linear(x[..., :COUNT], first - old)
        )

    def rows(x: Tensor) -> Tensor:
        y = functional.linear(x, weight)
        y[..., :COUNT] += functional.linear(x, first - old)
        return y

    return rows


def frozen(weight: Tensor, axis: str) -> Form:
    """Nothing is trained here: the least that any form can cost."""
    return lambda x: functional.linear(x, weight)


def low_rank(weight: Tensor, axis: str) -> Form:
    """LoRA's form with the same rank, for comparison."""
    down = torch.randn(COUNT, INPUTS, requires_grad=True)
    up = torch.zeros(OUTPUTS, COUNT, requires_grad=True)
    return lambda x: (
        functional.linear(x, weight) + functional.linear(functional.linear(x, down), up)
    )


FORMS = {
    **{"ours": ours, "published": published, "split": split},
    **{"delta": delta, "lora": low_rank, "frozen": frozen},
}


def _passes(form: Form, x: Tensor) -> Tensor:
    x = x.detach().requires_grad_()
    y = form(x)
    y.backward(torch.ones_like(y))
    return y


def _kept(form: Form, x: Tensor, weight: Tensor) -> int:
    """Bytes kept for the backward pass, beside the input, the weight and parameters."""
    x = x.detach().requires_grad_()
    cells = [cell.cell_contents for cell in getattr(form, "__closure__", None) or ()]
    own = list(form.parameters()) if isinstance(form, nn.Module) else cells
    there = [t for t in (x, weight, *own) if isinstance(t, Tensor)]
    known = {tensor.untyped_storage().data_ptr() for tensor in there}
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        form(x)
    return sum(kept.values())


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(OUTPUTS, INPUTS, generator=generator) / INPUTS**0.5
    x = torch.randn(*TOKENS, INPUTS, generator=generator)
    table = []
    for axis in ("row", "column"):
        forms = {name: make(weight, axis) for name, make in FORMS.items()}
        times: dict[str, list[float]] = {name: [] for name in forms}
        for turn in range(arguments.rounds):
            for name in list(forms)[:: 1 if turn % 2 else -1]:
                start = time.process_time()
                for _ in range(4):
                    _passes(forms[name], x)
                times[name].append((time.process_time() - start) / 4)
        for name, form in forms.items():
            with FlopCounterMode(display=False) as counter:
                _passes(form, x)
            table.append(
                {
                    "axis": axis,
                    "form": name,
                    "milliseconds": round(1e3 * min(times[name]), 2),
                    "gigaflops": round(counter.get_total_flops() / 1e9, 3),
                    "kept_bytes": _kept(form, x, weight),
                }
            )
            print(table[-1])
    content = {
        "layer": {"inputs": INPUTS, "outputs": OUTPUTS, "rank": COUNT, "tokens": TOKENS},
        "torch": torch.__version__,
        "machine": platform.processor() or platform.machine(),
        "rounds": arguments.rounds,
        "costs": table,
    }
    path = Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
