"""A figure as SVG that can stand in a page: ids of its own, styles as classes.

Matplotlib writes every colour and width as a ``style`` attribute. Those become classes of
one style sheet, so that the page needs no inline style (its content policy forbids them)
and its dark theme can give ink and paper other colours. Text is drawn as outlines: it
looks the same where the fonts are missing, and what it says is in the figure's label.
"""

import io
import re
from dataclasses import dataclass
from xml.etree import ElementTree

import matplotlib as mpl
from matplotlib.figure import Figure

from mi_probe.plots.saving import finish

SVG = "http://www.w3.org/2000/svg"
LINK = "{http://www.w3.org/1999/xlink}href"

THEMED = {
    "#000000": "var(--ink)",
    "#262626": "var(--ink)",
    "#595959": "var(--quiet)",
    "#808080": "var(--quiet)",
    "#b8b8b8": "var(--edge)",
    "#dbdbdb": "var(--band)",
    "#ffffff": "var(--paper)",
    "#0072b2": "var(--full)",
}
"""Colours of `mi_probe.plots.style` that another theme changes."""


@dataclass(frozen=True)
class Svg:
    """Markup without any inline style, and the rules of the classes that it uses."""

    markup: str
    rules: dict[str, str]
    """Declarations by class name."""
    themed: bool
    """Whether its ink and paper follow the page's theme."""


Outlines = dict[tuple[str, str], str]
"""Ids of letters that the page has already, by their outline and its scale."""


def inline_svg(
    figure: Figure, name: str, *, themed: bool = True, letters: Outlines | None = None
) -> Svg:
    """The figure as an ``<svg>`` element.

    Args:
        figure: as a function of `mi_probe.plots` gave it, inside `style`.
        name: put before each id and class, so that two figures do not share any.
        themed: whether ink and paper follow the page's theme; false for figures whose
            colours are data.
        letters: of the figures before it on the page, which this one uses and adds to;
            each is then written once.
    """
    finish(figure)
    written = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "path"}):
        figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None})
    root = ElementTree.fromstring(written.getvalue())
    width, height = (root.get(side, "").removesuffix("pt") for side in ("width", "height"))
    classes: dict[str, str] = {}
    for element in list(root.iter()):
        for child in list(element):
            if child.tag.endswith(("metadata", "}style")):
                element.remove(child)
        _own(element, name)
        style = element.attrib.pop("style", "")
        if style:
            element.set("class", classes.setdefault(style, f"{name}-{len(classes)}"))
    _share(root, {} if letters is None else letters)
    root.attrib.pop("version", None)
    root.set("width", width)
    root.set("height", height)
    root.set("aria-hidden", "true")
    root.set("focusable", "false")
    ElementTree.register_namespace("", SVG)
    markup = ElementTree.tostring(root, encoding="unicode")
    rules = {label: _rule(style, name, themed) for style, label in classes.items()}
    return Svg(re.sub(r"\s*\n\s*", "\n", markup), rules, themed)


def _own(element: ElementTree.Element, name: str) -> None:
    """Ids, and what refers to them, begin with the figure's name."""
    if "id" in element.attrib:
        element.set("id", f"{name}-{element.get('id')}")
    link = element.attrib.pop(LINK, None)
    if link is not None:
        # An image's data is no reference.
        element.set("href", f"#{name}-{link[1:]}" if link.startswith("#") else link)
    for key, value in element.attrib.items():
        if key != "style":
            element.set(key, _references(value, name))


def _share(root: ElementTree.Element, letters: Outlines) -> None:
    """Leave out outlines that the page has already; markers, which have styles, stay."""
    instead: dict[str, str] = {}
    for definitions in root.iter(f"{{{SVG}}}defs"):
        for child in list(definitions):
            own = child.get("id")
            if own is None or child.tag != f"{{{SVG}}}path" or "class" in child.attrib:
                continue
            # A blank has no outline.
            outline = child.get("d", ""), child.get("transform", "")
            known = letters.setdefault(outline, own)
            if known != own:
                definitions.remove(child)
                instead[f"#{own}"] = f"#{known}"
    for element in root.iter():
        link = element.get("href")
        if link in instead:
            element.set("href", instead[link])


def _references(text: str, name: str) -> str:
    return re.sub(r"url\(#", f"url(#{name}-", text)


def _rule(style: str, name: str, themed: bool) -> str:
    text = _references(style, name)
    if themed:
        text = re.sub(r"#[0-9a-f]{6}\b", lambda m: THEMED.get(m[0], m[0]), text)
    return text
