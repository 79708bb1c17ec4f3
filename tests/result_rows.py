"""Hand-written result tables for the tests of summaries, readings and figures."""

import math

import pandas as pd

from mi_probe.results import COLUMNS, SCHEMA_VERSION


def row(value: float, *, layer: float | None = 6, view: str = "full", **more) -> dict:
    """One row of the results table; a standard error of 0.01 unless told."""
    stderr = more.pop("stderr", 0.01)
    n_layers = more.get("n_layers", 6)
    names = {0: "embed", n_layers: "final_norm"}
    site = more.pop("site", None) or names.get(layer) or f"block.{layer - 1:g}"
    found = dict.fromkeys(COLUMNS, None) | {
        "schema_version": SCHEMA_VERSION,
        "quantity": "I_YZ" if view == "full" else "I_YZp",
        "site": site,
        "layer": layer,
        "n_layers": n_layers,
        "view": view,
        "token_set": "prompt",
        "y_kind": "classes",
        "target": "sentiment",
        "task": "reviews",
        "split": "test",
        "n": 1234,
        "n_classes": 2,
        "model": "lab/tiny",
        "objective": "",
        "estimator": "mine",
        "settings": '{"hidden": 64}',
        "critic": "network kept in 5 of 5 folds",
        "seed": 0,
        "value_nats": value,
        "stderr": stderr,
        "ci_low": value - 1.96 * stderr,
        "ci_high": value + 1.96 * stderr,
        "ci_method": "normal",
        "bound": "lower bound",
        "extrapolated_nats": value + 0.03,
        "extrapolated_low": value + 0.01,
        "extrapolated_high": value + 0.05,
        "extrapolated_claim": "two_sided",
        "extrapolated_assumes": "the classes are normal with one covariance",
        "extrapolated_reason": None,
        "extrapolated_method": "learning curve",
        "null_mean": 0.0,
        "null_high": 0.02,
        "n_permutations": 20,
        "p_value": 0.05,
        "H_Y_nats": math.log(2),
        "status": "ok",
        "gold_leak": False,
        "seconds": 1.0,
        "created": "2026-01-01",
    }
    found |= more
    if "row_id" not in more:
        key = ("model", "task", "estimator", "settings", "view", "site", "seed", "n")
        key += ("token_set",)
        found["row_id"] = "-".join(str(found[name]) for name in key)
    return found


def table(*rows: dict) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=list(COLUMNS))


def grid(layers=(0, 3, 6), views=("full", "mean"), seeds=(0,), **more) -> pd.DataFrame:
    """A row a layer, view and seed, rising with the layer, lower for later views."""
    return table(
        *(
            row(
                0.1 + 0.05 * layer - 0.06 * i + 0.004 * seed,
                layer=layer,
                view=view,
                seed=seed,
                **more,
            )
            for i, view in enumerate(views)
            for layer in layers
            for seed in seeds
        )
    )


NO_PLACE = {"layer": None, "n_layers": 0, "quantity": "I_YC"}


def control(name, value, *, view=None, site="text", row_id=None, **more):
    """A row of a control of the text; its own settings, as `words` has them."""
    found = {**NO_PLACE, "settings": '{"class": "Words"}'} | more
    view = view or name
    return row(
        value,
        view=view,
        site=site,
        control=name,
        row_id=row_id or f"{name}-{view}",
        **found,
    )


def with_controls(**more) -> pd.DataFrame:
    """`grid` with a row of each control, two of the answer; the others at its sites."""
    states = grid(**more)
    answer = {"estimator": "answer", "settings": "{}", "site": "answer"}
    beside = [
        control("words", 0.021),
        control("length", 0.0),
        control("answer", -0.9, view="as_is", **answer),
        control("answer", 0.2, view="calibrated", **answer),
        row(0.05, layer=0, view="mean", control="embeddings", row_id="embeddings"),
    ]
    for name, shift in (("random_weights", 0.03), ("random_labels", 0.0)):
        for layer in (0, 3, 6):
            for view in ("full", "mean"):
                where = {"layer": layer, "view": view, "control": name}
                beside.append(row(shift, row_id=f"{name}-{layer}-{view}", **where))
    return pd.concat([states, table(*beside)], ignore_index=True)


_PLACE = {"subject": "lab/tiny", "task": "reviews", "site": "block.2", "layer": 3}


def gap_rows(
    gaps=(0.1, -0.02), poolings=("mean", "last"), error=0.02, **more
) -> pd.DataFrame:
    """Rows of gaps.csv, one a pooling."""
    found = _PLACE | {"objective": "", "step": None, "token_set": "prompt", "n": 1234}
    found |= {"reading": "usable information at this capacity", "p_value": 0.01}
    found |= {"verdict": "", "seed": 0, "H_Y_nats": math.log(2), "pooled_nats": 0.3}
    rows = []
    for gap, pooling in zip(gaps, poolings, strict=True):
        ends = {"ci_low": gap - error, "ci_high": gap + error}
        own = {"pooling": pooling, "gap_nats": gap, "full_nats": 0.3 + gap, **ends}
        rows.append(found | own | more)
    return pd.DataFrame(rows)


def ladder_rows(axis, poolings=("mean",), **more) -> pd.DataFrame:
    """Rows of capacity.csv or noise.csv: three rungs a pooling."""
    rows = []
    for pooling in poolings:
        for i, rung in enumerate(("linear", "quadratic", "network")):
            full, gap = 0.3 + 0.1 * i, 0.02 * i - 0.01
            own = {"full_nats": full, "pooled_nats": full - gap, "gap_nats": gap}
            own |= {"pooling": pooling, "ci_low": gap - 0.02, "ci_high": gap + 0.02}
            if axis == "capacity":
                own |= {"rung": rung, "capacity": i, "chosen": i == 1}
            else:
                own |= {"sigma": (0.0, 0.1, 1.0)[i]}
                own |= {"full_low": full - 0.03, "full_high": full + 0.03}
                own |= {"pooled_low": full - gap - 0.03, "pooled_high": full - gap + 0.03}
            rows.append(_PLACE | {"H_Y_nats": math.log(2), "n": 1234} | own | more)
    return pd.DataFrame(rows)


SENTENCES = {
    "r-1": [
        "<s>",
        " the",
        " un",
        "lucky",
        " cost",
        " $\\",
        "foo",
        "$",
        "\n",
        " \u4e2d",
        ".",
    ],
    "r-2": [" dull", "\t", " \U0001f44d", " end"],
}
"""Tokens with pieces, mathematics, blanks and letters that few fonts have."""


def token_rows(sentences=SENTENCES) -> pd.DataFrame:
    """Rows of a token table; values go from below 0 to above the ceiling."""
    rows = []
    for row_id, tokens in sentences.items():
        word = -1
        total = 0.0
        for i, token in enumerate(tokens):
            special = token == "<s>"
            word += not special and (token[:1].isspace() or not token.isalpha())
            total += 0.05 * (i - 3)
            rows.append(
                {
                    "row_id": row_id,
                    "position": i,
                    "token": token,
                    "word": -1 if special else word,
                    "special": special,
                    "label": "positive",
                    "predicted": "negative",
                    "pointwise_nats": math.nan if i == 3 else 0.1 * (i - 2),
                    "increment_nats": 0.05 * (i - 3),
                    "cumulative_nats": total,
                    "ceiling_nats": math.log(2),
                }
            )
    return pd.DataFrame(rows)


def position_rows(n_positions=6) -> pd.DataFrame:
    """Rows of a table of positions, from both ends."""
    values = [0.3 - 0.1 * i for i in range(n_positions)]
    return pd.DataFrame(
        {
            "anchor": anchor,
            "position": i,
            "n": 100 - 10 * i,
            "value_nats": value,
            "ci_low": value - 0.05,
            "ci_high": value + 0.05,
            "H_Y_nats": math.log(2),
        }
        for anchor in ("start", "end")
        for i, value in enumerate(values)
    )


def type_rows() -> pd.DataFrame:
    """Rows of a table of token types, the last of rare ones together."""
    tokens = [" the", " \u4e2d", "\n", " $x_1$", ""]
    return pd.DataFrame(
        {
            "token": tokens,
            "n": [50, 90, 20, 10, 300],
            "value_nats": [0.01, 0.2, -0.03, 0.8, 0.1],
            "ci_low": [-0.02, 0.1, -0.1, 0.7, math.nan],
            "ci_high": [0.04, 0.3, 0.04, 0.9, math.nan],
            "H_Y_nats": math.log(2),
            "pooled": [False] * 4 + [True],
        }
    )


def generated_rows(n_written=2, n_read=4) -> pd.DataFrame:
    """Rows of a table of generated x input; one pair is missing."""
    pairs = [(g, t) for g in range(n_written) for t in range(n_read)]
    table = pd.DataFrame(pairs[:-1], columns=["generated_position", "input_from_end"])
    value = 2.0 - 0.4 * table["input_from_end"] - 0.5 * table["generated_position"]
    more = {"n": 300 - 10 * table["input_from_end"], "value_nats": value}
    return table.assign(**more, ci_low=value - 0.2, ci_high=value + 0.2)


def word_rows() -> pd.DataFrame:
    """Rows of a table of words against two predictions."""
    words = ["funny", "dull", "\u4e2d", "rare"]
    return pd.DataFrame(
        {
            "predicted_word": predicted,
            "word": word,
            "n": 5 if word == "rare" else 40,
            "value_nats": sign * (0.4 - 0.15 * i),
            "ci_low": 0.0,
            "ci_high": 0.1,
            "increment_nats": 0.05 * sign,
            "increment_low": 0.05 * sign - 0.03,
            "increment_high": 0.05 * sign + 0.03,
            "ceiling_nats": math.log(2),
        }
        for sign, predicted in ((1, "positive"), (-1, "negative"))
        for i, word in enumerate(words)
    )


def span_rows() -> pd.DataFrame:
    """Rows of a table of spans, of two kinds; by number and rest they add up to .4."""
    rows = []
    for kind, span, number, value in (
        ("sentences", "(rest)", 0, 0.0),
        ("sentences", "sentence", 0, 0.4),
        ("sentences", "sentence", 1, 0.1),
        ("sentences", "sentence", 2, 0.3),
        ("turns", "(rest)", 0, 0.05),
        ("turns", "user", 0, 0.35),
        ("turns", "user", 1, 0.35),
    ):
        row = {"kind": kind, "span": span, "number": number, "n": 100 - 10 * number}
        row |= {"tokens": 5.0, "value_nats": value, "ci_low": value - 0.1}
        row |= {"ci_high": value + 0.1, "cumulative_nats": 0.4, "cumulative_low": 0.3}
        row |= {"cumulative_high": 0.5, "random_nats": 0.0, "random_low": -0.01}
        rows.append(row | {"random_high": 0.01, "H_Y_nats": math.log(2)})
    return pd.DataFrame(rows)
