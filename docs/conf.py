"""The site that `make docs` builds: these pages, the notebooks, and the reference."""

import shutil
from pathlib import Path

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


def setup(app) -> None:
    """Called by Sphinx before it reads any page."""
    app.connect("config-inited", lambda app, config: _copied_notebooks(app))
