"""A user's own file: every format, what counts as a label, and one line a mistake."""

import bz2
import gzip
import json

import numpy as np
import pandas as pd
import pytest

from mi_probe.errors import InputError
from mi_probe.tasks import read_table

TEXTS = ["good", "bad", "fine, really", 'a "great" film', "poor\nfilm", "so-so"]


def write(path, labels, texts=TEXTS, **columns):
    table = pd.DataFrame({"text": texts, "label": labels, **columns})
    match path.suffix:
        case ".csv":
            table.to_csv(path, index=False)
        case ".tsv":
            table.to_csv(path, index=False, sep="\t")
        case ".jsonl":
            table.to_json(path, orient="records", lines=True)
        case ".json":
            table.to_json(path, orient="records")
        case ".parquet":
            table.to_parquet(path)
    return path


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "json", "parquet"])
def test_every_format_gives_the_same_task(tmp_path, ending):
    path = write(tmp_path / f"mine.{ending}", ["neg", "pos"] * 3)
    task = read_table(path)
    assert task.prompts == tuple(TEXTS)
    assert task.labels.tolist() == [0, 1] * 3
    assert task.label_names == ("neg", "pos")
    assert task.answers[:2] == (" neg", " pos")
    assert task.ids == tuple("012345")
    assert task.name == "mine"
    assert task.target == f"column 'label' of mine.{ending}"


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize(
    ("labels", "names", "y"),
    [
        ([10, 2, 10, 2, 2, 2], ("2", "10"), [1, 0, 1, 0, 0, 0]),
        ([1.0, 0.0, 1.0, 0.0, 0.0, 0.0], ("0.0", "1.0"), [1, 0, 1, 0, 0, 0]),
        ([True, False] * 3, ("False", "True"), [1, 0] * 3),
        (["None", "null", "NA", "nan", "None", "null"], None, None),
        ([0.5, 1.25, 2.0, 3.0, 4.0, 5.0], None, "scores"),
    ],
)
def test_what_counts_as_a_label(tmp_path, ending, labels, names, y):
    task = read_table(write(tmp_path / f"a.{ending}", labels))
    if y is None:  # words that readers like to take for missing stay words
        assert task.label_names == ("NA", "None", "nan", "null")
    elif y == "scores":
        assert task.kind == "scores"
        assert task.labels.tolist() == labels
    else:
        assert task.label_names == names
        assert task.labels.tolist() == y


def test_label_kind_overrules(tmp_path):
    whole = write(tmp_path / "whole.csv", [1, 2, 3, 1, 2, 3])
    assert read_table(whole).kind == "classes"
    scores = read_table(whole, label_kind="scores")
    assert scores.labels.dtype == np.float64
    assert scores.label_names is None
    broken = write(tmp_path / "broken.csv", [0.5, 1.5] * 3)
    assert read_table(broken, label_kind="classes").label_names == ("0.5", "1.5")
    with pytest.raises(InputError, match="numbers to be scores; 6 of 6.*'pos'"):
        read_table(write(tmp_path / "w.csv", ["pos", "neg"] * 3), label_kind="scores")


def test_template_ids_and_rows(tmp_path):
    path = write(
        tmp_path / "a.csv", ["x", "y"] * 3, **{"key": list("abcdef"), "odd name": TEXTS}
    )
    task = read_table(
        path, id_column="key", template="Q: {odd name} {{?}}\nA:", rows=4, seed=3
    )
    assert len(task) == 4
    assert set(task.ids) <= set("abcdef")
    row = "abcdef".index(task.ids[0])
    assert task.prompts[0] == f"Q: {TEXTS[row]} {{?}}\nA:"
    with pytest.raises(InputError, match="give Y away"):
        read_table(path, template="{text} {label}")
    with pytest.raises(InputError, match="key, odd name, text; got {txt}"):
        read_table(path, template="{txt}")
    with pytest.raises(InputError, match="1 ... 6.*got 7"):
        read_table(path, rows=7)


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path):
    path = tmp_path / "excel.csv"
    path.write_bytes(b"\xef\xbb\xbftext,label\r\ngood,1\r\nbad,0\r\n\r\n")
    assert read_table(path).prompts == ("good", "bad")


def test_one_row_loads(tmp_path):
    # Too few rows is for the estimator to say: the file itself is in order.
    task = read_table(write(tmp_path / "one.csv", ["pos"], texts=["good"]))
    assert len(task) == 1


def test_a_class_may_be_called_nan_where_it_is_said(tmp_path):
    path = write(tmp_path / "a.csv", ["1", "0", "nan", "1", "0", "nan"])
    assert read_table(path, label_kind="classes").label_names == ("0", "1", "nan")


def test_duplicate_texts_are_noted(tmp_path):
    task = read_table(write(tmp_path / "a.csv", ["x", "y"] * 3, texts=["same"] * 6))
    assert task.notes == ("6 rows in 1 group of equal or nearly equal texts",)
    assert task.groups == ("0",) * 6


@pytest.mark.parametrize(
    ("name", "content", "arguments", "message"),
    [
        ("empty.csv", b"", {}, "empty.csv is empty"),
        ("header.csv", b"text,label\n", {}, "must hold rows"),
        ("blank.jsonl", b"\n\n", {}, "must hold rows"),
        ("list.json", b"[]", {}, "must hold rows"),
        ("white.json", b"  \n", {}, "must hold rows"),
        ("c.csv", b"text,label\na,1\nb,1\n", {}, "two classes.*all 2 rows are '1'"),
        ("c.csv", b"text,label\na,1.5\nb,1.5\n", {}, "must vary; all 2"),
        ("c.csv", b"text,lable\na,1\n", {}, "label-column must.*mean 'lable'"),
        ("c.csv", b"txt,label\na,1\n", {}, "text-column must.*'txt', 'label'"),
        ("c.csv", b"text,label\na,1\nb,\nc,0\n", {}, "1 of 3 are empty.*data row 2"),
        ("c.csv", b"text,label\na,1\n,0\n", {}, "text-column 'text' must be filled"),
        ("c.csv", b"text,label\na,1\n  ,0\n", {}, "text-column 'text' must be filled"),
        (
            "c.csv",
            b"k,label\na,1\n  ,0\n",
            {"template": "{k}"},
            "must hold text; 1 of 2",
        ),
        ("c.csv", b"text,label\na,x\nb,y\nc, \n", {}, "1 of 3 are empty.*data row 3"),
        ("c.tsv", "text\tlabel\na\tx\nb\t\xa0\n".encode(), {}, "1 of 2 are empty"),
        (
            "c.csv",
            b"text,label,k\na,1,x\nb,0,  \n",
            {"id_column": "k"},
            "id-column 'k' must be filled",
        ),
        (
            "c.csv",
            b"text,label\na,x\nb,y\nc, x\n",
            {},
            "more than blanks; got ' x' and 'x'",
        ),
        ("c.csv", b"text,label\na,1\nb,0\nc,nan\n", {}, "such as 'nan' where.*row 3"),
        ("c.csv", b"text,label\na,.5\nb,NA\nc,.2\n", {}, "such as 'NA' where.*row 2"),
        (
            "c.jsonl",
            b'{"text": "\\ud83d\\ude00", "label": 1}\n{"text": "\\ud800", "label": 2}\n',
            {},
            "text-column 'text' must hold whole characters; 1 of 2.* data row 2",
        ),
        (
            "c.jsonl",
            b'{"k": "\\udfff", "label": 1}\n',
            {"template": "{k}"},
            "column 'k' must hold whole characters",
        ),
        (
            "c.jsonl",
            b'{"text": "a", "label": 1' + b"0" * 400 + b"}\n",
            {},
            "finite scores",
        ),
        ("c.csv", b"text,label\na,1\nb,c,0\n", {}, "line 3 has 3.*quotation marks"),
        ("c.csv", b"text,text\na,1\n", {}, "different names; text come"),
        ("c.csv", b'text,label\n"a,1\n', {}, "well-formed table"),
        (
            "c.csv",
            b"text,label\nd\xe9j\xe0,1\n",
            {},
            "UTF-8; .*line 2 is not, at its byte 2 .0xe9.*--encoding cp1252",
        ),
        (
            "c.csv",
            b"text,label,k\na,1,x\nb,0,x\n",
            {"id_column": "k"},
            "unique; 1 ids repeat, for instance 'x'",
        ),
        ("c.csv", b"text,label\na,1\n", {"text_column": "label"}, "must differ"),
        ("c.jsonl", b'{"text": "a", "label": null}\n', {}, "1 of 1 are empty"),
        ("c.jsonl", b'{"text": "a", "label": NaN}\n', {}, "1 of 1 are empty"),
        ("c.jsonl", b'{"text": "a"}\n{"text"\n', {}, "line 2 of .* must be JSON"),
        ("c.jsonl", b'["a", 1]\n', {}, "line 1 of .* object"),
        ("c.jsonl", b'{"text": "a", "label": [1]}\n', {}, "got list"),
        (
            "c.jsonl",
            b'{"text": "a", "label": 1}\n{"text": "b", "label": "1"}\n',
            {},
            "one type; got numbers and words",
        ),
        ("c.jsonl", b'{"text": "a", "label": 1e999}\n', {}, "finite scores"),
        ("c.json", b'{"text": "a"}', {}, "list of objects; got dict"),
        ("c.json", b'{"a": 1}\n{"a": 2}', {}, "ending .jsonl"),
        ("c.parquet", b"not parquet", {}, "must be a Parquet file"),
        ("c.xlsx", b"x", {}, "must end in .csv"),
    ],
)
def test_mistakes_are_one_clear_line(tmp_path, name, content, arguments, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_table(path, **arguments)
    assert "\n" not in str(caught.value)


def test_paths_that_are_no_files(tmp_path):
    with pytest.raises(InputError, match="there is no"):
        read_table(tmp_path / "nowhere.csv")
    with pytest.raises(InputError, match="is a folder"):
        read_table(tmp_path)


def test_a_column_of_ids_is_no_label(tmp_path):
    path = tmp_path / "a.jsonl"
    rows = [{"text": f"t{i}", "label": i} for i in range(60)]
    path.write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(InputError, match="60 classes in 60 rows.*--label-kind scores"):
        read_table(path)
    assert read_table(path, label_kind="scores").kind == "scores"


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "json"])
@pytest.mark.parametrize("pack", ["gz", "bz2"])
def test_packed_files_are_read(tmp_path, ending, pack):
    plain = write(tmp_path / f"mine.{ending}", ["neg", "pos"] * 3)
    packed = plain.with_name(f"{plain.name}.{pack}")
    packed.write_bytes({"gz": gzip, "bz2": bz2}[pack].compress(plain.read_bytes()))
    task = read_table(packed)
    assert task.prompts == tuple(TEXTS)
    assert task.name == "mine"


@pytest.mark.parametrize(
    ("encoding", "said"),
    [("cp1252", "cp1252"), ("utf-16", None), ("utf-16-le", "utf-16-le"), ("utf-32", None)],
)
def test_encodings_are_named_or_marked(tmp_path, encoding, said):
    path = tmp_path / "a.csv"
    path.write_bytes("text,label\ndéjà vu,1\nnaïve,0\n".encode(encoding))
    assert read_table(path, encoding=said).prompts == ("déjà vu", "naïve")
    if said is not None:
        with pytest.raises(InputError, match=f"--encoding {'cp1252|utf-16-le'}"):
            read_table(path)


@pytest.mark.parametrize("name", ["nonsense", "rot13", "base64", "unicode_escape"])
def test_no_encoding(tmp_path, name):
    with pytest.raises(InputError, match=f"one that Python knows.*got '{name}'"):
        read_table(write(tmp_path / "a.csv", ["x", "y"] * 3), encoding=name)


def test_options_of_other_files_are_refused(tmp_path):
    table = write(tmp_path / "a.parquet", ["x", "y"] * 3)
    with pytest.raises(InputError, match="encoding must be left out with .parquet"):
        read_table(table, encoding="utf-8")
    with pytest.raises(InputError, match="quoting must be left out with"):
        read_table(write(tmp_path / "a.json", ["x", "y"] * 3), quoting="none")


def test_bytes_are_decoded_or_refused(tmp_path):
    path = tmp_path / "a.parquet"
    pd.DataFrame({"text": ["café".encode(), b"tea"], "label": [b"x", b"y"]}).to_parquet(
        path
    )
    task = read_table(path)
    assert task.prompts == ("café", "tea")
    assert task.label_names == ("x", "y")
    assert read_table(path, template="To {text}").prompts == ("To café", "To tea")
    pd.DataFrame({"text": [b"tea", b"caf\xe9"], "label": [1, 2]}).to_parquet(path)
    with pytest.raises(InputError, match=r"data row 2 holds bytes that are not UTF-8"):
        read_table(path)


@pytest.mark.parametrize("template", [None, "{text}"])
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (["a", "b"], "data row 1 holds a list.*column of its own"),
        ({"en": "hi"}, "data row 1 holds an object"),
        ([{"role": "user", "content": "hi"}], "holds chat messages.*apply_chat_template"),
    ],
)
@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_texts_that_are_none_are_refused(tmp_path, ending, value, message, template):
    path = write(tmp_path / f"a.{ending}", ["x", "y"] * 3, texts=[value] * 6)
    with pytest.raises(InputError, match=message):
        read_table(path, template=template)


def test_json_numbers_stay_as_they_are_written(tmp_path):
    path = tmp_path / "a.jsonl"
    lines = [f'{{"text": 0.10, "label": {y}, "n": {"1" * 5000}}}' for y in ("1e5", "2e3")]
    path.write_text("\n".join(lines))
    task = read_table(path, template="{text}: {n}")
    assert task.prompts == ("0.10: " + "1" * 5000,) * 2
    assert task.label_names == ("2e3", "1e5")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            '{"text": "t", "label": 1, "x": ' + "[" * 200_000 + "]" * 200_000 + "}",
            "so deep",
        ),
        ('{"text": "a", "text": "b", "label": 1}', "'text' comes twice"),
    ],
)
def test_json_that_no_row_is(tmp_path, content, message):
    path = tmp_path / "a.jsonl"
    path.write_text(content + "\n")
    with pytest.raises(InputError, match=f"line 1 of .*{message}"):
        read_table(path)


def test_lost_characters_are_noted(tmp_path):
    path = write(tmp_path / "a.csv", ["x", "y"] * 3, texts=["caf\ufffd", *TEXTS[1:]])
    assert any("1 prompts hold U+FFFD" in note for note in read_table(path).notes)


def test_chat_messages_as_text_get_a_note(tmp_path):
    path = tmp_path / "chats.csv"
    cells = [
        f'"[{{""role"": ""user"", ""content"": ""hi {i}""}}]",{i % 2}' for i in range(12)
    ]
    path.write_text("\n".join(["text,label", *cells]) + "\n")
    assert any("12 prompts are chat messages" in note for note in read_table(path).notes)
