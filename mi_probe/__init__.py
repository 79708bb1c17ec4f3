"""Mutual information between a language model's hidden states and a target.

    table = mi_probe.profile("smollm2-135m", "rotten_tomatoes", sites=[8, 16, 24, 30])
    mi_probe.plot(table, "figures")

Functions: `profile`, `mutual_information`, `dpi_gap`, `compare_results`, `extract`,
`read_table`, `load_backbone`, `plot`, `run_study`. Each is imported on its first use, as
are the parts (`mi_probe.estimators`, ...). Commands are modules: ``python -m
mi_probe.estimate``, or ``mi-probe estimate``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mi_probe.errors import InputError, meant

if TYPE_CHECKING:
    from mi_probe.analysis import compare_results as compare_results
    from mi_probe.analysis import dpi_gap as dpi_gap
    from mi_probe.analysis.profiles import profile as profile
    from mi_probe.backbones import load_backbone as load_backbone
    from mi_probe.capture import extract as extract
    from mi_probe.drawing import plot as plot
    from mi_probe.estimators import mutual_information as mutual_information
    from mi_probe.hidden import HiddenStates as HiddenStates
    from mi_probe.hidden import Role as Role
    from mi_probe.study import run_study as run_study
    from mi_probe.tasks import read_table as read_table

__version__ = "0.1.0"

_HOMES = {
    "HiddenStates": "hidden",
    "Role": "hidden",
    "compare_results": "analysis",
    "dpi_gap": "analysis",
    "extract": "capture",
    "load_backbone": "backbones",
    "mutual_information": "estimators",
    "plot": "drawing",
    "profile": "analysis.profiles",
    "read_table": "tasks",
    "run_study": "study",
}
"""The module that each name comes from."""
_PARTS = (
    "analysis",
    "backbones",
    "capture",
    "estimators",
    "plots",
    "pooling",
    "predgen",
    "results",
    "synthetic",
    "tasks",
)

__all__ = ["InputError", "__version__", *_HOMES]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    """A function or a part on its first use, so that importing the package is quick."""
    if name in _HOMES:
        found = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = found
        return found
    if name in _PARTS:
        return import_module(f"{__name__}.{name}")
    # A submodule that is not there is asked for in this way too.
    hint = meant(name, (*_HOMES, *_PARTS))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}.{hint}")


def __dir__() -> list[str]:
    return sorted((*__all__, *_PARTS))
