"""``python -m mi_probe.report RESULTS --out report.html``: one page of saved results.

It needs no network and no server: open the file. Beside estimates it shows gaps, ladders
and tokens, where other commands wrote them into the same folder.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from mi_probe.atomic import check_writable
from mi_probe.command_line import command_of
from mi_probe.errors import InputError
from mi_probe.options import about, listed
from mi_probe.report.page import report_page
from mi_probe.report.sources import read_sources
from mi_probe.results import write_atomically

PROGRAM = "python -m mi_probe.report"


@dataclass(frozen=True)
class Settings:
    """What the command takes; see ``--help``."""

    results: list[str] = about("folders of results; usually given bare", [])
    out: str = about("the page to write, one .html file", "report.html")
    title: str = about("of the page (default: models and tasks)", "")
    sentences: int = about("in the token map, of each table at most", 40)
    fonts: str | list[str] = about(
        "TrueType files, for letters that the figures' fonts lack", []
    )


def report(settings: Settings) -> Path:
    """Read, write the page, say where it is.

    Raises:
        InputError: as `read_sources`; or `out`, `sentences` or `fonts` is unfit.
    """
    if settings.sentences < 1:
        raise InputError(f"sentences must be at least 1; got {settings.sentences}.")
    out = Path(settings.out)
    if out.is_dir() or out.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"out must be an .html file; got {out}. Name one, as report.html.")
    check_writable(out.parent)
    sources = read_sources(settings.results)
    fonts = listed(settings.fonts, "fonts") if settings.fonts else []
    page = report_page(
        sources, title=settings.title, sentences=settings.sentences, fonts=fonts
    )
    # A lone surrogate, which no file can hold, becomes a question mark.
    content = page.encode("utf-8", "replace")
    write_atomically(out, content)
    print(f"wrote {out} ({len(content) / 1e6:.2f} MB)")
    return out


main = command_of(
    report,
    Settings,
    program=PROGRAM,
    description="Write saved results as one page that opens from a file.",
    positional="results",
)

if __name__ == "__main__":
    sys.exit(main())
