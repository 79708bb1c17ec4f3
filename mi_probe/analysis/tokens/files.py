"""The token tables of one site as files, which appear whole or not at all.

tokens/STEM.tokens.parquet    a row a token
tokens/STEM.positions.csv     I(Y; Z_t) by position
tokens/STEM.types.csv         by token type
tokens/STEM.words.csv         by predicted word and word
tokens/STEM.generated.csv     generated x input, where tokens were generated
tokens/STEM.spans.csv         by span, where spans were asked for
tokens/STEM.json              what they are of, and the sha256 of each file and of itself;
                              written last: with it they are finished
"""

import hashlib
import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from mi_probe.atomic import write_atomically
from mi_probe.contents import digest, plain, read_json, sealed, unsealed
from mi_probe.errors import InputError

FOLDER = "tokens"
SCHEMA = "mi_probe.tokens/3"


@dataclass(frozen=True, eq=False)
class TokenTables:
    """The tables of one site; `about` is what the JSON file beside them says."""

    tokens: pd.DataFrame = field(repr=False)
    positions: pd.DataFrame = field(repr=False)
    types: pd.DataFrame = field(repr=False)
    words: pd.DataFrame = field(repr=False)
    generated: pd.DataFrame | None = field(repr=False)
    """Generated x input; None where nothing was generated."""
    spans: pd.DataFrame | None = field(repr=False)
    """What each span adds; None where no spans were asked for."""
    about: Mapping[str, Any]


def stem_of(key: Mapping[str, Any]) -> str:
    """A file name for what defines the tables: readable, and different for others."""
    parts = [Path(str(key["subject"])).name, key["task"], key["site"]]
    words = [re.sub(r"[^A-Za-z0-9]+", "-", str(part)).strip("-") for part in parts]
    return "_".join([*words, digest(key)[:8]])


def is_finished(folder: Path, key: Mapping[str, Any], say: Callable[[str], object]) -> bool:
    """Whether these tables are there already, as they were written.

    Args:
        folder: of the results.
        key: what defines the tables.
        say: is told of those that are not what was written.
    """
    path = folder / FOLDER / f"{stem_of(key)}.json"
    try:
        return path.is_file() and read_about(path)["key"] == plain(key)
    except InputError as error:
        say(f"{error} They count as not there.")
        return False


def write_token_tables(
    folder: Path, key: Mapping[str, Any], about: Mapping[str, Any], tables: TokenTables
) -> Path:
    """Write all files of one site.

    Args:
        folder: of the results.
        key: what defines the tables.
        about: what else the JSON file says: subject, versions.
        tables: from `measure_tokens`.

    Returns:
        The JSON file.
    """
    stem = folder / FOLDER / stem_of(key)
    parquet = io.BytesIO()
    tables.tokens.to_parquet(parquet, index=False)
    written = {"tokens.parquet": parquet.getvalue()}
    csvs = {
        "positions": tables.positions,
        "types": tables.types,
        "words": tables.words,
        "generated": tables.generated,
        "spans": tables.spans,
    }
    for name, table in csvs.items():
        if table is not None:
            written[f"{name}.csv"] = table.to_csv(index=False).encode()
    for ending, content in written.items():
        write_atomically(_named(stem, ending), content)
    told = {"schema": SCHEMA, **about, **tables.about, "key": dict(key)}
    told["files"] = {
        ending: hashlib.sha256(content).hexdigest() for ending, content in written.items()
    }
    last = _named(stem, "json")
    write_atomically(last, sealed(told))
    return last


def read_about(path: Path) -> dict[str, Any]:
    """The JSON file of finished tables.

    Raises:
        InputError: if it, or a table beside it, is not what was written, or another
            version wrote it.
    """
    try:
        content = read_json(path)
        # A file by hand may leave it out.
        schema = content.get("schema", SCHEMA)
        if "sha256" in content or content.get("schema") == SCHEMA:
            content = unsealed(content)
        for ending, sha256 in content.pop("files", {}).items():
            file = _named(path.with_suffix(""), ending)
            if not file.is_file() or _sha256(file) != sha256:
                raise ValueError(f"{file.name} is another or gone")
    except (ValueError, AttributeError) as error:
        raise InputError(
            f"{path} must describe token tables, and they must be as they were written; it "
            f"is damaged ({error}). Run the command again: only they are computed."
        ) from None
    if schema != SCHEMA:
        raise InputError(
            f"schema must be {SCHEMA}, this program's; {path} has {schema}. Read it with "
            "the version that wrote it."
        )
    return content


def read_tables(path: Path) -> dict[str, pd.DataFrame]:
    """``tokens``, ``positions``, ``types``, ``words`` and ``spans`` beside a JSON file."""
    stem = path.with_suffix("")
    found = {"tokens": pd.read_parquet(_named(stem, "tokens.parquet"))}
    for name in ("positions", "types", "words", "spans"):
        if name == "spans" and not _named(stem, "spans.csv").is_file():
            continue
        # A token may be called "NA"; only an empty cell is no value.
        found[name] = pd.read_csv(
            _named(stem, f"{name}.csv"), keep_default_na=False, na_values=[""]
        )
    return found


def _named(stem: Path, ending: str) -> Path:
    return stem.with_name(f"{stem.name}.{ending}")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
