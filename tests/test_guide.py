"""What the guide says is what the code does: blocks print it, names exist, links lead."""

import math
import re
from importlib.util import find_spec
from pathlib import Path
from typing import get_args

import pytest

from mi_probe.estimators import ESTIMATORS
from mi_probe.estimators.core.base import Status
from mi_probe.gallery import KINDS
from mi_probe.hidden import Role
from mi_probe.report.token_maps import DEFINITIONS
from mi_probe.rows import COLUMNS

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")
BLOCKS = re.findall(
    r"^```python( slow)?\n(.*?)^```\n\n```text\n(.*?)^```", TEXT, re.M | re.S
)
CASES = [
    pytest.param(code, printed, marks=pytest.mark.slow if slow else ())
    for slow, code, printed in BLOCKS
]


def test_every_block_is_run():
    assert len(BLOCKS) == TEXT.count("```python")


@pytest.mark.parametrize(("code", "printed"), CASES)
def test_a_block_prints_what_stands_below_it(code, printed, capsys):
    exec(compile(code, "guide.md", "exec"), {})
    assert capsys.readouterr().out == printed


def test_links_lead_somewhere():
    links = re.findall(r"\]\(([^)#]+)\)", TEXT)
    local = [link for link in links if not link.startswith("https://")]
    assert local
    for link in local:
        assert (ROOT / "docs" / link).is_file(), link


def test_commands_exist():
    commands = set(re.findall(r"python -m (mi_probe[\w.]*)", TEXT))
    assert {"mi_probe.figures", "mi_probe.report"} <= commands
    assert all(find_spec(name) for name in commands)
    targets = set(re.findall(r"`make ([\w-]+)`", TEXT))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert all(re.search(rf"^{target}:", makefile, re.M) for target in targets)


def rows(heading: str) -> set[str]:
    part = re.search(rf"^\| {heading} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", TEXT, re.M)
    assert part, heading
    return {line.split("|")[1] for line in part[1].splitlines()}


def test_every_status_is_explained():
    named = {re.sub(r"[` ]", "", row) for row in rows("status")}
    assert named == set(get_args(Status))


def test_every_figure_is_explained():
    named = {re.findall(r"`(\w+)`", row)[0] for row in rows("figure")}
    assert set(KINDS) <= named


def test_every_definition_of_the_token_map_is_explained():
    for definition in DEFINITIONS:
        assert definition["title"].replace("\N{MULTIPLICATION SIGN}", "x") in TEXT


def test_names_of_estimators_columns_and_roles_exist():
    named = set(re.findall(r"`([a-z_]+)`", TEXT))
    assert {"auto", "mine", "linear", "ksg"} <= named & set(ESTIMATORS)
    assert {"value_nats", "extrapolated_reason"} <= named & set(COLUMNS)
    (line,) = re.findall(r"^\| \*\*role\*\* \|.*$", TEXT, re.M)
    assert all(role.name.lower() in line for role in Role)


def test_the_glossary_is_in_order():
    words = [re.sub(r"[* ]", "", row).lower() for row in rows("word")]
    part = TEXT[TEXT.index("## Glossary") :]
    order = [w.lower() for w in re.findall(r"^\| \*\*(.+?)\*\*", part, re.M)]
    assert sorted(words) == sorted(re.sub(r"[* ]", "", w) for w in order)
    assert order == sorted(order)


def test_a_nat_in_bits():
    (bits,) = re.findall(r"1 nat = ([\d.]+) bits", TEXT)
    assert float(bits) == pytest.approx(1 / math.log(2), abs=5e-4)
