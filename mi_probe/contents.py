"""Settings and results as JSON, and what is equal where their content is."""

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

LARGEST_JSON = 1 << 28
"""Bytes of a JSON file that are read at most."""
DEEPEST_JSON = 100
"""Lists and objects within each other that are read at most."""


def canonical(content: Any) -> str:
    """JSON that is the same for equal contents: sorted keys, no NaN, no NumPy types."""
    return json.dumps(plain(content), sort_keys=True, allow_nan=False)


def digest(content: Any) -> str:
    """16 hexadecimal digits that stand for the content."""
    return hashlib.sha256(canonical(content).encode()).hexdigest()[:16]


def settings_of(estimator: object) -> dict[str, Any]:
    """An estimator's class and fields, as plain values."""
    kind = {"class": type(estimator).__name__}
    return {**kind, **plain(estimator)} if dataclasses.is_dataclass(estimator) else kind


def plain(value: Any) -> Any:
    """The same content in what JSON knows: dicts, lists, texts, numbers, None."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(v) for v in value]
    # Arrays, and tensors, which this module does not know.
    if (as_list := getattr(value, "tolist", None)) is not None:
        return plain(as_list())
    if isinstance(value, float):
        # JSON knows no NaN; an empty cell says "no value" too.
        return value if math.isfinite(value) else None
    if isinstance(value, str) and not value.isascii():
        # A file's name may hold bytes that are no letters, which no table can.
        return value.encode("utf-8", "backslashreplace").decode()
    if value is None or isinstance(value, str | int | bool):
        return value
    return getattr(value, "__name__", None) or str(value)


def sealed(content: Mapping[str, Any]) -> bytes:
    """The content as a JSON file that holds its own sha256; see `unsealed`."""
    kept = plain(content)
    text = json.dumps(
        {**kept, "sha256": _seal(kept)}, indent=1, allow_nan=False, ensure_ascii=False
    )
    return (text + "\n").encode()


def unsealed(content: Any) -> dict[str, Any]:
    """What `sealed` made a file of, if what `read_json` gives still is that.

    Raises:
        ValueError: if it is not.
    """
    if not isinstance(content, dict) or "sha256" not in content:
        raise ValueError("it holds no sha256 of itself")
    kept = {name: value for name, value in content.items() if name != "sha256"}
    if content["sha256"] != _seal(kept):
        raise ValueError("it is not what was written: its sha256 is another")
    return kept


def read_json(path: Path) -> Any:
    """The content of a JSON file of somebody's, within bounds.

    Raises:
        ValueError: if it is no JSON in UTF-8, larger than `LARGEST_JSON`, deeper than
            `DEEPEST_JSON`, or has a number that JSON does not know.
    """
    if (size := path.stat().st_size) > LARGEST_JSON:
        raise ValueError(f"{size} bytes are more than {LARGEST_JSON}")
    return parse_json(path.read_bytes())


def parse_json(text: str | bytes) -> Any:
    """The content of a JSON text; see `read_json`."""
    try:
        content = json.loads(
            text if isinstance(text, str) else text.decode("utf-8"), parse_constant=_refuse
        )
    except RecursionError:
        raise ValueError(f"it is deeper than {DEEPEST_JSON} levels") from None
    level, depth = [content], 0
    while level := [child for parent in level for child in _children(parent)]:
        if (depth := depth + 1) > DEEPEST_JSON:
            raise ValueError(f"it is deeper than {DEEPEST_JSON} levels")
    return content


def _children(value: Any) -> list[Any]:
    """The lists and objects in a list or object."""
    inside = value.values() if isinstance(value, dict) else value
    if not isinstance(value, dict | list):
        return []
    return [child for child in inside if isinstance(child, dict | list)]


def _refuse(constant: str) -> Any:
    raise ValueError(f"JSON has no {constant}")


def _seal(content: Any) -> str:
    return hashlib.sha256(canonical(content).encode()).hexdigest()
