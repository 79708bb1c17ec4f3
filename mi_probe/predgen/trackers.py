"""Trackers of experiments: what training and measuring may report to, beside their files.

Training reports through Hugging Face's Trainer, measuring through the same trackers as
Accelerate drives them. Files stay the truth; a tracker is a copy to look at.
"""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from accelerate import PartialState
from accelerate.tracking import LOGGER_TYPE_TO_CLASS
from transformers.integrations.integration_utils import (
    INTEGRATION_TO_CALLBACK,
    get_reporting_integration_callbacks,
)

from mi_probe.errors import InputError

TRAINING = tuple(INTEGRATION_TO_CALLBACK)
"""Trackers that a training may report to."""
MEASURING = tuple(name for name in TRAINING if name in LOGGER_TYPE_TO_CLASS)
"""And of those the ones that measuring may: tensorboard, trackio, wandb and others."""


def check_trackers(names: Sequence[str], known: Sequence[str]) -> None:
    """Refuse a tracker that is not known, or not installed.

    Args:
        names: asked for.
        known: `TRAINING` or `MEASURING`.

    Raises:
        InputError: if one is.
    """
    for name in names:
        if name not in known:
            raise InputError(f"report_to must be of {', '.join(known)}; got '{name}'.")
        try:
            get_reporting_integration_callbacks([name])[0]()
        except (ImportError, RuntimeError) as error:
            raise InputError(
                f"report_to must name a tracker that is installed; got '{name}' ({error})."
            ) from None


def report(
    names: Sequence[str],
    folder: Path,
    table: pd.DataFrame,
    value: str,
    config: Mapping[str, Any],
) -> None:
    """Send a table's values and intervals to trackers, a curve over layers each.

    Args:
        names: of `MEASURING`.
        folder: of the results: a run's name, and where a tracker that writes files does.
        table: rows of estimates or of gaps, in nats.
        value: name of its column of values; beside it stand ``ci_low`` and ``ci_high``.
        config: of the command, in plain values.
    """
    PartialState()
    for name in names:
        kind = LOGGER_TYPE_TO_CLASS[name]
        place = [str(folder / "trackers")] * kind.requires_logging_directory
        tracker = kind(folder.name, *place)
        # Accelerate of before 1.11 starts when it is made.
        getattr(tracker, "start", lambda: None)()
        tracker.store_init_configuration({k: str(v) for k, v in config.items()})
        layers = table["layer"].fillna(-1).astype(int)
        # In the order of layers: some trackers take no step back.
        for layer, rows in table.groupby(layers):
            sent = {
                f"{_path(row)}/{what}": float(row[column])
                for _, row in rows.iterrows()
                for what, column in (
                    ("nats", value),
                    ("low", "ci_low"),
                    ("high", "ci_high"),
                )
                if pd.notna(row[column])
            }
            tracker.log(sent, step=max(int(str(layer)), 0))
        tracker.finish()


_PATH = (
    *("task", "model", "subject", "step", "control", "token_set", "view", "pooling"),
    *("estimator", "seed"),
)


def _path(row: pd.Series) -> str:
    """Where a value stands in the tracker's tree: task, model, tokens, view ..."""
    held = [row[name] for name in _PATH if name in row and pd.notna(row[name])]
    return "/".join(str(part).replace("/", "-") for part in held if str(part))
