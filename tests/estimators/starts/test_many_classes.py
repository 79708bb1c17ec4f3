import numpy as np
import pytest
from scipy.special import log_softmax

from mi_probe.estimators import ESTIMATORS
from mi_probe.estimators.core.split import Split, draw_split
from mi_probe.estimators.core.targets import Classes, as_target
from mi_probe.estimators.mine.cross_fit import MANY
from mi_probe.estimators.starts.many_classes import NestedMeans, many_class_starts

# 100 means in 4 dimensions from 1,600 rows cost about 400 / 3,200 nats. Networks that start
# from zero lose more: they see 16 rows of each class, and js sharpens slowest.
TAKERS = {
    **dict.fromkeys(("auto", "mine", "nwj", "infonce"), 0.2),
    **dict.fromkeys(("mine_f", "smile"), 0.3),
    "js": 0.45,
}


def many_gaussians(
    n: int,
    d: int,
    n_classes: int,
    separation: float,
    *,
    skewed: bool = False,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray, float]:
    """Classes of one covariance, with the true information by Monte Carlo."""
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(n_classes, d)) * separation / np.sqrt(2 * d)
    p = 1 / np.arange(1, n_classes + 1) if skewed else np.ones(n_classes)
    p /= p.sum()
    y = rng.choice(n_classes, size=n + 4000, p=p)
    x = means[y] + rng.normal(size=(len(y), d))
    scores = x[n:] @ means.T - 0.5 * (means**2).sum(1) + np.log(p)
    own = log_softmax(scores, axis=1)[np.arange(4000), y[n:]]
    return x[:n], y[:n], float((own - np.log(p[y[n:]])).mean())


@pytest.mark.parametrize("name", TAKERS)
def test_a_hundred_classes_are_found(name):
    x, y, truth = many_gaussians(2000, 4, 100, 6.0)
    estimate = ESTIMATORS[name].estimate(x, y)
    assert truth - TAKERS[name] < estimate.nats < truth + 3 * estimate.stderr
    assert estimate.nats <= estimate.entropy_y


def test_classes_that_no_training_row_has_are_no_matter():
    x, y, truth = many_gaussians(1500, 16, 300, 8.0, skewed=True)
    assert (np.bincount(y) == 1).sum() > 20
    estimate = ESTIMATORS["mine"].estimate(x, y)
    assert estimate.status == "too_few_rows"
    assert 0.5 * truth < estimate.nats < truth
    assert np.isfinite(estimate.pointwise).all()


def test_labels_of_many_classes_without_information_are_near_zero():
    rng = np.random.default_rng(0)
    estimate = ESTIMATORS["mine"].estimate(
        rng.normal(size=(1500, 20)), rng.integers(200, size=1500)
    )
    assert abs(estimate.nats) < 0.01


def test_labels_of_a_fold_change_nothing_that_scores_it():
    x, y, _ = many_gaussians(600, 5, 80, 6.0)
    target = as_target(y)
    assert isinstance(target, Classes)
    split = draw_split(target, 4, 0)
    fold = split.fold
    before = list(many_class_starts({"x": NestedMeans(x, fold)}, target, split))[2]
    index = np.where(fold == 2, np.roll(target.index, 1), target.index)
    changed = Classes(index, target.names)
    after = list(many_class_starts({"x": NestedMeans(x, fold)}, changed, split))[2]
    assert np.array_equal(before.values, after.values)
    log_prior = target.log_prior_among(np.flatnonzero(fold != 2))
    assert np.exp(before.values + log_prior).sum(1) == pytest.approx(1, abs=1e-4)


def test_only_the_rows_to_be_used_are_learned_from():
    x, y, _ = many_gaussians(600, 5, 80, 6.0)
    target = as_target(y)
    assert isinstance(target, Classes)
    fold, used = draw_split(target, 4, 0).fold, np.arange(600) % 2 == 0
    split = Split(fold, np.where(used, 0, 1), 0)
    fits = {"x": NestedMeans(x, fold, used)}
    found = next(many_class_starts(fits, target, split, 0))
    index = np.where(used, target.index, target.index[::-1])
    again = next(many_class_starts(fits, Classes(index, target.names), split, 0))
    told = used | (fold == 0)
    assert np.array_equal(found.values[told], again.values[told])
    assert found.values[told].any(1).all()
    assert np.allclose(found.values[~told], 0, atol=1e-5)


def test_uncertain_means_are_the_posterior_predictive():
    # One dimension, and so many rows that the two variances are known.
    rng = np.random.default_rng(1)
    means = 2 * rng.normal(size=400)
    y = np.repeat(np.arange(400), 50)
    x = (means[y] + rng.normal(size=len(y)))[:, None]
    keep = (y > 0) | (np.arange(len(y)) < 2)  # class 0 has two rows
    fits = NestedMeans(x[keep], np.arange(keep.sum()) % 3)
    fit = fits.fit(y[keep], 401, (0,))  # class 400 has none
    grid = np.linspace(-3, 3, 7)[:, None]
    found = fit((grid - x[keep].mean(0)) / x[keep].std(0))
    between = means.var()
    seen = (np.arange(keep.sum()) % 3 != 0) & (y[keep] == 0)
    n_0, mean_0 = seen.sum(), x[keep][seen].mean() if seen.any() else 0.0
    overall = x[keep].mean()

    def log_density(n: int, mean: float) -> np.ndarray:
        shrunk = n * between / (n * between + 1)
        centre = overall + shrunk * (mean - overall)
        variance = 1 + between / (n * between + 1)
        return -0.5 * (grid[:, 0] - centre) ** 2 / variance - 0.5 * np.log(variance)

    expected = log_density(n_0, mean_0) - log_density(0, 0.0)
    assert found[:, 0] - found[:, 400] == pytest.approx(expected, abs=0.35)


@pytest.mark.slow
def test_five_thousand_classes_at_full_size():
    x, y, truth = many_gaussians(10_000, 64, 5000, 12.0)
    estimate = ESTIMATORS["mine"].estimate(x, y)
    assert 0.3 * truth < estimate.nats <= estimate.entropy_y
    assert estimate.log_posterior is None
    assert len(np.unique(y)) > MANY
