"""Files as rows: nothing guessed, nothing lost, one clear error."""

import bz2
import gzip

import pytest

from mi_probe.errors import InputError
from mi_probe.tasks.decoded import lines_of
from mi_probe.tasks.delimited import separated
from mi_probe.tasks.tables import checked, json_lines


def tsv(path):
    return separated(path, "\t", quoting="none")


def test_without_quoting_a_lone_quotation_mark_takes_no_row(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("id\ttext\n1\tHe said, \"Go\n2\t#none' @x\n3\tNone\n", "utf-8")
    rows = checked(path, tsv)
    assert [row["text"] for row in rows] == ['He said, "Go', "#none' @x", "None"]


def test_with_quoting_a_field_holds_delimiters_quotes_and_lines(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b'a,"b, ""c""\r\nd",1.5\r\n"e",f,2\r\n')
    rows = list(separated(path, ",", header=("x", "y", "z")))
    assert rows[0] == {"x": "a", "y": 'b, "c"\r\nd', "z": "1.5"}
    assert len(rows) == 2


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_lines_end_where_files_say_and_nowhere_else(tmp_path, ending):
    path = tmp_path / "a.txt"
    texts = ["one\x0btwo", "three\u2028four\x85", "five\u00a0six\x1c", ""]
    path.write_bytes("".join(t + ending for t in [*texts, "end"]).encode())
    assert list(lines_of(path)) == [*texts, "end"]


@pytest.mark.parametrize(("ending", "pack"), [("gz", gzip.compress), ("bz2", bz2.compress)])
def test_packed_files_are_read_and_broken_ones_refused(tmp_path, ending, pack):
    packed = pack(b'{"a": "x"}\n{"a": "y"}\n' * 100)
    path = tmp_path / f"a.jsonl.{ending}"
    path.write_bytes(packed)
    assert len(checked(path, json_lines)) == 200
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(InputError, match="must be whole.*Get it again"):
        checked(path, json_lines)
    path.write_bytes(b"<html>not found</html>")
    with pytest.raises(InputError, match="must be whole"):
        checked(path, json_lines)


def test_a_row_of_another_length_is_an_error_with_its_line(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("a\tb\n1\t2\n3\n", "utf-8")
    with pytest.raises(InputError, match="2 cells; line 3 has 1. Is it the right file"):
        checked(path, tsv)
