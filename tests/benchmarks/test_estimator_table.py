from pathlib import Path

import pytest
from estimator_table import refreshed, rows

import mi_probe.estimators
from mi_probe import InputError
from mi_probe.estimators import ESTIMATORS

ROOT = Path(__file__).parents[2]


def test_every_row_says_everything():
    found = rows(ESTIMATORS)
    assert [row["name"] for row in found] == [f"`{name}`" for name in ESTIMATORS]
    assert all(all(row.values()) for row in found)
    assert not [row for row in found if any("|" in cell for cell in row.values())]


@pytest.mark.parametrize("page", ["docs/estimators.md"])
def test_the_pages_are_current(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    assert text == refreshed(text, ESTIMATORS), (
        "run python benchmarks/estimator_table.py docs/estimators.md"
    )


def test_only_the_table_is_written_and_with_its_columns():
    text = (
        "before\n\n| name | what it is | X |\n|---|---|---|\n| old | row | x |\n\nafter\n"
    )
    found = refreshed(text, {"lda": ESTIMATORS["lda"]})
    summary = ESTIMATORS["lda"].nature.summary
    assert found == (
        "before\n\n| name | what it is | X |\n|---|---|---|\n"
        f"| `lda` | lower bound: {summary} | vectors |\n\nafter\n"
    )


def test_what_cannot_be_written_is_refused():
    with pytest.raises(InputError, match="must hold a table"):
        refreshed("none", ESTIMATORS)
    with pytest.raises(InputError, match="columns must be of .* got 'price'"):
        refreshed("| name | what it is | price |\n|---|---|---|\n", ESTIMATORS)


def test_the_package_lists_every_name():
    missing = [
        n for n in ESTIMATORS if f"``{n}``" not in (mi_probe.estimators.__doc__ or "")
    ]
    assert missing == []
