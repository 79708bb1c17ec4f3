"""Settings and results as JSON, and what is equal where their content is."""

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
import torch


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
    if isinstance(value, np.ndarray | np.generic | torch.Tensor):
        return plain(value.tolist())
    if isinstance(value, float):
        # JSON knows no NaN; an empty cell says "no value" too.
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int | bool):
        return value
    return getattr(value, "__name__", None) or str(value)
