r"""Readers of questions with options: BoolQ, PIQA, SIQA, HellaSwag, WinoGrande, ARC, OBQA.

Labels come 0-based, 1-based and as letters; here a label is the option's place from 0.
The one shape of a row is made by `_row`, so that every copy of a data set, whoever
packed it, gives the same prompts.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mi_probe.errors import InputError
from mi_probe.tasks.answers import LETTERS
from mi_probe.tasks.columns import class_of, need
from mi_probe.tasks.decoded import lines_of
from mi_probe.tasks.delimited import separated
from mi_probe.tasks.entry import Reader, Table
from mi_probe.tasks.tables import Rows, checked, json_lines, json_list

FromRows = Callable[[Rows, "Path | str"], Table]
"""From rows, and where they come from for messages."""


def _row(question: str, options: Sequence[str], label: int, **more: str) -> dict[str, Any]:
    """``question``, ``options`` and ``choices``, which lists the options under letters."""
    texts = tuple(option.strip() for option in options)
    listed = (f"{letter}: {o}" for letter, o in zip(LETTERS, texts, strict=False))
    return {
        "question": question.strip(),
        "options": texts,
        "choices": "\n".join(listed),
        "label": label,
        **more,
    }


def lines(name: str, take: FromRows, labels: str | None = None) -> Reader:
    """A reader of one JSON object a line, with the labels in a file of their own or not."""

    def read(files: Mapping[str, Path]) -> Table:
        rows = checked(files[name], json_lines)
        if labels is not None:
            found = [row["line"] for row in checked(files[labels], _line_rows)]
            if len(found) != len(rows):
                raise InputError(
                    f"{labels} must have a label for each of the {len(rows)} rows of "
                    f"{name}; got {len(found)}. Are both of the same split?"
                )
            rows = [{**r, "label": x} for r, x in zip(rows, found, strict=True)]
        return take(rows, files[name])

    return read


def _line_rows(path: Path) -> Rows:
    return [{"line": line} for line in lines_of(path)]


def boolq(rows: Rows, path: Path | str = "boolq") -> Table:
    """Rows with a passage; the answer is a truth value."""
    need(rows, ("question", "passage", "answer"), path)
    return Table(
        [
            {
                "question": row["question"].strip().rstrip("?"),
                "passage": row["passage"].strip(),
                "label": class_of(row["answer"], ("False", "True"), _name(path)),
            }
            for row in rows
        ]
    )


def piqa(rows: Rows, path: Path | str = "piqa") -> Table:
    """Rows with a goal and two solutions; labels 0 and 1."""
    need(rows, ("goal", "sol1", "sol2", "label"), path)
    return Table(
        [
            _row(
                row["goal"],
                (row["sol1"], row["sol2"]),
                class_of(row["label"], ("0", "1"), _name(path)),
            )
            for row in rows
        ]
    )


def siqa(rows: Rows, path: Path | str = "siqa") -> Table:
    """Rows with context, question and three answers; labels 1 to 3."""
    names = ("answerA", "answerB", "answerC")
    need(rows, ("context", "question", *names, "label"), path)
    return Table(
        [
            _row(
                f"{row['context']} {row['question']}",
                [row[name] for name in names],
                class_of(row["label"], ("1", "2", "3"), _name(path)),
                context=row["context"],
            )
            for row in rows
        ]
    )


def winogrande(rows: Rows, path: Path | str = "winogrande") -> Table:
    """Rows with a sentence that has one blank, and two fillers; labels 1 and 2."""
    need(rows, ("sentence", "option1", "option2", "answer"), path)
    return Table(
        [
            _row(
                row["sentence"],
                (row["option1"], row["option2"]),
                class_of(row["answer"], ("1", "2"), _name(path)),
                # Twins are "X-1" and "X-2".
                **({"pair": row["qID"].rpartition("-")[0]} if row.get("qID") else {}),
            )
            for row in rows
        ]
    )


def hellaswag(rows: Rows, path: Path | str = "hellaswag") -> Table:
    """Rows with an activity, the start of a text and four endings; labels 0 to 3.

    Markers such as ``[title]`` are taken out as in the copy without them, so that train
    and test rows look alike whichever copy each comes from.
    """
    need(rows, ("activity_label", "ctx", "endings", "label"), path)
    return Table(
        [
            _row(
                _unmarked(f"{row['activity_label']}: {row['ctx']}"),
                [_unmarked(ending) for ending in row["endings"]],
                class_of(row["label"], ("0", "1", "2", "3"), _name(path)),
                # The video or the article.
                **({"source": row["source_id"]} if row.get("source_id") else {}),
            )
            for row in rows
        ]
    )


def _unmarked(text: str) -> str:
    text = text.strip().replace(" [title]", ". ")
    return re.sub(r"\[(?:header|title|step|substeps)\]", "", text).replace("  ", " ")


def hellaswag_blocks(files: Mapping[str, Path]) -> Table:
    """Blocks of six lines: activity and text, the gold ending 0 ... 3, four endings.

    Raises:
        InputError: if the lines are no whole number of blocks.
    """
    (path,) = files.values()
    text = [row["line"] for row in checked(path, _line_rows)]
    if len(text) % 6:
        raise InputError(
            f"{path.name} must hold blocks of six lines; it has {len(text)}, which is no "
            "multiple of six. Is it the right file, and whole?"
        )
    return Table(
        [
            _row(
                text[i],
                text[i + 2 : i + 6],
                class_of(text[i + 1], ("0", "1", "2", "3"), f"{path.name}, line {i + 2}"),
            )
            for i in range(0, len(text), 6)
        ]
    )


def science(rows: Rows, path: Path | str = "science") -> Table:
    """ARC and OpenBookQA: a stem, three to five options with labels, the gold one's label.

    Both nestings are read: ``question: {stem, choices: [{text, label}]}`` of the
    authors' files, and ``question`` or ``question_stem`` beside
    ``choices: {text: [...], label: [...]}`` of the hub's.
    """
    found = []
    for row in need(rows, ("id", "answerKey"), path):
        asked = row.get("question", row.get("question_stem"))
        nested = isinstance(asked, dict)
        choices = asked.get("choices") if nested else row.get("choices")
        if isinstance(choices, list):
            choices = {key: [c.get(key) for c in choices] for key in ("text", "label")}
        if not asked or not isinstance(choices, dict):
            raise InputError(
                f"row '{row['id']}' of {_name(path)} must have a question with choices; "
                f"got {', '.join(map(repr, row))}. Is it the right file?"
            )
        label = class_of(row["answerKey"], list(choices["label"]), _name(path))
        stem = asked["stem"] if nested else asked
        found.append({**_row(stem, choices["text"], label), "id": row["id"]})
    return Table(found)


_LETTERED = re.compile(r"\(A\) (.*?)\s\(B\) (.*?)\s\(C\) (.*)\s\(D\) (.*)")


def obqa_table(files: Mapping[str, Path]) -> Table:
    """The authors' TSV: the four choices in one cell, ``(A) ... (B) ... (C) ... (D) ...``.

    Raises:
        InputError: if a cell does not hold four.
    """
    (path,) = files.values()
    columns = ("ID", "Question Stem", "Choices", "Answer Key")
    rows = need(checked(path, lambda p: separated(p, "\t", quoting="none")), columns, path)
    found = []
    for row in rows:
        # Of two (D) the last one counts, as in the authors' own JSON.
        parts = _LETTERED.fullmatch(row["Choices"])
        if parts is None:
            raise InputError(
                f"choices of {path.name} must be (A) ... (B) ... (C) ... (D) ...; row "
                f"'{row['ID']}' has {row['Choices']!r}."
            )
        label = class_of(row["Answer Key"], "ABCD", path.name)
        found.append({**_row(row["Question Stem"], parts.groups(), label), "id": row["ID"]})
    return Table(found)


# The JSON in which LLM-Adapters packed the commonsense sets: the question and its options
# in one text, the gold one as a word with its number from 1.
_OPTION = re.compile(r"(?:^|\s)(?:Answer|Solution|Option)([1-5]):")
_GOLD = re.compile(r"(?:answer|solution|option)([1-5])")


def packed(files: Mapping[str, Path]) -> Table:
    """The packed JSON of PIQA, SIQA, WinoGrande, ARC and OpenBookQA.

    Raises:
        InputError: if an entry is not of this form.
    """
    (path,) = files.values()
    found = []
    for i, row in enumerate(_packed(path)):
        head, _, tail = row["instruction"].partition("\n\n")
        body, mark, _ = tail.rpartition("Answer format:")
        parts = _OPTION.split(body)
        gold = _GOLD.fullmatch(row["answer"])
        label = int(gold[1]) - 1 if gold else -1
        numbers = [str(n + 1) for n in range(len(parts) // 2)]
        if not mark or parts[1::2] != numbers or not 0 <= label < len(numbers):
            raise InputError(
                f"entry {i} of {path.name} must list options from 1 and answer with one "
                f"of them; got {len(numbers)} options and {row['answer']!r}. Is it the "
                "right file?"
            )
        found.append(_row(head.partition(": ")[2], parts[2::2], label))
    return Table(found)


def packed_boolq(files: Mapping[str, Path]) -> Table:
    """The packed JSON of BoolQ: the question without its passage.

    Raises:
        InputError: if an entry is not of this form.
    """
    (path,) = files.values()
    found = []
    for i, row in enumerate(_packed(path)):
        head, _, _ = row["instruction"].partition("\n\n")
        _, mark, question = head.partition("question: ")
        if not mark:
            raise InputError(
                f"entry {i} of {path.name} must ask a question; got "
                f"{row['instruction'][:60]!r}. Is it the right file?"
            )
        label = class_of(row["answer"], ("false", "true"), f"entry {i} of {path.name}")
        found.append({"question": question.strip().rstrip("?"), "label": label})
    return Table(found)


def _packed(path: Path) -> Rows:
    return need(checked(path, json_list), ("instruction", "answer"), path)


def _name(path: Path | str) -> str:
    return path.name if isinstance(path, Path) else path
