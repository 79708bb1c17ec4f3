"""The page: template, style and scripts of ``web/``, filled; no file beside it, no network.

Every text that comes from data goes through the template's escaping, or into a JSON block
in which ``<`` cannot occur. The content policy of the page allows the scripts and the style
that it carries, by their hashes, and nothing else: no request leaves it.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

import mi_probe
from mi_probe.analysis.control_points import CONTROL_WORDS, controls_of, states_of
from mi_probe.analysis.labels import short_name
from mi_probe.legible import legible
from mi_probe.report.pictures import pictures
from mi_probe.report.readings import estimates_table, reading_tables
from mi_probe.report.sources import Sources
from mi_probe.report.tables import ladder_tables, token_tables
from mi_probe.report.token_maps import as_json, token_maps
from mi_probe.report.verdicts import verdict_of

SCRIPTS = ("theme.js", "tables.js", "tokens.js")


@dataclass(frozen=True)
class _Inline:
    """A style or script that the page carries, and the hash that its policy allows."""

    content: Markup
    digest: str


def report_page(
    sources: Sources,
    *,
    title: str = "",
    sentences: int = 40,
    fonts: Sequence[str] = (),
) -> str:
    """The whole page as HTML, the same for the same results.

    Args:
        sources: what the results folders hold.
        title: of the page; the models and tasks where empty.
        sentences: in the token map, of each table at most.
        fonts: TrueType files for letters that the figures' own fonts lack.

    Raises:
        InputError: a file of `fonts` that is no such font.
    """
    drawn, more = pictures(sources, fonts)
    rules = [
        f".{name} {{ {text} }}" for one in drawn for name, text in one.svg.rules.items()
    ]
    style = _inline(_web("style.css") + "\n" + "\n".join(rules) + "\n")
    scripts = [_inline(_web(name)) for name in SCRIPTS]
    maps = token_maps(sources.tokens, sentences)
    estimates = estimates_table(sources.points).folded()
    ladders = [table.folded() for table in ladder_tables(sources)]
    return _template().render(
        title=legible(title or _title(sources)),
        policy=_policy(style, scripts),
        style=style,
        scripts=scripts,
        verdict=verdict_of(sources),
        readings=[
            table.folded()
            for table in reading_tables(sources.points, sources.folders.paired)
        ],
        facts=_facts(sources),
        pictures=[(one, Markup(one.svg.markup)) for one in drawn],
        more_pictures=more,
        estimates=estimates,
        choices=_choices(estimates),
        gaps=[table for table in ladders if table.name == "gaps"],
        tables=[
            *(t for t in ladders if t.name != "gaps"),
            *(t.folded() for t in token_tables(sources)),
        ],
        maps=maps,
        # Made safe by as_json, and no HTML is in it.
        maps_json=Markup(as_json(maps)) if maps else "",
        runs=[_run(run) for run in sources.runs],
        version=mi_probe.__version__,
    )


def _web(name: str) -> str:
    return (files("mi_probe.report") / "web" / name).read_text(encoding="utf-8")


def _template():
    environment = Environment(
        loader=DictLoader({"page": _web("page.html.jinja")}),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page")


def _inline(content: str) -> _Inline:
    digest = hashlib.sha256(content.encode()).digest()
    return _Inline(Markup(content), f"'sha256-{base64.b64encode(digest).decode()}'")


def _policy(style: _Inline, scripts: Sequence[_Inline]) -> str:
    allowed = " ".join(script.digest for script in scripts)
    return (
        f"default-src 'none'; script-src {allowed}; style-src {style.digest}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _title(sources: Sources) -> str:
    models, tasks = _subjects(sources)
    return f"{_some(models, 'models')} on {_some(tasks, 'tasks')}"


def _subjects(sources: Sources) -> tuple[list[str], list[str]]:
    """Names of the models and tasks of all that is there, each once."""
    points, gaps = sources.points, sources.gaps
    models = [] if points.empty else list(points["model_label"])
    tasks = [] if points.empty else list(states_of(points)["task"])
    others = [] if "subject" not in gaps else [str(name) for name in gaps["subject"]]
    others += [str(t.about.get("subject", t.about["stem"])) for t in sources.tokens]
    for other in map(short_name, others):
        # "predgen" is there already as "predgen, step 4".
        if not any(f"{name},".startswith(f"{other},") for name in models):
            models.append(other)
    tasks += list(gaps["task"]) if len(gaps) else []
    tasks += [str(t.about["task"]) for t in sources.tokens if t.about.get("task")]
    return list(dict.fromkeys(models)), list(dict.fromkeys(tasks))


def _some(names: list[str], what: str) -> str:
    return "; ".join(names) if len(names) <= 3 else f"{len(names)} {what}"


def _facts(sources: Sources) -> list[tuple[str, str]]:
    """What was measured, before any value."""
    models, tasks = _subjects(sources)
    # A name may hold a comma: "predgen, step 4".
    names = [("Models", "; ".join(models)), ("Tasks", "; ".join(tasks))]
    if sources.points.empty:
        return names
    results, points = states_of(sources.results), states_of(sources.points)
    sizes = sorted({int(n) for n in points["n"].dropna()})
    seeds = sorted({int(seed) for seed in results["seed"].dropna()})
    entropies = sorted({f"{value:.3f}" for value in points["ceiling"].dropna()})
    facts = [
        *names,
        ("Y is", "; ".join(dict.fromkeys(results["target"].dropna().astype(str)))),
        ("Tokens", ", ".join(dict.fromkeys(points["token_set"].dropna().astype(str)))),
        ("Rows", ", ".join(f"{size:,}" for size in sizes)),
        ("H(Y), the ceiling", f"{', '.join(entropies)} nats" if entropies else "none"),
        ("Estimators", ", ".join(dict.fromkeys(points["estimator_label"]))),
        ("Seeds", ", ".join(map(str, seeds))),
        ("Estimates", f"{len(points):,}"),
    ]
    beside = controls_of(sources.points)
    if len(beside):
        names = dict.fromkeys(CONTROL_WORDS.get(name, name) for name in beside["control"])
        facts.append(("Controls", ", ".join(names)))
    made = sorted(results["created"].dropna().astype(str))
    if made:
        first, last = made[0][:16], made[-1][:16]
        facts.append(("Measured", first if first == last else f"{first} to {last}"))
    return facts


def _choices(table: Any) -> list[tuple[int, str, list[str]]]:
    """Columns to filter by: their place, title and values, where there are several."""
    found = []
    for i, column in enumerate(table.columns):
        values = list(dict.fromkeys(row[i].text for row in table.rows))
        if column.chosen and 1 < len(values) <= 60:
            found.append((i, column.title, values))
    return found


def _run(run: dict[str, Any]) -> dict[str, Any]:
    environment = run.get("environment") or {}
    packages = environment.get("packages") or {}
    facts = {
        # As it was typed; of older runs only the program is known.
        "Command": run.get("typed") or run.get("command"),
        "Started": run.get("started"),
        "Code": environment.get("git_commit") or environment.get("mi_probe"),
        "Python": environment.get("python"),
        "Packages": ", ".join(f"{k} {v}" for k, v in packages.items() if v),
    }
    return {
        "facts": [(name, str(value)) for name, value in facts.items() if value],
        "record": json.dumps(run, indent=1, ensure_ascii=False, sort_keys=True),
    }
