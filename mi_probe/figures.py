"""``python -m mi_probe.figures RESULTS --out figures/``: figures from saved results.

Reads result folders, draws what their rows allow, writes PDF, PNG and CSV of each
figure, and says in three sentences a panel what the figure shows.
"""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportOperatorIssue=false

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from mi_probe.analysis.reading import readings
from mi_probe.analysis.summaries import at_layer, over_seeds
from mi_probe.command_line import exit_code, listed, parse_settings
from mi_probe.errors import InputError
from mi_probe.plots import bar_figure, layer_profiles, save, style
from mi_probe.plots.saving import file_stem
from mi_probe.results import SCHEMA_VERSION, read_results

PROGRAM = "python -m mi_probe.figures"
KINDS = ("profile", "bars")

_NUMBERS = (
    *("schema_version", "layer", "n_layers", "n", "n_classes", "checkpoint_step"),
    *("seed", "value_nats", "stderr", "ci_low", "ci_high", "null_mean", "null_high"),
    *("n_permutations", "p_value", "H_Y_nats", "seconds"),
    *("extrapolated_nats", "extrapolated_low", "extrapolated_high"),
    *("metric_value", "parse_failure_rate"),
)


def _setting(default: str | None, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class Settings:
    """What the command takes; see ``--help``."""

    results: list[str] = field(
        default_factory=list,
        metadata={"help": "folders (or results.csv files); usually given bare"},
    )
    out: str = _setting("figures", "folder for PDF, PNG and CSV of each figure")
    style: str = _setting("acl", "venue: acl, icml, neurips or iclr")
    width: str = _setting("column", "column or full")
    unit: str = _setting("nats", "nats or bits")
    kind: str = _setting(",".join(KINDS), "which figures: profile, bars")
    layer: str | None = _setting(
        None, "layer of the bars: hidden_states index or site (default: the deepest)"
    )


def read_folders(folders: Sequence[str]) -> pd.DataFrame:
    """Rows of all result folders; of a results.csv alone, where that is all there is.

    Raises:
        InputError: none given, or one is missing, empty or damaged.
    """
    if not folders:
        raise InputError(
            "results must name at least one folder that `python -m mi_probe.estimate "
            "--out` wrote; got none."
        )
    whole = [f for f in folders if not _lone_table(Path(f))]
    tables = [read_results(*whole)] if whole else []
    tables += [_read_csv(_lone_table(Path(f))) for f in folders if f not in whole]
    return pd.concat(tables, ignore_index=True)


def _lone_table(path: Path) -> Path | None:
    if path.is_file():
        return path
    table = path / "results.csv"
    return table if table.is_file() and not (path / "rows").is_dir() else None


def _read_csv(path: Path | None) -> pd.DataFrame:
    assert path is not None
    try:
        # Every cell as text first: a revision may be all digits, a task called "NA".
        table = pd.read_csv(path, dtype="str", keep_default_na=False, na_values=[""])
        for column in table.columns.intersection(list(_NUMBERS)):
            table[column] = pd.to_numeric(table[column])
        if "objective" in table:  # an empty text there is a value, and not a gap
            table["objective"] = table["objective"].fillna("")
    except ValueError as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"results must be a table of estimates; {path} is not ({reason})."
        ) from None
    if table.empty:
        raise InputError(f"results must hold finished rows; {path} has none.")
    # A column that is missing is named by `over_seeds`, with all others.
    found = set(table.get("schema_version", [])) - {SCHEMA_VERSION}
    if found:
        raise InputError(
            f"schema_version must be {SCHEMA_VERSION}, this program's; {path} has "
            f"{found.pop()}. Read it with the version that wrote it."
        )
    return table


def draw(
    points: pd.DataFrame, kinds: Sequence[str], layer: str | None = None
) -> list[tuple[str, Figure, pd.DataFrame]]:
    """Figures that `points` allow: their stems, themselves, and what they draw.

    A profile a (model, task) with a site on the layer axis; bars over tasks a model,
    and over models a task where there are several. Call it inside `style`.

    Raises:
        InputError: the rows allow no figure of these kinds, or no row is at `layer`.
    """
    made: list[tuple[str, Figure, pd.DataFrame]] = []
    if "profile" in kinds:
        for (model, task), rows in points.groupby(
            ["model_label", "task_label"], sort=False
        ):
            if rows["x"].notna().any():
                stem = f"profile-{task}-{model}"
                made.append((stem, layer_profiles(rows), rows))
    if "bars" in kinds:
        chosen = at_layer(points, layer)
        for model, rows in chosen.groupby("model_label", sort=False):
            made.append((f"bars-{model}", bar_figure(rows, x="task"), rows))
        for task, rows in chosen.groupby("task_label", sort=False):
            if rows["model_label"].nunique() > 1:
                made.append((f"bars-models-{task}", bar_figure(rows, x="model"), rows))
    if not made:
        raise InputError(
            f"results must hold rows for the kind {' or '.join(kinds)}; none of their "
            f"{len(points)} estimates has a place on the layer axis."
        )
    return made


def figures(settings: Settings) -> None:
    """Read, draw, save, and print what was written and how it reads.

    Raises:
        InputError: as `read_folders`, `over_seeds`, `draw`, `style` and `save`.
    """
    kinds = listed(settings.kind, "kind")
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise InputError(f"kind must be of {', '.join(KINDS)}; got '{unknown[0]}'.")
    taken: set[str] = set()
    with style(settings.style, settings.width):
        points = over_seeds(read_folders(settings.results), unit=settings.unit)
        for label, figure, table in draw(points, kinds, settings.layer):
            stem = file_stem(label)
            # Two names may differ only in characters that file names cannot have.
            while stem.lower() in taken:
                stem += "_"
            taken.add(stem.lower())
            pdf, _, _ = save(figure, table, stem, settings.out)
            print(f"wrote {pdf.with_suffix('')}.{{pdf,png,csv}}")
    for reading in readings(points):
        print(f"\n{reading}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, run, and give the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)

    def command() -> None:
        figures(
            parse_settings(
                Settings,
                given,
                program=PROGRAM,
                description="Draw saved results, and say what they show.",
                positional="results",
            )
        )

    return exit_code(command, program="mi_probe.figures")


if __name__ == "__main__":
    sys.exit(main())
