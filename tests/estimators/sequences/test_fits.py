import numpy as np
import torch

from mi_probe.estimators.core.split import Split
from mi_probe.estimators.core.targets import Classes
from mi_probe.estimators.sequences.evidence import SNAPSHOTS
from mi_probe.estimators.sequences.fits import TokenFits
from mi_probe.estimators.sequences.token_coordinates import TokenCoordinates

PLACES = range(len(SNAPSHOTS))


def fits(y: np.ndarray, seed: int = 0) -> TokenFits:
    n = len(y)
    values = torch.randn(n, 3, 2, generator=torch.Generator().manual_seed(0))
    tokens = TokenCoordinates(values, torch.full((n,), 3))
    target = Classes(y, ("0", "1", "2"))
    part = np.where(np.arange(n) < n // 4, 0, np.where(np.arange(n) < n // 2, 1, 2))
    return TokenFits(tokens, target, Split(np.arange(n) % 4, part, seed), "cpu")


def test_a_folds_labels_reach_nothing_that_scores_it():
    y = np.random.default_rng(0).integers(3, size=80)
    reference = fits(y).scores("evidence", 2, 1, PLACES)
    assert reference.shape == (len(SNAPSHOTS), 80, 3)
    changed = np.where(np.arange(80) % 4 == 1, 2 - y, y)
    assert np.array_equal(fits(changed).scores("evidence", 2, 1, PLACES), reference)
    assert not np.array_equal(fits(changed).scores("evidence", 2, 0, PLACES), reference)


def test_a_level_learns_from_its_own_rows_only():
    y = np.random.default_rng(0).integers(3, size=80)
    changed = np.where(np.arange(80) < 40, y, 2 - y)
    for level, same in ((0, True), (1, True), (2, False)):
        one, two = (
            fits(labels).scores("evidence", level, 0, PLACES) for labels in (y, changed)
        )
        assert np.array_equal(one, two) is same
