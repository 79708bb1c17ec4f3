"""The page as a file: what is in it, what is escaped, what is refused."""

import html
import json
import re

import pandas as pd
import pytest
from result_rows import grid

from mi_probe.analysis.summaries import at_layer, over_seeds
from mi_probe.plots import bar_figure, style
from mi_probe.report.__main__ import main
from mi_probe.report.sources import TokenTable
from mi_probe.report.svg import inline_svg
from mi_probe.report.token_maps import as_json, token_maps
from mi_probe.results import SCHEMA_VERSION
from tests.report.folder import NO_GAP, VERDICT, gaps, tokens, write

HOSTILE = '"><img src=x onerror=alert(1)></script><script>alert(2)</script>{{7*7}}&'


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page of a folder with everything in it."""
    folder = tmp_path_factory.mktemp("report")
    out = folder / "report.html"
    assert main([write(folder / "results"), "--out", str(out)]) == 0
    return out.read_text(encoding="utf-8")


def data_of(page: str) -> dict:
    block = re.search(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.S)
    assert block
    return json.loads(block[1])


def test_it_says_the_verdicts_and_readings(page):
    assert VERDICT in page
    assert NO_GAP in page
    assert "shown in 1 of 2 comparisons, the largest 0.120 nats [0.080, 0.160]" in page
    headline = re.search(r'<p class="headline">(.*?)</p>', page, re.S)
    assert headline
    assert headline[1].startswith("On reviews, I(Y;Z) after the final norm is 0.400 nats [")
    assert "I(Y;Z) is largest at layer 6: 0.400 nats" in page


def test_it_holds_every_table(page):
    for name in ("estimates", "gaps", "capacity", "noise", "types0", "types1"):
        rows = re.search(rf'<table id="{name}".*?<tbody>(.*?)</tbody>', page, re.S)
        assert rows, name
        assert rows[1].count("<tr>") >= 2
    assert 'data-key="0.4">0.400</td>' in page


def test_gaps_of_two_steps_are_told_apart(page):
    assert "tiny on reviews, step 100, final_norm, tokens: prompt, pooling: mean" in page


def test_token_maps_bring_their_reading(page):
    assert "In 2 of 2 token maps the interval of I(Y;Z) holds 0" in page
    assert data_of(page)["maps"][0]["reading"] == "Adds up. That interval holds 0."


def test_words_of_labels_are_not_called_predicted(page):
    heads = [re.search(rf'<table id="words{i}".*?</thead>', page, re.S)[0] for i in (0, 1)]
    assert "Predicted word" in heads[0]
    assert "Predicted word" not in heads[1]
    assert ">Label<" in heads[1]


def test_written_against_read_tokens_have_a_table(page):
    table = re.search(r'<table id="generated0".*?</table>', page, re.S)[0]
    assert ">Written token<" in table
    assert ">0.200<" in table


def test_what_was_written_against_what_was_read_is_a_figure(page):
    title = r"Which tokens read are in which tokens written\? tiny on reviews"
    assert len(re.findall(f"<strong>{title}", page)) == 2
    assert re.search(rf'aria-label="{title}[^"]*\. 0, 1: 0\.200 \[0\.100, 0\.300\]"', page)


def test_letters_without_a_font_are_spoken_of(tmp_path):
    folder = write(tmp_path / "results")
    for path in (tmp_path / "results" / "tokens").glob("*.types.csv"):
        path.write_text(path.read_text().replace("funny", "\u4e2d"))
    out = tmp_path / "r.html"
    assert main([folder, "--out", str(out)]) == 0
    page = out.read_text(encoding="utf-8")
    assert page.count("stand as code points; see --fonts") == 2
    assert main([folder, "--out", str(out), "--fonts", str(out)]) == 2


def test_blanks_of_a_token_are_seen(page):
    assert ">\N{OPEN BOX}the</td>" in page


def test_systems_are_compared_in_words(tmp_path):
    folder = tmp_path / "results"
    folder.mkdir()
    systems = [grid(model=name, objective=name) for name in ("generator", "predgen")]
    pd.concat(systems).to_csv(folder / "results.csv", index=False)
    out = tmp_path / "r.html"
    assert main([str(folder), "--out", str(out)]) == 0
    page = out.read_text(encoding="utf-8")
    assert "which the data processing inequality does not order" in page


def test_nothing_is_fetched_and_only_its_own_scripts_run(page):
    assert re.findall(r'(?:src|href|action)="(?!#)[^"]*"', page) == []
    assert "@import" not in page
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy
    assert policy[1].startswith("default-src &#39;none&#39;; script-src &#39;sha256-")
    assert "unsafe" not in policy[1]
    assert ' style="' not in page


def test_ids_are_unique_and_references_resolve(page):
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    used = set(re.findall(r'(?:href="|url\()#([^")]+)', page))
    assert used <= set(ids)
    assert any(one.startswith("f1-") for one in used)


def test_dark_ink_is_not_black(page):
    rules = re.findall(r"^\.f0-\d+ \{(.*)\}$", page, re.M)
    assert any("var(--ink)" in rule for rule in rules)
    assert not any("#262626" in rule or "#ffffff" in rule for rule in rules)


def test_a_second_run_writes_the_same_bytes(tmp_path, page):
    out = tmp_path / "again.html"
    assert main([write(tmp_path / "results"), "--out", str(out)]) == 0
    assert out.read_text(encoding="utf-8") == page


def test_hostile_text_is_text(tmp_path):
    table = tokens(label=HOSTILE)
    table["token"] = HOSTILE
    table["word_text"] = HOSTILE
    results = grid(model=HOSTILE, task=HOSTILE, target=HOSTILE, estimator=HOSTILE)
    out = tmp_path / "r.html"
    given = write(tmp_path / "in", results=results, token_table=table, subject=HOSTILE)
    assert main([given, "--out", str(out), "--title", HOSTILE]) == 0
    page = out.read_text(encoding="utf-8")
    assert "<img" not in page
    assert page.count("<script") == 4
    assert "{{7*7}}" in page
    assert data_of(page)["texts"][0]["tokens"][0] == HOSTILE


def test_estimates_alone_are_enough(tmp_path, capsys):
    folder = tmp_path / "results"
    folder.mkdir()
    grid().to_csv(folder / "results.csv", index=False)
    out = tmp_path / "r.html"
    assert main([str(folder), "--out", str(out)]) == 0
    page = out.read_text(encoding="utf-8")
    assert "On reviews, I(Y;Z) after the final norm is 0." in page
    assert 'id="tokens"' not in page
    assert "no record of its runs" in page
    assert page.count("<figure>") == 2
    assert "wrote" in capsys.readouterr().out


def test_a_task_is_one_task_however_many_token_sets(tmp_path):
    folder = tmp_path / "results"
    folder.mkdir()
    sets = [
        grid(token_set=t, model=m)
        for t in ("prompt", "generated", "all")
        for m in ("lab/one", "lab/two")
    ]
    pd.concat(sets).to_csv(folder / "results.csv", index=False)
    out = tmp_path / "r.html"
    assert main([str(folder), "--out", str(out)]) == 0
    page = out.read_text(encoding="utf-8")
    assert "<h1>one; two on reviews</h1>" in page
    assert page.count('<table id="reading') == 1
    block = re.search(r'<div class="table" id="reading0-block">.*?</table>', page, re.S)
    assert block
    assert block[0].count("<tr>") == 7
    # What all rows have alike is said once, above them.
    heads = re.findall(r"<th[^>]*>([^<]*)</th>", block[0])
    assert heads == ["Model", "Tokens"]
    alike = dict(re.findall(r"<dt>([^<]*)</dt> <dd>([^<]*)</dd>", block[0]))
    assert alike["Quantity"] == "I(Y;Z)"
    assert alike["mean loses"] == "0.060, untested"
    assert {"n", "Estimate", "95 % interval", "Status"} <= set(alike)
    assert "Accuracy" in alike["Nothing for"]


def test_commands_are_as_they_were_typed(tmp_path):
    folder = write(tmp_path / "results")
    path = tmp_path / "results" / "provenance.json"
    typed = "python -m mi_probe.estimate lab/tiny --task 'my reviews'"
    runs = [{"run_id": "a", "command": "python -m mi_probe.estimate", "typed": typed}]
    path.write_text(json.dumps({"schema_version": 1, "runs": runs}))
    out = tmp_path / "r.html"
    assert main([folder, "--out", str(out)]) == 0
    page = html.unescape(out.read_text(encoding="utf-8"))
    assert f"<dd>{typed}</dd>" in page


def test_gaps_alone_are_enough(tmp_path):
    folder = tmp_path / "results"
    folder.mkdir()
    gaps().to_csv(folder / "gaps.csv", index=False)
    out = tmp_path / "r.html"
    assert main([str(folder), "--out", str(out)]) == 0
    page = out.read_text(encoding="utf-8")
    assert VERDICT in page
    assert "<h1>tiny on reviews</h1>" in page
    assert 'id="table"' not in page


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--out", "page.pdf"], "out must be an .html file"),
        (["--sentences", "0"], "sentences must be at least 1"),
    ],
)
def test_mistakes_are_one_line(tmp_path, capsys, options, words):
    assert main([write(tmp_path / "results"), *options]) == 2
    err = capsys.readouterr().err
    assert words in err
    assert len(err.splitlines()) == 1


def test_a_damaged_table_is_named(tmp_path, capsys):
    folder = write(tmp_path / "results")
    (tmp_path / "results" / "gaps.csv").write_text("task,pooling\nreviews,mean\n")
    assert main([folder, "--out", str(tmp_path / "r.html")]) == 2
    assert "lacks gap_nats" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"runs": [{"environment": 3}]}', "must be the record of the runs; it is damaged"),
        ('{"runs": [', "must be the record of the runs; it is damaged"),
        (
            '{"schema_version": 9, "runs": []}',
            f"schema_version must be at most {SCHEMA_VERSION}",
        ),
    ],
)
def test_a_record_that_is_damaged_or_newer_is_named(tmp_path, capsys, content, words):
    folder = write(tmp_path / "results")
    (tmp_path / "results" / "provenance.json").write_text(content)
    assert main([folder, "--out", str(tmp_path / "r.html")]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.slow
def test_profiles_of_many_checkpoints_leave_room_for_other_figures(tmp_path):
    folder = write(
        tmp_path / "results", results=pd.concat(grid(model=f"m{i}") for i in range(9))
    )
    out = tmp_path / "r.html"
    assert main([folder, "--out", str(out)]) == 0
    page = out.read_text(encoding="utf-8")
    assert page.count("<strong>In which layer can Y be read?") == 6
    assert "<strong>Does pooling lose anything?" in page
    assert "There are more figures than are shown here" in page


def test_a_letter_is_drawn_once(page):
    letters = re.findall(r'<path [^>]*id="f\d+-STIX[^>]*/>', page)
    outlines = [re.sub(r' id="[^"]*"', "", letter) for letter in letters]
    assert len(outlines) == len(set(outlines)) > 20


def test_dots_of_a_hatch_are_drawn_once_and_placed():
    points = at_layer(over_seeds(grid(views=("full", "last"))))
    with style():
        svg = inline_svg(bar_figure(points, x="task"), "f0")
    (own,) = set(re.findall(r'href="#(f0-dot\d+)"', svg.markup))
    assert svg.markup.count(f'id="{own}"') == 1
    assert svg.markup.count(f'href="#{own}"') > 100
    # One by one they are a quarter of a megabyte.
    assert len(svg.markup) < 120_000


class TestTokenMaps:
    def test_pieces_of_a_word_share_a_number(self):
        content = token_maps([TokenTable({"stem": "a"}, tokens())], 2)
        assert content is not None
        (text,) = content["texts"][:1]
        assert text["word"] == [0, 1, 2, 2, 3, 4, 5, 6, 6]

    def test_increments_add_up_to_the_total(self):
        content = token_maps([TokenTable({"stem": "a"}, tokens())], 3)
        assert content is not None
        for sentence in content["maps"][0]["sentences"]:
            values = sentence["values"]
            total = sum(values["increment_nats"])
            assert total == pytest.approx(values["cumulative_nats"][-1], abs=1e-3)

    def test_a_small_increment_keeps_its_digits(self):
        table = tokens()
        table.loc[1, "increment_nats"] = 0.000123456
        content = token_maps([TokenTable({"stem": "a"}, table)], 1)
        assert content is not None
        [sentence] = content["maps"][0]["sentences"]
        assert sentence["values"]["increment_nats"][1] == 0.0001235

    def test_a_column_without_values_is_no_choice(self):
        content = token_maps([TokenTable({"stem": "a"}, tokens())], 1)
        assert content is not None
        assert "attention" not in content["maps"][0]["definitions"]
        assert "gradient_x_input" in content["maps"][0]["definitions"]

    def test_the_first_sentences_are_shown_and_their_number_said(self):
        content = token_maps([TokenTable({"stem": "a"}, tokens(sentences=7))], 5)
        assert content is not None
        shown = content["maps"][0]
        texts = [content["texts"][s["text"]]["id"] for s in shown["sentences"]]
        assert texts == [f"r{i}" for i in range(5)]
        assert shown["total"] == 7

    def test_a_text_is_kept_once(self):
        tables = [TokenTable({"stem": name}, tokens()) for name in "ab"]
        content = token_maps(tables, 3)
        assert content is not None
        assert len(content["texts"]) == 3

    def test_too_many_bytes_show_fewer_sentences(self, monkeypatch):
        whole = len(as_json(token_maps([TokenTable({"stem": "a"}, tokens())], 3)))
        monkeypatch.setattr("mi_probe.report.token_maps.BUDGET", whole - 1)
        content = token_maps([TokenTable({"stem": "a"}, tokens())], 3)
        assert content is not None
        assert len(content["maps"][0]["sentences"]) == 1

    def test_json_cannot_end_a_script(self):
        text = as_json({"a": "</script><!--&\N{LINE SEPARATOR}"})
        assert not set("<>&\N{LINE SEPARATOR}") & set(text)
        assert json.loads(text)["a"] == "</script><!--&\N{LINE SEPARATOR}"


def test_names_that_would_end_or_turn_the_page(tmp_path):
    hostile = "lab/\x1b[31m\u202eynit\x07"
    folder = write(tmp_path / "results", subject=hostile)
    about = tmp_path / "results" / "tokens" / "final_norm.json"
    told = json.loads(about.read_text()) | {"task": "re\ud800views\0"}
    about.write_text(json.dumps(told))
    out = tmp_path / "r.html"
    assert main([folder, "--out", str(out), "--title", "a\u202eb"]) == 0
    page = out.read_text(encoding="utf-8")
    assert not set(page) & set("\x1b\u202e\x07\0")
    assert "lab/U+001B[31mU+202EynitU+0007" in page
    assert "reU+D800viewsU+0000" in page
    assert "aU+202Eb" in page


@pytest.mark.slow
def test_a_name_of_a_megabyte_makes_no_page_of_gigabytes(tmp_path):
    folder = write(tmp_path / "results", subject="m" * 10**6)
    out = tmp_path / "r.html"
    assert main([folder, "--out", str(out)]) == 0
    assert out.stat().st_size < 3_000_000
    assert "(1000000 letters, " in out.read_text(encoding="utf-8")
