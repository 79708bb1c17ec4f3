"""``python -m mi_probe.study STUDY.yaml --out OUT``: trainings and measurements of a study.

Reads one declarative file (`mi_probe.study.declared`), runs what is not done yet, and
writes tables, comparisons and findings. Killed, it goes on where it was. Prints a line a
chain that ends and where things are on stdout; everything else on stderr.
"""

import math
import sys
from dataclasses import dataclass
from pathlib import Path

from mi_probe.command_line import command_of
from mi_probe.division import launched, shard_of
from mi_probe.errors import InputError
from mi_probe.options import about
from mi_probe.study.archive import archive, restore
from mi_probe.study.declared import Study, read_study
from mi_probe.study.findings import findings, write_findings
from mi_probe.study.progress import status
from mi_probe.study.running import run_chains

PROGRAM = "python -m mi_probe.study"


@dataclass(frozen=True)
class Settings:
    """What the command takes; see ``--help``."""

    study: list[str] = about("the study's file; usually given bare", [])
    data_folder: str | None = about(
        "where original files lie, of tasks that name a data_folder"
    )
    out: str = about("the study's folder; what is done in it is kept", "results/study")
    jobs: int = about("chains side by side; cores are shared among them", 1)
    engine: str = about("'local', or dask://HOST:PORT of a cluster on this disk", "local")
    shard: str | None = about(
        "'2/4' runs the second of every four chains; by default what torchrun or "
        "'accelerate launch' set, else all"
    )
    dry_run: bool = about("say what would be run, and write nothing", False)
    run: bool = about("run what is not done; else only write what is finished", True)
    archive: str | None = about("write all results into this .parquet file too")
    restore: str | None = about("first write back the results of this .parquet file")


def study(settings: Settings) -> None:
    """Run the command.

    Raises:
        InputError: as `read_study`, `run_chains`, `archive` and `restore` do; or where a
            chain failed, after all others were run.
    """
    if len(settings.study) != 1:
        raise InputError(
            f"study must be one file; got {len(settings.study)}. For instance: "
            f"{PROGRAM} studies/small.yaml"
        )
    if settings.jobs < 1:
        raise InputError(f"jobs must be at least 1; got {settings.jobs}.")
    told = None if settings.shard is None else shard_of(settings.shard)
    shard = told or launched() or (1, 1)
    declared, out = (
        read_study(settings.study[0], data_folder=settings.data_folder),
        Path(settings.out),
    )
    if settings.dry_run and settings.restore is not None:
        raise InputError(
            "dry-run and restore must not both be given: the first writes nothing; got "
            f"'{settings.restore}'. Leave one out."
        )
    if settings.restore is not None:
        restore(settings.restore, out)
    if settings.dry_run:
        _print_plan(declared, out)
        return
    failed = []
    if settings.run:
        told = {"jobs": settings.jobs, "engine": settings.engine, "shard": shard}
        outcomes = run_chains(declared, out, say=print, **told)
        failed = [one for one in outcomes if one.state == "failed"]
    for path in write_findings(findings(declared, out), out):
        print(f"wrote {path}")
    if settings.archive is not None:
        path = archive(out, settings.archive)
        print(f"wrote {path} ({path.stat().st_size / 1e6:.2f} MB)")
    if failed:
        raise InputError(
            f"every chain must end well; {len(failed)} did not: "
            + "; ".join(f"{one.name} ({one.said})" for one in failed[:5])
            + ". Their logs are in steps/ of each. The same command runs them again."
        )


def _print_plan(declared: Study, out: Path) -> None:
    lines = status(declared, out).to_dict("records")
    for line in lines:
        print(f"{line['chain']}: {line['state']}, {line['commands_done']} commands done")
    print(f"{len(lines)} chains, {sum(line['state'] == 'done' for line in lines)} done.")
    left = [float(line["seconds_left"]) for line in lines]
    if unlike := sum(map(math.isnan, left)):
        print(f"Of {unlike} chains nothing alike was run yet: no forecast.")
    else:
        print(f"The rest takes about {sum(left) / 60:.0f} minutes on one process.")
    for one in declared.comparisons:
        kind = "primary" if one.primary else "exploratory"
        print(f"{kind} comparison, question {one.question or '-'}: {one.name}")


main = command_of(
    study,
    Settings,
    program=PROGRAM,
    description="Run a declared study: trainings, measurements, comparisons.",
    positional="study",
    resume="What is finished is kept: the same command goes on from there.",
)

if __name__ == "__main__":
    sys.exit(main())
