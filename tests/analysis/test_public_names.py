"""Names that are imported on their first use are there."""

import importlib

import pytest


@pytest.mark.parametrize("package", ["mi_probe", "mi_probe.analysis"])
def test_every_public_name_can_be_imported(package):
    module = importlib.import_module(package)
    assert [name for name in module.__all__ if not hasattr(module, name)] == []
