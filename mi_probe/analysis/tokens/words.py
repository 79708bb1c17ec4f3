"""Pieces of a tokenizer joined to words: byte-level, sentencepiece and wordpiece.

A word begins at a piece that its tokenizer marks (``Ġ``, ``▁``; of wordpiece, without
``##``), at punctuation and after it, at each character of a script without spaces, and
where the role changes. Special tokens belong to no word.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from transformers import PreTrainedTokenizerBase

NO_WORD = -1
_BYTE_PIECE = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_NO_SPACES = re.compile(
    r"[\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    r"\U00020000-\U0003ffff]"
)
_INSIDE = "'’_"
"""Marks that do not end a word."""


@dataclass(frozen=True)
class Piece:
    """A token as text, with the blank that a marker stands for."""

    content: bytes
    begins: bool
    """Whether its tokenizer marks it as the beginning of a word."""


@dataclass(frozen=True)
class Words:
    """One row's tokens: their texts, and the words that they belong to."""

    tokens: tuple[str, ...]
    word: tuple[int, ...]
    """The word of each token, counted from 0; -1 for special tokens."""
    texts: tuple[str, ...]
    """Of each token, the text of its word; empty for special tokens."""
    special: tuple[bool, ...]


@dataclass(frozen=True)
class WordReader:
    """Reads token ids as words with one tokenizer."""

    tokenizer: PreTrainedTokenizerBase

    @cached_property
    def scheme(self) -> str:
        """``wordpiece``, ``sentencepiece``, ``byte-level`` or ``plain``."""
        counts = {"##": 0, "▁": 0, "Ġ": 0}
        for piece in self.tokenizer.get_vocab():
            for marker in counts:
                counts[marker] += piece.startswith(marker)
        marker = max(counts, key=lambda m: counts[m])
        names = {"##": "wordpiece", "▁": "sentencepiece", "Ġ": "byte-level"}
        return names[marker] if counts[marker] else "plain"

    @cached_property
    def special_ids(self) -> frozenset[int]:
        """Ids of tokens that stand for no text."""
        added = getattr(self.tokenizer, "added_tokens_decoder", {})
        marked = {number for number, token in added.items() if token.special}
        return frozenset(marked | set(self.tokenizer.all_special_ids))

    @cached_property
    def _known(self) -> dict[int, Piece]:
        return {}

    def _piece(self, number: int) -> Piece:
        if number not in self._known:
            [name] = self.tokenizer.convert_ids_to_tokens([number])
            special = number in self.special_ids
            found = Piece(name.encode(), True) if special else _PIECES[self.scheme](name)
            self._known[number] = found
        return self._known[number]

    def __call__(self, ids: Sequence[int], roles: Sequence[int] | None = None) -> Words:
        """The words of one row's tokens.

        Args:
            ids: token ids, without pads.
            roles: a role for each; a word never crosses from one to another.
        """
        special = [int(i) in self.special_ids for i in ids]
        pieces = [self._piece(int(i)) for i in ids]
        word = _numbered(pieces, special, roles)
        joined: dict[int, bytes] = {}
        for number, piece in zip(word, pieces, strict=True):
            joined[number] = joined.get(number, b"") + piece.content
        texts = {number: _text(content).strip() for number, content in joined.items()}
        texts[NO_WORD] = ""
        return Words(
            tuple(_text(piece.content) for piece in pieces),
            tuple(word),
            tuple(texts[number] for number in word),
            tuple(special),
        )


def _numbered(
    pieces: Sequence[Piece], special: Sequence[bool], roles: Sequence[int] | None
) -> list[int]:
    word: list[int] = []
    # The text of the word so far; none at the start and after a special token.
    number, before = NO_WORD, ""
    for start, end in _characters(pieces, special, roles):
        if special[start]:
            word.append(NO_WORD)
            before = ""
            continue
        text = _text(b"".join(piece.content for piece in pieces[start:end]))
        crosses = roles is not None and start > 0 and roles[start] != roles[start - 1]
        if not before or crosses or _separate(before, text, pieces[start].begins):
            number, before = number + 1, ""
        before += text
        word += [number] * (end - start)
    return word


def _characters(
    pieces: Sequence[Piece], special: Sequence[bool], roles: Sequence[int] | None
) -> Iterator[tuple[int, int]]:
    """Groups of pieces that hold whole characters, most of them one piece."""
    start = 0
    while start < len(pieces):
        end = start + 1
        content = pieces[start].content
        while (
            not special[start]
            and end < len(pieces)
            and _is_cut_off(content)
            and not special[end]
            and (roles is None or roles[end] == roles[start])
        ):
            content += pieces[end].content
            end += 1
        yield start, end
        start = end


def _separate(before: str, text: str, begins: bool) -> bool:
    if not before.strip():  # a blank alone belongs to what follows
        return False
    if begins or not text.strip() or text[0].isspace():
        return True
    a, b = before[-1], text[0]
    if _NO_SPACES.match(a) or _NO_SPACES.match(b):
        return True
    return _is_mark(a) != _is_mark(b)


def _is_mark(character: str) -> bool:
    return not (character.isalnum() or character in _INSIDE or ord(character) > 0x2FF)


def _is_cut_off(content: bytes) -> bool:
    """Whether more bytes may still complete the last character."""
    try:
        content.decode()
    except UnicodeDecodeError as error:
        return error.end == len(content) and len(content) - error.start < 4
    return False


def _text(content: bytes) -> str:
    return content.decode(errors="backslashreplace")


def _byte_level(name: str) -> Piece:
    content = b"".join(bytes([_BYTES[c]]) if c in _BYTES else c.encode() for c in name)
    return Piece(content, content[:1].isspace())


def _sentencepiece(name: str) -> Piece:
    byte = _BYTE_PIECE.fullmatch(name)
    if byte:
        return Piece(bytes([int(byte[1], 16)]), False)
    return Piece(name.replace("▁", " ").encode(), name.startswith("▁"))


def _wordpiece(name: str) -> Piece:
    inside = name.startswith("##")
    return Piece((name[2:] if inside else f" {name}").encode(), not inside)


def _plain(name: str) -> Piece:
    return Piece(f" {name}".encode(), True)


_PIECES: dict[str, Callable[[str], Piece]] = {
    "byte-level": _byte_level,
    "sentencepiece": _sentencepiece,
    "wordpiece": _wordpiece,
    "plain": _plain,
}


def _byte_alphabet() -> dict[str, int]:
    """GPT-2's printable character for each byte, read backwards."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in kept]
    found = {chr(byte): byte for byte in kept}
    return found | {chr(256 + i): byte for i, byte in enumerate(others)}


_BYTES = _byte_alphabet()
