"""Examples of docstrings run, and each public name has one."""

import doctest
import inspect
import re
import shutil
from importlib import import_module
from pathlib import Path

import pytest
from planted_tasks import classes_file
from tiny import save_tiny, tiny_model, tiny_tokenizer

import mi_probe

ROOT = Path(mi_probe.__file__).parent
REFERENCE = ROOT.parent / "docs" / "reference.md"
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
MODULES = [
    ".".join(path.relative_to(ROOT.parent).with_suffix("").parts)
    for path in sorted(ROOT.rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]
LONG = {
    f"mi_probe.{name}"
    for name in (
        "analysis.dpi",
        "analysis.gap",
        "analysis.conditional_information",
        "drawing",
    )
}
"""Those that test a gap, or train a critic of sequences."""


def documented() -> list[str]:
    """Every name of the top level and of the reference."""
    named = re.findall(r"auto(?:function|class):: (\S+)", REFERENCE.read_text())
    return [*named, *(f"mi_probe.{name}" for name in mi_probe.__all__ if name[0] != "_")]


def found(name: str):
    module, _, attribute = name.rpartition(".")
    return getattr(import_module(module), attribute)


@pytest.fixture
def given(tmp_path, monkeypatch):
    """What an example may take as there: a model, a file of rows, a study's file."""
    monkeypatch.chdir(tmp_path)
    save_tiny("my-model", head="CausalLM")
    Path(classes_file(tmp_path)).rename("reviews.csv")
    shutil.copy(ROOT.parent / "studies" / "small.yaml", tmp_path)
    return {"model": tiny_model("llama"), "tokenizer": tiny_tokenizer()}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name in LONG)) for name in MODULES],
)
def test_examples_run(name, given):
    module = import_module(name)
    runner = doctest.DocTestRunner(optionflags=OPTIONS)
    said: list[str] = []
    for example in doctest.DocTestFinder().find(module, name, extraglobs=given):
        runner.run(example, out=said.append)
    assert not runner.failures, "".join(said)
    assert runner.tries


@pytest.mark.parametrize("name", documented())
def test_a_public_name_has_an_example_that_is_not_skipped(name):
    words = inspect.getdoc(found(name)) or ""
    examples = [line for line in words.splitlines() if line.lstrip().startswith(">>> ")]
    assert examples
    assert not all("+SKIP" in line for line in examples)
