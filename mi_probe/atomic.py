"""Files that appear whole or not at all, and whether a folder can be written at all."""

import errno
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mi_probe.errors import InputError


def write_atomically(path: Path, content: bytes) -> None:
    """The file appears whole or not at all, even if the machine stops."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with written_by_library(path), temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


_OS_ERROR = re.compile(r"\(os error (\d+)\)")
_TORCH_COULD_NOT = re.compile(r"PytorchStreamWriter|inline_container|iostream error")


@contextmanager
def written_by_library(path: Path) -> Iterator[None]:
    """Make what a native library says of a full disk an OSError that names the file.

    safetensors hides the operating system's error in a text, and torch in none at all.
    """
    try:
        yield
    except OSError as error:
        if error.filename is None:
            raise OSError(error.errno, error.strerror or str(error), str(path)) from error
        raise
    except Exception as error:
        if found := _OS_ERROR.search(str(error)):
            number = int(found[1])
            raise OSError(number, os.strerror(number), str(path)) from error
        if isinstance(error, RuntimeError) and _TORCH_COULD_NOT.search(str(error)):
            said = "it could not be written whole; is the disk full?"
            raise OSError(errno.EIO, said, str(path)) from error
        raise


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
