"""``python -m mi_probe.figures RESULTS --out figures/``: figures from saved results.

Reads result folders, draws what they allow, writes PDF, PNG, CSV and caption of each, says
which kinds are not there, and says in three sentences a panel what the estimates show.
"""

import sys
from dataclasses import dataclass

from mi_probe.analysis.finding import findings, system_readings
from mi_probe.analysis.reading import readings
from mi_probe.atomic import check_writable
from mi_probe.command_line import command_of
from mi_probe.errors import InputError
from mi_probe.folder_tables import ResultFolders
from mi_probe.gallery import KINDS, Drawn, Options, gallery
from mi_probe.options import about, listed
from mi_probe.plots import save, style
from mi_probe.plots.glyphs import lost_letters
from mi_probe.plots.saving import FORMATS
from mi_probe.plots.style import SIZES

PROGRAM = "python -m mi_probe.figures"


@dataclass(frozen=True)
class Settings:
    """What the command takes; see ``--help``."""

    results: list[str] = about("folders (or results.csv files); usually given bare", [])
    out: str = about("folder for the figures and the CSV of each", "figures")
    only: str | list[str] = about("which figures", ",".join(KINDS))
    style: str = about("venue: acl, icml, neurips or iclr", "acl")
    size: str = about(f"what a figure fills: {', '.join(SIZES)}", "column")
    formats: str | list[str] = about(f"some of {', '.join(FORMATS)}", "pdf,png")
    unit: str = about("nats or bits", "nats")
    layer: str | None = about(
        "layer of the bars: hidden_states index or site (default: the deepest)"
    )
    sentences: int = about("sentences drawn of each token table: the first ones", 3)
    template: bool = about("draw the words of the prompt's template too", False)
    stop_words: bool = about(
        "draw stop words too where words are compared (English, scikit-learn's list)", True
    )
    titles: bool = about("write over each figure what it is of", True)
    zoom: bool = about("end the y axis at the data; H(Y) is a mark at its edge", False)
    palette: str = about(
        "colours of views and systems: grey, or a name that seaborn knows, such as Set2", ""
    )
    fonts: str | list[str] = about(
        "TrueType files, for letters that the figures' own fonts lack: Chinese, Japanese, "
        "Korean, emoji",
        [],
    )


def figures(settings: Settings) -> None:
    """Read, draw, save, and print what was written and how it reads.

    Raises:
        InputError: as `ResultFolders`, `gallery`, `style` and `save`; also where the
            folders allow no figure of the chosen kinds.
    """
    kinds = listed(settings.only, "only")
    formats = listed(settings.formats, "formats")
    if settings.sentences < 1:
        raise InputError(f"sentences must be 1 or more; not {settings.sentences}.")
    check_writable(settings.out)
    folders = ResultFolders(settings.results)
    options = Options(
        *(settings.unit, settings.layer),
        *(settings.sentences, settings.template, settings.stop_words),
    )
    made, missing, lost = 0, [], set()
    fonts = listed(settings.fonts, "fonts") if settings.fonts else []
    with style(
        settings.style,
        settings.size,
        fonts=fonts,
        titles=settings.titles,
        zoom=settings.zoom,
        palette=settings.palette,
    ):
        for found in gallery(folders, kinds, options):
            if not isinstance(found, Drawn):
                missing.append(f"{found.kind} ({found.reason})")
                continue
            paths = save(
                *(found.figure, found.table, found.stem, settings.out, formats),
                caption=found.caption,
            )
            endings = ",".join(path.suffix[1:] for path in paths)
            print(f"wrote {paths[0].with_suffix('')}.{{{endings}}}")
            lost.update(lost_letters(found.figure))
            made += 1
    if not made:
        raise InputError(f"results must allow a figure; not drawn: {', '.join(missing)}.")
    if missing:
        print(f"not drawn: {', '.join(missing)}")
    if lost:
        print(_lost_words(sorted(lost)))
    points = folders.points(settings.unit)
    said = (
        []
        if points.empty
        else [
            *readings(points, folders.paired),
            *system_readings(points, folders.paired),
        ]
    )
    beside = [] if points.empty else findings(points, folders.paired)
    if beside:
        print("", *beside, sep="\n")
    for reading in said:
        print(f"\n{reading}")


def _lost_words(letters: list[str]) -> str:
    """Which letters no font has, and what to do."""
    shown = ", ".join(f"{letter} (U+{ord(letter):04X})" for letter in letters[:3])
    more = f" and {len(letters) - 3} more" if len(letters) > 3 else ""
    return (
        f"no font here draws {shown}{more}: drawn as code points. Give a TrueType font "
        "that has them: --fonts FILE"
    )


main = command_of(
    figures,
    Settings,
    program=PROGRAM,
    description="Draw saved results, and say what they show.",
    positional="results",
)

if __name__ == "__main__":
    sys.exit(main())
