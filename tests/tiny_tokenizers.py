"""Tokenizers of every make: byte-level, sentencepiece; without BOS, padding with EOS."""

from tiny import tiny_tokenizer
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

_TEXTS = "a charming film: bad not at all funny; the plot is bad: positive negative"


def metaspace(special: bool) -> PreTrainedTokenizerFast:
    """As sentencepiece writes a text: a mark for each blank, and one in front.

    Args:
        special: put BOS in front of a text, and EOS behind it.
    """
    letters = sorted(set(_TEXTS.replace(" ", "")))
    pieces = ["\u2581", *letters, "\u2581positive", "\u2581negative", "\u2581bad"]
    tokens = ["<unk>", "<s>", "</s>", *dict.fromkeys(pieces)]
    backend = Tokenizer(
        models.Unigram([(t, -len(tokens) / (1 + len(t))) for t in tokens], unk_id=0)
    )
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    backend.decoder = decoders.Metaspace(prepend_scheme="first")
    backend.normalizer = normalizers.NFC()
    if special:
        backend.post_processor = processors.TemplateProcessing(
            single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )


TOKENIZERS = {
    "byte_level": tiny_tokenizer,
    "pad_is_eos": lambda: tiny_tokenizer(pad=False),
    "sentencepiece": lambda: metaspace(special=False),
    "sentencepiece_closed": lambda: metaspace(special=True),
}
