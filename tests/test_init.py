import subprocess
import sys

import pytest

import mi_probe
from mi_probe.errors import InputError


def test_parts_are_there_after_one_import():
    program = (
        "import mi_probe; print(*mi_probe.estimators.ESTIMATORS, mi_probe.predgen.train)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "mine" in done.stdout.split()
    assert "function train" in done.stdout


def test_commands_are_not_imported_with_the_package():
    # `python -m` would warn that the module was there already.
    program = "import sys, mi_probe; print([m for m in sys.modules if 'mi_probe' in m])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "mi_probe.errors" in done.stdout
    assert "mi_probe.estimate" not in done.stdout
    assert "mi_probe.train" not in done.stdout


def test_its_names_are_there_without_torch():
    program = "import sys, mi_probe; print(*dir(mi_probe)); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    names, loaded = done.stdout.split("\n")[:2]
    assert {"profile", "plot", "mutual_information", "estimators"} <= set(names.split())
    # What makes an import slow: without them it takes a tenth of a second.
    slow = {"torch", "numpy", "pandas", "transformers", "sklearn", "matplotlib"}
    assert slow.isdisjoint(loaded.split())


def test_every_name_is_there():
    assert all(callable(getattr(mi_probe, name)) for name in mi_probe.__all__[2:])
    assert mi_probe.InputError is InputError


def test_what_is_not_there_is_an_attribute_error():
    with pytest.raises(
        AttributeError, match="has no attribute 'profil'. Did you mean 'profile'"
    ):
        mi_probe.profil  # noqa: B018
