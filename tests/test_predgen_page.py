"""docs/predgen.md says what the code does."""

import contextlib
import io
import re
from pathlib import Path

import pytest

from mi_probe.predgen.alignment import ALIGNMENTS
from mi_probe.predgen.director import DIRECTORS
from mi_probe.predgen.presets import BUGS
from mi_probe.predgen.schedules import SCHEDULES

PAGE = Path(__file__).parents[1] / "docs" / "predgen.md"
TEXT = PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("names", [ALIGNMENTS, DIRECTORS, SCHEDULES])
def test_every_choice_is_named(names):
    assert [name for name in names if f"`{name}`" not in TEXT] == []


def test_every_known_fault_is_listed_as_on_or_off():
    listed = re.findall(r"^\| `(\w+)` \| (.+) \| (on|off: .+) \|$", TEXT, re.MULTILINE)
    assert listed == [
        (name, bug.what, "on" if bug.on else f"off: {bug.because}")
        for name, bug in BUGS.items()
    ]


def test_the_code_prints_what_is_said():
    block, said = re.search(
        r"```python\n(.*?)```\n\n```text\n(.*?)```", TEXT, re.DOTALL
    ).groups()
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(block, str(PAGE), "exec"), {})
    assert printed.getvalue() == said


def test_links_are_there():
    for link in re.findall(r"\]\(([\w./]+)\)", TEXT):
        assert (PAGE.parent / link).is_file(), link
