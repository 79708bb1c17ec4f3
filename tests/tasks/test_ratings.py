"""Texts with a score, in the form in which they are published."""

import gzip
import json
from zipfile import ZipFile

import pytest

from mi_probe.errors import InputError
from mi_probe.tasks import load_task
from mi_probe.tasks.ratings import hutto

EMOTIONS = ("anger", "fear", "joy", "sadness")


def wassa(folder, part="train", score="0.938"):
    for i, emotion in enumerate(EMOTIONS):
        lines = (
            f"{i}0001\tHow the \"fu*k! who'd #angry\\nsee\t{emotion}\t{score}\n"
            f"{i}0002\t@x isn't \u00a0\u2028 fine &amp; \t{emotion}\t0.500\n"
        )
        path = folder / f"{emotion}-ratings-0to1.{part}.txt"
        path.write_text(lines, "utf-8")
    return folder


def test_wassa_loses_no_row_to_a_quotation_mark(tmp_path):
    task = load_task("wassa", data_folder=wassa(tmp_path), split="train")
    assert len(task) == 8
    assert task.labels.tolist() == [0.938, 0.5] * 4
    assert task.prompts[0] == (
        "Tweet: How the \"fu*k! who'd #angry\\nsee\nEmotion: anger\nIntensity from 0 to 1:"
    )
    assert task.answers[:2] == (" 0.938", " 0.5")
    assert task.ids[:2] == ("00001", "00002")
    # One of the four files stands for its split.
    one = tmp_path / "joy-ratings-0to1.train.txt"
    assert load_task("wassa", data_folder=one).prompts == task.prompts
    one.unlink()
    with pytest.raises(InputError, match="'train' of task 'wassa' is read from anger-.*"):
        load_task("wassa", data_folder=tmp_path, split="train")


def test_rows_without_a_score_are_counted(tmp_path):
    task = load_task("wassa", data_folder=wassa(tmp_path, score="NONE"), split="train")
    assert len(task) == 4
    assert "4 rows dropped: no number in 'intensity'" in task.notes
    wassa(tmp_path, score="1.5")
    with pytest.raises(InputError, match="lie in 0 ... 1; 4 of 8 do not, the first 1.5"):
        load_task("wassa", data_folder=tmp_path, split="train")
    for emotion in EMOTIONS:
        path = tmp_path / f"{emotion}-ratings-0to1.train.txt"
        path.write_text(f"1\ttext\t{emotion}\tNONE\n", "utf-8")
    with pytest.raises(InputError, match="rows with labels.*4 rows dropped"):
        load_task("wassa", data_folder=tmp_path, split="train")


SICK = "pair_ID\tsentence_A\tsentence_B\trelatedness_score\tentailment_judgment"


def test_sick_scores_do_not_end_in_a_carriage_return(tmp_path):
    rows = [SICK, '6\tNo boy\tA "group\t3.165\tNEUTRAL', "7\tA\tB\t4\tENTAILMENT"]
    (tmp_path / "SICK_test_annotated.txt").write_bytes("\r\n".join(rows).encode())
    task = load_task("sick", data_folder=tmp_path)
    assert task.labels.tolist() == [3.165, 4]
    assert task.answers == (" 3.17", " 4.0")
    assert task.ids == ("6", "7")
    # The second label is no column of the prompt: it would tell much of the first.
    with pytest.raises(InputError, match="entailment_judgment"):
        load_task("sick", data_folder=tmp_path, template="{entailment_judgment}")


def test_stsb_has_no_header_and_quotes_where_needed(tmp_path):
    (tmp_path / "stsb-en-dev.csv").write_bytes(
        b"A man, hard,A man.,5.0\r\n".replace(b"A man, hard", b'"A man, ""hard"""')
        + b"It's,It is,3.799999952316284\r\na,b,2.11111111111111\r\n"
    )
    task = load_task("stsb", data_folder=tmp_path, split="validation")
    assert len(task) == 3
    assert task.prompts[0].startswith('Sentence 1: A man, "hard"\nSentence 2: A man.\n')
    assert task.labels.tolist() == [5.0, 3.8, 2.111111]
    assert task.answers == (" 5.0", " 3.8", " 2.11")


LCP = (
    "id\t{}\tsentence\ttoken\tcomplexity\n"
    '3Z\tbible\tMoses said, "I am\tNone\t0.10294117647058826\n'
    '4Z\tbible\t"null" is a word"\tnull\t0.0\n'
)


@pytest.mark.parametrize(
    ("file", "split", "column"),
    [
        ("lcp_single_train.tsv", "train", "corpus"),
        ("lcp_single_trial.tsv", "validation", "subcorpus"),
    ],
)
def test_lcp_loses_no_row_to_a_quotation_mark_and_no_word_to_none(
    tmp_path, file, split, column
):
    (tmp_path / file).write_text(LCP.format(column), "utf-8")
    task = load_task("lcp", data_folder=tmp_path, split=split)
    assert len(task) == 2
    assert "\nWord: None\n" in task.prompts[0]
    assert task.prompts[1].startswith('Sentence: "null" is a word"\nWord: null\n')
    assert task.labels.tolist() == [0.102941, 0]
    assert task.answers == (" 0.103", " 0.0")
    assert task.ids == ("3Z", "4Z")


CLEAR = (
    "ID,Excerpt,Google WC,BT_easiness,s.e.,CAREC\n"
    '400,"Two\nlines, ""said"" ",174,-0.340259125,0.46,0.12\n'
    "401,One line,12,0,0,0.1\n"
)


def test_clear_excerpts_hold_lines_and_formulas_do_not_show(tmp_path):
    packed = tmp_path / "CLEAR_corpus_final.csv.gz"
    packed.write_bytes(gzip.compress(CLEAR.encode()))
    task = load_task("clear", data_folder=tmp_path)
    assert task.split == "all"
    assert task.prompts[0].startswith('Text: Two\nlines, "said"\nEase of reading')
    assert task.labels.tolist() == [-0.340259, 0]
    assert task.answers == (" -0.34", " 0.0")
    with pytest.raises(
        InputError, match="may name the columns excerpt, id, source; got {CAREC}"
    ):
        load_task("clear", data_folder=tmp_path, template="{excerpt} {CAREC}")


def test_clear_is_cut_the_same_way_each_time(tmp_path):
    rows = "".join(f"{i},text {i},{i / 10}\n" for i in range(40))
    path = tmp_path / "CLEAR_corpus_final.csv"
    path.write_text("ID,Excerpt,BT_easiness\n" + rows, "utf-8")
    parts = [
        load_task("clear", data_folder=tmp_path, split=split)
        for split in ("train", "validation", "test")
    ]
    assert [len(part) for part in parts] == [32, 4, 4]
    assert sorted(int(i) for part in parts for i in part.ids) == list(range(40))
    assert all(any("cut by seed 0" in note for note in part.notes) for part in parts)
    assert load_task("clear", data_folder=path, split="test").ids == parts[2].ids
    with pytest.raises(InputError, match="must be one of all; got 'dev'"):
        load_task("clear", data_folder=tmp_path, split="dev")


def test_clear_is_read_from_the_authors_workbook(tmp_path):
    names = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'

    def row(n, *cells):
        found = "".join(
            f'<c r="{letter}{n}" t="inlineStr"><is><t>{cell}</t></is></c>'
            for letter, cell in zip("ABC", cells, strict=True)
        )
        return f'<row r="{n}">{found}</row>'

    rows = row(1, "ID", "Excerpt", "BT_easiness") + row(2, "400", "It &amp; I", "-1.5")
    sheet = f"<worksheet {names}><sheetData>{rows}</sheetData></worksheet>"
    with ZipFile(tmp_path / "CLEAR_corpus_final.xlsx", "w") as archive:
        archive.writestr("xl/worksheets/sheet1.xml", sheet)
    task = load_task("clear", data_folder=tmp_path)
    assert task.prompts[0].startswith("Text: It & I\n")
    assert task.labels.tolist() == [-1.5]


def test_humicroedit_edits_the_headline(tmp_path):
    (tmp_path / "dev.csv").write_text(
        "id,original,edit,grades,meanGrade\n"
        '1," \u2018 Hunt \u2019 , 2,000 for <the Isis/> ",twins \\1,10000,0.2\n'
        "2,No mark here,x,0,0.0\n"
        "3,<A/> and <B/>,x,0,0.0\n"
        "4,It's <x/>,y,0,None\n",
        "utf-8",
    )
    task = load_task("humicroedit", data_folder=tmp_path, split="validation")
    assert task.prompts == (
        "Headline: \u2018 Hunt \u2019 , 2,000 for the Isis\n"
        "Edited: \u2018 Hunt \u2019 , 2,000 for twins \\1\nFunniness from 0 to 3:",
    )
    assert task.labels.tolist() == [0.2]
    assert "2 rows dropped: not exactly one <.../> in the headline" in task.notes
    assert "1 rows dropped: no number in 'meanGrade'" in task.notes
    with pytest.raises(InputError, match="may name the columns"):
        load_task(
            "humicroedit", data_folder=tmp_path, split="validation", template="{grades}"
        )


def test_hutto_scores_are_the_means_of_the_raw_ratings(tmp_path):
    path = tmp_path / "tweets_GroundTruth.txt"
    path.write_text('id\tsentiment\ttext\n1\t9.9\t"Yay\n2\t1\tno\n3\t-1\tno\n', "utf-8")
    beside = tmp_path / "tweets_anonDataRatings.txt"
    raw = {"1": [2, 3], "2": [1, 1], "3": [-1, -1]}
    beside.write_text(
        "".join(f"{i}\t0\t0\t{json.dumps(r)}\n" for i, r in raw.items()), "utf-8-sig"
    )
    table = hutto(path)
    assert [(row["text"], row["label"]) for row in table.rows] == [('"Yay', 2.5), ("no", 1)]
    assert table.notes[0].startswith("1 later copies")
    assert table.notes[1].startswith("1 scores are the mean")
    beside.write_text("1\t0\t0\t[1]\n", "utf-8")
    with pytest.raises(InputError, match="must hold the same ids"):
        hutto(path)
