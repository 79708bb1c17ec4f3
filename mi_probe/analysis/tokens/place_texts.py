"""Which tokens stand at the places of a table of generated x input; table to table."""

# pandas ships no types of its own; names and shapes are checked at run time instead.
# pyright: reportArgumentType=false, reportCallIssue=false, reportAttributeAccessIssue=false
# pyright: reportReturnType=false

import pandas as pd

_ALIKE = 0.95
"""Share of the sentences from which a place is called by its token."""


def with_texts(generated: pd.DataFrame, tokens: pd.DataFrame) -> pd.DataFrame:
    """The table with what stands at its places: columns ``written`` and ``read``.

    ``written`` is the token most often written there and ``written_share`` its share of the
    sentences; ``read`` is the token read there where (nearly) all sentences have the same,
    as a template's, else empty.

    Args:
        generated: of `mi_probe.analysis.tokens.generated.generated_by_input`.
        tokens: the token table of the same site.
    """
    places = {}
    for role, from_end in (("generated", False), ("prompt", True)):
        own = tokens[tokens["role"] == role].sort_values(["row_id", "position"])
        place = own.groupby("row_id").cumcount(ascending=not from_end)
        texts = own["token"].groupby(place)
        most = texts.agg(lambda found: found.mode().iloc[0])
        share = texts.agg(lambda found: (found == found.mode().iloc[0]).mean())
        places[role] = most, share
    written, shares = places["generated"]
    read, alike = places["prompt"]
    read = read[alike >= _ALIKE]
    return generated.assign(
        written=[written.get(place, "") for place in generated["generated_position"]],
        written_share=generated["generated_position"].map(shares).astype("float64"),
        read=[read.get(place, "") for place in generated["input_from_end"]],
    )
