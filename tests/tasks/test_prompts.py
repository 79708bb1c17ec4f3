"""Where in a filled template the values stand."""

from mi_probe.tasks.prompts import fill, filled_ranges


def test_values_are_found_between_the_templates_pieces():
    template = "Review: {text}\nFrom: {a b}; {{ok}}\nSentiment:"
    row = {"text": "It was\nfine: really", "a b": "me"}
    (prompt,) = fill(template, [row])
    ranges = filled_ranges(template, prompt)
    assert ranges is not None
    assert [prompt[a:b] for a, b in ranges] == [row["text"], row["a b"]]
    assert filled_ranges("{text}", "any\ntext") == [(0, 8)]
    assert filled_ranges(template, "Another prompt") is None
    # A value that holds a piece of the template ends there.
    assert filled_ranges("{a}: {b}", "x: y: z") == [(0, 1), (3, 7)]
