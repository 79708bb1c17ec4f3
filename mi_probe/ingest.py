"""Take in hidden states that another program made, and check them against the model.

    python -m mi_probe.ingest made/ --model my-model --data reviews.csv --sites 8,16

reads what `mi_probe.capture.foreign` describes, runs some rows again, says whether they
are the same states, and writes a store that `mi-probe estimate results/states` measures
as it does a model.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from mi_probe.backbones import load_backbone
from mi_probe.capture.imported import import_states
from mi_probe.command_line import run_command
from mi_probe.errors import InputError
from mi_probe.opening import read_task
from mi_probe.options import about, listed, parse_settings
from mi_probe.run_settings import ReadSettings, check_read, check_seeds

PROGRAM = "python -m mi_probe.ingest"


@dataclass(frozen=True)
class IngestSettings(ReadSettings):
    """What the command is told, by its options or by a file with the same names."""

    states: str | list[str] = about("the folder or file with the states", [])
    model: str | None = about(
        "the model that they are said to be of, to run rows again: a folder, an adapter or "
        "a name on the hub; without it they are taken in unchecked"
    )
    sites: int | str | list[int | str] | None = about(
        "of the files' layers, in their order: names as block.8,final_norm, or with "
        "--model hidden_states indices; left out where the file names its arrays by site"
    )
    checked: int = about("rows that are run again", 8)
    tolerance: float | None = about(
        "largest relative difference of equal states; by default .001 where states and "
        "model are float32, else .03"
    )
    seed: int = about("of the rows that are run again", 0)
    out: str = about("the store's folder", "results/states")


def ingest(settings: IngestSettings) -> None:
    """Read, check, write, and say what was found.

    Raises:
        InputError: as `import_states` does.
    """
    if len(settings.states) != 1:
        raise InputError(
            f"states must be one folder or file; got {len(settings.states)}. For instance: "
            f"{PROGRAM} made/ --model my-model --data reviews.csv --sites 8,16"
        )
    check_read(settings, {"checked": 1})
    check_seeds("seed", [settings.seed])
    if settings.tolerance is not None and not 0 < settings.tolerance < 1:
        raise InputError(f"tolerance must lie in 0 ... 1; got {settings.tolerance}.")
    # A task is always asked for: of states alone nothing can be measured.
    task = read_task(settings, [settings.model or "states made elsewhere"])
    if task is None:
        raise InputError(
            "one of task and data must be given, the rows that the states are of; got "
            "neither."
        )
    backbone = None
    if settings.model is not None:
        backbone = load_backbone(
            settings.model,
            revision=settings.revision,
            local_files_only=settings.local_files_only,
            dtype=settings.dtype,
            device=settings.device,
            chat_template=settings.chat_template,
        )
    sites = None if settings.sites is None else listed(settings.sites, "sites")
    states, certificate = import_states(
        settings.states[0],
        task,
        sites=sites,
        out=settings.out,
        backbone=backbone,
        n_checked=settings.checked,
        tolerance=settings.tolerance,
        max_tokens=settings.max_tokens or 512,
        seed=settings.seed,
    )
    print(f"{certificate.words}.")
    for site, difference in certificate.differences.items():
        print(f"  {site}: relative difference {difference:.2g}")
    print(f"{len(states)} rows at {', '.join(states.sites)} in {settings.out}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, run, and give the exit code."""
    return run_command(
        ingest,
        lambda given: parse_settings(
            IngestSettings,
            given,
            program=PROGRAM,
            description="Take in hidden states that another program made.",
            positional="states",
        ),
        arguments,
        program=PROGRAM,
        resume="Rows that were written are kept: the same command goes on from there.",
    )


if __name__ == "__main__":
    sys.exit(main())
