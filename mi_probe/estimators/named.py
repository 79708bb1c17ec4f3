"""Estimators by name."""

from dataclasses import is_dataclass, replace
from typing import Any

from mi_probe.errors import check_known
from mi_probe.estimators.core.base import Estimator


class Named(dict[str, Estimator]):
    """A table of estimators, which says what names there are to who asks for another.

    Examples:
        >>> from mi_probe.estimators import ESTIMATORS
        >>> ESTIMATORS["lineer"]
        Traceback (most recent call last):
        mi_probe.errors.InputError: estimator must be one of auto, mine, ...
    """

    def __missing__(self, name: Any) -> Estimator:
        check_known("estimator", name, self)
        raise KeyError(name)  # not reached: what is missing is not known

    def chosen(self, estimator: str | Estimator) -> Estimator:
        """The estimator of a name, or the one that is given.

        Raises:
            InputError: for an unknown name, or what is no estimator.
        """
        return estimator if isinstance(estimator, Estimator) else self[estimator]


def without_limit(estimator: Estimator) -> Estimator:
    """The same, without what endless rows would give, which costs about as much again."""
    if is_dataclass(estimator) and hasattr(estimator, "extrapolate"):
        return replace(estimator, extrapolate=False)
    return estimator
