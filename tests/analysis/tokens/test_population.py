"""Tables of tokens, positions, types and words, against sums made by hand."""

import numpy as np
import pandas as pd
import pytest
from tiny import tiny_tokenizer

from mi_probe.analysis.tokens.population import RARE, by_position, by_type, by_word
from mi_probe.analysis.tokens.table import COLUMNS, token_table, word_table
from mi_probe.analysis.tokens.words import WordReader
from mi_probe.errors import InputError
from mi_probe.estimators.core.split import Split
from mi_probe.estimators.prefixes.token_information import TokenInformation

PRIOR = np.log([0.25, 0.75])


def information(reader, texts, *, seed=0):
    tokenizer = tiny_tokenizer()
    ids = [[1, *tokenizer(text)["input_ids"]] for text in texts]
    n, t = len(ids), max(map(len, ids)) + 1  # a column of pads alone
    mask = np.arange(t) < np.array([[len(row)] for row in ids])
    rng = np.random.default_rng(seed)
    q = np.where(mask[..., None], rng.dirichlet([2, 2], size=(n, t)), np.nan)
    y = np.arange(n) % 2
    table = np.zeros((n, t), dtype=np.int64)
    for i, row in enumerate(ids):
        table[i, : len(row)] = row
    found = TokenInformation(
        reader=reader,
        log_posterior=np.log(q),
        log_prior=np.tile(PRIOR, (n, 1)),
        mask=mask,
        y=y,
        split=Split(np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64), 0),
    )
    return found, table


def tokens_of(texts, **changes):
    prefix, ids = information("prefix", texts)
    alone, _ = information("alone", texts, seed=1)
    given = {
        "row_ids": [f"r{i}" for i in range(len(texts))],
        "token_ids": ids,
        "roles": prefix.mask.astype(np.int64),
        "reader": WordReader(tiny_tokenizer()),
        "names": ["bad", "good"],
    }
    return token_table(prefix, alone, **{**given, **changes}), prefix, alone


TEXTS = ["the film is really good", "bad film", "a film about the film", "Film"]


def test_the_table_of_tokens_holds_each_definition():
    tokens, prefix, alone = tokens_of(TEXTS)
    assert tuple(tokens.columns) == COLUMNS
    assert len(tokens) == prefix.mask.sum()
    one = tokens[tokens.row_id == "r0"]
    last = one.iloc[-1]
    assert one.position.tolist() == list(range(len(one)))
    assert last.position_from_end == 0
    assert one.increment_nats.sum() == pytest.approx(last.cumulative_nats, abs=1e-12)
    assert last.cumulative_nats == pytest.approx(prefix.totals[0])
    assert last.pointwise_nats == pytest.approx(alone.totals[0])
    assert set(one.label) == {"bad"}
    assert set(one.role) == {"prompt"}
    assert one.ceiling_nats.iloc[0] == pytest.approx(-PRIOR[0])
    assert one.gradient_x_input.isna().all()
    assert one.attention.isna().all()
    assert tokens.predicted.isna().all()  # the model was not asked
    assert set(tokens_of(TEXTS, predicted=["yes"] * 4)[0].predicted) == {"yes"}


def test_words_add_increments_and_take_the_last_pieces_value():
    tokens, prefix, _ = tokens_of(TEXTS)
    words = word_table(tokens)
    one = words[words.row_id == "r0"]
    assert one.word_text.tolist() == ["the", "film", "is", "really", "good"]
    special = tokens[(tokens.row_id == "r0") & tokens.special].increment_nats.sum()
    assert one.increment_nats.sum() + special == pytest.approx(prefix.totals[0])
    pieces = tokens[(tokens.row_id == "r0") & (tokens.word_text == "really")]
    word = one[one.word_text == "really"].iloc[0]
    assert word.pointwise_nats == pieces.pointwise_nats.iloc[-1]
    assert word.increment_nats == pytest.approx(pieces.increment_nats.sum())
    assert one.attention.isna().all()  # no attention is not an attention of 0


def test_positions_are_means_over_the_sentences_that_have_them():
    tokens, prefix, alone = tokens_of(TEXTS)
    table = by_position(tokens)
    start = table[table.anchor == "start"].set_index("position")
    assert start.n[0] == 4
    assert start.n.is_monotonic_decreasing
    values = alone.pointwise[:, 0]
    assert start.value_nats[0] == pytest.approx(values.mean())
    error = values.std(ddof=1) / 2
    assert start.ci_high[0] - start.value_nats[0] == pytest.approx(
        3.18245 * error, rel=1e-4
    )
    assert start.H_Y_nats[0] == pytest.approx(-PRIOR.mean())
    end = table[table.anchor == "end"].set_index("position")
    assert end.value_nats[0] == pytest.approx(alone.nats)
    assert np.isnan(start.ci_low[start.n == 1]).all()
    del prefix


def test_intervals_count_sentences_not_tokens():
    few = pd.DataFrame(
        {
            "row_id": ["a"] * 50 + ["b"] * 50,
            "token": "x",
            "pointwise_nats": [0.0] * 50 + [1.0] * 50,
            "ceiling_nats": 1.0,
        }
    )
    row = by_type(few, fewest=1).iloc[0]
    assert row.value_nats == 0.5
    assert row.n == 100
    # Two sentences, 0 and 1: as if each were one number.
    assert row.ci_high - row.value_nats == pytest.approx(12.7062 * 0.5, rel=1e-4)


def test_rare_types_are_one_row_together():
    tokens, *_ = tokens_of(TEXTS)
    types = by_type(tokens, fewest=3).set_index("token")
    assert set(types.index) == {"<s>", " fil", "m", RARE}
    assert types.index[types.pooled].tolist() == [RARE]
    assert types.n.sum() == len(tokens)
    own = tokens[tokens.token == " fil"].pointwise_nats
    assert types.n[" fil"] == 4
    assert types.value_nats[" fil"] == pytest.approx(own.mean())
    assert types.value_nats.is_monotonic_decreasing


def test_the_word_table_is_of_each_predicted_word():
    tokens, *_ = tokens_of(TEXTS, predicted=["good", "bad", "good", "bad"])
    words = word_table(tokens)
    table = by_word(words, fewest=1)
    good = table[table.predicted_word == "good"].set_index("word")
    assert good.n["film"] == 3  # twice in one sentence
    own = words[(words.predicted == "good") & (words.word_text == "film")]
    assert good.value_nats["film"] == pytest.approx(own.pointwise_nats.mean())
    assert good.increment_nats["film"] == pytest.approx(own.increment_nats.mean())
    assert good.ceiling_nats["film"] == pytest.approx(own.ceiling_nats.mean())
    bad = table[table.predicted_word == "bad"]
    assert bad.word.tolist().count("film") == 1  # Film and film are one
    assert by_word(words, fewest=2).groupby("predicted_word").size().to_dict() == {
        "bad": 1,
        "good": 2,
    }


def test_the_two_readers_must_be_of_the_same_rows():
    prefix, ids = information("prefix", TEXTS)
    alone, _ = information("alone", TEXTS[:3])
    with pytest.raises(InputError, match="same rows"):
        token_table(
            prefix,
            alone,
            row_ids=["a"] * 4,
            token_ids=ids,
            roles=ids,
            reader=WordReader(tiny_tokenizer()),
            names=["bad", "good"],
        )
