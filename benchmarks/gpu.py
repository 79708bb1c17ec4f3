"""All that only a GPU can tell, in ten minutes: a line a check, exit code 1 if one fails.

    python benchmarks/gpu.py

Without a GPU it says so, and checks nothing. Capture against a full forward; states of the
GPU against the CPU's, of a model over both, and in 16 bits; critics that are trained side
by side there against the same on the CPU.
"""

import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from tempfile import TemporaryDirectory
from typing import Any

import capture_cost
import precision
import speed
import torch
from capture_cost import TARGET, random_llama, rows, tokenizer

from mi_probe.backbones import load_backbone
from mi_probe.capture import Activations, extract
from mi_probe.errors import InputError
from mi_probe.estimators import ESTIMATORS
from mi_probe.tasks import load_task

CHECKS_SECONDS = 600
Check = tuple[str, bool]
"""What was seen, and whether it is as it should be."""


def clock() -> float:
    """Seconds, when the GPU has done what it was told."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def capture_overhead(device: str) -> Iterator[Check]:
    """Every site pooled against the language model's forward."""
    found = capture_cost.ratios(capture_cost.variants("random-llama", device), 15, clock)
    for name, (seconds, of_full) in found.items():
        ratio = statistics.median(of_full)
        said = f"{name}: {statistics.median(seconds):.4f} s, {ratio:.3f} of a full forward"
        yield said, name != "capture, pooled" or ratio <= TARGET


def apart(one: Activations, two: Activations) -> float:
    """The largest relative difference of a site's states, or of their means."""
    pairs = [
        pair
        for site in one.sites
        for pair in (
            (one.hidden(site).values, two.hidden(site).values),
            (one.pooled(site, "mean"), two.pooled(site, "mean")),
        )
    ]
    return max(float((b.double() - a).norm() / a.double().norm()) for a, b in pairs)


def states(device: str) -> Iterator[Check]:
    """The same model on the CPU, on the GPU, over both, and in 16 bits."""
    told = {"views": ("full", "mean"), "progress": False, "batch_size": 4}
    with TemporaryDirectory() as folder:
        random_llama().save_pretrained(folder)
        tokenizer().save_pretrained(folder)
        data = rows(32000)
        whole = extract(load_backbone(folder), data, **told)
        both = {f"layers.{i}": "disk" if i < 4 else device for i in range(8)}
        both |= dict.fromkeys(("embed_tokens", "norm", "rotary_emb"), device)
        ways = {
            device: ({"device": device}, 1e-3),
            "auto": ({"device": "auto"}, 1e-3),
            "four of eight blocks on the disk": ({"device": both}, 1e-3),
            "bfloat16": ({"device": device, "dtype": "bfloat16"}, 5e-2),
            "float16": ({"device": device, "dtype": "float16"}, 1e-2),
        }
        for name, (how, most) in ways.items():
            found = apart(whole, extract(load_backbone(folder, **how), data, **told))
            yield (
                f"states, {name}: {found:.1e} from the CPU's, at most {most:g}",
                found < most,
            )


def sixteen_bits(device: str) -> Iterator[Check]:
    """The table of `precision.py`, where its model is there."""
    try:
        lines = [*precision.lines("minilm-l6", load_task(precision.TASK), device)]
    except (InputError, OSError) as error:
        yield f"estimates in 16 bits: not checked ({error})", True
        return
    yield "\n".join([precision.HEAD, *lines]), "refused" not in "".join(lines)


def critics(device: str, n: int = 2000) -> Iterator[Check]:
    """One estimate on the GPU and on the CPU."""
    for subject, name in (("vectors", "mine"), ("vectors", "auto"), ("long", "auto")):
        x, y = speed.data(subject, n)
        found = []
        for place in ("cpu", device):
            plain: Any = ESTIMATORS[name]
            estimator = replace(plain, device=place)
            began = clock()
            found.append((estimator.estimate(x, y, seed=0).nats, clock() - began))
        (one, slow), (two, fast) = found
        said = (
            f"{name}, {subject}: {one:.4f} nats in {slow:.1f} s on the CPU, {two:.4f} in "
        )
        yield said + f"{fast:.1f} s on {device}", abs(one - two) < 0.01


def main() -> int:
    """Run all; 1 where one is not as it should be."""
    if not torch.cuda.is_available():
        print("skipped: torch finds no CUDA device here")
        return 0
    began, failed = time.perf_counter(), 0
    print(torch.cuda.get_device_name(), f"torch {torch.__version__}")
    for part in (capture_overhead, states, sixteen_bits, critics):
        if time.perf_counter() - began > CHECKS_SECONDS * 0.7:
            print(f"{part.__name__}: not run, for time")
            continue
        for said, well in part("cuda"):
            print("ok    " if well else "FAILED", said, flush=True)
            failed += not well
    print(f"{time.perf_counter() - began:.0f} s, {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
