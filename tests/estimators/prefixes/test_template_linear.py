"""Tokens of a template have a discriminant each; others are left at p(y)."""

import numpy as np
import pytest

from mi_probe.estimators.core.split import Split
from mi_probe.estimators.core.targets import as_target
from mi_probe.estimators.prefixes.fits import Rows
from mi_probe.estimators.prefixes.packed_tokens import packed_tokens
from mi_probe.estimators.prefixes.template_linear import template_member
from mi_probe.hidden import HiddenStates


def prompts(n=300, seed=0):
    """Words, then two template tokens; these carry Y in opposite directions."""
    rng = np.random.default_rng(seed)
    y = rng.integers(2, size=n)
    ids = rng.integers(10, 60, size=(n, 6))
    z = 0.3 * rng.normal(size=(n, 6, 4))
    ids[:, 0], z[:, 0] = 1, 5.0  # what begins every prompt has one state
    ids[:, 4:] = 2, 3
    z[:, 4, 0] += 2 * y - 1
    z[:, 5, 0] -= 2 * y - 1
    return HiddenStates(z.astype(np.float32), ids > 0, token_ids=ids), y


def member(z, y):
    target = as_target(y)
    fold = np.arange(len(y)) % 5
    return template_member(
        packed_tokens(z), Rows(target, Split(fold, np.zeros(len(fold), dtype=np.int64), 0))
    ), fold


def test_each_kind_tells_by_its_own_direction_and_others_say_nothing():
    z, y = prompts()
    scored, fold = member(z, y)
    assert scored is not None
    rows = np.arange(len(y))
    for place in (4, 5):
        right = scored.held_out[rows, place, y]
        assert np.exp(right).mean() > 0.95
        calibration = scored.calibration[1, rows, place, y][fold != 1]
        assert np.exp(calibration).mean() > 0.95
    # Words and the constant first token are left at p(y) of the other folds.
    for place in range(4):
        assert np.ptp(scored.held_out[fold == 0, place], axis=0).max() < 1e-6


def test_without_a_template_or_ids_there_is_no_member():
    z, y = prompts(60)
    ids = np.random.default_rng(0).integers(10, 10_000, size=(60, 6))
    assert member(HiddenStates(z.values, z.mask, token_ids=ids), y)[0] is None
    assert member(HiddenStates(z.values, z.mask), y)[0] is None


def test_the_kind_of_a_token_is_known_when_it_is_read():
    z, y = prompts()
    values, ids = z.values.clone(), z.token_ids.clone()
    scored, _ = member(z, y)
    # What follows in one row changes nothing of what was said before.
    ids[0, 5], values[0, 5] = 7, 0.0
    changed, _ = member(HiddenStates(values, z.mask, token_ids=ids), y)
    assert scored is not None
    assert changed is not None
    assert changed.held_out[0, 4] == pytest.approx(scored.held_out[0, 4], abs=0.05)
