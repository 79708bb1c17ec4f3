"""What 16 bits cost: states and estimates of a model in float32, bfloat16 and float16.

    python benchmarks/precision.py
    python benchmarks/precision.py --device cuda --models smollm2-135m  # slow on a CPU

The same rows through the same weights, rounded: how far the states at each site are from
those in float32, and what `auto` makes of their means. A copy of the model of which one
block writes large values shows what becomes of states beyond 65,504, the largest float16.
Writes `precision.md`, and prints it.
"""

import argparse
import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from mi_probe.backbones import Backbone, load_backbone, wrap_backbone
from mi_probe.capture import Activations, extract
from mi_probe.errors import InputError
from mi_probe.estimators import ESTIMATORS
from mi_probe.provenance import code_version
from mi_probe.tasks import Task, load_task

MODELS = {"minilm-l6": "0,3,6", "smollm2-135m": "0,15,30"}
DTYPES = ("float32", "bfloat16", "float16")
LARGE = 2**16
TASK = "rotten_tomatoes"
HEAD = (
    "| model | precision | site | largest state | states differ by | I(Y; mean), nats "
    "| against float32, ± 1.96 SE |"
)


def enlarged(name: str, dtype: str, device: str) -> Backbone:
    """The model, in whose first block one unit of the MLP's output is `LARGE` times it."""
    backbone = load_backbone(name, dtype=dtype, device=device, num_hidden_layers=2)
    weights = backbone.base.get_parameter("layers.0.mlp.down_proj.weight")
    with torch.no_grad():
        weights[0] *= LARGE
    return wrap_backbone(backbone.model, backbone.tokenizer, name=name)


def captures(
    name: str, task: Task, device: str, *, large: bool = False
) -> Iterator[tuple[str, Activations | str]]:
    """Precision, and the states in it or why there are none."""
    sites = "1" if large else MODELS[name]
    for dtype in DTYPES:
        made = enlarged if large else load_backbone
        backbone = made(name, dtype=dtype, device=device)
        told = {"sites": sites, "views": ("full", "mean"), "max_tokens": 64}
        # The padding check would be the first to see them.
        try:
            yield (
                dtype,
                extract(backbone, task, progress=False, padding_check=not large, **told),
            )
        except InputError as error:
            yield dtype, str(error)


def lines(name: str, task: Task, device: str) -> Iterator[str]:
    """The table's lines of one model."""
    whole: Activations | None = None
    plain = {}
    for dtype, found in captures(name, task, device):
        if isinstance(found, str):
            yield f"| {name} | {dtype} | refused | | | | {found} |"
            continue
        whole = whole or found
        for site in found.sites:
            one, two = (states.hidden(site) for states in (whole, found))
            real, ours = (z.values[z.mask].double() for z in (one, two))
            apart = float((ours - real).norm() / real.norm())
            x = found.pooled(site, "mean").float().numpy()
            estimate = ESTIMATORS["auto"].estimate(x, np.asarray(task.labels), seed=0)
            before = plain.setdefault(site, estimate)
            change = np.asarray(estimate.pointwise) - np.asarray(before.pointwise)
            spread = 1.96 * change.std() / len(change) ** 0.5
            against = "" if found is whole else f"{change.mean():+.4f} ± {spread:.4f}"
            yield (
                f"| {name} | {dtype} | {site} | {float(real.abs().max()):.3g} | "
                f"{apart:.1e} | {estimate.nats:.4f} | {against} |"
            )


def overflows(task: Task, device: str) -> Iterator[str]:
    """What is said of each precision where states are too large for float16."""
    for dtype, found in captures("smollm2-135m", task, device, large=True):
        if isinstance(found, str):
            yield f"- {dtype}: refused. *{found}*"
        else:
            largest = float(found.hidden(found.sites[0]).values.abs().max())
            yield f"- {dtype}: captured; the largest is {largest:.3g}."


def page(n: int, device: str, names: list[str]) -> Iterator[str]:
    """The lines of `precision.md`."""
    task = load_task(TASK).sample(n, seed=0)
    yield f"# States in 16 bits: {n:,} rows of {TASK}, on {device}"
    yield ""
    yield f"Made with mi_probe {code_version()}, torch {torch.__version__}."
    yield ""
    yield HEAD
    yield "|---|---|---|---|---|---|---|"
    for name in names:
        yield from lines(name, task, device)
    yield ""
    yield (
        "*States differ by* is the norm of the difference over the norm of all states; "
        "the difference of estimates is paired, row by row."
    )
    yield ""
    yield (
        f"smollm2-135m with one unit of its first block {LARGE:,} times as large, whose "
        "states no float16 can hold:"
    )
    yield ""
    yield from overflows(task.sample(min(n, 32), seed=0), device)


def main() -> None:
    """Run, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=400)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=["minilm-l6"])
    asked = parser.parse_args()
    shown, kept = itertools.tee(page(asked.rows, asked.device, asked.models))
    for line in shown:
        print(line, flush=True)
    Path(__file__).with_suffix(".md").write_text("\n".join(kept) + "\n")


if __name__ == "__main__":
    main()
