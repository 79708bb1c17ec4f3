"""What is released: the wheel, the source archive, and the documentation's site."""

import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
import yaml

import mi_probe

ROOT = Path(__file__).parents[1]


def run(*command, **more):
    done = subprocess.run(command, capture_output=True, text=True, **more)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def test_the_version_is_said_once_and_has_its_section():
    setup = (ROOT / "setup.cfg").read_text(encoding="utf-8")
    assert "version = attr: mi_probe.__version__" in setup
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert "version" not in citation  # it would be a second place
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    sections = re.findall(r"^## \[(.+?)\]", changes, re.M)
    assert sections[:2] == ["Unreleased", mi_probe.__version__]
    assert re.fullmatch(r"\d+\.\d+\.\d+", mi_probe.__version__)


def test_what_a_public_project_needs_is_there():
    flow = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text("utf-8"))
    jobs = {name: job["strategy"]["matrix"]["python"] for name, job in flow["jobs"].items()}
    assert {name: len(versions) for name, versions in jobs.items()} == {
        "newest": 2,
        "lowest": 2,
    }
    for name in ("SECURITY.md", "LICENSE", ".github/pull_request_template.md"):
        assert (ROOT / name).stat().st_size > 100
    for form in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"):
        assert {"name", "description", "body"} <= set(
            yaml.safe_load(form.read_text("utf-8"))
        )


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The wheel and the source archive, from a copy without what git does not keep."""
    copy, out = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("dist")
    for name in run("git", "ls-files", cwd=ROOT).split():
        if name.startswith("mi_probe/") or "/" not in name:
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((ROOT / name).read_bytes())
    program = (
        "import sys; from setuptools import build_meta as b; out = sys.argv[1]; "
        "b.build_sdist(out); b.build_wheel(out)"  # the first changes sys.argv
    )
    run(sys.executable, "-W", "ignore", "-c", program, str(out), cwd=copy)
    return next(out.glob("*.whl")), next(out.glob("*.tar.gz"))


@pytest.mark.slow
def test_wheel_and_source_hold_the_package(built):
    wheel, source = built
    kept = set(run("git", "ls-files", "mi_probe", cwd=ROOT).split())
    with zipfile.ZipFile(wheel) as archive:
        assert kept <= set(archive.namelist())
    with tarfile.open(source) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    assert kept <= inside
    assert {"README.md", "LICENSE", "setup.cfg", "pyproject.toml"} <= inside


@pytest.mark.slow
def test_the_wheel_installs_in_a_clean_environment(built, tmp_path):
    wheel, _ = built
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    run(python, "-m", "pip", "install", "-q", "--no-deps", "--no-index", wheel)
    said = run(tmp_path / "env" / "bin" / "mi-probe", "--version", cwd=tmp_path)
    assert said.strip() == mi_probe.__version__


@pytest.fixture
def site():
    """docs/conf.py, which checks links before Sphinx reads a page."""
    pytest.importorskip("sphinx", reason="the extra `docs` is not installed")
    path = ROOT / "docs" / "conf.py"
    spec = spec_from_file_location("conf", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_links_lead_to_files_and_headings(site):
    pages = [*(ROOT / "docs").glob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    assert len(pages) > 15
    assert [link for page in pages for link in site.broken_links(page)] == []


def test_a_link_to_nothing_is_found(site, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# One, two `three`\n[a](#one-two-three) [b](page.md#one-two-three)\n"
        "[c](#four) [d](gone.md) [e](https://example.org/x)\n```sh\n[f](g)\n```\n"
    )
    assert site.broken_links(page) == ["page.md: #four", "page.md: gone.md"]


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    pytest.importorskip("myst_nb", reason="the extra `docs` is not installed")
    site = tmp_path / "site"
    sphinx = (sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html")
    run(*sphinx, "docs", str(site), cwd=ROOT)
    reference = (site / "reference.html").read_text(encoding="utf-8")
    assert "mi_probe.analysis.profiles.profile" in reference
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert pages <= {path.stem for path in site.glob("*.html")}
