"""A study: many trainings and measurements declared in one file, run, compared, written.

`run_study` does what ``python -m mi_probe.study`` does.
"""

from pathlib import Path

from mi_probe.study.archive import archive as archive
from mi_probe.study.archive import restore as restore
from mi_probe.study.declared import Study as Study
from mi_probe.study.declared import read_study as read_study
from mi_probe.study.findings import Findings as Findings
from mi_probe.study.findings import findings as findings
from mi_probe.study.findings import write_findings as write_findings
from mi_probe.study.progress import status as status
from mi_probe.study.running import Outcome as Outcome
from mi_probe.study.running import run_chains as run_chains


def run_study(
    study: str | Path,
    out: str | Path,
    *,
    jobs: int = 1,
    engine: str = "local",
    run: bool = True,
    restored: str | Path | None = None,
) -> Findings:
    """Run what a study's file declares and is not done, and give what it comes to.

    A chain that fails is in ``status`` of what is given, and stops no other.

    Args:
        study: a YAML file; see `mi_probe.study.declared`.
        out: the study's folder; what is done in it is kept.
        jobs: chains side by side.
        engine: ``local``, or ``dask://HOST:PORT``.
        run: run what is not done; else only tell what is finished.
        restored: an archive (``--archive``) whose results are first written to ``out``.

    Raises:
        InputError: as `read_study`, `run_chains` and `restore` do.

    Examples:
        What a study declares, before any of it is run:

        >>> from mi_probe import run_study
        >>> found = run_study("small.yaml", "results/study", run=False)
        >>> found.status.state.unique().tolist()
        ['to do']
    """
    declared = read_study(study)
    if restored is not None:
        restore(restored, out)
    if run:
        run_chains(declared, out, jobs=jobs, engine=engine)
    found = findings(declared, out)
    write_findings(found, out)
    return found
