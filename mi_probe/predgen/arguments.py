"""Our settings as Hugging Face's Trainer takes them."""

from pathlib import Path

import torch
from transformers import TrainingArguments

from mi_probe.division import launched
from mi_probe.errors import InputError
from mi_probe.predgen.settings import TrainSettings
from mi_probe.predgen.trackers import TRAINING, check_trackers

ERRORS = ("mse", "mae", "rmse")
"""Metrics of which less is better."""


def trainer_arguments(
    settings: TrainSettings, folder: Path, rows: int, device: str, main_metric: str
) -> TrainingArguments:
    """The Trainer's arguments for our settings.

    Args:
        settings: ours.
        folder: of the run.
        rows: how many are trained on.
        device: ``cpu`` or ``cuda``.
        main_metric: of the task, which as ``selection`` selects.

    Raises:
        InputError: on a warm-up as long as the training, or a tracker that is not there.
    """
    _, processes = launched() or (1, 1)
    total = settings.total_steps(rows, processes)
    warmup = int(settings.warmup * (total if settings.warmup < 1 else 1))
    if warmup >= total:
        raise InputError(
            f"warmup must be shorter than the training, {total} steps; got {warmup}. Give "
            "fewer steps, or a share below 1."
        )
    check_trackers(settings.report_to, TRAINING)
    every = min(settings.checkpoint_every or max(1, -(-total // 4)), total)
    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=total,
        per_device_train_batch_size=settings.batch_size,
        gradient_accumulation_steps=settings.accumulation,
        learning_rate=settings.rate,
        lr_scheduler_type=settings.lr_schedule,
        # Rounded down: the first step of a warm-up is of rate 0, and few have it to spare.
        warmup_steps=warmup,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        bf16=settings.precision == "bfloat16",
        fp16=settings.precision == "float16",
        use_cpu=device == "cpu",
        seed=settings.seed,
        eval_strategy="steps",
        eval_steps=every,
        save_strategy="steps",
        save_steps=every,
        metric_for_best_model="selection",
        greater_is_better=main_metric not in ERRORS,
        logging_steps=10,
        report_to=settings.report_to or "none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=device != "cpu",
        ddp_find_unused_parameters=settings.objective == "predictor",
    )
    # One process, one GPU: torch's DataParallel would draw other own answers a replica.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments


def device_of(settings: TrainSettings) -> str:
    """``cpu`` or ``cuda``.

    Raises:
        InputError: if it is neither, or is not there.
    """
    name = settings.device
    if name not in ("auto", "cpu", "cuda"):
        raise InputError(
            f"device must be auto, cpu or cuda; got '{name}'. Choose among several GPUs "
            "by CUDA_VISIBLE_DEVICES."
        )
    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise InputError("device must be one that torch can use here (cpu); got 'cuda'.")
    return "cuda" if there and name != "cpu" else "cpu"
