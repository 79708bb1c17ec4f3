"""What every test shares: no network, one thread, tiny models.

`tiny` (tests/tiny.py) is importable as such: pyproject.toml puts tests/ on the path.
"""

import os

# Before transformers is imported, which reads them once.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import pytest
import shape_checks
import torch
from tiny import tiny_model, tiny_tokenizer

from mi_probe.backbones import Backbone, wrap_backbone

torch.set_num_threads(1)


def pytest_runtest_setup():
    shape_checks.begin()


@pytest.fixture(scope="session")
def tokenizer():
    return tiny_tokenizer()


@pytest.fixture(scope="session")
def tiny_backbone(tokenizer):
    """`tiny_backbone("llama")`: a tiny random backbone, made once for a family."""
    made: dict[str, Backbone] = {}

    def make(family: str = "llama") -> Backbone:
        if family not in made:
            made[family] = wrap_backbone(tiny_model(family), tokenizer, name=family)
        return made[family]

    return make
