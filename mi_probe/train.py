"""``python -m mi_probe.train``: a predictor, a generator or PredGen, as a checkpoint.

Writes a folder that ``python -m mi_probe.estimate`` takes: the final model, the
``checkpoint-<step>`` folders on the way to it, and ``losses.csv``. Prints what came of it
on stdout; everything else, such as how many prompts were cut, on stderr.
"""

import sys
from collections.abc import Sequence

from mi_probe.command_line import run_command, say
from mi_probe.division import launched
from mi_probe.predgen.training import Trained, train
from mi_probe.train_settings import PROGRAM, Settings, parse


def summary(trained: Trained) -> str:
    """What came of a training, in a few lines."""
    config = trained.config
    rows = {"validation": "validation", "test": f"{len(config['reserved_ids'])} reserved"}
    lines = [
        f"{config['objective']} on {config['task']}: {config['backbone']}, "
        f"{config['peft']}, step {config['step']}, seed {config['seed']}"
    ]
    parts = {name: n for name, n in config["trainable"].items() if n}
    shown = ", ".join(f"{n:,} of the {name}" for name, n in parts.items())
    lines.append(f"  trained: {shown}")
    for name, found in trained.metrics.items():
        # Some have none: the correlation of answers that are all the same.
        shown = ", ".join(
            f"{metric} {'none' if value is None else format(value, '.4g')}"
            for metric, value in found.items()
        )
        lines.append(f"  {rows[name]} rows: {shown}")
    return "\n".join([*lines, f"Checkpoint: {trained.folder}"])


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, run, and give the exit code."""

    def run(settings: Settings) -> None:
        trained = train(settings.training, settings.out, say=say)
        # Of several processes that train together, the first speaks for all.
        if (launched() or (1, 1))[0] == 1:
            print(summary(trained))

    return run_command(
        run,
        parse,
        arguments,
        program=PROGRAM,
        resume="The same command goes on from the last checkpoint.",
    )


if __name__ == "__main__":
    sys.exit(main())
