"""What ``python -m mi_probe.train`` is told: settings over those of a preset."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

from mi_probe.errors import check_known
from mi_probe.options import about, parse_settings
from mi_probe.predgen.presets import PRESETS
from mi_probe.predgen.settings import TrainSettings

PROGRAM = "python -m mi_probe.train"


@dataclass(frozen=True)
class Settings(TrainSettings):
    """The settings of a training, and where it goes."""

    out: str = about(
        "this training's own folder; an interrupted one goes on there", "trained"
    )

    @property
    def training(self) -> TrainSettings:
        """The settings without the place."""
        names = [f.name for f in fields(TrainSettings)]
        return TrainSettings(**{name: getattr(self, name) for name in names})


def parse(arguments: Sequence[str]) -> Settings:
    """The command line over ``--config`` over the preset, which either of them names.

    Raises:
        InputError: on an unknown option or preset, or a value that breaks its rule.
    """
    description = "Train a predictor, a generator or PredGen, to be measured."
    found = parse_settings(
        Settings, arguments, program=PROGRAM, description=description, make=dict
    )
    check_known("preset", found["preset"], PRESETS)
    return parse_settings(
        Settings,
        arguments,
        program=PROGRAM,
        description=description,
        defaults=PRESETS[found["preset"]],
    )
