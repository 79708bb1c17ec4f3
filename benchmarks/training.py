"""The three systems trained on real text, and what PredGen's steps cost.

    python benchmarks/training.py                                  # Rotten Tomatoes
    python benchmarks/training.py --tasks sst2 --data-folder DATA  # original files
    python benchmarks/training.py --cost                           # step time and memory

Each training is a fresh process, and a line in ``benchmarks/training.csv``; finished ones
are kept, and run again only with another setting. All objectives of a seed are trained on
the same rows, in the same order, for the same number of steps.

The cost is of one optimiser step, forward and backward, Generator against PredGen with
gold and with its own answers, interleaved in one process over the same batches; process
CPU time on a CPU, since wall time on a shared machine measures the neighbours. Peak
memory is that of a fresh process each, after loading. A linear schedule from 0 to 1 spends
half of its batches on own answers, so its mean cost is the mean of the two.
"""

import argparse
import csv
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mi_probe.backbones import load_backbone
from mi_probe.predgen.build import build_system
from mi_probe.predgen.data import read_splits
from mi_probe.predgen.design import OBJECTIVES, design_for
from mi_probe.predgen.encoding import collate, encode
from mi_probe.predgen.own_answers import OwnAnswers
from mi_probe.predgen.peft_methods import apply_peft
from mi_probe.predgen.schedules import Schedule
from mi_probe.predgen.settings import TrainSettings, preset
from mi_probe.predgen.systems import pad_token
from mi_probe.predgen.training import train
from mi_probe.provenance import code_version

STEP_TARGET, MEMORY_TARGET = 1.4, 1.3
VARIANTS = ("generator", "predgen, gold answers", "predgen, own answers")
COLUMNS = (
    *("task", "objective", "backbone", "peft", "seed", "steps", "batch_size"),
    *("train_rows", "test_rows", "majority", "accuracy", "text_accuracy"),
    *("parse_failure_rate", "validation_accuracy", "chosen_step", "seconds"),
    *("cpu_seconds", "peak_mb", "device", "threads", "code"),
)
KEY = COLUMNS[:8]


def settings_of(options: argparse.Namespace, task: str, objective: str, seed: int):
    """The settings of one training."""
    return preset(
        "default",
        objective=objective,
        backbone=options.backbone,
        task=task,
        data_folder=options.data_folder,
        train_rows=options.train_rows,
        validation_rows=options.validation_rows,
        reserve=options.reserve,
        peft=options.peft,
        steps=options.steps,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        max_tokens=options.max_tokens,
        group_by_length=True,
        device=options.device,
        seed=seed,
    )


def forget_peak() -> None:
    """Let the peak of memory begin anew: loading a model takes more than a small step."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    with suppress(OSError):  # Linux only; elsewhere the peak is that of the whole process
        Path("/proc/self/clear_refs").write_text("5")


def peak_mb(device: str) -> float:
    """The most memory that this process has used: the GPU's, on one."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    with suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(x for x in lines if x.startswith("VmHWM")).split()[1]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def one(settings: TrainSettings) -> dict[str, Any]:
    """Train, and say what came of it."""
    began, cpu = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        trained = train(replace(settings, keep_checkpoints=1), Path(folder) / "out")
    config, test = trained.config, trained.metrics["test"]
    device = "cuda" if config["versions"]["cuda"] and settings.device != "cpu" else "cpu"
    parts = read_splits(
        settings.source, reserve=settings.reserve, validation_rows=1, seed=settings.seed
    )
    _, counts = np.unique(parts.test.labels, return_counts=True)
    return {
        "task": settings.task,
        "objective": settings.objective,
        "backbone": settings.backbone,
        "peft": settings.peft,
        "seed": settings.seed,
        "steps": settings.steps,
        "batch_size": settings.batch_size,
        "train_rows": settings.train_rows,
        "test_rows": len(parts.test),
        "majority": round(float(counts.max() / counts.sum()), 4),
        "accuracy": round(test["accuracy"], 4),
        "text_accuracy": test.get("text_accuracy"),
        "parse_failure_rate": test.get("parse_failure_rate"),
        "validation_accuracy": round(trained.metrics["validation"]["accuracy"], 4),
        "chosen_step": config["step"],
        "seconds": round(time.perf_counter() - began, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "peak_mb": round(peak_mb(device)),
        "device": config["versions"]["cuda"] if device == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "code": code_version(),
    }


def step_of(options: argparse.Namespace, variant: str):
    """A function of the step's number that makes one step of a variant."""
    objective = "generator" if variant == "generator" else "predgen"
    settings = settings_of(options, options.tasks[0], objective, 0)
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
    """Write ``training_cost.json``, and say whether the targets are met."""
    steps, device = {}, "cpu"
    for variant in VARIANTS:
        steps[variant], device = step_of(options, variant)
    clock = time.perf_counter if device == "cuda" else time.process_time
    taken: dict[str, list[float]] = {variant: [] for variant in VARIANTS}
    for number in range(options.cost_steps + 1):
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
        "task": options.tasks[0],
        "batch_size": options.batch_size,
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "code": code_version(),
        "seconds_a_step": seconds,
        "step_ratio": ratios,
        "peak_mb": peaks,
        "memory_ratio": worst,
        "steps": options.cost_steps,
    }
    options.cost_out.write_text(json.dumps(found, indent=1) + "\n")
    for variant, ratio in ratios.items():
        print(f"{variant:28} {ratio:6.2f} x a Generator's step")
    mean = ratios["predgen, linear schedule"]
    print(f"step: {mean:.2f} (target {STEP_TARGET}), {_met(mean, STEP_TARGET)}")
    print(f"memory: {worst:.2f} (target {MEMORY_TARGET}), {_met(worst, MEMORY_TARGET)}")


def _met(value: float, target: float) -> str:
    return "met" if value <= target else "NOT met"


def trainings(options: argparse.Namespace) -> None:
    """Every training that is not in the table yet."""
    done = []
    if options.out.is_file():
        with options.out.open(newline="") as file:
            done = list(csv.DictReader(file))
    known = {tuple(row[name] for name in KEY) for row in done}
    for task in options.tasks:
        for seed in options.seeds:
            for objective in (
                OBJECTIVES if options.objective is None else [options.objective]
            ):
                cell = settings_of(options, task, objective, seed)
                key = tuple(
                    "" if (value := getattr(cell, name)) is None else str(value)
                    for name in KEY
                )
                if key in known:
                    print("finished before:", *key)
                    continue
                command = [sys.executable, __file__, *sys.argv[1:]]
                command += ["--cell", json.dumps([task, objective, seed])]
                ended = subprocess.run(
                    command, stdout=subprocess.PIPE, text=True, check=True
                )
                row = json.loads(ended.stdout.strip().splitlines()[-1])
                fresh = not options.out.is_file()
                with options.out.open("a", newline="") as file:
                    writer = csv.DictWriter(file, COLUMNS)
                    if fresh:
                        writer.writeheader()
                    writer.writerow(row)
                print(*(f"{name}={row[name]}" for name in COLUMNS[:-1]), flush=True)


def main() -> None:
    """Parse and run."""
    here = Path(__file__).parent
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", nargs="+", default=["rotten_tomatoes"])
    parser.add_argument("--data-folder")
    parser.add_argument("--objective", choices=OBJECTIVES, help="only this one")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--backbone", default="smollm2-135m")
    parser.add_argument("--peft", default="lora")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--train-rows", type=int)
    parser.add_argument("--validation-rows", type=int, default=200)
    parser.add_argument("--reserve", type=int)
    parser.add_argument("--max-tokens", type=int, default=96)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, default=here / "training.csv")
    parser.add_argument("--cost", action="store_true", help="step time and memory only")
    parser.add_argument("--cost-steps", type=int, default=10)
    parser.add_argument("--cost-out", type=Path, default=here / "training_cost.json")
    parser.add_argument("--cell", help=argparse.SUPPRESS)
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.cell is not None:
        print(json.dumps(one(settings_of(options, *json.loads(options.cell)))))
    elif options.memory_of is not None:
        step, device = step_of(options, options.memory_of)
        forget_peak()
        for number in range(3):
            step(number)
        print(peak_mb(device))
    elif options.cost:
        cost(options)
    else:
        trainings(options)


if __name__ == "__main__":
    main()
