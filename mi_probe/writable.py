"""Whether a folder can be made and written, asked before anything is computed for it."""

import os
import tempfile
from pathlib import Path

from mi_probe.errors import InputError


def check_writable(folder: str | Path) -> None:
    """Make what is missing of a path in a temporary folder beside it, and remove it again.

    Permissions alone do not tell: some file systems let nothing be made in a folder that
    is writable, and some names cannot be. The path itself does not come and go, as another
    process may be about to use it.

    Args:
        folder: there already, or not.

    Raises:
        InputError: if it, or what it would lie in, is a file; or it cannot be made, or
            nothing can be written into it.
    """
    path = Path(folder).absolute()
    try:
        # A link that leads nowhere is there, and no folder.
        found = next(p for p in (path, *path.parents) if os.path.lexists(p))
        if found.is_dir():
            with tempfile.TemporaryDirectory(prefix=".mi_probe-", dir=found) as place:
                made = Path(place, path.relative_to(found))
                made.mkdir(parents=True, exist_ok=True)
                (made / "probe").touch()
            return
    except (OSError, ValueError) as error:  # the second: a name that nothing can have
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"out must be writable; nothing can be made at {path} ({reason}). Name "
            "another place."
        ) from None
    what = "a file" if found.is_file() else "none"
    raise InputError(f"out must be a folder; {found} is {what}. Name another.")
