"""Spans as sets of tokens: where they are found, and that their increments add up."""

import numpy as np
import pytest
from tiny import tiny_model, tiny_tokenizer

from mi_probe.analysis.tokens.row_texts import NOWHERE, RowText, row_texts, template_mask
from mi_probe.analysis.tokens.span_kinds import (
    Span,
    paragraphs,
    parse_spans,
    sentences,
    thinking,
    turns,
)
from mi_probe.analysis.tokens.spans import REST, SpanSets, by_span, span_sets
from mi_probe.backbones import wrap_backbone
from mi_probe.errors import InputError
from mi_probe.estimators.prefixes.token_information import token_information
from mi_probe.hidden import HiddenStates, Role
from mi_probe.tasks import Task


def row_of(text, read=None, **more):
    """A row whose tokens are its characters."""
    read = len(text) if read is None else read
    given = {"prompt": (0, read), "own": ((0, read),), **more}
    places = tuple((i, i + 1) for i in range(len(text)))
    return RowText(text=text, read=read, tokens=places, **given)


def said(row, finder):
    return [(span.name, row.text[span.start : span.end]) for span in finder(row)]


def test_turns_of_common_templates_are_found():
    for text in (
        "<|im_start|>system\nBe short.<|im_end|>\n<|im_start|>user\nHi?<|im_end|>\n"
        "<|im_start|>assistant\nYes.<|im_end|>\n",
        "<s><|start_header_id|>system<|end_header_id|>\n\nBe short.<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nHi?<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\nYes.<|eot_id|>",
        "<|system|>\nBe short.<|end|><|user|>\nHi?<|end|><|assistant|>\nYes.",
    ):
        wanted = [("system", "Be short."), ("user", "Hi?"), ("assistant", "Yes.")]
        assert said(row_of(text), turns) == wanted
    assert said(row_of("<start_of_turn>model\nYes.<end_of_turn>"), turns) == [
        ("assistant", "Yes.")
    ]
    assert said(row_of("[INST] Hi? [/INST] Yes.</s>"), turns) == [
        ("user", "Hi? "),
        ("assistant", "Yes."),
    ]
    # Of a chat that was made here, the user's turn is the prompt, whatever it holds.
    text = "<|im_start|>system\nA.<|im_end|>\n<|im_start|>user\nUser: x<|im_end|>\n# yes"
    start = text.index("User: x")
    chat = row_of(text, len(text) - 4, prompt=(start, start + 7), chat=True)
    assert said(chat, turns) == [
        ("system", "A."),
        ("user", "User: x"),
        ("assistant", " yes"),
    ]


def test_thinking_sentences_and_paragraphs():
    row = row_of("Q <think>one. two</think>A")
    assert said(row, thinking) == [("thinking", "one. two"), ("answer", "A")]
    assert said(row_of("<think>cut off"), thinking) == [("thinking", "cut off")]
    row = row_of("Review: It is 3.5 long. Bad! End", own=((8, 32),))
    assert [text for _, text in said(row, sentences)] == ["It is 3.5 long.", "Bad!", "End"]
    row = row_of("a\nb\n\nc\n \nd")
    assert [text for _, text in said(row, paragraphs)] == ["a\nb", "c", "d"]


def test_kinds_and_patterns_are_read_from_one_text():
    finders = parse_spans(r"turns,regex:number=\d{1,3},sentences,regex:said=says (\w+)")
    assert list(finders) == ["turns", "number", "sentences", "said"]
    row = row_of("he says no 12 times")
    assert said(row, finders["number"]) == [("number", "12")]
    assert said(row, finders["said"]) == [("said", "no")]
    for wrong in ("words", "regex:x", "regex:=a"):
        with pytest.raises(InputError, match="spans must be some of turns"):
            parse_spans(wrong)
    with pytest.raises(InputError, match="'turns' is twice"):
        parse_spans("turns,turns")
    with pytest.raises(InputError, match="regular expressions after 'x='"):
        parse_spans("regex:x=(")


def test_tokens_take_the_span_of_their_last_character():
    rows = [row_of("ab cd ab"), row_of("xyz")]
    mask = np.arange(8) < np.array([[8], [3]])
    sets = span_sets(rows, parse_spans("regex:ab=ab|cd")["ab"], mask, kind="ab")
    assert sets.names == (REST, "ab", "ab", "ab")
    assert sets.numbers == (0, 1, 2, 3)
    assert sets.sets.tolist() == [[1, 1, 0, 2, 2, 0, 3, 3], [0] * 8]
    assert sets.labels(mask)[:4] == ["ab 1", "ab 1", REST, "ab 2"]
    own = [[Span("head", 0, 2)], []]
    assert span_sets(rows, own, mask, kind="mine").sets[0].tolist() == [1, 1] + [0] * 6
    with pytest.raises(InputError, match="one list a row, 2; got 1"):
        span_sets(rows, own[:1], mask, kind="mine")
    with pytest.raises(InputError, match="spans of 'turns' must be found"):
        span_sets(rows, turns, mask, kind="turns")


def test_the_increments_of_all_spans_add_up_and_stand_where_the_needle_is():
    rng = np.random.default_rng(0)
    n, t, d = 300, 9, 8
    z = 0.3 * rng.normal(size=(n, t, d))
    y = rng.integers(2, size=n)
    z[:, 4, 0] += 3 * (2 * y - 1)
    states = HiddenStates(z.astype(np.float32), np.ones((n, t), bool))
    prefix = token_information(states, y, readers=["prefix"])["prefix"]
    # Three steps of two tokens, then a rest of three; a third of the rows lacks the last.
    sets = np.tile([1, 1, 2, 2, 3, 3, 0, 0, 0], (n, 1))
    sets[: n // 3, 4:6] = 0
    kinds = {"step": SpanSets((REST, "step", "step", "step"), (0, 1, 2, 3), sets)}
    table = by_span(prefix, kinds, prefix)
    numbered = table[(table.number > 0) | (table.span == REST)]
    assert numbered.value_nats.sum() == pytest.approx(prefix.nats, abs=1e-12)
    by_name = table[table.number == 0]
    assert by_name.value_nats.sum() == pytest.approx(prefix.nats, abs=1e-12)
    assert table.random_nats.tolist() == pytest.approx(table.value_nats.tolist())
    steps = table[table.number > 0].set_index("number")
    assert steps.n.tolist() == [n, n, n - n // 3]
    # The needle's ln 2, of two thirds of the rows.
    assert steps.value_nats[3] == pytest.approx(np.log(2) * 2 / 3, abs=0.05)
    assert abs(steps.value_nats[[1, 2]]).max() < 0.03
    assert steps.cumulative_nats[3] == pytest.approx(np.log(2), abs=0.05)
    assert (steps.ci_low < steps.value_nats).all()
    with pytest.raises(InputError, match="number a set for each token"):
        prefix.by_span(sets - 1)


def task_of(prompts, template=""):
    return Task(
        name="t",
        prompts=tuple(prompts),
        answers=("a",) * len(prompts),
        labels=np.zeros(len(prompts), dtype=np.int64),
        label_names=("a",),
        target="",
        ids=tuple(map(str, range(len(prompts)))),
        template=template,
    )


@pytest.mark.parametrize("chat", [False, True])
def test_texts_and_template_of_what_was_read(chat):
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = "<s>user: {{ messages[0]['content'] }}\nanswer:"
    backbone = wrap_backbone(tiny_model("llama"), tokenizer, chat_template=chat)
    frame = "First: {a}\nSecond: {b}\nSentiment:"
    pairs = [("a good film", "the plot"), ("bad", "not at all"), ("is really bad", "film")]
    prompts = [frame.format(a=a, b=b) for a, b in pairs]
    answer = tokenizer(" yes", add_special_tokens=False)["input_ids"]
    for template in (frame, "", "{text}"):
        task = task_of(prompts, template)
        ids = [[*row, *answer] for row in backbone.tokenise(prompts)]
        mask = np.arange(max(map(len, ids))) < np.array([[len(row)] for row in ids])
        table = np.zeros(mask.shape, dtype=np.int64)
        table[mask] = np.concatenate(ids)
        roles = np.where(mask, int(Role.PROMPT), int(Role.PAD))
        for i, row in enumerate(ids):
            roles[i, len(row) - len(answer) : len(row)] = int(Role.GENERATED)
        texts = row_texts(backbone, task, table, roles, mask)
        own = template_mask(texts, mask)
        for i, (row, (a, b)) in enumerate(zip(texts, pairs, strict=True)):
            assert row.text == backbone.prompt_texts(prompts)[i] + " yes"
            assert row.text[slice(*row.prompt)] == prompts[i]
            pieces = [row.text[s:e] for s, e in row.tokens if (s, e) != NOWHERE]
            assert "".join(pieces) == row.text
            kept = "".join(
                row.text[s:e]
                for (s, e), out in zip(row.tokens, own[i, mask[i]], strict=True)
                if not out
            )
            middle = f" {b}" if template == frame else f"\nSecond: {b}"
            assert kept == f" {a}{middle} yes"


def test_a_cut_prompt_keeps_its_places():
    backbone = wrap_backbone(tiny_model("llama"), tiny_tokenizer())
    prompt = "Review: a charming and often affecting journey of a film\nSentiment:"
    [whole] = backbone.tokenise([prompt])
    ids = np.array([[*whole[:4], *whole[-5:]]])
    mask = np.ones(ids.shape, bool)
    roles = np.full(ids.shape, int(Role.PROMPT))
    task = task_of([prompt], "Review: {text}\nSentiment:")
    [row] = row_texts(backbone, task, ids, roles, mask)
    texts = [row.text[s:e] for s, e in row.tokens]
    assert "".join(texts[-5:]) == prompt[-len("".join(texts[-5:])) :]
    assert prompt.startswith("".join(texts[:4]))
