"""The page in a real browser: what a reader does works, hostile text does nothing."""

import pytest
from result_rows import grid

from mi_probe.report.__main__ import main
from tests.report import browser as chromium
from tests.report.folder import tokens, write

HOSTILE = '"><img src=x onerror=alert(1)></script><script>alert(2)</script>'

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(chromium.find() is None, reason="no Chromium on this machine"),
]


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    with chromium.browser(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain")
    out = folder / "report.html"
    assert main([write(folder / "results"), "--out", str(out)]) == 0
    return out


@pytest.fixture
def page(tab, plain):
    tab.problems.clear()
    tab.requests.clear()
    tab.theme("light")
    tab.open(plain)
    yield tab
    assert tab.problems == []
    assert {url.partition(":")[0] for url in tab.requests} <= {"file", "data"}


def place(page, title: str, table: str = "estimates") -> int:
    return page.run(
        f"[...document.querySelectorAll('#{table} th')]"
        f".findIndex(head => head.textContent === {title!r})"
    )


def column(page, title: str, table: str = "estimates") -> list[str]:
    return page.run(
        f"[...document.querySelectorAll('#{table} tbody tr')].filter(r => !r.hidden)"
        f".map(r => r.cells[{place(page, title, table)}].textContent)"
    )


def choose(page, name: str, value: str) -> None:
    page.run(
        f"(() => {{ const s = document.querySelector({name!r}); s.value = {value!r};"
        "s.dispatchEvent(new Event('input', {bubbles: true})); })()"
    )


def test_its_parts_are_there(page):
    parts = "#verdict, #figures svg, #strip .token, #estimates tbody tr, #provenance"
    assert page.run(f"document.querySelectorAll({parts!r}).length") > 15
    assert page.run("[...document.querySelectorAll('[role=img]')].every(e => e.ariaLabel)")
    # Outlines of two figures are drawn, not only in the page.
    boxes = "[...document.querySelectorAll('figure svg')].map(s => s.getBBox().width)"
    assert min(page.run(boxes)) > 100


def test_headings_sort_and_say_so(page):
    assert column(page, "Estimate") == [
        "0.100",
        "0.250",
        "0.400",
        "0.040",
        "0.190",
        "0.340",
    ]
    head = f"document.querySelectorAll('#estimates th')[{place(page, 'Estimate')}]"
    page.run(f"{head}.querySelector('button').click()")
    assert column(page, "Estimate") == [
        "0.040",
        "0.100",
        "0.190",
        "0.250",
        "0.340",
        "0.400",
    ]
    assert page.run(f"{head}.getAttribute('aria-sort')") == "ascending"
    page.run(f"{head}.querySelector('button').focus()")
    page.press("Enter")
    assert column(page, "Estimate")[0] == "0.400"
    assert page.run(f"{head}.getAttribute('aria-sort')") == "descending"


def test_filters_narrow_the_table(page):
    choose(page, f"[data-filter='{place(page, 'Quantity')}']", "I(Y;Z)")
    assert set(column(page, "Quantity")) == {"I(Y;Z)"}
    choose(page, "[data-filter=any]", "EMBED")
    assert column(page, "Site") == ["embed"]
    count = page.run("document.querySelector('#estimates-block .count').textContent")
    assert count == "1 of 6 rows"


def detail(page) -> dict[str, str]:
    return page.run(
        "Object.fromEntries([...document.querySelectorAll('#detail > div')]"
        ".map(d => [...d.children].map(c => c.textContent)))"
    )


def test_a_word_tells_its_values_to_the_keyboard(page):
    page.run("document.querySelector('#strip .token[tabindex=\"0\"]').focus()")
    page.press("ArrowRight")
    page.press("ArrowRight")
    found = detail(page)
    assert found["word"] == "funny"
    assert found["tokens"] == "fun ny"
    assert found["increment"] == "0.350 nats"  # 0.2 + 0.15
    assert found["pointwise"] == "0.150 nats"  # of the last piece
    assert found["cumulative"] == "0.360 nats"
    page.press("End")
    assert detail(page)["word"] == "pretty"
    page.press("Home")
    assert detail(page)["word"] == "<s>"
    page.press("PageDown")
    assert page.run("document.querySelector('#sentence').value") == "1"
    assert page.run("document.activeElement.className").startswith("token")


def test_the_curve_ends_at_what_can_be_known_of_the_label(page):
    ticks = "[...document.querySelectorAll('#curve text')].map(t => t.textContent)"
    assert page.run(ticks) == ["0.00", "0.90"]
    assert "Notes: 1 cut." in page.run("document.querySelector('#tokens-note').textContent")
    said = page.run("document.querySelector('#tokens-reading').textContent")
    assert said == "Adds up. That interval holds 0."


def test_one_odd_token_leaves_the_others_their_colour(tab, tmp_path):
    table = tokens(sentences=12)
    table["increment_nats"] = 0.1
    table.loc[4, "increment_nats"] = 5.0
    out = tmp_path / "odd.html"
    assert main([write(tmp_path / "results", token_table=table), "--out", str(out)]) == 0
    tab.open(out)
    scale = tab.run("document.querySelector('#scale').textContent")
    assert "0.100 nats" in scale
    assert "2 % of the values lie beyond its ends" in scale


def test_a_small_value_shows_two_digits(tab, tmp_path):
    table = tokens()
    table["increment_nats"] /= 1000
    out = tmp_path / "small.html"
    assert main([write(tmp_path / "results", token_table=table), "--out", str(out)]) == 0
    tab.open(out)
    labels = "[...document.querySelectorAll('#strip .token')].map(t => t.ariaLabel)"
    assert tab.run(labels)[:3] == [
        "<s>: increment 0.000 nats",
        "a: increment 0.000010 nats",
        "funny: increment 0.00035 nats",
    ]


def test_a_word_tells_its_values_to_the_mouse(page):
    event = "new MouseEvent('mouseenter')"
    page.run(f"document.querySelectorAll('#strip .token')[2].dispatchEvent({event})")
    assert detail(page)["increment"] == "0.350 nats"


def test_site_sentence_definition_and_pieces_are_chosen(page):
    assert page.run("document.querySelectorAll('#map option').length") == 2
    choose(page, "#map", "1")
    note = "document.querySelector('#tokens-note').textContent"
    assert "final_norm" in page.run(note)
    choose(page, "#sentence", "2")
    assert "r2" in page.run("document.querySelector('#sentence-facts').textContent")
    labels = "[...document.querySelectorAll('#strip .token')].map(t => t.ariaLabel)"
    assert page.run(labels)[2] == "funny: increment 1.050 nats"
    choose(page, "#definition", "1")
    assert page.run(labels)[2] == "funny: pointwise 0.150 nats"
    page.run("document.querySelector('#words').click()")
    assert page.run(labels)[2:4] == [
        "fun: pointwise 0.200 nats",
        "ny: pointwise 0.150 nats",
    ]
    unit = page.run("document.querySelector('#scale').textContent")
    assert "nats" in unit


def colours(page) -> tuple[str, str]:
    return tuple(
        page.run(
            "['body', '#strip .token'].map(s =>"
            " getComputedStyle(document.querySelector(s)).backgroundColor)"
        )
    )


def test_dark_by_the_system_or_by_the_button(page):
    light = colours(page)
    page.theme("dark")
    assert colours(page)[0] != light[0]
    page.theme("light")
    page.run("localStorage.clear()")
    page.run("document.querySelector('#theme').click()")
    assert page.run("document.querySelector('#theme').textContent") == "Theme: light"
    page.run("document.querySelector('#theme').click()")
    dark = colours(page)
    assert dark[0] != light[0]
    assert dark[1] != light[1]
    page.run("localStorage.clear()")


def test_words_stand_out_from_their_colours(page):
    for scheme in ("light", "dark"):
        page.theme(scheme)
        page.run("document.dispatchEvent(new Event('theme'))")
        ratios = page.run(
            """(() => {
              const light = (text) => {
                const [r, g, b] = text.match(/[\\d.]+/g).slice(0, 3).map((v) => {
                  const c = v / 255;
                  return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
                });
                return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
              };
              return [...document.querySelectorAll('#strip .token')].map((t) => {
                const style = getComputedStyle(t);
                const pair = [light(style.color), light(style.backgroundColor)];
                return Math.max(...pair) / Math.min(...pair);
              });
            })()"""
        )
        assert min(ratios) > 4.5


def test_a_narrow_window_does_not_scroll_sideways(page, plain):
    page.open(plain, width=360)
    assert page.run("document.documentElement.scrollWidth") <= 360


def test_printing_keeps_the_tables_whole(page, plain, tmp_path):
    page.pdf(tmp_path / "r.pdf")
    assert (tmp_path / "r.pdf").read_bytes().startswith(b"%PDF")


def test_hostile_text_does_nothing(tab, tmp_path):
    table = tokens(label=HOSTILE)
    table[["token", "word_text", "role", "predicted"]] = HOSTILE
    results = grid(model=HOSTILE, task=HOSTILE, target=HOSTILE, site=HOSTILE)
    given = write(tmp_path / "in", results=results, token_table=table, subject=HOSTILE)
    out = tmp_path / "r.html"
    assert main([given, "--out", str(out), "--title", HOSTILE]) == 0
    tab.problems.clear()
    tab.requests.clear()
    tab.open(out)
    tab.run("document.querySelector('#strip .token').focus()")
    assert detail(tab)["word"] == HOSTILE
    assert tab.run("document.querySelectorAll('img, script:not([type])').length") == 3
    assert tab.run("document.querySelector('h1').textContent") == HOSTILE
    assert tab.problems == []
    assert [url for url in tab.requests if not url.startswith("file")] == []
