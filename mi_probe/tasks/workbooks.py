"""The first sheet of an .xlsx workbook as rows; formula cells by their stored values."""

import re
from pathlib import Path
from xml.etree import ElementTree
from zipfile import ZipFile

from mi_probe.errors import InputError
from mi_probe.tasks.tables import Rows

_NAMES = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_SHEET = "xl/worksheets/sheet1.xml"
# How the format writes a carriage return, which plain XML would turn into a line feed.
_ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")


def first_sheet(path: Path) -> Rows:
    """The rows under the header line, all values as text; an empty cell is None.

    Raises:
        InputError: if the file is no workbook, or a broken one.
    """
    with ZipFile(path) as archive:
        names = archive.namelist()
        if _SHEET not in names:
            raise InputError(f"{path} must be an .xlsx workbook; it holds no {_SHEET}.")
        shared: list[str] = []
        if "xl/sharedStrings.xml" in names:
            strings = _parsed(path, archive.read("xl/sharedStrings.xml"))
            shared = [_text(item) for item in strings.iter(_NAMES + "si")]
        sheet = _parsed(path, archive.read(_SHEET))
    lines = [_cells(row, shared) for row in sheet.iter(_NAMES + "row")]
    if not lines:
        return []
    header, *rest = lines
    return [
        {name: line.get(place) for place, name in header.items()} for line in rest if line
    ]


def _parsed(path: Path, content: bytes) -> ElementTree.Element:
    try:
        return ElementTree.fromstring(content)
    except ElementTree.ParseError as error:
        raise InputError(f"{path} must be an .xlsx workbook; {error}.") from None


def _cells(row: ElementTree.Element, shared: list[str]) -> dict[str, str]:
    """A row's filled cells by their column's letters."""
    cells: dict[str, str] = {}
    for cell in row.iter(_NAMES + "c"):
        value = cell.find(_NAMES + "v")
        if cell.get("t") == "inlineStr":
            text = _text(cell)
        elif value is None or value.text is None:
            continue
        else:
            text = shared[int(value.text)] if cell.get("t") == "s" else value.text
        if text:
            cells[re.sub(r"\d", "", cell.get("r", ""))] = text
    return cells


def _text(item: ElementTree.Element) -> str:
    """All runs of a text together, without the phonetic ones."""
    hidden = {id(t) for r in item.iter(_NAMES + "rPh") for t in r.iter(_NAMES + "t")}
    runs = (t.text or "" for t in item.iter(_NAMES + "t") if id(t) not in hidden)
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), "".join(runs))
