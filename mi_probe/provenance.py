"""Provenance: what a number was computed with, enough to compute it again.

No host name, user name or environment variable is recorded: result folders are shared.
"""

import os
import platform
import subprocess
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

import mi_probe

PACKAGES = (
    *("torch", "transformers", "peft", "tokenizers", "safetensors", "numpy"),
    *("scipy", "scikit-learn", "pandas", "pyarrow", "zuko"),
)
"""Packages whose version can change a number."""


def now() -> str:
    """The time in UTC, to the millisecond, in ISO 8601."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


def git_commit() -> str | None:
    """The commit of the checkout that this package runs from, ``+dirty`` if edited.

    None outside a checkout, without git, and where the package is merely installed
    somewhere below an unrelated one.
    """
    here = Path(mi_probe.__file__).resolve()

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(here.parent), *arguments],
                capture_output=True,
                text=True,
                timeout=20,
                check=True,
                # A look must not take the lock that a commit in progress needs.
                env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip()

    if git("ls-files", "--error-unmatch", here.name) is None:
        return None
    commit = git("rev-parse", "HEAD")
    return f"{commit}+dirty" if commit and git("status", "--porcelain", ".") else commit


def code_version() -> str:
    """The package's version, with the commit where it runs from a checkout."""
    commit = git_commit()
    if commit is None:
        return mi_probe.__version__
    dirty = ".dirty" if commit.endswith("+dirty") else ""
    return f"{mi_probe.__version__}+g{commit[:9]}{dirty}"


def environment() -> dict[str, Any]:
    """Versions of Python and of `PACKAGES`, platform, threads, device and commit."""
    found: dict[str, str | None] = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return {
        "mi_probe": mi_probe.__version__,
        "git_commit": git_commit(),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "packages": found,
        "threads": torch.get_num_threads(),
        "cpu_count": os.cpu_count(),
        "cuda": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }
