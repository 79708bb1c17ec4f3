import numpy as np
import pytest
import torch

from mi_probe import HiddenStates
from mi_probe.estimators.core import states
from mi_probe.estimators.sequences import token_coordinates as module
from mi_probe.estimators.sequences.token_coordinates import token_coordinates


def marked(n: int = 600, t: int = 8, d: int = 12, seed: int = 0):
    """Gaussian tokens, one of four with a marker along a random axis."""
    rng = np.random.default_rng(seed)
    axis = np.linalg.qr(rng.normal(size=(d, 1)))[0][:, 0]
    active = rng.random((n, t)) < 0.15
    values = rng.normal(size=(n, t, d)) + 4 * active[..., None] * axis
    mask = np.arange(t)[None] < rng.integers(1, t + 1, size=n)[:, None]
    return HiddenStates(values.astype(np.float32), mask), active


def test_what_is_not_noise_comes_first_and_largest():
    z, active = marked()
    tokens = token_coordinates(z)
    real = torch.arange(tokens.values.shape[1])[None] < tokens.lengths[:, None]
    u = tokens.values[real].numpy()
    on = active[z.mask.numpy()]
    shift = abs(u[on].mean(0) - u[~on].mean(0))
    assert shift[0] > 1 > 2 * shift[1:].max()
    spread = u.std(0)
    assert spread[0] > 0.5
    assert np.median(spread[1:]) == pytest.approx(0.1, abs=0.05)


def test_nothing_but_noise_keeps_every_direction():
    rng = np.random.default_rng(0)
    z = HiddenStates(rng.normal(size=(300, 6, 5)), np.ones((300, 6), bool))
    tokens = token_coordinates(z)
    assert tokens.values.shape == (300, 6, 5)
    assert (tokens.values.std((0, 1)) > 0.05).all()


@pytest.mark.parametrize("junk", [1e4, np.nan])
def test_where_the_padding_is_changes_nothing(junk):
    z, _ = marked(n=200)
    n, t, d = z.values.shape
    reference = token_coordinates(z)
    rng = np.random.default_rng(1)
    values = torch.full((n, 2 * t, d), junk)
    mask = torch.zeros(n, 2 * t, dtype=torch.bool)
    for row in range(n):
        real = z.values[row, z.mask[row]]
        places = np.sort(rng.choice(2 * t, size=len(real), replace=False))
        values[row, places], mask[row, places] = real, True
    scattered = token_coordinates(HiddenStates(values, mask))
    assert torch.equal(scattered.lengths, reference.lengths)
    longest = int(reference.lengths.max())
    assert torch.allclose(scattered.values, reference.values[:, :longest], atol=1e-4)


def test_reading_in_chunks_changes_nothing(monkeypatch):
    z, _ = marked(n=200)
    whole = token_coordinates(z)
    monkeypatch.setattr(states, "_CHUNK_BYTES", 5 * 4 * 8 * 12)
    assert torch.allclose(token_coordinates(z).values, whole.values, atol=1e-5)


def test_subspace_iteration_finds_the_same_principal_directions(monkeypatch):
    z, _ = marked(d=20)
    monkeypatch.setattr(module, "_PRINCIPAL", 5)
    whole = token_coordinates(z, width=1)
    monkeypatch.setattr(module, "_FULL_LIMIT", 10)
    some = token_coordinates(z, width=1)
    overlap = np.corrcoef(whole.values[:, 0, 0], some.values[:, 0, 0])[0, 1]
    assert abs(overlap) > 0.9


def test_scale_offset_and_constant_columns_do_not_matter():
    z, _ = marked(n=300)
    values = z.values.clone() * torch.tensor([1e6, 1e-6, *[1.0] * 10])
    values[..., 3] += 1e3
    values = torch.cat([values, torch.full((300, 8, 2), 7.0)], 2)
    scaled = token_coordinates(HiddenStates(values, z.mask)).values[..., 0]
    plain = token_coordinates(z).values[..., 0]
    assert abs(np.corrcoef(scaled.ravel(), plain.ravel())[0, 1]) > 0.99


def test_constant_states_and_rows_of_one_token():
    z = HiddenStates(np.ones((30, 4, 3)), np.arange(4)[None] < np.ones((30, 1)))
    tokens = token_coordinates(z)
    assert tokens.values.shape == (30, 1, 1)
    assert not tokens.values.any()


@pytest.mark.parametrize("d", [48, 200])
def test_a_rare_marker_on_a_column_of_its_own_is_found_among_many_columns(d):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(1500, 16, d)).astype(np.float32)
    marked = rng.integers(16, size=1500)
    values[np.arange(1500), marked, 7] += 6.0
    tokens = token_coordinates(HiddenStates(values, np.ones((1500, 16), dtype=bool)))
    marker = np.zeros((1500, 16))
    marker[np.arange(1500), marked] = 1
    found = tokens.values.numpy().reshape(-1, tokens.values.shape[2])
    likeness = np.abs(np.corrcoef(found.T, marker.ravel())[-1, :-1])
    assert likeness.max() > 0.75


def test_columns_that_are_zero_nearly_everywhere_are_kept():
    rng = np.random.default_rng(0)
    values = np.zeros((500, 8, 100), dtype=np.float32)
    codes = rng.integers(100, size=500)
    values[np.arange(500), 3, codes] = 1.0
    # A gate that is shut but for some noise is no constant column.
    values += (1e-8 * rng.random(size=values.shape)).astype(np.float32)
    tokens = token_coordinates(HiddenStates(values, np.ones((500, 8), dtype=bool)))
    assert torch.isfinite(tokens.values).all()
    assert tokens.values[:, 3].std() > 3 * tokens.values[:, 0].std()


def test_a_massive_activation_hides_nothing_else_of_its_token():
    rng = np.random.default_rng(0)
    n, t, d = 1500, 8, 100
    values = rng.normal(size=(n, t, d)).astype(np.float32)
    sign = rng.choice([-1.0, 1.0], size=n)
    values[:, 0, 3] += 3000.0
    values[:, 0, 7] += 5 * sign
    tokens = token_coordinates(HiddenStates(values, np.ones((n, t), dtype=bool)))
    first = tokens.values[:, 0].numpy()
    fitted = np.linalg.lstsq(np.c_[first, np.ones(n)], sign, rcond=None)[0]
    told = np.c_[first, np.ones(n)] @ fitted
    assert np.corrcoef(told, sign)[0, 1] > 0.9
