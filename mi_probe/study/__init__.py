"""A study: many trainings and measurements declared in one file, run, compared, written.

`run_study` does what ``python -m mi_probe.study`` does.
"""

from pathlib import Path

from mi_probe.study.declared import Study, read_study
from mi_probe.study.findings import Findings, findings, write_findings
from mi_probe.study.progress import status
from mi_probe.study.running import Outcome, run_chains

__all__ = [
    "Findings",
    "Outcome",
    "Study",
    "findings",
    "read_study",
    "run_chains",
    "run_study",
    "status",
    "write_findings",
]


def run_study(
    study: str | Path, out: str | Path, *, jobs: int = 1, engine: str = "local"
) -> Findings:
    """Run what a study's file declares and is not done, and give what it comes to.

    A chain that fails is in ``status`` of what is given, and stops no other.

    Args:
        study: a YAML file; see `mi_probe.study.declared`.
        out: the study's folder; what is done in it is kept.
        jobs: chains side by side.
        engine: ``local``, or ``dask://HOST:PORT``.

    Raises:
        InputError: as `read_study` and `run_chains` do.
    """
    declared = read_study(study)
    run_chains(declared, out, jobs=jobs, engine=engine)
    found = findings(declared, out)
    write_findings(found, out)
    return found
