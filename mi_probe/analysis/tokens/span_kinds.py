"""Where the spans of a row are: turns, thinking, sentences, matches of a pattern."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

from mi_probe.analysis.tokens.row_texts import RowText
from mi_probe.errors import InputError


@dataclass(frozen=True)
class Span:
    """Characters ``start`` to ``end`` of a row's text, by name."""

    name: str
    start: int
    end: int


Finder: TypeAlias = Callable[[RowText], Sequence[Span]]
"""Finds the spans of a row; they may not overlap, the first of two that do is taken."""
Spans: TypeAlias = Finder | Sequence[Sequence[Span]]
"""A finder, or a row's spans each: characters of the task's own prompt."""

_TURNS = re.compile(
    r"<\|im_start\|>(?P<a>\w+)\n?"  # ChatML
    r"|<\|start_header_id\|>(?P<b>\w+)<\|end_header_id\|>\s*"  # Llama 3
    r"|<start_of_turn>(?P<c>\w+)\n?"  # Gemma
    r"|<\|(?P<d>system|user|assistant)\|>\n?"  # Zephyr, Phi
    r"|<\N{FULLWIDTH VERTICAL LINE}(?P<e>User|Assistant)\N{FULLWIDTH VERTICAL LINE}>"
    r"|(?P<f>\[/?INST\])\s?"  # Mistral, Llama 2
    r"|^(?P<g>System|User|Human|Assistant): ?",  # a transcript
    re.MULTILINE,
)
_TURN_ENDS = re.compile(
    r"<\|im_end\|>|<\|eot_id\|>|<end_of_turn>|<\|end\|>|<\|endoftext\|>|</s>"
)
_SPEAKERS = {
    "[INST]": "user",
    "[/INST]": "assistant",
    "human": "user",
    "model": "assistant",
}
_SENTENCE = re.compile(
    r"\S.*?(?:[.!?\u3002\uff01\uff1f]+[\"')\]]*(?=\s|$)|\n|$)", re.DOTALL
)
_PARAGRAPH = re.compile(r"\S.*?(?=\n\s*\n|\s*$)", re.DOTALL)
_THINKING = re.compile(r"<think>(.*?)(?:</think>|$)", re.DOTALL)


def turns(row: RowText) -> list[Span]:
    """What system, user and assistant say, by the marks of common chat templates.

    Where the prompt was put into a chat template here, its own characters are the user's.
    """
    found = []
    heads = list(_TURNS.finditer(row.text))
    for i, head in enumerate(heads):
        end = heads[i + 1].start() if i + 1 < len(heads) else len(row.text)
        closed = _TURN_ENDS.search(row.text, head.end(), end)
        said = next(name for name in head.groups() if name is not None)
        name = _SPEAKERS.get(said, _SPEAKERS.get(said.lower(), said.lower()))
        found.append(Span(name, head.end(), closed.start() if closed else end))
    if not row.chat:
        return found
    start, end = row.prompt
    before = [span for span in found if span.end <= start and span.name != "user"]
    return [*before, Span("user", start, end), Span("assistant", row.read, len(row.text))]


def thinking(row: RowText) -> list[Span]:
    """What stands between ``<think>`` and ``</think>``, and after it, the answer."""
    blocks = list(_THINKING.finditer(row.text))
    found = [Span("thinking", *block.span(1)) for block in blocks]
    if blocks and blocks[-1].end() < len(row.text):
        found.append(Span("answer", blocks[-1].end(), len(row.text)))
    return found


def sentences(row: RowText) -> list[Span]:
    """Sentences of the text, not of the template: to ``.``, ``!``, ``?`` or a line end."""
    return _within(row, _SENTENCE, "sentence")


def paragraphs(row: RowText) -> list[Span]:
    """Parts between blank lines, as the steps of a written solution are."""
    return _within(row, _PARAGRAPH, "paragraph")


KINDS: Mapping[str, Finder] = MappingProxyType(
    {
        "turns": turns,
        "thinking": thinking,
        "sentences": sentences,
        "paragraphs": paragraphs,
    }
)
"""Kinds of spans that have a name; ``regex:NAME=PATTERN`` is any other."""


def matches(name: str, pattern: str) -> Finder:
    """A finder of a pattern's matches, or of its first group where it has one.

    Raises:
        InputError: if the pattern is no regular expression.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise InputError(
            f"spans must be regular expressions after '{name}='; {pattern!r} is none: "
            f"{error}."
        ) from None
    group = min(compiled.groups, 1)
    return lambda row: [
        Span(name, *found.span(group))
        for found in compiled.finditer(row.text)
        if found.start(group) < found.end(group)
    ]


def parse_spans(text: str) -> dict[str, Finder]:
    """Finders by name from ``turns,sentences,regex:NAME=PATTERN``.

    A comma in a pattern is the pattern's unless a kind comes after it.

    Raises:
        InputError: on an unknown kind, a name that comes twice or a malformed pattern.
    """
    found: dict[str, Finder] = {}
    for part in re.split(rf",(?=(?:{'|'.join(KINDS)})(?:,|$)|regex:)", text):
        kind, _, rest = part.strip().partition(":")
        name, equals, pattern = rest.partition("=")
        if kind in KINDS and not rest:
            name, finder = kind, KINDS[kind]
        elif kind == "regex" and name and equals and pattern:
            finder = matches(name, pattern)
        else:
            raise InputError(
                f"spans must be some of {', '.join(KINDS)}, regex:NAME=PATTERN; got "
                f"'{part}'."
            )
        if name in found:
            raise InputError(
                f"spans must each have a name of their own; '{name}' is twice."
            )
        found[name] = finder
    return found


def _within(row: RowText, pattern: re.Pattern[str], name: str) -> list[Span]:
    """Matches in the row's own characters, and in what the model wrote."""
    parts = [*row.own, (row.read, len(row.text))]
    return [
        Span(name, *found.span())
        for start, end in parts
        for found in pattern.finditer(row.text[:end], start)
    ]
