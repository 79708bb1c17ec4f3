"""The one exception that says "you, the user, can mend this"."""

import difflib
from collections.abc import Iterable
from typing import Any


class InputError(ValueError):
    """A user's mistake, worded as *name, rule, what came, what to do*.

    Commands turn it into one line on stderr and exit code 2; every other exception is
    a bug of ours and keeps its traceback.

    Examples:
        >>> import mi_probe
        >>> try:
        ...     mi_probe.mutual_information([[0.1], [0.2]], ["a", "b"], estimator="lineer")
        ... except mi_probe.InputError as error:
        ...     print(error)
        estimator must be one of auto, ...; got 'lineer'. Did you mean 'linear'?
    """


def meant(name: str, known: Iterable[str]) -> str:
    """A question about the likeliest of the known names; empty where none is near.

    Args:
        name: that was given, and is none of them.
        known: all that there are.

    Examples:
        >>> meant("lineer", ["linear", "mine"])
        " Did you mean 'linear'?"
        >>> meant("MINE", ["linear", "mine"])
        " Did you mean 'mine'?"
        >>> meant("forest", ["linear", "mine"])
        ''
    """
    by_lower = {one.lower(): one for one in known}
    near = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.7)
    return f" Did you mean '{by_lower[near[0]]}'?" if near else ""


def check_known(what: str, given: Any, known: Iterable[str], then: str = "") -> None:
    """Raise where a name is none of the known ones, with the likeliest of them.

    Args:
        what: the name is of.
        given: one name; or a tuple of them, each of which must be known.
        known: all that there are.
        then: what else can be done, a sentence.

    Raises:
        InputError: as said.

    Examples:
        >>> check_known("pooling", "maen", ["mean", "last"])
        Traceback (most recent call last):
        mi_probe.errors.InputError: pooling must be one of mean, last; got 'maen'. Did ...
    """
    names, alone = [str(one) for one in known], not isinstance(given, tuple)
    for name in (given,) if alone else given:
        if name not in names:
            raise InputError(
                f"{what} must be {'one ' * alone}of {', '.join(names)}; got {name!r}."
                f"{meant(name, names) if isinstance(name, str) else ''}"
                f"{then and ' '}{then}"
            )
