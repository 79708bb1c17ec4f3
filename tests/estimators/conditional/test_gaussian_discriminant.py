import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.discriminant_analysis import (
    LinearDiscriminantAnalysis,
    QuadraticDiscriminantAnalysis,
)
from sklearn.linear_model import LogisticRegression

from mi_probe.estimators.conditional.gaussian_discriminant import (
    Moments,
    WithinClass,
    quadratic_grid,
)
from mi_probe.estimators.conditional.logistic import INVERSE_RIDGES, logistic_path
from mi_probe.synthetic import class_gaussians, xor


@pytest.fixture
def rows():
    known = class_gaussians(500, 6, 3, separation=3.0, shared_covariance=False, seed=2)
    return known.x + 5, known.y


def within(x, y, n_classes=3):
    return WithinClass(Moments.of(x, y, n_classes))


def test_moments_of_parts_add_up(rows):
    x, y = rows
    both = Moments.of(x[:200], y[:200], 3) + Moments.of(x[200:], y[200:], 3)
    whole = Moments.of(x, y, 3)
    for name in ("counts", "sums", "squares"):
        assert getattr(both, name) == pytest.approx(getattr(whole, name))


def test_without_shrinkage_it_is_linear_discriminant_analysis(rows):
    x, y = rows
    fit = within(x, y)
    found = log_softmax(fit.linear(fit.whitening(0.0))(x), axis=1)
    reference = LinearDiscriminantAnalysis(priors=np.exp(fit.log_prior)).fit(x, y)
    # scikit-learn divides the covariance by n, we by n less the classes.
    assert found == pytest.approx(reference.predict_log_proba(x), abs=0.1)


def test_whitened_classes_have_unit_covariance(rows):
    x, y = rows
    fit = within(x, y)
    whitening = fit.whitening(0.0)
    u = whitening(x)
    residual = u - np.stack([u[y == c].mean(0) for c in range(3)])[y]
    assert residual.T @ residual / (len(x) - 3) == pytest.approx(np.eye(6), abs=1e-5)
    directions = np.random.default_rng(0).normal(size=(6, 2))
    assert (x - fit.centre) @ whitening.back(directions) == pytest.approx(u @ directions)


def test_all_directions_and_no_shrinkage_are_quadratic_discriminant_analysis(rows):
    x, y = rows
    fit = within(x, y)
    [found] = fit.quadratics(fit.whitening(0.0), x, y, [(12, 0.0)])
    reference = QuadraticDiscriminantAnalysis(priors=np.exp(fit.log_prior)).fit(x, y)
    # Ours adds one prior observation to each class covariance.
    ours = np.exp(log_softmax(found(x), axis=1))
    assert ours == pytest.approx(reference.predict_proba(x), abs=0.03)


@pytest.mark.parametrize("d", [16, 150])
def test_three_directions_hold_a_hidden_parity(d):
    known = xor(6000, d, seed=4)
    train, test = slice(0, 5000), slice(5000, None)
    fit = within(known.x[train], known.y[train], 2)
    [found] = fit.quadratics(
        fit.whitening(0.3), known.x[train], known.y[train], [(3, 0.02)]
    )
    posterior = log_softmax(found(known.x[test]), axis=1)
    terms = posterior[np.arange(1000), known.y[test]]
    assert np.log(2) + terms.mean() > 0.6


def test_grid_stops_at_the_dimensions_there_are():
    assert {width for width, _ in quadratic_grid(1)} == {3}
    assert {width for width, _ in quadratic_grid(20)} == {3, 12, 32}
    assert {width for width, _ in quadratic_grid(768)} == {3, 12, 32}


def test_duplicated_and_constant_columns_are_no_matter(rows):
    x, y = rows
    wide = np.concatenate([x, x, np.ones((500, 1))], axis=1)
    plain, doubled = within(x, y), within(wide, y)
    found = log_softmax(doubled.linear(doubled.whitening(0.003))(wide), axis=1)
    reference = log_softmax(plain.linear(plain.whitening(0.003))(x), axis=1)
    assert found == pytest.approx(reference, abs=0.1)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_logistic_path_is_scikit_learns(n_classes):
    known = class_gaussians(400, 4, n_classes, separation=2.0)
    fit = within(known.x, known.y, n_classes)
    whitening = fit.whitening(0.3)
    path = logistic_path(whitening, known.x, known.y, fit.log_prior)
    for inverse_ridge, found in zip(INVERSE_RIDGES, path, strict=True):
        reference = LogisticRegression(C=inverse_ridge).fit(whitening(known.x), known.y)
        assert log_softmax(found(known.x), axis=1) == pytest.approx(
            reference.predict_log_proba(whitening(known.x)), abs=0.03
        )


def test_logistic_gives_an_absent_class_its_prior_only():
    known = class_gaussians(300, 3, 2, separation=2.0)
    fit = within(known.x, known.y, 3)
    found = logistic_path(fit.whitening(0.3), known.x, known.y, fit.log_prior)[-1]
    assert np.exp(log_softmax(found(known.x), axis=1))[:, 2].max() < 0.02
