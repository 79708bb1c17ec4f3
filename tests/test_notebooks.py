"""Notebooks run from top to bottom, only call, and carry the outputs of their code."""

import ast
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from types import ModuleType

import nbformat
import pytest
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.util import run_sync

from mi_probe.backbones import EMBEDDED
from mi_probe.tasks import TASKS
from mi_probe.tasks.entry import Wheel
from tests.tiny import save_tiny

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
SMALL = {
    **{"ROWS": 40, "SITES": "0,2", "KNOWN_ROWS": 60, "MAX_TOKENS": 8, "DRAWS": 9},
    "CRITIC": "linear on views",
    **{"VIEWS": ("full", "mean"), "SHAPE": (8,), "PERMUTATIONS": 2, "OTHERS": ("linear",)},
    **{"SENTENCES": 2, "TRAIN_ROWS": 16, "STEPS": 2},
}
"""What a notebook's settings are in the tests, where it has them."""
CHEAPER = {
    "01_quickstart": {"SITES": "0,2"},
    "02_layers_and_poolings": {"SITES": "0,2", "DRAWS": 4},
    # Where all views are vectors, the recommended estimator can do without.
    "04_how_far_to_trust_an_estimate": {"ESTIMATOR": "lda"},
    "05_token_maps": {"SITES": "2", "ROWS": 60},
    "06_training_the_three_systems": {"SITES": "2", "VIEWS": ("mean",), "ROWS": 400},
    "07_groups_and_controls": {"SITES": "2", "SPEAKERS": 20},
    "09_reasoning_steps": {"SITES": "2", "ROWS": 60, "MAX_TOKENS": 64},
}
"""And what they are in one."""
SHOWS = {
    "01_quickstart": ("I(Y;Z)",),
    "02_layers_and_poolings": ("I(Y;Z)", "95 % interval", "HiddenStates", "gap (nats)"),
    "03_your_own_model_and_data": ("HiddenStates", "held-out lower bound", "H(Y)"),
    "04_how_far_to_trust_an_estimate": ("recovers", "true:", "held-out", "linear"),
    "05_token_maps": ("add up to its i(y; z)", "increment", "attention"),
    "06_training_the_three_systems": ("predgen", "accuracy", "true I(Y;X): 0.368"),
    "07_groups_and_controls": ("dependent rows", "words", "p ="),
    "08_states_of_a_serving_engine": ("8 rows run again", "Name it"),
    "09_reasoning_steps": ("paragraph", "(rest)"),
}
"""Words that each one's outputs hold."""

LONG = ("04", "05", "06", "07", "09")
"""Numbers of those that take half a minute and more, also on a tiny model."""
each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)

LARGEST = 400_000
"""Bytes of a notebook that a code-hosting page shows without ado."""
_LOADER = SourceFileLoader("execution", str(FOLDER.parent / ".ci" / "notebooks"))
execution = ModuleType("execution")
execution.__file__ = _LOADER.path
_LOADER.exec_module(execution)


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def code(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def python(cell: nbformat.NotebookNode) -> ast.Module:
    """A cell without IPython's own lines."""
    lines = cell.source.splitlines()
    return ast.parse("\n".join(line for line in lines if not line.startswith("%")))


def settings(notebook: nbformat.NotebookNode) -> dict[str, object]:
    """The first code cell, which assigns constants and does nothing else."""
    found = {}
    for statement in python(code(notebook)[0]).body:
        assert isinstance(statement, ast.Assign), ast.unparse(statement)
        (name,) = statement.targets
        found[ast.unparse(name)] = ast.literal_eval(statement.value)
    return found


def wheel_of(given) -> Wheel:
    wheel = TASKS[str(given["TASK"])].wheel
    assert wheel is not None, "a notebook runs on what is embedded"
    return wheel


def skip_without(*packages: str) -> None:
    for package in packages:
        try:
            distribution(package)
        except PackageNotFoundError:
            pytest.skip(f"{package} is not installed: make setup")


def execute(
    notebook: nbformat.NotebookNode, folder: Path, kernel: AsyncKernelManager | None = None
) -> nbformat.NotebookNode:
    # A cell that fails raises, with its traceback; a warning in it does not.
    client = NotebookClient(
        notebook, km=kernel, timeout=600, resources={"metadata": {"path": str(folder)}}
    )
    client.execute()
    if client.kc is not None:  # what it opened to a kernel that goes on
        client.kc.stop_channels()
    return notebook


@pytest.fixture(scope="module")
def kernel() -> Iterator[AsyncKernelManager]:
    """One for all: to start it and to import costs more than a tiny model does."""
    manager = AsyncKernelManager(kernel_name="python3")
    run_sync(manager.start_kernel)()
    yield manager
    run_sync(manager.shutdown_kernel)(now=True)


def test_there_is_a_notebook():
    assert NOTEBOOKS


@each
def test_it_is_short_and_carries_the_outputs_of_its_code(path):
    notebook = read(path)
    nbformat.validate(notebook)
    assert len(notebook.cells) < 15
    assert path.stat().st_size < LARGEST
    said = "outputs are of other code: make notebooks NOTEBOOKS=" + path.stem[:2]
    assert notebook.metadata["mi_probe"]["outputs_of"] == execution.digest(notebook), said
    shown = [out for cell in code(notebook) for out in cell.outputs]
    assert any("image/png" in out.get("data", {}) for out in shown)
    assert {out.output_type for out in shown} <= {
        "stream",
        "display_data",
        "execute_result",
    }
    assert [out for out in shown if execution.of_this_run(out)] == []
    assert [cell.execution_count for cell in code(notebook)] == [
        n + 1 for n in range(len(code(notebook)))
    ]


@each
def test_it_calls_and_defines_nothing(path):
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
    for cell in code(read(path)):
        for node in ast.walk(python(cell)):
            assert not isinstance(node, definitions), cell.source


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, marks=[pytest.mark.slow] if path.stem[:2] in LONG else [])
        for path in NOTEBOOKS
    ],
    ids=lambda path: path.stem,
)
def test_it_runs_on_a_tiny_model(path, tmp_path, kernel):
    notebook = read(path)
    given = settings(notebook)
    if "TASK" in given:
        skip_without(wheel_of(given).package)
    small = {name: value for name, value in SMALL.items() if name in given}
    small |= CHEAPER.get(path.stem, {})
    small["MODEL"] = str(save_tiny(tmp_path / "tiny-model", head="CausalLM"))
    assert {"MODEL", "ROWS", "SITES"} <= set(given)
    smaller = "\n".join(f"{name} = {value!r}" for name, value in small.items())
    after = notebook.cells.index(code(notebook)[0]) + 1
    notebook.cells.insert(after, nbformat.v4.new_code_cell(smaller))
    # No notebook may live on what another has left in the kernel.
    clean = f"%reset -f\n%cd -q {tmp_path}"
    notebook.cells.insert(0, nbformat.v4.new_code_cell(clean))
    ran = execute(notebook, tmp_path, kernel)
    shown = [out for cell in code(ran) for out in cell.outputs]
    assert any("image/png" in out.get("data", {}) for out in shown)
    text = "".join(out.get("text", "") for out in shown)
    text += "".join(out.get("data", {}).get("text/html", "") for out in shown)
    assert [words for words in SHOWS[path.stem] if words not in text] == []
    assert [out for out in shown if out.output_type == "error"] == []


@pytest.mark.slow
@each
def test_it_runs_as_it_is(path, tmp_path):
    notebook = read(path)
    given = settings(notebook)
    model = str(given["MODEL"]).partition(":")[0]
    rows = [wheel_of(given).package] if "TASK" in given else []
    skip_without(EMBEDDED[model].distribution, *rows)
    ran = execute(notebook, tmp_path)
    shown = [out for cell in code(ran) for out in cell.outputs]
    assert [out for out in shown if out.output_type == "error"] == []
    assert any("image/png" in out.get("data", {}) for out in shown)
