"""What every declared task keeps to."""

import math
import string

import pytest

from mi_probe.tasks import TASKS
from mi_probe.tasks.answers import Letters, Number, Words
from mi_probe.tasks.entry import CLASSIFICATION, REGRESSION

each = pytest.mark.parametrize("name", sorted(TASKS))
PAPER = {
    *("sst2", "boolq", "piqa", "siqa", "hellaswag", "winogrande", "arc_easy"),
    *("arc_challenge", "obqa", "wassa", "sick", "stsb", "lcp", "clear", "humicroedit"),
}
EMBEDDED = {"rotten_tomatoes", "hutto_movies", "hutto_tweets", "hutto_nyt", "hutto_amazon"}


def test_the_papers_tasks_and_the_embedded_ones_are_there():
    assert {name for name, entry in TASKS.items() if entry.original} >= PAPER
    assert {name for name, entry in TASKS.items() if entry.wheel} >= EMBEDDED


@each
def test_an_entry_is_complete(name):
    entry = TASKS[name]
    assert entry.target
    assert entry.template.endswith(":")
    fields = [field for _, field, _, _ in string.Formatter().parse(entry.template)]
    assert [field for field in fields if field]
    assert "label" not in fields
    assert entry.original or entry.hub or entry.wheel
    if entry.label_names is None:
        assert isinstance(entry.form, Number)
        assert entry.metrics == REGRESSION
        assert entry.label_range == entry.form.scale
    else:
        assert isinstance(entry.form, Words | Letters)
        assert entry.metrics == CLASSIFICATION
        assert entry.label_range == (0, len(entry.label_names) - 1)


@each
def test_a_scale_in_the_prompt_is_the_scale_of_the_labels(name):
    entry = TASKS[name]
    if isinstance(entry.form, Number) and entry.form.scale:
        low, high = entry.form.scale
        assert f"from {low:g} to {high:g}:" in entry.template
        for y in (low, high, (low + high) / 3):
            back = entry.form.read(entry.form.write(y))
            assert back == pytest.approx(y, abs=0.5 * 10**-entry.form.decimals)


@each
def test_every_way_on_disk_has_a_published_count(name):
    original = TASKS[name].original
    if original is None:
        pytest.skip("has no original files")
    for split, ways in original.splits.items():
        assert ways, split
        assert all(files.rows and math.isfinite(files.rows) for files in ways)
