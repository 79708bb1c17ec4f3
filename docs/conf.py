"""The site that `make docs` builds: these pages, the notebooks, and the reference."""

import re
import shutil
from pathlib import Path

from sphinx.errors import ExtensionError

import mi_probe

HERE = Path(__file__).parent

project = "mi_probe"
author = "the mi_probe authors"
version = release = mi_probe.__version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"mi_probe {release}"
html_show_copyright = False

# Notebooks are shown as they are committed; the tests execute them.
nb_execution_mode = "off"
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
# Pages link to files of the repository too, which are no pages of the site.
suppress_warnings = ["myst.xref_missing", "myst.header"]

autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_preserve_defaults = True
autoclass_content = "class"
napoleon_use_rtype = False


def _copied_notebooks(app) -> None:
    """The notebooks lie beside the documents, where Sphinx looks."""
    target = HERE / "notebooks"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    for notebook in sorted((HERE.parent / "notebooks").glob("*.ipynb")):
        shutil.copy(notebook, target)


def broken_links(page: Path) -> list[str]:
    """Links of a page to files, or to headings, that are not there.

    Sphinx itself does not look behind those to files of the repository.
    """
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", _without_code(page)):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, heading = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        headings = _headings(target) if heading and target.suffix == ".md" else {heading}
        if not target.exists() or heading not in headings:
            broken.append(f"{page.name}: {link}")
    return broken


def _headings(page: Path) -> set[str]:
    """The names that headings are linked by."""
    lines = re.findall(r"^#+ (.+)$", _without_code(page), re.M)
    bare = [re.sub(r"[^\w\- ]", "", line.lower()) for line in lines]
    return {line.strip().replace(" ", "-") for line in bare}


def _without_code(page: Path) -> str:
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)


def _checked_links(app) -> None:
    pages = [
        *HERE.glob("*.md"),
        *(HERE.parent / f for f in ("README.md", "CONTRIBUTING.md")),
    ]
    if broken := [link for page in pages for link in broken_links(page)]:
        raise ExtensionError(f"links must lead somewhere; {', '.join(broken)} do not.")


def setup(app) -> None:
    """Called by Sphinx before it reads any page."""
    app.connect("config-inited", lambda app, config: _checked_links(app))
    app.connect("config-inited", lambda app, config: _copied_notebooks(app))
