"""Pieces joined to words, for each kind of tokenizer."""

import pytest
from tiny import tiny_tokenizer
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from mi_probe.analysis.tokens.words import WordReader

TEXT = "a charming, don't-stop film! naïve 世界 😀.\n\nok  x"
WORDS = [
    *("a", "charming", ",", "don't", "-", "stop", "film", "!", "naïve", "世", "界"),
    *("😀", ".", "ok", "x"),
]


def words_of(words):
    return list(dict.fromkeys(zip(words.word, words.texts, strict=True)))


def test_byte_level_pieces_become_words_and_special_tokens_stay_apart():
    tokenizer = tiny_tokenizer()
    ids = [1, *tokenizer(TEXT)["input_ids"], 2]
    words = WordReader(tokenizer)(ids)
    assert WordReader(tokenizer).scheme == "byte-level"
    assert [text for _, text in words_of(words)[1:]] == WORDS
    assert words.word[0] == words.word[-1] == -1
    assert words.special[0]
    assert words.special[-1]
    assert sum(words.special) == 2
    assert words.tokens[0] == "<s>"
    assert words.texts[0] == ""
    assert words.tokens[2] == " charming"


def trained(model, pre_tokenizer, trainer, decoder=None):
    backend = Tokenizer(model)
    backend.pre_tokenizer = pre_tokenizer
    if decoder is not None:
        backend.decoder = decoder
    corpus = ["a charming film", "unflinching and desperate", "charm film filming"]
    backend.train_from_iterator(corpus * 3, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>")


def test_wordpiece_pieces_become_words():
    trainer = trainers.WordPieceTrainer(
        vocab_size=45, special_tokens=["<unk>"], show_progress=False
    )
    tokenizer = trained(
        models.WordPiece(unk_token="<unk>"),
        pre_tokenizers.BertPreTokenizer(),
        trainer,
        decoders.WordPiece(),
    )
    reader = WordReader(tokenizer)
    assert reader.scheme == "wordpiece"
    words = reader(tokenizer("a charming filming, film")["input_ids"])
    texts = [text for number, text in words_of(words) if number >= 0]
    assert texts == ["a", "charming", "filming", "film"]  # the comma is unknown
    assert len(words.tokens) > 5


def test_sentencepiece_pieces_and_fallen_back_bytes_become_words():
    trainer = trainers.BpeTrainer(
        vocab_size=60,
        special_tokens=["<unk>", *[f"<0x{byte:02X}>" for byte in range(256)]],
        show_progress=False,
    )
    backend = trained(
        models.BPE(unk_token="<unk>", byte_fallback=True),
        pre_tokenizers.Metaspace(),
        trainer,
    )
    reader = WordReader(backend)
    assert reader.scheme == "sentencepiece"
    vocabulary = backend.get_vocab()
    pieces = ["▁", "c", "h", "<0xE4>", "<0xB8>", "<0x96>", "▁", "f"]
    # The trainer knows bytes as special tokens only; a sentencepiece model does not.
    vars(reader)["special_ids"] = frozenset({vocabulary["<unk>"]})
    words = reader([vocabulary[piece] for piece in pieces])
    assert [text for _, text in words_of(words)] == ["ch", "世", "f"]
    assert words.tokens[3] == "\\xe4"


def test_a_word_never_crosses_from_the_prompt_into_the_answer():
    tokenizer = tiny_tokenizer()
    ids = tokenizer("posit")["input_ids"]
    roles = [1] * (len(ids) - 1) + [2]
    assert len(ids) > 1
    words = WordReader(tokenizer)(ids, roles)
    assert words.word[-1] == words.word[-2] + 1
    assert WordReader(tokenizer)(ids).word[-1] == WordReader(tokenizer)(ids).word[-2]


@pytest.mark.parametrize("ids", [[], [1, 2]])
def test_rows_without_text_have_no_words(ids):
    assert set(WordReader(tiny_tokenizer())(ids).word) <= {-1}
