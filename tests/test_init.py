import subprocess
import sys

import pytest

import mi_probe


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
    assert "mi_probe.hidden" in done.stdout
    assert "mi_probe.estimate" not in done.stdout
    assert "mi_probe.train" not in done.stdout


def test_what_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'estimat'"):
        mi_probe.estimat  # noqa: B018
