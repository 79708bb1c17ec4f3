"""The one exception that says "you, the user, can mend this"."""


class InputError(ValueError):
    """A user's mistake, worded as *name, rule, what came, what to do*.

    Commands turn it into one line on stderr and exit code 2; every other exception is
    a bug of ours and keeps its traceback.
    """
