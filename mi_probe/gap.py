"""``python -m mi_probe.gap``: I(Y;Z) - I(Y;Z_p) of saved checkpoints, as one quantity.

Two estimates beside each other say little of their difference; here both critics are
scored on the same held-out rows, and the difference is tested (see
`mi_probe.analysis.dpi`). Writes ``gaps.csv``, and on demand ``capacity.csv`` and
``noise.csv``, into a results folder (see `mi_probe.analysis.gap_tables`), a piece as soon
as it is finished; what is finished is not computed again. Prints a table on stdout;
everything else on stderr.
"""

import sys
from collections.abc import Sequence

from mi_probe.analysis.gap_tables import gap_rows, gap_tables, rung_rows
from mi_probe.analysis.given import CHECKPOINT, given_notes
from mi_probe.analysis.printed import format_gaps
from mi_probe.command_line import command_of
from mi_probe.estimate_forecast import print_gap_rows_needed, print_table_forecast
from mi_probe.gap_jobs import Other, gap_part
from mi_probe.gap_settings import PROGRAM, Settings
from mi_probe.parts import Part
from mi_probe.results import Results
from mi_probe.runner import RESUME, Command, Run, Source, measure


def measure_gaps(settings: Settings) -> None:
    """Run the command.

    Raises:
        InputError: on a user's mistake; what was finished before it is kept.
    """
    asked = settings.asked()
    others: dict[str, Other] = {}

    def begin(run: Run) -> None:
        for given in asked.given:
            if given.startswith(CHECKPOINT):
                others[given] = Other.of(given, settings, run.task, run.results)

    def parts(model: Source, run: Run) -> list[Part]:
        told = asked, settings, others, run.record.config_sha
        return [gap_part(model, token_set, *told) for token_set in model.sources]

    def forecast(model: Source, parts: Sequence[Part], _: Run) -> None:
        for part in parts:
            print_table_forecast(model, [part], settings, "gaps and ladders")
            print_gap_rows_needed(model, part, settings, asked.critic)

    measure(
        Command(
            program=PROGRAM,
            settings=settings,
            unit="gap",
            check=settings.check,
            begin=begin,
            parts=parts,
            notes=lambda model: given_notes(asked.given, model.task),
            forecast=forecast,
            show=show,
            tables=gap_tables,
            where=lambda _, written: f"Tables: {', '.join(map(str, written))}",
        )
    )


def show(parts: Sequence[Part], results: Results) -> None:
    """Print the gaps, and the rungs of ladders."""
    ids = {job.id for part in parts for job in part.todo}
    print(format_gaps(gap_rows(results, ids), rung_rows(results, ids)))


main = command_of(
    measure_gaps,
    Settings,
    program=PROGRAM,
    description="Measure what pooling hidden states loses of a target, in nats.",
    positional="checkpoints",
    resume=RESUME,
)

if __name__ == "__main__":
    sys.exit(main())
