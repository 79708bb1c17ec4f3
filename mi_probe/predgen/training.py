"""Training one system, from settings to a folder that can be measured."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerState

from mi_probe.atomic import check_writable
from mi_probe.backbones import Backbone, load_backbone
from mi_probe.backbones.folders import lasting_name
from mi_probe.backbones.modules import user_files
from mi_probe.backbones.quiet import quiet_transformers
from mi_probe.division import launched
from mi_probe.errors import InputError
from mi_probe.locks import locked
from mi_probe.predgen.arguments import device_of, trainer_arguments
from mi_probe.predgen.build import build_system
from mi_probe.predgen.checkpoints import (
    Checkpoint,
    load_checkpoint,
    read_config,
    save_checkpoint,
)
from mi_probe.predgen.data import Splits, read_splits, sha256_of_ids
from mi_probe.predgen.design import Design, design_for
from mi_probe.predgen.encoding import Rows, encode_parts
from mi_probe.predgen.final_model import finish
from mi_probe.predgen.metrics import main_metric
from mi_probe.predgen.own_answers import OwnAnswers
from mi_probe.predgen.peft_methods import apply_peft
from mi_probe.predgen.resumption import (
    STATE,
    check_folder,
    finished,
    global_random_state_kept,
    resumable,
)
from mi_probe.predgen.settings import TrainSettings
from mi_probe.predgen.systems import System, check_objective
from mi_probe.predgen.trainer import SystemTrainer
from mi_probe.predgen.validation import validate
from mi_probe.provenance import environment
from mi_probe.tasks import HUB


@dataclass(frozen=True, eq=False)
class Trained:
    """A finished training."""

    folder: Path
    """The final model's, with ``checkpoint-<step>`` folders and ``losses.csv`` in it."""
    config: dict[str, Any]
    """The content of its ``predgen_config.json``."""

    @property
    def metrics(self) -> dict[str, dict[str, float | None]]:
        """Of the final model, on the ``validation`` and the reserved ``test`` rows.

        None where there is none, as the correlation of answers that are all the same.
        """
        return self.config["metrics"]

    def load(self, device: str = "cpu") -> Checkpoint:
        """Read the final model back."""
        return load_checkpoint(self.folder, device=device)


def train(
    settings: TrainSettings,
    out: str | Path,
    *,
    callbacks: Sequence[TrainerCallback] = (),
    say: Callable[[str], None] | None = None,
) -> Trained:
    """Train one system; go on from where an interrupted training of the same stopped.

    The global random states are as before afterwards. With the same settings, threads and
    libraries the weights are the same, interrupted or not.

    Args:
        settings: what to train, on what, and how.
        out: the folder of this training, and of no other.
        callbacks: more of the Trainer's callbacks.
        say: is told, before the first step, what was done to the rows: how many were
            dropped, how many prompts cut. ``predgen_config.json`` keeps it.

    Raises:
        InputError: on settings that do not fit each other, the data or the model; or if
            the folder holds something else, cannot be made or written, or is being
            written by another training.

    Examples:
        Four steps on a folder's model and a file's rows:

        >>> from mi_probe.predgen import preset, train
        >>> settings = preset("default", objective="predictor", backbone="my-model",
        ...                   data="reviews.csv", steps=4, checkpoint_every=4,
        ...                   device="cpu")
        >>> trained = train(settings, "trained")
        >>> sorted(trained.metrics["test"])
        ['accuracy', ...]
    """
    folder = Path(out).expanduser()
    check_folder(folder)
    say = say or _silent
    if (done := finished(folder, asdict(settings), say)) is not None:
        return Trained(folder, done)
    check_writable(folder)
    # Of several processes that train one system together, the first speaks for all.
    first = (launched() or (1, 1))[0] == 1
    with locked(folder / ".training.lock") if first else nullcontext():
        # Another may have ended meanwhile.
        done = finished(folder, asdict(settings), _silent) if first else None
        return Trained(folder, done) if done else _trained(settings, folder, callbacks, say)


def _silent(_: str) -> None:
    pass


def _trained(
    settings: TrainSettings,
    folder: Path,
    callbacks: Sequence[TrainerCallback],
    say: Callable[[str], None],
) -> Trained:
    splits = read_splits(
        settings.source,
        train_rows=settings.train_rows,
        validation_rows=settings.validation_rows,
        reserve=settings.reserve,
        seed=settings.seed,
    )
    with global_random_state_kept(), quiet_transformers():
        run = _prepare(settings, splits, folder, callbacks)
        main = run.trainer.args.should_save
        if main:
            for name, notes in run.config["notes"].items():
                for note in notes:
                    say(f"{name} rows: {note}")
        last = int(run.trainer.args.max_steps)
        resume, state = resumable(folder, run.config, last, say if main else _silent), None
        if resume is not None:
            with user_files(STATE, resume):
                state = TrainerState.load_from_json(f"{resume}/{STATE}")
        if state is not None and run.trainer.is_over(state):
            # Stopped after its last step: the Trainer would take one more.
            run.trainer.state = state
        else:
            run.trainer.train(resume_from_checkpoint=resume and str(resume))
        if main:
            best = run.trainer.state.best_global_step
            finish(
                folder,
                step=best if settings.select == "best" else None,
                task=run.splits.test,
                rows=run.test,
                batch_size=settings.batch_size,
                device=str(run.trainer.args.device),
            )
        run.trainer.accelerator.wait_for_everyone()
    return Trained(folder, read_config(folder))


@dataclass(frozen=True, eq=False)
class _Run:
    settings: TrainSettings
    splits: Splits
    config: dict[str, Any]
    trainer: SystemTrainer
    test: Rows


def _prepare(
    settings: TrainSettings,
    splits: Splits,
    folder: Path,
    callbacks: Sequence[TrainerCallback],
) -> _Run:
    device = device_of(settings)
    backbone = load_backbone(
        settings.backbone,
        revision=settings.revision,
        local_files_only=settings.local_files_only,
        dtype=settings.dtype,
        lm_head=settings.objective != "predictor",
        chat_template=settings.chat_template,
    )
    check_objective(settings.objective, backbone.kind)
    if backbone.adapter is not None:
        raise InputError(
            f"backbone must be a model without an adapter; '{settings.backbone}' has one. "
            "Merge it (merge_and_unload, save_pretrained) and name that folder."
        )
    base = backbone.fingerprint["model"]
    encoded = encode_parts(
        backbone,
        vars(splits),
        max_tokens=settings.max_tokens,
        answers=settings.objective != "predictor",
        ends=settings.ends,
    )
    rows = encoded["train"]
    design = design_for(
        splits.train,
        settings.objective,  # type: ignore[arg-type]
        director=settings.director,
        pooling=settings.pooling,
        adapter=settings.adapter,
        head=settings.head,
        class_weights=settings.class_weights,
        clamp=settings.clamp,
        alignment=settings.alignment,
        loss_on=settings.loss_on,
        ends=settings.ends,
        answer_tokens=max(part.longest for part in encoded.values()),
    )
    arguments = trainer_arguments(
        settings, folder, len(rows), device, main_metric(splits.train)
    )
    total = int(arguments.max_steps)
    system = _system(settings, backbone, design, total)
    own = None
    if settings.objective == "predgen":
        own = OwnAnswers(
            settings.own_tokens,
            total,
            unit=settings.sampling,
            sampled=settings.sampled,
            temperature=settings.temperature,
            seed=settings.seed,
        )
    config = _config(settings, splits, encoded, backbone, base)

    def save(place: Path, step: int, metrics: Mapping[str, float]) -> None:
        found = {"validation": dict(metrics)} if metrics else {}
        save_checkpoint(place, system, {**config, "step": step, "metrics": found})

    size = settings.batch_size
    trainer = SystemTrainer(
        system,
        arguments,
        rows,
        encoded["validation"],
        own=own,
        save=save,
        validate=partial(validate, task=splits.validation, batch_size=size, selects=True),
        keep=settings.keep_checkpoints,
        by_length=settings.group_by_length,
        head_rate=settings.head_learning_rate,
        patience=settings.patience,
        callbacks=callbacks,
    )
    return _Run(settings, splits, config, trainer, encoded["test"])


def _system(
    settings: TrainSettings, backbone: Backbone, design: Design, total: int
) -> System:
    # The decoder of an encoder-decoder's Predictor is never run.
    pair = backbone.kind == "encoder-decoder"
    encoder_alone = pair and design.objective == "predictor"
    model = apply_peft(
        backbone.model,  # type: ignore[arg-type]
        replace(settings.peft_settings, encoder_alone=encoder_alone),
        total_steps=total,
        seed=settings.seed,
        base_name=lasting_name(settings.backbone),
        revision=backbone.revision,
    )
    if settings.gradient_checkpointing:
        # transformers 5.24 has another name for it.
        names = ("activation_checkpointing_enable", "gradient_checkpointing_enable")
        next(getattr(model, name) for name in names if hasattr(model, name))()
        if settings.peft != "none":
            # Frozen embeddings would leave the first block nothing to go back to.
            model.enable_input_require_grads()  # type: ignore[operator]
    adapter = None if settings.peft == "none" else settings.peft
    return build_system(
        replace(backbone, model=model, adapter=adapter), design, seed=settings.seed
    )


def _config(
    settings: TrainSettings,
    splits: Splits,
    encoded: Mapping[str, Rows],
    backbone: Backbone,
    base: str,
) -> dict[str, Any]:
    source = asdict(settings.source)
    for name in ("data_folder", "data"):
        if source[name] is not None and not source[name].startswith(HUB):
            source[name] = str(Path(source[name]).expanduser().resolve())
    return {
        "objective": settings.objective,
        "backbone": lasting_name(settings.backbone),
        "revision": backbone.revision,
        "base": base,
        "task": splits.train.name,
        "task_options": source,
        "label_names": splits.train.label_names,
        "target": splits.train.target,
        "peft": settings.peft,
        "settings": asdict(settings),
        "seed": settings.seed,
        "data_sha256": splits.sha256(),
        "reserved_split": "test",
        "reserved_ids": splits.test.ids,
        "train_ids_sha256": sha256_of_ids(splits.train),
        "prompt_tokens": encoded["train"].limit,
        "notes": {
            name: [*part.notes, *encoded[name].notes] for name, part in vars(splits).items()
        },
        "versions": environment(),
    }
