r"""Readers of texts with a score: WASSA, SICK, STS-B, LCP, CLEAR, Humicroedit, Hutto.

Quotation marks are what lost a third of WASSA's rows and a twentieth of LCP's in
published work: both are read without quoting, STS-B, CLEAR and Humicroedit with it.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree
from zipfile import ZipFile

import numpy as np

from mi_probe.errors import InputError
from mi_probe.tasks.columns import need, scored
from mi_probe.tasks.delimited import separated
from mi_probe.tasks.entry import Table
from mi_probe.tasks.tables import Rows, checked

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


def wassa(files: Mapping[str, Path]) -> Table:
    """Four files without a header, one an emotion: id, tweet, emotion, intensity."""
    header = ("id", "tweet", "emotion", "intensity")
    rows: Rows = []
    for path in files.values():
        found = checked(path, lambda p: separated(p, "\t", header=header, quoting="none"))
        rows += need(found, header[:3], path)
    # Tweets end in blanks now and then; what is inside stays as it was published.
    rows = [{**row, "tweet": row["tweet"].strip()} for row in rows]
    return scored(rows, "intensity", "wassa")


def sick_table(files: Mapping[str, Path]) -> Table:
    """TSV with a header and no quoting; the test file has other line ends."""
    (path,) = files.values()
    rows = checked(path, lambda p: separated(p, "\t", quoting="none"))
    need(rows, ("pair_ID",), path)
    return sick([{**row, "id": row["pair_ID"]} for row in rows], path)


def sick(rows: Rows, path: Path | str = "sick") -> Table:
    """Rows with two sentences and their relatedness; the other label is left out."""
    need(rows, ("sentence_A", "sentence_B"), path)
    kept = ("id", "sentence_A", "sentence_B", "relatedness_score")
    rows = [{k: row[k] for k in kept if k in row} for row in rows]
    return scored(rows, "relatedness_score", path)


def stsb_table(files: Mapping[str, Path]) -> Table:
    """CSV without a header, quoted where needed."""
    (path,) = files.values()
    header = ("sentence1", "sentence2", "score")
    return stsb(checked(path, lambda p: separated(p, ",", header=header)), path)


def stsb(rows: Rows, path: Path | str = "stsb") -> Table:
    """Rows with two sentences and their similarity."""
    need(rows, ("sentence1", "sentence2"), path)
    kept = ("sentence1", "sentence2", "score")
    return scored([{k: row[k] for k in kept if k in row} for row in rows], "score", path)


def lcp_table(files: Mapping[str, Path]) -> Table:
    """TSV with a header and no quoting: sentences hold lone quotation marks."""
    (path,) = files.values()
    return lcp(checked(path, lambda p: separated(p, "\t", quoting="none")), path)


def lcp(rows: Rows, path: Path | str = "lcp") -> Table:
    """Rows with a sentence, a word or two of it, and how complex these are."""
    need(rows, ("id", "sentence", "token"), path)
    kept = ("id", "sentence", "token", "complexity")
    rows = [{k: row[k] for k in kept if k in row} for row in rows]
    return scored(rows, "complexity", path)


def clear(files: Mapping[str, Path]) -> Table:
    """The authors' workbook, or its first sheet as CSV: excerpts, 28 columns.

    Readability formulas and Lexile bands are left out: they would tell Y.
    """
    (path,) = files.values()
    book = path.suffix.lower() == ".xlsx"
    rows = checked(path, first_sheet if book else lambda p: separated(p, ","))
    need(rows, ("ID", "Excerpt"), path)
    found = [
        {
            "id": row["ID"],
            "excerpt": row["Excerpt"].strip(),
            # Of a book or a page there are several excerpts.
            "source": row.get("URL"),
            **({"score": row["BT_easiness"]} if "BT_easiness" in row else {}),
        }
        for row in rows
    ]
    return scored(found, "score", path)


_MARKED = re.compile(r"<([^<>]*)/>")


def humicroedit_table(files: Mapping[str, Path]) -> Table:
    """CSV with a header, quoted where needed."""
    (path,) = files.values()
    return humicroedit(checked(path, lambda p: separated(p, ",")), path)


def humicroedit(rows: Rows, path: Path | str = "humicroedit") -> Table:
    """Headlines, one part of each replaced; graders' mean of how funny that is.

    ``original`` is the headline without the marks, ``replaced`` the part between them,
    ``edited`` the headline that was graded.
    """
    need(rows, ("id", "original", "edit"), path)
    marked = [row for row in rows if len(_MARKED.findall(row["original"])) == 1]
    found = [
        {
            "id": str(row["id"]),
            "original": _MARKED.sub(r"\1", row["original"]).strip(),
            "replaced": _MARKED.findall(row["original"])[0].strip(),
            "edited": _MARKED.sub(lambda _, new=row["edit"]: new, row["original"]).strip(),
            "edit": row["edit"],
            **({"meanGrade": row["meanGrade"]} if "meanGrade" in row else {}),
        }
        for row in marked
    ]
    lost = len(rows) - len(marked)
    note = (f"{lost} rows dropped: not exactly one <.../> in the headline",)
    table = scored(found, "meanGrade", path)
    return Table(table.rows, (note if lost else ()) + table.notes)


def hutto(path: Path) -> Table:
    """A text a line, its score the mean of the raw ratings in the file beside it.

    The ratings themselves, not the mean that stands beside the text: for 199 of the
    4,200 tweets that one is another number.

    Raises:
        InputError: if the two files do not hold the same ids.
    """
    rows = checked(path, lambda p: separated(p, "\t", quoting="none"))
    need(rows, ("id", "sentiment", "text"), path)
    beside = path.with_name(path.name.replace("_GroundTruth", "_anonDataRatings"))
    header = ("id", "mean", "spread", "ratings")
    raters = checked(beside, lambda p: separated(p, "\t", header=header, quoting="none"))
    ratings = {row["id"]: json.loads(row["ratings"]) for row in raters}
    if ratings.keys() != {row["id"] for row in rows}:
        raise InputError(f"{path.name} and {beside.name} must hold the same ids.")
    found = [
        {
            "id": row["id"],
            "text": row["text"],
            "label": float(np.mean(ratings[row["id"]])),
            # Of an editorial or a review there are several sentences: "12_1", "12_2".
            "piece": row["id"].rpartition("_")[0] or None,
        }
        for row in rows
    ]
    moved = [
        abs(float(row["sentiment"]) - new["label"]) > 1e-6
        for row, new in zip(rows, found, strict=True)
    ]
    # A copy would lie on both sides of a fold.
    first = {row["text"]: row for row in reversed(found)}
    kept = [row for row in found if first[row["text"]] is row]
    return Table(
        kept,
        (
            f"{len(found) - len(kept)} later copies of a duplicate text dropped",
            f"{sum(moved)} scores are the mean of the raw ratings, not the one printed "
            "beside the text",
        ),
    )
