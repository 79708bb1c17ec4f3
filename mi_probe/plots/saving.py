"""A figure on disk: PDF for the paper, PNG to look at, CSV of the very data drawn.

All three appear whole or not at all, and a second run on the same data with the same
matplotlib writes the same bytes, so that a changed figure is a changed result.
"""

import io
import os
import re
import tempfile
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from mi_probe.errors import InputError


def save(
    figure: Figure, table: pd.DataFrame, stem: str, out: str | Path
) -> tuple[Path, Path, Path]:
    """Write `out`/`stem`.pdf, .png (300 dpi) and .csv; return the three paths.

    Args:
        figure: built and saved inside one `with style(...)`.
        table: what the figure draws.
        stem: name without ending; characters unfit for a file name become '-'.
        out: folder, made if it is not there.

    Raises:
        InputError: called outside `style`, or `out` is not a folder one can write to.
    """
    if mpl.rcParams["pdf.fonttype"] != 42:
        raise InputError(
            "save must run inside the `with style(...)` that built the figure; "
            "outside it fonts become Type 3, which submission checkers reject."
        )
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"out must be a folder; {folder} is not usable ({error.strerror})."
        ) from error
    name = file_stem(stem)
    pdf, png = io.BytesIO(), io.BytesIO()
    # Neither the date nor the version may tell two equal figures apart.
    figure.savefig(pdf, format="pdf", metadata={"CreationDate": None})
    figure.savefig(png, format="png", dpi=300, metadata={"Software": None})
    csv = table.to_csv(index=False, lineterminator="\n").encode()
    contents = {"pdf": pdf.getvalue(), "png": png.getvalue(), "csv": csv}
    paths = []
    for ending, content in contents.items():
        path = folder / f"{name}.{ending}"
        try:
            _replace(path, content)
        except OSError as error:
            raise InputError(
                f"out must be writable; {path} is not ({error.strerror})."
            ) from error
        paths.append(path)
    return paths[0], paths[1], paths[2]


def file_stem(text: str) -> str:
    """A name that every file system takes: letters, digits, dot, dash, underscore."""
    return re.sub(r"[^\w.-]+", "-", text, flags=re.ASCII).strip("-.") or "figure"


def _replace(path: Path, content: bytes) -> None:
    """Write beside `path`, then take its place, so that no half file is ever seen."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files that only their owner can read.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
