import numpy as np
import pytest
import torch

from mi_probe import HiddenStates, InputError
from mi_probe.analysis import capacity_ladder, noise_ladder, with_noise
from mi_probe.analysis.ladders import RUNGS
from mi_probe.analysis.noise import root_mean_square
from mi_probe.synthetic import parity_of_ends

CLOSED = {name: RUNGS[name] for name in ("linear on views", "quadratic on views")}


def states(n: int = 300, t: int = 5, d: int = 3, seed: int = 0) -> HiddenStates:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(2, t + 1, size=n)
    mask = np.arange(t)[None] < lengths[:, None]
    return HiddenStates(rng.normal(size=(n, t, d)).astype(np.float32), mask)


def test_noise_has_the_size_asked_for_and_spares_padding():
    z = states()
    z.values[~z.mask] = torch.nan
    noised = with_noise(z, 0.5, seed=1)
    added = (noised.values - z.values)[z.mask]
    assert float(added.std()) == pytest.approx(0.5 * root_mean_square(z), rel=0.05)
    assert bool(noised.values[~z.mask].isnan().all())
    assert torch.equal(with_noise(z, 0.5, seed=1).values[z.mask], noised.values[z.mask])
    assert not torch.equal(with_noise(z, 0.5, seed=2).values[z.mask], noised.values[z.mask])


def test_noise_does_not_depend_on_padding():
    z = states(700)
    longer = HiddenStates(
        torch.nn.functional.pad(z.values, (0, 0, 0, 4)),
        torch.nn.functional.pad(z.mask, (0, 4)),
    )
    a, b = with_noise(z, 1.0), with_noise(longer, 1.0)
    assert torch.equal(a.values[z.mask], b.values[longer.mask])


def test_noise_keeps_the_kind_of_states():
    z = states()
    half = HiddenStates(z.values.half(), z.mask)
    assert with_noise(half, 0.1).values.dtype == torch.float16
    assert torch.equal(with_noise(z, 0.0).values[z.mask], z.values[z.mask])
    with pytest.raises(InputError, match="sigma must be 0 or more.*got -1"):
        with_noise(z, -1.0)


def test_capacity_finds_what_a_line_cannot():
    rng = np.random.default_rng(1)
    z = HiddenStates(rng.normal(size=(600, 4, 3)).astype(np.float32), np.ones((600, 4)))
    # A variance of the last token: a line sees little (the maximum grows), a square all.
    y = rng.integers(2, size=600)
    z.values[:, -1] *= torch.as_tensor(np.where(y, 3.0, 0.5))[:, None].float()
    ladder = capacity_ladder(z, y, pooling="first", rungs=CLOSED)
    table = ladder.table.set_index("rung")
    assert table.gap["linear on views"] < table.gap["quadratic on views"] - 0.1
    assert ladder.chosen == "quadratic on views"
    assert ladder.nats == pytest.approx(table.gap["quadratic on views"], abs=0.01)
    assert ladder.saturated is False
    assert "not known to be saturated" in ladder.verdict
    assert "<table" in ladder._repr_html_()


def test_capacity_saturates_where_a_line_is_enough():
    rng = np.random.default_rng(2)
    y = rng.integers(2, size=1500)
    values = rng.normal(size=(1500, 3, 2)).astype(np.float32)
    values[..., 0] += 1.5 * y[:, None]
    z = HiddenStates(values, np.ones((1500, 3)))
    ladder = capacity_ladder(z, y, rungs=CLOSED)
    assert ladder.saturated
    assert ladder.ci[0] < 0.005
    assert abs(ladder.nats) < 0.01


def test_noise_ladder_falls_and_keeps_order():
    rng = np.random.default_rng(3)
    y = rng.integers(2, size=400)
    values = rng.normal(size=(400, 4, 3)).astype(np.float32)
    values[:, -1, 0] += 3 * y
    z = HiddenStates(values, np.ones((400, 4)))
    ladder = noise_ladder(z, y, sigmas=(3.0, 0.0, 0.3), estimator=CLOSED["linear on views"])
    assert ladder.table.sigma.tolist() == [0.0, 0.3, 3.0]
    assert ladder.table.full.is_monotonic_decreasing
    assert (ladder.table.full > ladder.table.pooled - 0.01).all()
    assert ladder.chosen == "sigma = 0.3"
    assert ladder.nats == ladder.table.gap[1]
    assert "noise-smoothed Shannon information" in ladder.verdict


def test_wrong_arguments_are_named():
    z, y = states(), np.arange(300) % 2
    with pytest.raises(InputError, match="must be int classes"):
        capacity_ladder(z, np.linspace(0, 1, 300))
    with pytest.raises(InputError, match="at least one estimator"):
        capacity_ladder(z, y, rungs={})
    with pytest.raises(InputError, match="sigmas must hold a value above 0"):
        noise_ladder(z, y, sigmas=(0.0,))


@pytest.mark.slow
def test_the_whole_ladder_on_a_parity_of_ends():
    known = parity_of_ends(2000, seed=1)
    ladder = capacity_ladder(known.x, known.y)
    assert ladder.chosen in {"network on views", "recommended"}
    assert ladder.table.full.iloc[-1] > ladder.table.full.iloc[0] + 0.1
