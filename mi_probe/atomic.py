"""Files that appear whole or not at all."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
