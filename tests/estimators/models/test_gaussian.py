"""Gaussian classes in closed form: scikit-learn's where nothing is shrunk."""

import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.discriminant_analysis import (
    LinearDiscriminantAnalysis,
    QuadraticDiscriminantAnalysis,
)

from mi_probe.estimators.models import gaussian, shifted
from mi_probe.estimators.models.gaussian import (
    Moments,
    WithinClasses,
    moments_of_sets,
    quadratics,
)
from mi_probe.synthetic import class_gaussians


@pytest.fixture
def rows():
    known = class_gaussians(500, 6, 3, separation=3.0, shared_covariance=False, seed=2)
    return known.x + 5, known.y


def within(x, y, n_classes=3):
    return WithinClasses(Moments.of(x, y, n_classes))


def test_moments_of_sets_that_overlap_are_each_ones_own(rows):
    x, y = rows
    fold = np.arange(500) % 4
    # Rows that are in none, in two of three, in all; and sets that are equal.
    sets = [np.flatnonzero(~np.isin(fold, pair)) for pair in ((0, 1), (0, 2), (0, 2))]
    for kept, found in zip(sets, moments_of_sets(x, y, 3, sets), strict=True):
        whole = Moments.of(x[kept], y[kept], 3)
        for name in ("counts", "sums", "squares"):
            assert getattr(found, name) == pytest.approx(getattr(whole, name))


def test_without_shrinkage_it_is_linear_discriminant_analysis(rows):
    x, y = rows
    fit = within(x, y)
    found = log_softmax(fit.linear(0.0)(x), axis=1)
    reference = LinearDiscriminantAnalysis(priors=np.exp(fit.log_prior)).fit(x, y)
    # scikit-learn divides the covariance by n, we by n less the classes.
    assert found == pytest.approx(reference.predict_log_proba(x), abs=0.1)


def test_shrunk_wholly_only_the_given_variances_count(rows):
    x, y = rows
    variances = np.linspace(1.0, 2.0, 6)
    fit = within(x, y)
    found = log_softmax(fit.linear(1.0, variances)(x), axis=1)
    means = np.stack([x[y == c].mean(0) for c in range(3)])
    distance = ((x[:, None] - means) ** 2 / variances).sum(2)
    expected = log_softmax(fit.log_prior - 0.5 * distance, axis=1)
    assert found == pytest.approx(expected, abs=1e-5)


def test_a_linear_change_of_x_with_its_variances_changes_nothing(rows):
    x, y = rows
    scale = np.array([1.0, 10.0, 0.1, 3.0, 1.0, 50.0])
    plain, scaled = (
        within(z, y).linear(0.3, v) for z, v in ((x, np.ones(6)), (x * scale, scale**2))
    )
    assert scaled(x * scale) == pytest.approx(plain(x))


@pytest.mark.parametrize("means", ["shrunk", "spiked"])
def test_shrunk_means_of_noise_tell_nothing(means):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(600, 40)), np.arange(600) % 6
    wanted = {(0.0, 0.3): ["sample", means]}
    (fits,) = within(x, y, 6).linears(wanted, {0.0: np.ones(40)}).values()
    sample, shrunk = (np.ptp(fit(x), axis=1).mean() for fit in fits)
    assert shrunk < 0.5 * sample


def test_many_columns_solved_together_are_as_if_factored(monkeypatch):
    rng = np.random.default_rng(0)
    y = np.arange(150) % 3
    x = (rng.normal(size=(150, 90)) + y[:, None] / 3).astype(np.float32)
    spread = np.linspace(0.5, 3, 90).astype(np.float32)
    towards = {0.0: np.ones(90, dtype=np.float32), 1.0: spread}
    wanted = {(way, s): ["sample", "shrunk"] for way in towards for s in (0.003, 0.2, 0.9)}
    factored = within(x, y).linears(wanted, towards)
    monkeypatch.setattr(gaussian, "_DIRECT", 0)
    together = within(x, y).linears(wanted, towards)
    for key, fits in factored.items():
        for fit, other in zip(fits, together[key], strict=True):
            expected = log_softmax(fit(x), axis=1)
            assert log_softmax(other(x), axis=1) == pytest.approx(expected, abs=2e-3)
    # Where rounds do not suffice each is factored, to the last bit.
    monkeypatch.setattr(shifted, "_ROUNDS", 1)
    again = within(x, y).linears(wanted, towards)
    for key, fits in factored.items():
        for fit, other in zip(fits, again[key], strict=True):
            assert (other.coefficients == fit.coefficients).all()


def test_whitened_classes_have_unit_covariance(rows):
    x, y = rows
    u = within(x, y).whitening(0.0)(x)
    residual = u - np.stack([u[y == c].mean(0) for c in range(3)])[y]
    assert residual.T @ residual / (len(x) - 3) == pytest.approx(np.eye(6), abs=1e-5)


def test_all_columns_and_no_shrinkage_are_quadratic_discriminant_analysis(rows):
    x, y = rows
    [found] = quadratics(x - 5, y, 3, [(6, 0.0)])
    reference = QuadraticDiscriminantAnalysis(priors=np.bincount(y) / 500).fit(x - 5, y)
    # Ours adds one prior observation to each class covariance.
    ours = np.exp(log_softmax(found(x - 5), axis=1))
    assert ours == pytest.approx(reference.predict_proba(x - 5), abs=0.03)


def test_quadratics_shrunk_wholly_are_linear(rows):
    x, y = rows
    [found] = quadratics(x - 5, y, 3, [(6, 1.0)])
    linear = within(x - 5, y).linear(0.0)
    expected = log_softmax(linear(x - 5), axis=1)
    assert log_softmax(found(x - 5), axis=1) == pytest.approx(expected, abs=0.01)


def test_a_class_without_rows_keeps_its_small_prior(rows):
    x, y = rows
    for fit in (within(x, y, 4).linear(0.3), quadratics(x, y, 4, [(6, 0.3)])[0]):
        posterior = np.exp(log_softmax(fit(x), axis=1))
        assert np.isfinite(posterior).all()
        assert posterior[:, 3].mean() < 0.01


def test_duplicated_and_constant_columns_are_no_matter(rows):
    x, y = rows
    wide = np.concatenate([x, x, np.ones((500, 1))], axis=1)
    found = log_softmax(within(wide, y).linear(0.003)(wide), axis=1)
    reference = log_softmax(within(x, y).linear(0.003)(x), axis=1)
    assert found == pytest.approx(reference, abs=0.1)
