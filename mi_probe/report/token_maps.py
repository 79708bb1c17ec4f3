"""What the token map of the page is drawn from: JSON of a bounded size.

The first sentences of each table are taken, in the order of the data: none is picked for
what it shows. The texts of a sentence are kept once, its values once a site.
"""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportOperatorIssue=false

import json
import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from mi_probe.report.sources import TokenTable

BUDGET = 1_200_000
"""Bytes of JSON at most; fewer sentences are shown where they would not fit."""

LESS_OR_EQUAL = "\N{LESS-THAN OR EQUAL TO}"
_NOTHING = (
    " with random labels: the true value is 0, and what is found was made of nothing."
)


def _definition(
    key: str, title: str, words: str, merge: str = "last", unit: str = "nats"
) -> dict[str, str]:
    return {"key": key, "title": title, "words": words, "unit": unit, "merge": merge}


DEFINITIONS = (
    _definition(
        "increment_nats",
        "increment",
        f"i(y; z{LESS_OR_EQUAL}t) \N{MINUS SIGN} i(y; z<t): what became readable at this "
        "token, beyond all before it. Increments add up to the sentence's total.",
        "sum",
    ),
    _definition(
        "pointwise_nats",
        "pointwise",
        "i(y; z_t) = log q(y|z_t) / p(y): what the state at this token tells by itself. "
        "Values of neighbours overlap and do not add up. A word has the value of its last "
        "piece, whose state has read all of it.",
    ),
    _definition(
        "cumulative_nats",
        "cumulative",
        f"i(y; z{LESS_OR_EQUAL}t): what all tokens up to this one tell together.",
    ),
    _definition(
        *("random_increment_nats", "random labels: increment"),
        *(f"The increment{_NOTHING}", "sum"),
    ),
    _definition(
        *("random_pointwise_nats", "random labels: pointwise"),
        f"The pointwise value{_NOTHING}",
    ),
    _definition(
        "control_task_nats",
        "control task",
        "What the state at a word tells of a random label of that word: what memorising "
        "words gives.",
    ),
    _definition(
        "gradient_x_input",
        "gradient \N{MULTIPLICATION SIGN} input",
        "A comparison, no information: the model's own sensitivity to this token, in units "
        "of its own.",
        *("sum", "own units"),
    ),
    _definition(
        *("attention", "attention"),
        "A comparison, no information: how much attention this token receives.",
        *("sum", "share"),
    ),
)
"""What may be shown of a token; how the pieces of a word are merged."""


def token_maps(tables: Sequence[TokenTable], sentences: int) -> dict[str, Any] | None:
    """Content of the map: definitions, texts, and values of each table; None without any.

    Args:
        tables: as `read_sources` gave them.
        sentences: shown of each table at most.
    """
    if not tables:
        return None
    shown = sentences
    while True:
        content = _content(tables, shown)
        if shown == 1 or len(as_json(content).encode()) <= BUDGET:
            return content
        shown //= 2


def as_json(content: Any) -> str:
    """JSON that is the same for equal contents and harmless inside ``<script>``."""
    text = json.dumps(
        content, ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False
    )
    for character in "<>&\N{LINE SEPARATOR}\N{PARAGRAPH SEPARATOR}":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _content(tables: Sequence[TokenTable], sentences: int) -> dict[str, Any]:
    texts: dict[str, int] = {}
    maps = [_map(table, sentences, texts) for table in tables]
    return {
        "definitions": list(DEFINITIONS),
        "texts": [json.loads(text) for text in texts],
        "maps": maps,
    }


def _map(table: TokenTable, sentences: int, texts: dict[str, int]) -> dict[str, Any]:
    about, tokens = table.about, table.tokens
    if "role" in tokens:
        tokens = tokens[tokens["role"].astype(str).str.lower() != "pad"]
    by_sentence = tokens.groupby("row_id", sort=False)
    known = [
        definition["key"]
        for definition in DEFINITIONS
        if definition["key"] in tokens and tokens[definition["key"]].notna().any()
    ]
    shown = []
    for i, (_, rows) in enumerate(by_sentence):
        if i == sentences:
            break
        rows = rows.sort_values("position", kind="stable")
        text = json.dumps(_text(rows), ensure_ascii=False)
        shown.append(
            {
                "text": texts.setdefault(text, len(texts)),
                "label": _word(rows["label"].iloc[0]),
                "predicted": _word(rows["predicted"].iloc[0])
                if "predicted" in rows
                else "",
                "ceiling": _rounded(rows["ceiling_nats"].iloc[0])
                if "ceiling_nats" in rows
                else None,
                "values": {key: [_rounded(v) for v in rows[key]] for key in known},
            }
        )
    names = [about.get(name) for name in ("subject", "task", "site")]
    named = ", ".join(str(name) for name in names if name not in (None, ""))
    return {
        "name": named or str(about["stem"]),
        "target": str(about.get("target") or ""),
        "ceiling": _rounded(about.get("H_Y_nats")),
        "reading": " ".join(str(line) for line in about.get("reading") or ()),
        "notes": "; ".join(str(note) for note in about.get("notes") or ()),
        "rows": int(about.get("n") or by_sentence.ngroups),
        "total": int(by_sentence.ngroups),
        "definitions": known,
        "sentences": shown,
    }


def _text(rows: pd.DataFrame) -> dict[str, Any]:
    tokens = [str(token) for token in rows["token"]]
    words = list(rows["word"]) if "word" in rows else list(range(len(rows)))
    # Pieces of one word share its number; what has none, or -1, stands by itself.
    numbers: list[int] = []
    for i, word in enumerate(words):
        alone = pd.isna(word) or word == -1
        same = i > 0 and not alone and word == words[i - 1]
        numbers.append(numbers[-1] + (not same) if numbers else 0)

    def column(name: str, otherwise: Sequence[Any]) -> Sequence[Any]:
        return [*rows[name]] if name in rows else otherwise

    empty = [""] * len(rows)
    return {
        "id": _word(rows["row_id"].iloc[0]),
        "tokens": tokens,
        "word": numbers,
        "words": [_word(text) for text in column("word_text", tokens)],
        "roles": [_word(role) for role in column("role", empty)],
        "special": [bool(s) for s in column("special", empty)],
        "template": [bool(t) for t in column("template", empty)],
    }


def _word(value: Any) -> str:
    return (
        ""
        if value is None or (not isinstance(value, str) and pd.isna(value))
        else str(value)
    )


def _rounded(value: Any) -> float | None:
    if value is None or not math.isfinite(float(value)):
        return None
    # Digits, not decimals: most increments are small.
    return float(f"{float(value):.4g}")
