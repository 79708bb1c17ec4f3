"""An environment of its own for each package: their requirements exclude each other."""

import subprocess
import sys
from functools import lru_cache
from pathlib import Path

PEERS = Path(__file__).parents[1] / "peers"
_ROOT = Path(__file__).parents[1] / ".peers"


@lru_cache
def python_of(package: str) -> Path | None:
    """The interpreter to run a package's adapter with; None if it does not install."""
    if package == "mi_probe":
        return Path(sys.executable)
    folder = _ROOT / package
    python, ready = folder / "bin" / "python", folder / ".ready"
    requirements = PEERS / f"{package}.txt"
    if not ready.exists() or ready.read_text() != requirements.read_text():
        install = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        steps = [
            [sys.executable, "-m", "venv", str(folder)],
            [*map(str, install), "-r", str(requirements)],
        ]
        print(f"{package}: installing", flush=True)
        for step in steps:
            if subprocess.run(step, stderr=subprocess.DEVNULL).returncode:
                return None
        ready.write_text(requirements.read_text())
    return python
