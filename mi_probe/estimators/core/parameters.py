"""Settings of estimators by name, as scikit-learn's tools ask; and estimators by name."""

from dataclasses import MISSING, fields, is_dataclass, replace
from typing import Any, TypeVar

from mi_probe.errors import check_known
from mi_probe.estimators.core.base import Estimator

Self = TypeVar("Self", bound="Parameters")
_DESCRIPTIONS = ("summary", "reference", "family")


class Parameters:
    """`get_params` and `set_params` of a frozen dataclass whose fields are settings.

    ``sklearn.base.clone`` copies such an estimator. Settings of a setting are named by two
    underscores: ``schedule__max_epochs``, ``classes__penalties``.

    Examples:
        >>> from sklearn.base import clone
        >>> from mi_probe.estimators import ESTIMATORS
        >>> ESTIMATORS["ksg"].get_params()
        {'name': 'ksg', 'neighbours': 4}
        >>> clone(ESTIMATORS["ksg"]).set_params(neighbours=8)
        NearestNeighbours(name='ksg', neighbours=8)
    """

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The settings by name.

        Args:
            deep: also those of settings that have some of their own.
        """
        return _settings(self, deep)

    def set_params(self: Self, **changes: Any) -> Self:
        """Another estimator with some settings changed; this one, frozen, stays as it is.

        scikit-learn's own change themselves; use what is returned, as its tools do.

        Raises:
            InputError: on an unknown name.
        """
        return _changed(self, changes)

    def __repr__(self) -> str:
        return _said(self)


def _settings(of: Any, deep: bool) -> dict[str, Any]:
    held = {field.name: getattr(of, field.name) for field in fields(of)}
    within = {
        f"{name}__{inner}": one
        for name, value in held.items()
        if deep and _has_settings(value)
        for inner, one in _settings(value, deep).items()
    }
    return {**held, **within}


def _changed(of: Any, changes: dict[str, Any]) -> Any:
    check_known(f"settings of {type(of).__name__}", tuple(changes), _settings(of, True))
    own = {name: value for name, value in changes.items() if "__" not in name}
    inner: dict[str, dict[str, Any]] = {}
    for name, value in changes.items():
        if "__" in name:
            part, _, setting = name.partition("__")
            inner.setdefault(part, {})[setting] = value
    changed = replace(of, **own)
    parts = {part: _changed(getattr(changed, part), told) for part, told in inner.items()}
    return replace(changed, **parts)


def _has_settings(value: Any) -> bool:
    return is_dataclass(value) and not isinstance(value, type)


def _usual(field: Any) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def _said(of: Any) -> str:
    """The settings that are not as usual, of settings within too."""
    if not _has_settings(of):
        return repr(of)
    own = [one for one in fields(of) if one.name not in _DESCRIPTIONS]
    held = {one.name: (getattr(of, one.name), _usual(one)) for one in own}
    told = [f"{name}={_said(value)}" for name, (value, by) in held.items() if value != by]
    return f"{type(of).__name__}({', '.join(told)})"


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
