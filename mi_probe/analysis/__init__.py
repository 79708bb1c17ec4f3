"""Estimates of whole profiles, and statistics and words on the tables they become.

`labels`, `summaries`, `reading` and `verdict` know tables and numbers only, never torch:
figures rest on them. What measures is imported on its first use.
"""

from importlib import import_module
from typing import Any

_HOMES = {
    "Gap": "gap",
    "Gaps": "gap",
    "Ladder": "ladders",
    "PairedDifference": "paired",
    "Simultaneous": "many_cells",
    "capacity_ladder": "ladders",
    "compare_estimates": "paired",
    "compare_results": "comparisons",
    "conditional": "conditional_information",
    "consistency": "consistency_tests",
    "dpi_gap": "dpi",
    "noise_ladder": "ladders",
    "simultaneous": "many_cells",
    "with_noise": "noise",
}
"""The module that each name comes from."""

__all__ = sorted(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
