"""What C says of columns: where they bend along one column of C, and in few rows."""

import numpy as np

from mi_probe.analysis.regressions import GivenC


def left_of(z: np.ndarray, c: np.ndarray) -> np.ndarray:
    """The share of each column's variance that C is said not to tell."""
    rest = GivenC(c, np.random.default_rng(1)).removed(z)
    return rest.var(0) / z.var(0)


def bent(x: np.ndarray) -> np.ndarray:
    return np.stack([x[:, 0] ** 2, np.abs(x[:, 0]), x[:, 0] * x[:, 1]], axis=1)


def test_what_bends_along_one_column_of_c_is_taken_from_z():
    c = np.random.default_rng(0).normal(size=(400, 12))
    assert left_of(bent(c), c).max() < 0.1


def test_and_along_a_main_direction_of_many_columns():
    rng = np.random.default_rng(0)
    main = rng.normal(size=(400, 3))
    c = main @ rng.normal(size=(3, 300)) + rng.normal(size=(400, 300))
    assert left_of(bent(main), c).max() < 0.3


def test_what_c_does_not_tell_stays():
    rng = np.random.default_rng(0)
    c, z = rng.normal(size=(400, 12)), rng.normal(size=(400, 5))
    assert left_of(z, c).min() > 0.8


def test_many_columns_of_few_dimensions_and_of_none_will_do():
    main = np.random.default_rng(0).normal(size=(60, 2))
    for c in (main @ np.ones((2, 50)), np.ones((60, 50))):
        assert np.isfinite(GivenC(c, np.random.default_rng(0)).removed(main)).all()


def test_one_column_and_constant_columns_of_c_will_do():
    c = np.stack([np.arange(30.0), np.ones(30)], axis=1)
    assert left_of(c[:, :1], c[:, :1]).max() < 1e-2
    assert np.isfinite(GivenC(c, np.random.default_rng(0)).removed(c)).all()
