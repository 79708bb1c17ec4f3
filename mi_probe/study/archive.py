"""A study's results as one Parquet file, small enough to be committed.

A line a file of the study's folder: where it stood, what was in it, and, where it is one
estimate, its tidy row. What a figure, a table or a test reads is in it; models and hidden
states are not. Written back, it is the same folder, byte for byte, so everything that reads
a study's folder reads an archived one.
"""

import hashlib
import io
import json
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mi_probe.atomic import check_writable, write_atomically
from mi_probe.errors import InputError

KEPT = (
    *("study.json", "*/steps/*.yaml", "*/steps/*.json", "*/trained/losses.csv"),
    *("*/trained/predgen_config.json", "*/trained/answers/*.json"),
    *("*/results/provenance.json", "*/results/rows/*.json", "*/results/*.csv"),
    *("*/results/pointwise/*.safetensors", "*/results/answers/*.json"),
    *("*/results/gaps/*.json", "*/results/tokens/*"),
)
"""Files of a study's folder that its figures, tables and tests are made of."""
_LARGEST = 1 << 30
"""Bytes of an archive's files together that are written back at most."""


def archive(folder: str | Path, path: str | Path) -> Path:
    """Write the results of a study's folder into one Parquet file.

    Raises:
        InputError: if the folder is no study's, or the file's name ends otherwise.
    """
    source, target = Path(folder), Path(path)
    if not (source / "study.json").is_file():
        raise InputError(f"out must be a study's folder; {source} has no study.json.")
    if target.suffix != ".parquet":
        raise InputError(f"an archive must be a .parquet file; got {target}.")
    lines = []
    for file in _kept(source):
        content = file.read_bytes()
        line = {
            "path": file.relative_to(source).as_posix(),
            "chain": file.relative_to(source).parts[0],
            "sha256": hashlib.sha256(content).hexdigest(),
            "content": content,
        }
        if file.parent.name == "rows":
            line |= json.loads(content)["row"]
        lines.append(line)
    table = pa.Table.from_pandas(pd.DataFrame(lines), preserve_index=False)
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", compression_level=19)
    write_atomically(target, buffer.getvalue())
    return target


def restore(path: str | Path, folder: str | Path) -> Path:
    """Write an archive's files back into a new folder.

    Raises:
        InputError: if the file is no archive, is damaged, or names a file outside the
            folder; or the folder holds something else.
    """
    source, target = Path(path), Path(folder)
    if not source.is_file():
        raise InputError(f"an archive must be a file that exists; got {source}.")
    if target.is_dir() and any(target.iterdir()):
        raise InputError(f"out must be a new or empty folder; {target} is not empty.")
    check_writable(target)
    try:
        table = pq.read_table(source, columns=["path", "sha256", "content"])
    except (pa.ArrowException, OSError, KeyError) as error:
        raise InputError(
            f"an archive must be what `python -m mi_probe.study` wrote; {source} is not "
            f"({str(error).splitlines()[0]})."
        ) from None
    if table.nbytes > _LARGEST:
        raise InputError(f"an archive must hold at most {_LARGEST} bytes; got {source}.")
    lines = table.to_pylist()
    for line in lines:
        _check_line(line, source)
    for line in lines:
        write_atomically(target / line["path"], line["content"])
    return target


def _check_line(line: dict[str, Any], source: Path) -> None:
    """Raise where a file is not what was archived, or would lie elsewhere."""
    name, content = line["path"], line["content"]
    if not isinstance(name, str) or not isinstance(content, bytes):
        raise InputError(
            f"an archive's files must have a name and bytes; one in {source} has not."
        )
    place = PurePosixPath(name)
    if (
        place.is_absolute()
        or ".." in place.parts
        or not any(_fits(place, pattern) for pattern in KEPT)
    ):
        raise InputError(
            f"an archive's files must be a study's; {source} has {str(place)!r}."
        )
    if hashlib.sha256(content).hexdigest() != line["sha256"]:
        raise InputError(
            f"an archive's files must be as they were; in {source}, {str(place)!r} is not."
        )


def _fits(place: PurePosixPath, pattern: str) -> bool:
    """Whether a path is one that a pattern of `KEPT` finds, folder by folder."""
    parts = pattern.split("/")
    return len(parts) == len(place.parts) and all(
        fnmatchcase(part, wanted) for part, wanted in zip(place.parts, parts, strict=True)
    )


def _kept(folder: Path) -> Iterator[Path]:
    for pattern in KEPT:
        for file in sorted(folder.glob(pattern)):
            if file.is_file() and not file.name.startswith("."):
                yield file
