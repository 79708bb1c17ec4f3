"""``python -m mi_probe.estimate``: I(Y;Z) and I(Y;Z_p) of saved checkpoints.

Writes a results folder (see `mi_probe.results`), a row as soon as it is finished; what
is finished is not computed again. Prints a table on stdout; everything else on stderr.
"""

import sys
from collections.abc import Sequence
from functools import partial

import pandas as pd

from mi_probe.analysis.control_parts import not_made
from mi_probe.analysis.finding import findings
from mi_probe.analysis.measuring import check_task, in_network_order
from mi_probe.analysis.printed import format_controls, format_table
from mi_probe.analysis.summaries import over_seeds
from mi_probe.command_line import command_of
from mi_probe.estimate_forecast import print_forecast, print_self_tests
from mi_probe.estimate_jobs import estimate_parts
from mi_probe.estimate_settings import PROGRAM, Choice, Settings
from mi_probe.parts import Part
from mi_probe.results import Results
from mi_probe.runner import RESUME, Command, Run, Source, measure


def estimate(settings: Settings) -> None:
    """Run the command.

    Raises:
        InputError: on a user's mistake; what was finished before it is kept.
    """
    choice = Choice.of(settings)

    def first(model: Source, parts: Sequence[Part], run: Run) -> None:
        if settings.self_test:
            run.record.told["self_tests"] = print_self_tests(
                *(model, parts[0], run.threads), settings=settings, choice=choice
            )

    def forecast(model: Source, parts: Sequence[Part], run: Run) -> None:
        for part in parts:
            if not part.control:
                print_forecast(
                    *(model, part, run.threads), settings=settings, choice=choice
                )
        if controls := [part for part in parts if part.control]:
            print(format_controls(controls))

    measure(
        Command(
            program=PROGRAM,
            settings=settings,
            unit="estimate",
            check=partial(check_task, estimators=choice.estimators),
            parts=partial(estimate_parts, choice, settings.permutations),
            notes=lambda model: not_made(model, choice.controls),
            first=first,
            forecast=forecast,
            show=show,
            tables=lambda results: {"results": results.table()},
            where=lambda out, written: (
                f"Results: {written[0]}, one file an estimate in {out / 'rows'}"
            ),
        )
    )


def show(parts: Sequence[Part], results: Results) -> None:
    """Print the rows of the states, then those of the controls, and what they say."""
    table = results.table()
    tables: dict[bool, list[pd.DataFrame]] = {False: [], True: []}
    for part in parts:
        if part.todo:
            sites = part.capture.sites if part.capture else [part.todo[0].site]
            found = in_network_order(table, part.todo, sites)
            tables[bool(part.control)].append(found)
    for some in filter(None, tables.values()):
        print(format_table(pd.concat(some, ignore_index=True)))
    if all(tables.values()):
        whole = pd.concat([*tables[False], *tables[True]], ignore_index=True)
        for sentence in findings(over_seeds(whole)):
            print(sentence)


main = command_of(
    estimate,
    Settings,
    program=PROGRAM,
    description="Measure how much hidden states know about a target, in nats.",
    positional="checkpoints",
    resume=RESUME,
)

if __name__ == "__main__":
    sys.exit(main())
