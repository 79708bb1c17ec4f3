"""The one exception that says "you, the user, can mend this"."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """A user's mistake, worded as *name, rule, what came, what to do*.

    Commands turn it into one line on stderr and exit code 2; every other exception is
    a bug of ours and keeps its traceback.
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
