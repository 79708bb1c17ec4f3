"""What of a study is done: the marks that its commands leave, and a table of them."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd

from mi_probe.atomic import write_atomically
from mi_probe.contents import digest, read_json, unsealed
from mi_probe.study.chains import Chain, Step
from mi_probe.study.declared import Study

RESULTS, TRAINED = "results", "trained"


def status(study: Study, out: str | Path) -> pd.DataFrame:
    """A line a chain: its factors, state, seconds, and the command it stands at.

    The seconds of what is to do are a forecast: the mean of what the same command took in
    other chains, of the same task and system where there are some; NaN before any ended.
    """
    folder = Path(out)
    done = {chain.name: ended(chain, folder) for chain in study.chains}
    known = [
        (step, chain.factors, seconds)
        for chain in study.chains
        for step, seconds in zip(chain.steps, done[chain.name], strict=True)
        if seconds is not None
    ]
    lines = []
    for chain in study.chains:
        steps = list(zip(chain.steps, done[chain.name], strict=True))
        left = [step for step, seconds in steps if seconds is None]
        failed = [n for n, _ in enumerate(steps, 1) if _log_failed(chain, folder, n)]
        at = len(steps) - len(left)
        lines.append(
            {
                "chain": chain.name,
                **chain.factors,
                "state": "done" if not left else "failed" if failed else "to do",
                "command": left[0].command if left else "",
                "commands_done": f"{at} of {len(steps)}",
                "seconds": sum((s for _, s in steps if s is not None), 0.0),
                "seconds_left": sum(
                    (_forecast(one, chain.factors, known) for one in left), 0.0
                ),
            }
        )
    return pd.DataFrame(lines)


def write_status(study: Study, folder: Path) -> None:
    """Write ``status.csv``."""
    write_atomically(
        folder / "status.csv", status(study, folder).to_csv(index=False).encode()
    )


def ended(chain: Chain, folder: Path) -> list[float | None]:
    """The seconds of each command that ended well; None from the first that did not."""
    found: list[float | None] = []
    for number, step in enumerate(chain.steps, start=1):
        path = step_file(chain, folder, number).with_suffix(".json")
        seconds = None
        if None not in found and path.is_file():
            with suppress(ValueError, KeyError):  # damaged: it is done again
                content = unsealed(read_json(path))
                if content["step"] == defined(step):
                    seconds = float(content["seconds"])
        found.append(seconds)
    return found


def _log_failed(chain: Chain, folder: Path, number: int) -> bool:
    return step_file(chain, folder, number).with_suffix(".failed").is_file()


def defined(step: Step) -> str:
    """What stands for a command and its settings, wherever the data lie."""
    told = {name: value for name, value in step.settings.items() if name != "data_folder"}
    return digest([step.command, step.model, told])


def step_file(chain: Chain, folder: Path, number: int) -> Path:
    """The file of a command's settings; its marks and its log have the same stem."""
    command = chain.steps[number - 1].command
    return folder / chain.name / "steps" / f"{number}-{command}.yaml"


def place_of(chain: Chain, folder: Path, command: str) -> Path:
    """Where a command of a chain writes."""
    return folder / chain.name / (TRAINED if command == "train" else RESULTS)


def _forecast(
    step: Step,
    factors: Mapping[str, Any],
    known: Sequence[tuple[Step, Mapping[str, Any], float]],
) -> float:
    """The mean seconds of the most alike commands that ended."""
    alike = [(f, s) for other, f, s in known if other.command == step.command]
    for shared in (("task", "system", "backbone"), ("task", "backbone"), ("backbone",), ()):
        found = [s for f, s in alike if all(f[k] == factors[k] for k in shared)]
        if found:
            return sum(found) / len(found)
    return float("nan")
