"""A profile of layers and views: measured together, and one estimate after another.

    python benchmarks/profile_speed.py                        # 31 layers, 2,000 rows
    python benchmarks/profile_speed.py --layers 4 --rows 500  # scaled down

Both ways run `measure` on the same synthetic states in one process: once over all sites
and views, where the deepest site's choices narrow the search at the others and views share
their fits, and once for each pair alone, with nothing kept from one to the next. The target
is a third of the CPU time.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mi_probe.analysis.cells import Subject
from mi_probe.analysis.measuring import Measured, measure
from mi_probe.analysis.threads import limited_threads
from mi_probe.capture import Activations
from mi_probe.capture.shards import MemoryShard
from mi_probe.estimators import ESTIMATORS
from mi_probe.estimators.engine.auto import forget_fits
from mi_probe.hidden import HiddenStates, Role
from mi_probe.synthetic import order
from mi_probe.tasks import Task

VIEWS = ("full", "mean", "last", "first", "max")


def states(n: int, t: int, d: int, layers: int) -> tuple[Activations, Task, Subject]:
    """Layers of an imagined model: each adds a little to the one before, as blocks do."""
    known = order(n, t, d, noise=1.0)
    assert isinstance(known.x, HiddenStates)
    generator = torch.Generator().manual_seed(0)
    mask, values = known.x.mask, known.x.values
    tensors = {
        "lengths/text": mask.sum(1),
        "position/text": torch.full((n,), -1),
        "tokens/text": torch.zeros(int(mask.sum()), dtype=torch.long),
        "roles/text": torch.full((int(mask.sum()),), int(Role.PROMPT), dtype=torch.int8),
    }
    sites = ("embed", *(f"block.{i}" for i in range(layers - 1)))
    for site in sites:
        tensors[f"full/{site}"] = values[mask]
        mixing = torch.randn(d, d, generator=generator) / d**0.5
        values = values + 0.1 * torch.tanh(values @ mixing)
    ids = tuple(f"{i:06d}" for i in range(n))
    activations = Activations(
        sites=sites,
        views=VIEWS,
        ids=ids,
        notes=(),
        fingerprint={"model": "synthetic", "layers": layers, "rows": n},
        stacks=dict.fromkeys(sites, "text"),
        shards=(MemoryShard(ids, tensors),),
    )
    pooled = {
        f"{view}/{site}": activations._pool(activations.shards[0], site, view)
        for site in sites
        for view in VIEWS[1:]
    }
    shard = MemoryShard(ids, {**tensors, **pooled})
    task = Task(
        name="order",
        prompts=tuple(f"row {i}" for i in range(n)),
        answers=tuple(" a" for _ in range(n)),
        labels=known.y,
        label_names=("after", "before"),
        target="which marker comes first",
        source="synthetic",
        ids=ids,
    )
    subject = Subject(
        model="synthetic",
        layers={site: i for i, site in enumerate(sites)},
        depths=dict.fromkeys(sites, layers - 1),
    )
    whole = Activations(
        sites=sites,
        views=VIEWS,
        ids=ids,
        notes=(),
        fingerprint=activations.fingerprint,
        stacks=activations.stacks,
        shards=(shard,),
    )
    return whole, task, subject


def measured_alone(
    activations: Activations, task: Task, site: str, view: str, common: dict[str, Any]
) -> list[Measured]:
    """One estimate, as a process of its own would make it."""
    forget_fits()
    return list(measure(activations, task, sites=[site], views=[view], **common))


def main() -> None:
    """Time both ways and write the JSON beside this file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--layers", type=int, default=31)
    parser.add_argument("--rows", type=int, default=2_000)
    parser.add_argument("--tokens", type=int, default=16)
    parser.add_argument("--dims", type=int, default=64)
    parser.add_argument("--estimator", choices=list(ESTIMATORS), default="auto")
    asked = parser.parse_args()
    activations, task, subject = states(asked.rows, asked.tokens, asked.dims, asked.layers)
    chosen = {asked.estimator: ESTIMATORS[asked.estimator]}
    common = {"subject": subject, "estimators": chosen}
    with limited_threads(1):
        # Lazy imports and first calls are no part of either.
        list(measure(activations, task, sites=["embed"], views=["mean"], **common))
        began = time.process_time()
        anchor = activations.sites[-1]
        together = list(measure(activations, task, anchor=anchor, **common))
        shared = time.process_time() - began
        began = time.process_time()
        alone = [
            row
            for site in activations.sites
            for view in VIEWS
            for row in measured_alone(activations, task, site, view, common)
        ]
        separate = time.process_time() - began
    found = {(m.row.site, m.row.view): m.estimate.nats for m in together}
    differences = [abs(found[m.row.site, m.row.view] - m.estimate.nats) for m in alone]
    result = {
        "layers": asked.layers,
        "views": len(VIEWS),
        "shape": [asked.rows, asked.tokens, asked.dims],
        "estimator": asked.estimator,
        "cpu_seconds_together": round(shared, 1),
        "cpu_seconds_one_by_one": round(separate, 1),
        "ratio": round(shared / separate, 3),
        "largest_difference_nats": round(float(np.max(differences)), 4),
    }
    Path(__file__).with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
