"""What a training step of PredGen costs beside one of the Generator: time and memory.

    python benchmarks/training_cost.py

The cost is of one optimiser step, forward and backward, Generator against PredGen with
gold and with its own answers, interleaved in one process over the same batches; process
CPU time on a CPU, since wall time on a shared machine measures the neighbours. Peak
memory is that of a fresh process each, after loading. A linear schedule from 0 to 1 spends
half of its batches on own answers, so its mean cost is the mean of the two. Writes
``benchmarks/training_cost.json``.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from training import parser_of, peak_mb, settings_of

from mi_probe.backbones import load_backbone
from mi_probe.predgen.build import build_system
from mi_probe.predgen.data import read_splits
from mi_probe.predgen.design import design_for
from mi_probe.predgen.encoding import collate, encode
from mi_probe.predgen.own_answers import OwnAnswers
from mi_probe.predgen.peft_methods import apply_peft
from mi_probe.predgen.schedules import Schedule
from mi_probe.predgen.systems import pad_token
from mi_probe.provenance import code_version

STEP_TARGET, MEMORY_TARGET = 1.4, 1.3
VARIANTS = ("generator", "predgen, gold answers", "predgen, own answers")


def forget_peak() -> None:
    """Let the peak of memory begin anew: loading a model takes more than a small step."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    with suppress(OSError):  # Linux only; elsewhere the peak is that of the whole process
        Path("/proc/self/clear_refs").write_text("5")


def step_of(options: argparse.Namespace, variant: str):
    """A function of the step's number that makes one step of a variant."""
    objective = "generator" if variant == "generator" else "predgen"
    settings = settings_of(options, options.task, objective, 0)
    parts = read_splits(settings.source, train_rows=options.train_rows or 512)
    device = "cuda" if options.device != "cpu" and torch.cuda.is_available() else "cpu"
    backbone = load_backbone(options.backbone, lm_head=True, device=device)
    rows = encode(backbone, parts.train, max_tokens=options.max_tokens).rows
    model = apply_peft(
        backbone.model,  # type: ignore[arg-type]
        settings.peft_settings,
        total_steps=options.steps,
    )
    design = design_for(parts.train, objective)
    system = build_system(replace(backbone, model=model), design).train()
    system.to(device)
    trained = [p for p in system.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=1e-5)
    own = OwnAnswers(Schedule("always"), options.steps)
    together = partial(collate, pad=pad_token(backbone), left=True, classes=True)

    def step(number: int) -> None:
        size = options.batch_size
        start = number * size % (len(rows) - size)
        batch = together(rows[start : start + size])
        batch = {name: tensor.to(device) for name, tensor in batch.items()}
        fed = {}
        if variant == VARIANTS[2]:
            fed = own.fed(system, batch, step=number, place=0)
        system(**batch, **fed)["loss"].backward()
        optimiser.step()
        optimiser.zero_grad()
        if device == "cuda":
            torch.cuda.synchronize()

    return step, device


def memory(options: argparse.Namespace, variant: str) -> float:
    """Peak memory in MB of a fresh process that makes a few steps of one variant."""
    command = [sys.executable, __file__, *sys.argv[1:], "--memory-of", variant]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.strip().splitlines()[-1])


def cost(options: argparse.Namespace) -> None:
    """Write the table, and say whether the targets are met."""
    steps, device = {}, "cpu"
    for variant in VARIANTS:
        steps[variant], device = step_of(options, variant)
    clock = time.perf_counter if device == "cuda" else time.process_time
    taken: dict[str, list[float]] = {variant: [] for variant in VARIANTS}
    for number in range(options.measured + 1):
        order = VARIANTS if number % 2 else VARIANTS[::-1]
        for variant in order:
            began = clock()
            steps[variant](number)
            if number:  # the first one warms up
                taken[variant].append(clock() - began)
    del steps
    seconds = {variant: statistics.median(times) for variant, times in taken.items()}
    ratios = {
        variant: statistics.median(
            a / b for a, b in zip(taken[variant], taken["generator"], strict=True)
        )
        for variant in VARIANTS
    }
    ratios["predgen, linear schedule"] = (ratios[VARIANTS[1]] + ratios[VARIANTS[2]]) / 2
    peaks = {variant: memory(options, variant) for variant in VARIANTS}
    worst = max(peaks.values()) / peaks["generator"]
    found = {
        "backbone": options.backbone,
        "peft": options.peft,
        "task": options.task,
        "batch_size": options.batch_size,
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "code": code_version(),
        "seconds_a_step": seconds,
        "step_ratio": ratios,
        "peak_mb": peaks,
        "memory_ratio": worst,
        "steps": options.measured,
    }
    options.out.write_text(json.dumps(found, indent=1) + "\n")
    for variant, ratio in ratios.items():
        print(f"{variant:28} {ratio:6.2f} x a Generator's step")
    mean = ratios["predgen, linear schedule"]
    print(f"step: {mean:.2f} (target {STEP_TARGET}), {_met(mean, STEP_TARGET)}")
    print(f"memory: {worst:.2f} (target {MEMORY_TARGET}), {_met(worst, MEMORY_TARGET)}")


def _met(value: float, target: float) -> str:
    return "met" if value <= target else "NOT met"


def main() -> None:
    """Parse and run."""
    parser = parser_of(__doc__)
    parser.add_argument("--task", default="rotten_tomatoes")
    parser.add_argument("--measured", type=int, default=10, help="steps of each variant")
    out = Path(__file__).parent / "training_cost.json"
    parser.add_argument("--out", type=Path, default=out)
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory_of is None:
        cost(options)
        return
    step, device = step_of(options, options.memory_of)
    forget_peak()
    for number in range(3):
        step(number)
    print(peak_mb(device))


if __name__ == "__main__":
    main()
