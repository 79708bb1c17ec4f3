"""The engine, with models whose posterior is known."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy.special import log_softmax

from mi_probe import InputError
from mi_probe.contents import settings_of
from mi_probe.estimators.core.states import standardised
from mi_probe.estimators.engine.posterior import Posterior
from mi_probe.estimators.models.interface import FitPath
from mi_probe.estimators.models.normal_scores import scores_among
from mi_probe.estimators.posteriors import GENERATIVE, PROBES
from mi_probe.synthetic import class_gaussians

ALL = {estimator.name: estimator for estimator in (*PROBES, *GENERATIVE)}


@dataclass(frozen=True)
class Recorder:
    """log q is the class's mean in one column; keeps what it was shown."""

    calls: list
    factor: float = 1.0

    def __call__(self, rows, watched, rng):
        self.calls.append((rows.x[:, 0].copy(), watched.x[:, 0].copy()))
        means = np.array([rows.x[rows.y == c].mean(0) for c in range(rows.n_classes)])

        def predict(x):
            return self.factor * (x @ means.T - 0.5 * (means**2).sum(1))

        return FitPath(
            {"nothing": lambda x: np.zeros((len(x), len(means))), "means": predict}
        )


def posterior(fit, **settings) -> Posterior:
    return Posterior(
        name="told", family="generative", summary="", reference="", classes=fit, **settings
    )


@pytest.fixture
def known():
    return class_gaussians(900, 2, 3, separation=2.5, seed=1)


def test_no_example_is_scored_by_a_fit_that_saw_it(known):
    recorder = Recorder([])
    x = known.x.copy()
    estimate = posterior(recorder).estimate(x, known.y)
    column = standardised(x)[:, 0]
    assert len(recorder.calls) == 10
    for k in range(5):
        held_out = set(column[estimate.fold == k])
        (fitted, watched), (again, _) = recorder.calls[2 * k : 2 * k + 2]
        assert not held_out & set(fitted)
        assert not held_out & set(watched)
        assert not held_out & set(again)
        # They never meet either, but to be fitted once the choices are made.
        assert not set(fitted) & set(watched)
        assert set(again) == set(fitted) | set(watched)
        assert len(watched) == round(0.3 * 720)


def test_without_a_refit_the_first_fit_is_scored(known):
    recorder = Recorder([])
    posterior(recorder, refit=False).estimate(known.x, known.y)
    assert len(recorder.calls) == 5


def test_the_best_of_the_path_is_chosen_and_calibrated(known):
    plain = posterior(Recorder([])).estimate(known.x, known.y)
    assert {fold["chosen"] for fold in plain.history} == {"means"}
    wild = posterior(Recorder([], factor=20.0)).estimate(known.x, known.y)
    assert wild.nats == pytest.approx(plain.nats, abs=3e-3)
    ratio = plain.history[0]["temperature"] / wild.history[0]["temperature"]
    assert ratio == pytest.approx(20, rel=0.1)


def test_one_absurd_example_costs_no_more_than_the_prior_share(known):
    @dataclass(frozen=True)
    class Absurd:
        def __call__(self, rows, watched, rng):
            # Certain, and wrong about one held-out example in a thousand.
            def predict(x):
                scores = np.zeros((len(x), 2))
                right = (x[:, 0] > 0).astype(int)
                scores[np.arange(len(x)), right] = 1e6
                return scores

            return FitPath({"absurd": predict})

    x = np.where(np.arange(1000) % 2, 1.0, -1.0)[:, None]
    y = np.arange(1000) % 2
    y[17] = 0
    estimate = posterior(Absurd()).estimate(x, y)
    assert estimate.pointwise.min() > -np.log(1000)
    assert estimate.nats > 0.6


def test_a_path_that_tells_nothing_is_zero():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(500, 2)), rng.integers(2, size=500)
    estimate = posterior(Recorder([])).estimate(x, y)
    assert estimate.nats == pytest.approx(0, abs=0.01)
    assert estimate.ci[0] < 0 < estimate.ci[1]


def test_extrapolation_is_asked_for(known):
    fast = posterior(Recorder([])).estimate(known.x, known.y)
    assert fast.extrapolated is None
    found = posterior(Recorder([]), extrapolate=True).estimate(known.x, known.y)
    assert np.array_equal(found.pointwise, fast.pointwise)
    assert [rows for rows, _ in found.extrapolated.curve] == [180, 360, 720]
    assert found.extrapolated.curve[-1][1] == pytest.approx(found.nats)


def test_unfinished_training_is_said(known):
    @dataclass(frozen=True)
    class Unfinished:
        def __call__(self, rows, watched, rng):
            path = Recorder([])(rows, watched, rng)
            return replace(path, converged=False)

    estimate = posterior(Unfinished()).estimate(known.x, known.y)
    assert estimate.status == "not_converged"


@dataclass(frozen=True)
class Channel:
    """The true density ratio of a Gaussian pair of this correlation, in each column."""

    correlation: float

    def __call__(self, rows, watched, rng):
        def ratio(x, y):
            spread = 1 - self.correlation**2
            inside = (y - self.correlation * x) ** 2 / spread - y**2
            return (-0.5 * (inside + np.log(spread))).sum(1)

        return FitPath({"true": ratio})


@pytest.mark.parametrize(("k", "bound"), [(1, "lower bound"), (2, "neither")])
def test_scores_are_the_mean_log_ratio(k, bound):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3000, k))
    y = 0.6 * x + 0.8 * rng.normal(size=(3000, k))
    estimator = posterior(Recorder([]), scores=Channel(0.6))
    # A monotone map of Y is undone by its ranks.
    estimate = estimator.estimate(x, np.exp(2 * y))
    assert estimate.nats == pytest.approx(-k * np.log(0.8), abs=0.03)
    assert estimate.bound == bound
    assert estimate.entropy_y is None


def test_normal_scores_keep_to_the_reference():
    reference = np.array([[1.0], [2.0], [3.0], [4.0]])
    scores = scores_among(reference, np.array([[2.5], [-9.0], [9.0]]))
    own = scores_among(reference, reference)
    assert scores[0] == pytest.approx(0, abs=1e-12)
    assert scores[1] == own[0]
    assert scores[2] == own[3]


def test_columns_that_do_not_vary_are_dropped():
    rng = np.random.default_rng(0)
    x = np.stack([rng.normal(size=50), np.full(50, 3e8), 1e6 + rng.normal(size=50)], axis=1)
    found = standardised(x)
    assert found.shape == (50, 2)
    assert found.mean(0) == pytest.approx(0, abs=1e-6)
    assert found.std(0) == pytest.approx(1)


def test_folds_that_cannot_be_filled_are_refused(known):
    estimator = replace(ALL["lda"], n_folds=1)
    with pytest.raises(InputError, match=r"n_folds must lie in 2 \.\.\. 450 .* got 1"):
        estimator.estimate(known.x, known.y)


@pytest.mark.parametrize("name", ALL)
def test_settings_are_plain_values(name):
    settings = settings_of(ALL[name])
    assert settings["class"] == "Posterior"
    assert settings["name"] == name
    assert isinstance(settings["classes"], dict)


def test_posteriors_are_normalised_and_absent_classes_keep_their_prior(known):
    y = known.y.copy()
    y[0] = 3
    for name in ("linear", "lda", "qda", "naive_bayes"):
        estimate = ALL[name].estimate(known.x, y)
        log_q = estimate.log_posterior
        assert log_q == pytest.approx(log_softmax(log_q, axis=1), abs=1e-9)
        # Nowhere but in the fold that holds its one row is the class missing.
        assert np.isfinite(log_q).all()
