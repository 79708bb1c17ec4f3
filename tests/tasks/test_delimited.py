"""CSV and TSV: what a quotation mark means, where columns are, and which line is wrong."""

import pytest

from mi_probe.errors import InputError
from mi_probe.tasks import read_table
from mi_probe.tasks.delimited import separated


def rows(path, delimiter=",", quoting=None, **how):
    return list(separated(path, delimiter, quoting=quoting, **how))


def write(path, *lines):
    path.write_text("\n".join(lines) + "\n", "utf-8", newline="")
    return path


def lone(i):
    return f'"start {i}' if i == 3 else f'{i} he said no"' if i == 9 else f"row {i}"


@pytest.mark.parametrize(("name", "sep"), [("a.tsv", "\t"), ("a.csv", ",")])
@pytest.mark.parametrize("text_first", [True, False])
@pytest.mark.parametrize("label", [lambda i: i % 2, lambda i: i / 8])
def test_rows_that_a_lone_quotation_mark_swallowed_are_found(
    tmp_path, name, sep, text_first, label
):
    order = 1 if text_first else -1
    lines = [sep.join([lone(i), str(label(i))][::order]) for i in range(30)]
    path = write(tmp_path / name, sep.join(["text", "label"][::order]), *lines)
    with pytest.raises(InputError, match=r"in line 5 opens.* line 11, .*--quoting none"):
        read_table(path)
    task = read_table(path, quoting="none")
    assert task.prompts == tuple(lone(i) for i in range(30))
    assert len(read_table(path, quoting="standard")) == 24


def test_two_rows_in_one_are_found_where_a_label_tells(tmp_path):
    lines = [f"text {i},{'ab'[i % 2]}" for i in range(20)]
    path = write(tmp_path / "a.csv", "text,label", *lines, '"one,a', 'two",b')
    with pytest.raises(InputError, match="line 22 opens.*line 23, and each of these 2"):
        rows(path)


def test_texts_of_several_lines_are_no_swallowed_rows(tmp_path):
    letters = [f'"Dear {i},\nI like it, really.\nYours, me",{i % 2}' for i in range(20)]
    path = write(tmp_path / "a.csv", "text,label", *letters)
    assert len(rows(path)) == 20
    poems = [f'{i},"line, one\nline, two\nline, three",{i % 3}' for i in range(20)]
    assert len(rows(write(tmp_path / "b.csv", "id,text,label", *poems))) == 20


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (['a,1\n"b,2', "c,1"], "row of line 3 opens a cell that never ends"),
        (['a,1\n"b" c,2', "d,1"], "row of line 3 opens or ends a cell where none can"),
        (['"b\nc" d,2', "d,1"], "row of line 2 opens or ends"),
    ],
)
def test_quotation_marks_out_of_place_are_named(tmp_path, lines, message):
    path = write(tmp_path / "a.csv", "text,label", *lines)
    with pytest.raises(InputError, match=message + ".*--quoting none"):
        rows(path)


def test_a_cell_may_be_long(tmp_path):
    long = "word " * 30_000
    path = write(tmp_path / "a.csv", "text,label", f'"{long}",1', "b,0")
    assert rows(path)[0]["text"] == long


def test_columns_without_a_name_at_the_end_are_left_out(tmp_path):
    path = write(tmp_path / "a.csv", "v1,v2,,,", "a,1,,,", "", ",,,,", "b,2,,,")
    assert rows(path) == [{"v1": "a", "v2": "1"}, {"v1": "b", "v2": "2"}]
    assert rows(write(tmp_path / "b.csv", "x,y", "a,1,", "b,2"))[0] == {"x": "a", "y": "1"}
    spilled = write(tmp_path / "c.csv", "v1,v2,,", "a,1,,", "b,2, more,")
    with pytest.raises(
        InputError, match="must have a name; line 3 has ' more' beyond 'v2'"
    ):
        rows(spilled)
    with pytest.raises(InputError, match="different names; '' come twice"):
        rows(write(tmp_path / "d.csv", ",,x", "1,2,3"))


@pytest.mark.parametrize(
    ("lines", "ending"),
    [
        (("sep=;", "text;label", "a, b;1"), "csv"),
        (('"sep=|"', "text|label", "a, b|1"), "csv"),
        (("text;label", "a, b;1"), "csv"),
        (("text\tlabel", "a, b\t1"), "csv"),
        (("text;label", "a, b;1"), "tsv"),
    ],
)
def test_the_file_says_what_separates_its_cells(tmp_path, lines, ending):
    path = write(tmp_path / f"a.{ending}", *lines)
    assert rows(path, "," if ending == "csv" else "\t") == [{"text": "a, b", "label": "1"}]


def test_a_header_with_its_own_delimiter_is_believed(tmp_path):
    assert rows(write(tmp_path / "a.csv", "a;b,c", "1,2")) == [{"a;b": "1", "c": "2"}]
