"""What the packaging files say of each other, and of what the code imports."""

import ast
import configparser
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from mi_probe.backbones.embedded import EMBEDDED
from mi_probe.tasks import TASKS

ROOT = Path(__file__).parents[1]
LOCAL = {
    *("mi_probe", "tests", "comparing"),
    *(path.stem for path in (ROOT / "tests").rglob("*.py")),
    *(path.stem for path in (ROOT / "benchmarks").glob("*.py")),
}
# Imported by a name that no installed distribution claims, or that several do.
ASKED_FOR = {"yaml": "pyyaml"}

needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="no make here")


def setup_cfg() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def requirements(text: str) -> dict[str, Requirement]:
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    found = [Requirement(line) for line in lines if line]
    return {canonicalize_name(one.name): one for one in found}


def declared(*extras: str) -> dict[str, Requirement]:
    """What setup.cfg asks for: of its own, and in the extras named (or in all)."""
    parser = setup_cfg()
    found = requirements(parser["options"]["install_requires"])
    for name, text in parser["options.extras_require"].items():
        if not extras or name in extras:
            found |= requirements(text)
    return found


def embedded_pins() -> dict[str, tuple[str, list[str]]]:
    """The version and the hashes of each line of requirements-embedded.txt."""
    text = (ROOT / "requirements-embedded.txt").read_text(encoding="utf-8")
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    pins = {}
    for line in (line for line in lines if not line.startswith("#")):
        pin = re.fullmatch(r"([\w.-]+)==([\w.]+)((?:\s+--hash=\S+)*)\s*", line)
        assert pin, f"not a pin with hashes: {line}"
        pins[canonicalize_name(pin[1])] = (pin[2], pin[3].split())
    return pins


def third_party(folder: str) -> dict[str, str]:
    """Distributions that the modules of a folder import, each with one of them."""
    owners = packages_distributions()
    found = {}
    for path in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [str(node.module)]
            for name in (name.partition(".")[0] for name in names):
                if name not in sys.stdlib_module_names and name not in LOCAL:
                    owner = ASKED_FOR.get(name) or owners.get(name, [name])[0]
                    found[canonicalize_name(owner)] = str(path.relative_to(ROOT))
    return found


def test_everything_the_package_imports_is_declared():
    own, optional = declared("no extra"), declared("embedded", "cluster")
    imported = third_party("mi_probe")
    imported.pop("ipython", None)  # it calls the method that imports it
    assert {"torch", "transformers"} <= set(imported)
    assert {n: at for n, at in imported.items() if n not in own | optional} == {}


def test_everything_the_tests_import_is_declared():
    known = declared("test")
    assert {n: at for n, at in third_party("tests").items() if n not in known} == {}


def installed_extras() -> set[str]:
    # Nothing that make or a test runs reads the hub, or has a cluster.
    return set(setup_cfg()["options.extras_require"]) - {"hub", "cluster"}


def test_environment_installs_the_package_with_its_extras_and_nothing_else():
    text = (ROOT / "environment.yml").read_text(encoding="utf-8")
    environment = yaml.safe_load(text)
    conda = [one for one in environment["dependencies"] if isinstance(one, str)]
    (pip,) = [one["pip"] for one in environment["dependencies"] if isinstance(one, dict)]
    (package,) = pip
    extras = re.fullmatch(r"-e \.\[([\w,]+)\]", package)
    assert extras, package
    assert set(extras[1].split(",")) == installed_extras()
    # No version, so nothing to drift; no package twice.
    assert all(re.fullmatch(r"[a-z]+", name) for name in conda), conda
    assert {"python", "pip"} <= set(conda)
    assert not set(conda) & set(declared())


def test_make_installs_the_same_extras():
    extras = re.search(r"^EXTRAS := (\S+)$", (ROOT / "Makefile").read_text(), re.M)
    assert extras
    assert set(extras[1].split(",")) == installed_extras()


def test_constraints_pin_all_that_make_installs_inside_the_ranges_of_setup_cfg():
    known = declared(*installed_extras())
    pins = requirements((ROOT / "constraints.txt").read_text(encoding="utf-8"))
    assert set(known) <= set(pins)
    for name, pin in pins.items():
        (specifier,) = pin.specifier
        assert specifier.operator == "==", pin
        assert "+" not in specifier.version, "a build of one index alone"
        assert pin.url is None
        if name in known:
            assert known[name].specifier.contains(specifier.version), known[name]


def test_every_dependency_states_its_least_version():
    for one in declared().values():
        assert any(s.operator in (">=", "~=", "==") for s in one.specifier), str(one)


def test_a_package_in_two_extras_has_one_range():
    ranges: dict[str, set[SpecifierSet]] = {}
    parser = setup_cfg()
    texts = [parser["options"]["install_requires"]]
    for text in [*texts, *parser["options.extras_require"].values()]:
        for name, one in requirements(text).items():
            ranges.setdefault(name, set()).add(one.specifier)
    assert {name: found for name, found in ranges.items() if len(found) > 1} == {}


def test_every_embedded_wheel_is_pinned_with_its_sha256():
    for name, (_, hashes) in embedded_pins().items():
        assert hashes, name
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", one) for one in hashes)


def test_embedded_pins_are_the_packages_that_the_code_reads():
    # The names in the messages of `load_backbone` and `load_task`.
    asked = {entry.distribution for entry in EMBEDDED.values()}
    asked |= {task.wheel.package for task in TASKS.values() if task.wheel}
    assert set(embedded_pins()) == {canonicalize_name(name) for name in asked}
    # Installed without their dependencies: no extra may bring one in with them.
    assert not set(embedded_pins()) & set(declared())


def test_installed_embedded_wheels_are_the_pinned_ones():
    from importlib.metadata import PackageNotFoundError, version

    for name, (pinned, _) in embedded_pins().items():
        try:
            assert version(name) == pinned, name
        except PackageNotFoundError:
            pytest.skip(f"{name} is not installed: make setup")


def test_metadata_lives_in_setup_cfg_alone():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    tables = re.findall(r"^\[+([^\]]+)\]+", text, re.M)
    assert "build-system" in tables
    assert [t for t in tables if t.split(".")[0] not in ("build-system", "tool")] == []


def test_continuous_integration_runs_what_contributors_run():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    lines = script.read_text(encoding="utf-8").splitlines()
    commands = [line for line in lines if line and not line.startswith("#")]
    assert commands[-1] == "make test"
    assert commands[0] == "set -euo pipefail"  # a failure is the exit status


@needs_make
def test_help_lists_every_target():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):(?!=)", text, re.M))
    phony = re.search(r"^\.PHONY: (.+)$", text, re.M)
    assert phony
    assert set(phony[1].split()) == targets
    shown = make(ROOT, "help").stdout
    assert {line.split()[0] for line in shown.splitlines()} == targets
    assert {"setup", "demo", "test"} <= targets


@pytest.mark.parametrize("file", ["README.md", "CONTRIBUTING.md", "environment.yml"])
def test_documents_name_targets_that_exist(file):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):(?!=)", makefile, re.M))
    text = (ROOT / file).read_text(encoding="utf-8")
    assert set(re.findall(r"(?:`|^)make ([a-z][a-z-]*)", text, re.M)) <= targets


@needs_make
def test_setup_that_was_interrupted_is_done_again_and_one_that_was_not_is_not(tmp_path):
    # A blank in the path, as users have them.
    work = tmp_path / "a b"
    work.mkdir()
    for name in ("Makefile", "setup.cfg", "constraints.txt", "requirements-embedded.txt"):
        shutil.copy(ROOT / name, work)
    tries = work / "tries"

    def setup(installs: str) -> subprocess.CompletedProcess:
        install = f"echo once >> tries; {installs};:"
        return make(work, "setup", "MKVENV=mkdir -p .venv", f"INSTALL={install}")

    assert setup("exit 3").returncode != 0
    assert not (work / ".venv" / ".ready").exists()
    assert setup("true").returncode == 0
    assert (work / ".venv" / ".ready").exists()
    done = tries.read_text()
    assert len(done.split()) == 1 + 2
    assert setup("true").returncode == 0
    assert tries.read_text() == done


@needs_make
def test_an_old_python_is_refused_in_one_clear_line(tmp_path):
    for name in ("Makefile", "setup.cfg", "constraints.txt", "requirements-embedded.txt"):
        shutil.copy(ROOT / name, tmp_path)
    old = tmp_path / "old python"
    old.write_text(
        f'#!/bin/sh\nexec "{sys.executable}" -c '
        "'import sys; sys.version_info = (3, 8); exec(sys.argv[2])' \"$@\"\n"
    )
    old.chmod(0o755)
    ran = make(tmp_path, "setup", f"PYTHON={old}")
    assert ran.returncode != 0
    said = [line for line in ran.stderr.splitlines() if not line.startswith("make")]
    assert len(said) == 1
    assert "Python >= 3.10, this is 3.8" in said[0]
    assert not (tmp_path / ".venv").exists()


@pytest.mark.skipif(os.name != "posix", reason="a shell script")
def test_uv_installs_from_where_pip_would(tmp_path):
    fake = tmp_path / "uv"
    fake.write_text(
        '#!/bin/sh\necho "$UV_FIND_LINKS|$UV_EXTRA_INDEX_URL|$UV_INDEX_URL|$*"\n'
    )
    fake.chmod(0o755)
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PIP_", "UV_"))
    }
    # pip's own configuration, and a variable that goes over it.
    configuration = tmp_path / "pip.conf"
    configuration.write_text(
        "[global]\nfind-links =\n    one\n    two\nextra-index-url = a\n"
        "[install]\nindex-url = b\n"
    )
    environment = {
        **kept,
        "PATH": f"{tmp_path}:{kept['PATH']}",
        "PIP_CONFIG_FILE": str(configuration),
        "PIP_EXTRA_INDEX_URL": "c d",
    }
    script = [str(ROOT / ".ci" / "uv-install"), sys.executable, "-q", "package"]
    ran = subprocess.run(script, env=environment, capture_output=True, text=True)
    assert ran.stdout.strip() == "one,two|c d|b|pip install -q package", ran.stderr
    # What is set for uv goes over both.
    environment["UV_INDEX_URL"] = "mine"
    ran = subprocess.run(script, env=environment, capture_output=True, text=True)
    assert "|mine|" in ran.stdout


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    # Under `make test` these would tell the inner make that it is a part of the outer.
    mine = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "PYTHON")
    environment = {k: v for k, v in os.environ.items() if k not in mine}
    return subprocess.run(
        ["make", *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )
