"""The commands under one name: ``mi-probe gap ...`` is ``python -m mi_probe.gap ...``."""

import sys
from collections.abc import Sequence
from importlib import import_module

from mi_probe import __version__
from mi_probe.errors import meant

COMMANDS = {
    "train": ("train", "train Predictor, Generator or PredGen"),
    "estimate": ("estimate", "I(Y;Z) and I(Y;Z_p) of models, layer by layer"),
    "ingest": ("ingest", "take in hidden states that another program made"),
    "gap": ("gap", "I(Y;Z|Z_p) as one quantity, tested; or beyond anything, --given"),
    "tokens": ("tokens", "what each token tells, and when it became readable"),
    "compare": ("compare", "paired differences of stored estimates"),
    "figures": ("figures", "draw what was stored"),
    "report": ("report.__main__", "write what was stored as one page"),
    "study": ("study.__main__", "many trainings and measurements from one file"),
}
"""Of each command: its module, and what it does."""


def usage() -> str:
    """What there is, a line a command."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {words}" for name, (_, words) in COMMANDS.items()]
    return "\n".join(
        [
            "usage: mi-probe COMMAND ...    (mi-probe COMMAND --help lists its options)",
            "",
            *lines,
        ]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Hand the rest of the command line to the command; give the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] in ("-h", "--help"):
        print(usage())
        return 0 if given else 2
    if given[0] == "--version":
        print(__version__)
        return 0
    name = given[0].removeprefix("mi_probe.")
    if name not in COMMANDS:
        sys.stderr.write(
            f"mi-probe: error: the command must be one of {', '.join(COMMANDS)}; got "
            f"{given[0]!r}.{meant(name, COMMANDS)} See `mi-probe --help`.\n"
        )
        return 2
    return import_module(f"mi_probe.{COMMANDS[name][0]}").main(given[1:])


if __name__ == "__main__":
    sys.exit(main())
