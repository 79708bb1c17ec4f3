"""``python -m mi_probe.tokens``: what each token of a text tells of its class.

Writes tables under ``OUT/tokens`` (see `mi_probe.analysis.tokens.files`), those of a site
as soon as they are finished; what is finished is not computed again. Prints what they show
on stdout; everything else on stderr.
"""

import sys
from collections.abc import Sequence

from mi_probe.analysis.measuring import check_task
from mi_probe.analysis.tokens.files import FOLDER, read_about, read_tables, stem_of
from mi_probe.analysis.tokens.measuring import discrete_labels
from mi_probe.analysis.tokens.reading import format_tables
from mi_probe.command_line import command_of
from mi_probe.estimate_forecast import print_table_forecast
from mi_probe.parts import Part
from mi_probe.results import Results
from mi_probe.runner import RESUME, Command, measure
from mi_probe.tasks import Task
from mi_probe.token_jobs import token_part
from mi_probe.token_settings import PROGRAM, TokenSettings


def tokens(settings: TokenSettings) -> None:
    """Run the command.

    Raises:
        InputError: on a user's mistake; what was finished before it is kept.
    """
    sites = settings.check()
    measure(
        Command(
            program=PROGRAM,
            settings=settings,
            unit="site",
            check=check,
            parts=lambda model, run: [token_part(model, settings, sites, run)],
            forecast=lambda model, parts, _: print_table_forecast(
                model, parts, settings, "sites"
            ),
            show=show,
            tables=lambda _: {},
            where=lambda out, _: f"Tables: {out / FOLDER}",
        )
    )


def check(task: Task) -> None:
    """Refuse labels that are no classes."""
    check_task(task)
    discrete_labels(task)


def show(parts: Sequence[Part], results: Results) -> None:
    """Print what each site's tables show."""
    for job in (job for part in parts for job in part.todo):
        path = results.folder / FOLDER / f"{stem_of(job.key)}.json"
        print(format_tables(read_about(path), read_tables(path)))


main = command_of(
    tokens,
    TokenSettings,
    program=PROGRAM,
    description="Measure what each token of a text tells of its class.",
    positional="checkpoints",
    resume=RESUME,
)

if __name__ == "__main__":
    sys.exit(main())
