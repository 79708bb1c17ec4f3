"""Controls: what words, length, a model's own answer and random labels know."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from fakes import ANYTHING
from tiny import tiny_model, tiny_tokenizer

from mi_probe.analysis.answer_control import OwnAnswer
from mi_probe.analysis.control_parts import not_made, text_controls
from mi_probe.analysis.controls import (
    CHEAP,
    CONTROLS,
    chosen_controls,
    length_features,
    random_labels,
    tf_idf,
    words_features,
)
from mi_probe.analysis.measurables import measurable
from mi_probe.analysis.profiles import profile
from mi_probe.analysis.words_control import Words, words_estimator
from mi_probe.backbones import wrap_backbone
from mi_probe.errors import InputError
from mi_probe.estimators import ESTIMATORS, Estimate, Repeated
from mi_probe.tasks import Task


def make_task(n=12, **more):
    words = ["good", "bad", "fine film", "poor and long plot"]
    found = Task(
        name="t",
        prompts=tuple(f"{words[i % 4]} {i}" for i in range(n)),
        answers=tuple(" a" for _ in range(n)),
        labels=np.arange(n) % 2,
        label_names=("no", "yes"),
        target="parity",
        ids=tuple(f"row{i}" for i in range(n)),
    )
    return replace(found, **more)


def reviews(n, rng):
    """Texts of ten words out of 300, one in two of them with a word that says Y."""
    words = np.array([f"word{i}" for i in range(300)])
    y = rng.integers(2, size=n)
    told = np.where(rng.random(n) < 0.5, np.where(y == 1, "great", "awful"), "the")
    texts = [" ".join([*rng.choice(words, 9), told[i]]) for i in range(n)]
    return np.array(texts, dtype=object), y


def test_controls_are_chosen_by_name_once():
    assert chosen_controls(["answer", "words"]) == ("words", "answer")
    assert chosen_controls(["all"]) == CONTROLS
    assert chosen_controls(["none"]) == chosen_controls([]) == ()
    for wrong in (["word"], ["all", "words"], ["none", "words"], ["words", "words"]):
        with pytest.raises(
            InputError, match=r"controls must be (of words, length.*got '|named once)"
        ):
            chosen_controls(wrong)


def test_words_in_few_columns_keep_the_distances_of_tf_idf():
    texts = [f"{'good' if i % 2 else 'bad'} film {i % 7} of many" for i in range(60)]
    whole, few = tf_idf(texts), words_features(texts, width=12, seed=1)
    assert few.shape == (60, 12)
    ours = np.linalg.norm(few[:, None] - few[None], axis=2)
    theirs = np.linalg.norm(whole.toarray()[:, None] - whole.toarray()[None], axis=2)
    assert np.abs(ours - theirs).max() < 0.25
    # Rotated: no column has most of the spread.
    assert few.var(0).max() < 0.4 * few.var(0).sum()
    assert np.array_equal(few, words_features(texts, width=12, seed=1))


@pytest.mark.parametrize("texts", [["", " ", ""], ["a", "b", "c"]])
def test_texts_without_words_that_recur_are_rows_too(texts):
    assert len(words_features(texts)) == 3
    assert np.isfinite(words_features(texts)).all()


@pytest.mark.slow
def test_a_word_that_decides_half_of_the_rows_is_below_half_of_h_of_y():
    texts, y = reviews(500, np.random.default_rng(0))
    found = words_estimator(ESTIMATORS["auto"]).estimate(texts, y, seed=0)
    # A lower bound: among 300 words, 500 rows do not teach which two matter wholly.
    assert 0.2 < found.nats < 0.5 * np.log(2) + 0.02
    assert found.extrapolated is not None
    assert found.log_posterior is not None
    log_prior = np.log(np.bincount(y) / 500)
    mean = found.log_posterior[np.arange(500), y] - log_prior[y]
    assert mean.mean() == pytest.approx(found.nats)
    shuffled = np.random.default_rng(1).permutation(y)
    none = words_estimator(ESTIMATORS["auto"]).estimate(texts, shuffled, seed=0)
    assert none.ci[0] < 0 < none.ci[1]


@pytest.mark.slow
def test_words_are_no_worse_than_a_regression_of_tf_idf():
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    rng = np.random.default_rng(2)
    words = np.array([f"w{i}" for i in range(400)])
    lean = rng.normal(size=400)  # every word tells a little
    drawn = rng.integers(400, size=(600, 12))
    y = (rng.random(600) < 1 / (1 + np.exp(-lean[drawn].sum(1)))).astype(int)
    texts = np.array([" ".join(words[row]) for row in drawn], dtype=object)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    share = np.bincount(y) / len(y)
    entropy = -float((share * np.log(share)).sum())
    told = {"X": tf_idf(list(texts)), "y": y, "cv": folds, "method": "predict_proba"}
    log_q = [
        np.log(cross_val_predict(LogisticRegression(C=c), **told)[np.arange(600), y])
        for c in (0.3, 1, 3)
    ]
    theirs = entropy + max(map(np.mean, log_q))  # of the best ridge in hindsight
    found = words_estimator(ESTIMATORS["auto"]).estimate(texts, y, seed=0)
    assert theirs > 0.1
    assert found.nats > theirs - 0.02
    alone = ESTIMATORS["auto"].estimate(words_features(list(texts)), y, seed=0)
    assert found.nats > alone.nats - 0.005


def test_repeats_and_other_estimators_read_texts_too():
    repeated = words_estimator(Repeated(estimator=ESTIMATORS["auto"], repeats=2))
    assert isinstance(repeated, Repeated)
    assert isinstance(repeated.estimator, Words)
    assert repeated.estimator.regression
    linear = words_estimator(ESTIMATORS["linear"])
    assert isinstance(linear, Words)
    assert not linear.regression
    with pytest.raises(InputError, match="x must be texts; got int"):
        linear.estimate(np.array([1, 2, 3], dtype=object), np.array([0, 1, 0]))


def test_length_is_tokens_and_characters():
    assert length_features(["ab", "abc d"], [3, 1]).tolist() == [[3, 2], [1, 5]]


def test_random_labels_keep_shares_and_know_nothing_of_the_rows():
    task = make_task(400, labels=(np.arange(400) < 100).astype(int))
    found = random_labels(task, seed=3)
    assert np.bincount(found.labels).tolist() == [300, 100]
    assert abs(np.corrcoef(found.labels, task.labels)[0, 1]) < 0.15
    assert np.array_equal(found.labels, random_labels(task, seed=3).labels)
    assert not np.array_equal(found.labels, random_labels(task, seed=4).labels)


def test_random_labels_of_groups_are_one_a_group():
    groups = tuple(f"g{i // 4}" for i in range(400))
    task = make_task(400, groups=groups, labels=(np.arange(400) % 4 == 0).astype(int))
    found = random_labels(task).labels.reshape(100, 4)
    assert (found == found[:, :1]).all()
    assert found.mean() == pytest.approx(0.25, abs=0.01)


def test_an_own_answer_is_h_of_y_minus_its_cross_entropy():
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=200)
    q = np.where(y == 1, 0.8, 0.3)
    found = OwnAnswer().estimate(np.log(np.stack([1 - q, q], 1)), y)
    share = y.mean()
    entropy = -share * np.log(share) - (1 - share) * np.log(1 - share)
    expected = entropy + share * np.log(0.8) + (1 - share) * np.log(0.7)
    assert found.nats == pytest.approx(expected, abs=1e-9)
    assert found.status == "ok"
    assert found.bound == "lower bound"


def test_an_answer_that_leans_and_is_too_sure_knows_more_once_calibrated():
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=600)
    odds = np.where(rng.random(600) < 0.85, 1, -1) * (2 * y - 1)
    logits = np.stack([np.zeros(600), 20.0 * odds + 6], 1)  # leans to the second, too sure
    raw = OwnAnswer().estimate(logits, y)
    calibrated = OwnAnswer(calibrated=True).estimate(logits, y)
    truth = np.log(2) + 0.85 * np.log(0.85) + 0.15 * np.log(0.15)
    assert raw.nats < -0.5
    assert raw.status == "ok"  # nothing was trained that could have failed
    assert calibrated.nats == pytest.approx(truth, abs=0.03)


def test_labels_that_do_not_occur_are_left_out_of_an_answer():
    y = np.array([0, 2] * 20)
    logits = np.tile([1.0, 50.0, 1.0], (40, 1))
    assert OwnAnswer().estimate(logits, y).nats == pytest.approx(0, abs=1e-9)


SEEN: list[tuple] = []


@dataclass(frozen=True)
class Fake:
    """Instant: remembers the shapes that it was given, and the labels."""

    name = "fake"
    nature = ANYTHING

    def estimate(self, x, y, *, groups=None, seed=0):
        SEEN.append((len(x), np.asarray(y)))
        return Estimate(
            nats=0.1,
            stderr=0.1,
            ci=(0.0, 0.2),
            pointwise=np.full(len(y), 0.1),
            entropy_y=0.69,
            status="ok",
            bound="lower bound",
            estimator=self,
            seed=seed,
        )


def test_a_profile_has_its_controls_in_rows_of_their_own(tiny_backbone, tmp_path):
    backbone, task = tiny_backbone("llama"), make_task(20)
    given = {"sites": "0,1,2", "views": ("full", "mean"), "progress": False}
    given |= {"estimators": {"fake": Fake()}, "seeds": (0, 1), "out": str(tmp_path / "o")}
    table = profile(backbone, task, controls=("all",), **given)
    states = table[table["control"].isna()]
    assert len(states) == len(table[: len(states)]) == 3 * 2 * 2
    counts = table["control"].value_counts().to_dict()
    assert counts == {
        **{"words": 2, "length": 2, "embeddings": 2},
        **{"random_weights": 12, "random_labels": 12},
        # A backbone without a head says no label.
    }
    of = dict(iter(table.groupby("control")))
    assert set(of["words"]["site"]) == {"text"}
    assert of["words"]["layer"].isna().all()
    assert set(of["words"]["quantity"]) == {"I_YC"}
    for name in ("random_weights", "random_labels"):
        assert set(of[name]["site"]) == set(states["site"])
        assert of[name]["layer"].notna().all()
    assert set(of["embeddings"]["site"]) == {"embed"}
    assert table["row_id"].is_unique
    SEEN.clear()
    again = profile(backbone, task, controls=("all",), **given)
    assert SEEN == []
    assert again["row_id"].tolist() == table["row_id"].tolist()
    # Random labels are other labels, of other seeds.
    SEEN.clear()
    profile(backbone, task, controls=("random_labels",), **{**given, "out": None})
    labels = {tuple(y) for _, y in SEEN}
    assert len(labels) == 3
    assert tuple(task.labels) in labels


def test_a_model_with_a_head_is_asked_and_one_without_is_noted(tiny_backbone):
    written = tiny_model("llama", head="CausalLM")
    whole, bare = wrap_backbone(written, tiny_tokenizer()), tiny_backbone("llama")
    task = make_task(12)
    speaks = measurable(whole, task, max_tokens=64)
    asked = (*CHEAP, "likelihood")
    found = {(c.subject.control, c.view): c for c in text_controls(speaks, asked, {})}
    assert set(found) == {
        *(("words", "words"), ("length", "length")),
        *(("answer", "as_is"), ("answer", "calibrated")),
        *(("likelihood", "as_is"), ("likelihood", "calibrated")),
    }
    said, likely = (found[name, "as_is"].values() for name in ("answer", "likelihood"))
    for log_p in (said, likely):
        assert log_p.shape == (12, 2)
        assert np.exp(log_p).sum(1) == pytest.approx(np.ones(12))
    assert not np.allclose(said, likely)
    assert set(found["likelihood", "as_is"].estimators) == {"likelihood"}
    assert not_made(speaks, CHEAP) == []
    silent = measurable(bare, task, max_tokens=64)
    assert [
        f"no control '{n}'" in said
        for n, said in zip(asked[2:], not_made(silent, asked), strict=True)
    ] == [True, True]
    scores = make_task(12, labels=np.arange(12) / 3, label_names=None)
    of_scores = measurable(whole, scores, max_tokens=64)
    assert not_made(of_scores, CHEAP) == ["no control 'answer': its labels are scores"]
