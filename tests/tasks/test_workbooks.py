"""Workbooks: shared and inline strings, gaps, formulas, several runs of one text."""

from zipfile import ZipFile

import pytest

from mi_probe.errors import InputError
from mi_probe.tasks.ratings import first_sheet
from mi_probe.tasks.tables import checked

NAMES = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
STRINGS = f"""<sst {NAMES}><si><t>ID</t></si><si><t>Excerpt</t></si><si><t>Score</t></si>
<si><r><t>"Two </t></r><r><t xml:space="preserve">runs", 1_x000D_
done</t></r><rPh sb="0" eb="1"><t>sound</t></rPh></si></sst>"""
SHEET = f"""<worksheet {NAMES}><sheetData>
<row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c>
<c r="C1" t="s"><v>2</v></c></row>
<row r="2"><c r="A2"><v>7</v></c><c r="B2" t="s"><v>3</v></c>
<c r="C2"><f>1-3</f><v>-2.5</v></c></row>
<row r="3"><c r="A3"><v>8</v></c><c r="B3" s="1"/>
<c r="C3" t="inlineStr"><is><t>x</t></is></c></row>
<row r="4"/></sheetData></worksheet>"""


def write(path, **files):
    with ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(f"xl/{name}.xml", content)
    return path


def test_cells_are_text_by_their_column(tmp_path):
    path = tmp_path / "a.xlsx"
    with ZipFile(path, "w") as archive:
        archive.writestr("xl/sharedStrings.xml", STRINGS)
        archive.writestr("xl/worksheets/sheet1.xml", SHEET)
    assert checked(path, first_sheet) == [
        {"ID": "7", "Excerpt": '"Two runs", 1\r\ndone', "Score": "-2.5"},
        {"ID": "8", "Excerpt": None, "Score": "x"},
    ]


def test_what_is_no_workbook_is_refused(tmp_path):
    path = write(tmp_path / "a.xlsx", other="<a/>")
    with pytest.raises(InputError, match="must be an .xlsx workbook"):
        checked(path, first_sheet)
    with ZipFile(path, "w") as archive:
        archive.writestr("xl/worksheets/sheet1.xml", SHEET[:-20])
    with pytest.raises(InputError, match="must be an .xlsx workbook; .*line"):
        checked(path, first_sheet)
    path.write_bytes(b"ID,Excerpt\n")
    with pytest.raises(InputError, match="must be whole"):
        checked(path, first_sheet)
