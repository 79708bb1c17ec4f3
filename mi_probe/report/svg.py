"""A figure as SVG that can stand in a page: ids of its own, styles as classes.

Matplotlib writes every colour and width as a ``style`` attribute. Those become classes of
one style sheet, so that the page needs no inline style (its content policy forbids them)
and its dark theme can give ink and paper other colours. Text is drawn as outlines: it
looks the same where the fonts are missing, and what it says is in the figure's label.
"""

import io
import itertools
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


_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_MANY = 16
"""Equal pieces of a path from which they are drawn once and placed."""


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
    _place_dots(root, name)
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


def _place_dots(root: ElementTree.Element, name: str) -> None:
    """Dots of a hatch drawn once and placed: one by one they are most of a page.

    Args:
        root: whose patterns are made smaller.
        name: begins the ids of the dots.
    """
    for i, pattern in enumerate(root.iter(f"{{{SVG}}}pattern")):
        for path in pattern.findall(f"{{{SVG}}}path"):
            parts = re.split(r"(?=M )", path.get("d", ""))
            dots = [_from_its_start(part) for part in parts if part.strip()]
            if len(dots) < _MANY or len({shape for shape, *_ in dots}) > 1:
                continue
            own = f"{name}-dot{i}"
            definitions = ElementTree.SubElement(pattern, f"{{{SVG}}}defs")
            shape = {"id": own, "d": dots[0][0]}
            ElementTree.SubElement(definitions, f"{{{SVG}}}path", shape)
            placed = ElementTree.SubElement(pattern, f"{{{SVG}}}g")
            placed.set("class", path.get("class", ""))
            for _, x, y in dots:
                at = {"href": f"#{own}", "x": x, "y": y}
                ElementTree.SubElement(placed, f"{{{SVG}}}use", at)
            pattern.remove(path)


def _from_its_start(path: str) -> tuple[str, str, str]:
    """A closed piece of a path as if it began at 0, and where it begins."""
    start = [float(number) for number in _NUMBER.findall(path)[:2]]
    side = itertools.cycle(start)
    shape = _NUMBER.sub(lambda found: _short(float(found[0]) - next(side)), path)
    return " ".join(shape.split()), _short(start[0]), _short(start[1])


def _short(value: float) -> str:
    return f"{round(value, 3) + 0.0:g}"


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
