"""The three systems trained on real text.

    python benchmarks/training.py                                  # Rotten Tomatoes
    python benchmarks/training.py --tasks sst2 --data-folder DATA  # original files

Each training is a fresh process, and a line in ``benchmarks/training.csv``; finished ones
are kept, and run again only with another setting. All objectives of a seed are trained on
the same rows, in the same order, for the same number of steps. `training_cost.py` says what
a step costs.
"""

import argparse
import csv
import json
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mi_probe.predgen.data import read_splits
from mi_probe.predgen.design import OBJECTIVES
from mi_probe.predgen.settings import TrainSettings, preset
from mi_probe.predgen.training import train
from mi_probe.provenance import code_version

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


def parser_of(description: str | None) -> argparse.ArgumentParser:
    """The options that say what is trained, and how."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-folder")
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
    return parser


def main() -> None:
    """Parse and run."""
    parser = parser_of(__doc__)
    parser.add_argument("--tasks", nargs="+", default=["rotten_tomatoes"])
    parser.add_argument("--objective", choices=OBJECTIVES, help="only this one")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    out = Path(__file__).parent / "training.csv"
    parser.add_argument("--out", type=Path, default=out)
    parser.add_argument("--cell", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.cell is None:
        trainings(options)
    else:
        print(json.dumps(one(settings_of(options, *json.loads(options.cell)))))


if __name__ == "__main__":
    main()
