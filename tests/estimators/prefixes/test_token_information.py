"""The critics of tokens and prefixes: known answers, sums, causality, refusals."""

import numpy as np
import pytest
import torch

from mi_probe.errors import InputError
from mi_probe.estimators.prefixes.token_information import (
    increments,
    token_classes,
    token_information,
)
from mi_probe.hidden import HiddenStates, Role

N, T, D = 400, 10, 12
LN2 = np.log(2)


def planted(kind: str, *, n: int = N, noise: float = 0.3, seed: int = 0):
    """Tokens of noise; what is known stands at known places. Lengths vary."""
    rng = np.random.default_rng(seed)
    z = noise * rng.normal(size=(n, T, D))
    y = rng.integers(2, size=n)
    sign = 2 * y - 1
    if kind == "needle":
        z[:, 3, 0] += 3 * sign
    elif kind == "xor":
        other = rng.integers(2, size=n)
        z[:, 2, 0] += 3 * (2 * (y ^ other) - 1)
        z[:, 5, 1] += 3 * (2 * other - 1)
    elif kind == "redundant":
        z[:, 2, 0] += 3 * sign
        z[:, 5, 0] += 3 * sign
    elif kind == "causal":
        # As in a causal model: from the needle on, every state carries it.
        z[:, 3:, 0] += 3 * sign[:, None]
    lengths = rng.integers(7, T + 1, size=n)
    mask = np.arange(T) < lengths[:, None]
    return HiddenStates(z.astype(np.float32) * mask[..., None], mask), y


@pytest.fixture(scope="module")
def found():
    kept = {}

    def of(kind):
        if kind not in kept:
            # What two tokens tell only together takes more rows to find.
            kept[kind] = token_information(*planted(kind, n=800 if kind == "xor" else N))
        return kept[kind]

    return of


def by_place(values):
    return np.nanmean(values, axis=0)


def test_a_needle_is_found_where_it_stands(found):
    inc = by_place(found("needle")["prefix"].increments)
    assert found("needle")["prefix"].nats == pytest.approx(LN2, abs=0.03)
    assert inc[3] >= 0.95 * found("needle")["prefix"].nats
    assert np.abs(np.delete(inc, 3)).max() < 0.05 * inc[3]
    alone = by_place(found("needle")["alone"].pointwise)
    assert alone[3] == pytest.approx(LN2, abs=0.03)
    assert np.abs(np.delete(alone, 3)).max() < 0.03


def test_two_tokens_whose_xor_is_the_label_tell_it_only_together(found):
    inc = by_place(found("xor")["prefix"].increments)
    assert found("xor")["prefix"].nats == pytest.approx(LN2, abs=0.05)
    assert inc[5] >= 0.95 * found("xor")["prefix"].nats
    assert abs(inc[2]) < 0.03
    assert np.abs(by_place(found("xor")["alone"].pointwise)).max() < 0.02


def test_of_redundant_tokens_the_first_brings_it_and_both_know_it(found):
    inc = by_place(found("redundant")["prefix"].increments)
    assert inc[2] >= 0.95 * found("redundant")["prefix"].nats
    assert abs(inc[5]) < 0.03
    alone = by_place(found("redundant")["alone"].pointwise)
    assert alone[[2, 5]] == pytest.approx([LN2, LN2], abs=0.03)


def test_noise_tells_nothing(found):
    for reader in found("noise").values():
        assert np.abs(by_place(reader.pointwise)).max() < 0.02


def test_of_a_causal_model_the_increment_stands_where_it_became_readable(found):
    inc = by_place(found("causal")["prefix"].increments)
    assert inc[3] >= 0.95 * found("causal")["prefix"].nats
    assert np.abs(inc[:3]).max() < 0.03
    # What a single state knows does not say when it came in.
    assert by_place(found("causal")["alone"].pointwise)[3:] == pytest.approx(LN2, abs=0.03)


def test_increments_add_up_to_each_total_and_on_average_to_the_estimate(found):
    prefix = found("needle")["prefix"]
    inc = prefix.increments
    assert inc.dtype == np.float64
    np.testing.assert_allclose(np.nansum(inc, 1), prefix.totals, atol=1e-12)
    assert np.nansum(inc) / len(inc) == pytest.approx(prefix.nats, abs=1e-12)
    assert np.isnan(inc[~prefix.mask]).all()
    assert np.isfinite(inc[prefix.mask]).all()


def test_posteriors_are_normalised_and_no_value_passes_the_ceiling(found):
    prefix = found("needle")["prefix"]
    log_q = prefix.log_posterior[prefix.mask]
    np.testing.assert_allclose(np.exp(log_q).sum(1), 1, atol=1e-9)
    rows = np.arange(len(prefix.y))
    ceiling = -prefix.log_prior[rows, prefix.y]
    assert (prefix.pointwise <= ceiling[:, None])[prefix.mask].all()
    assert prefix.entropy_y == pytest.approx(LN2, abs=0.01)


def test_what_comes_later_is_not_known_at_t():
    z, y = planted("causal", n=200)
    before = token_information(z, y, readers=["prefix"])["prefix"]
    # One row's end becomes another's: no earlier value of that row may move.
    row = int(np.argmax(before.mask.sum(1)))
    values = z.values.clone()
    values[row, 6:] = -values[row, 6:]
    after = token_information(HiddenStates(values, z.mask), y, readers=["prefix"])["prefix"]
    np.testing.assert_allclose(
        after.pointwise[row, :6], before.pointwise[row, :6], atol=0.02
    )
    assert np.abs(after.pointwise[row, 6:9] - before.pointwise[row, 6:9]).max() > 1


def test_padding_and_holes_are_not_read():
    z, y = planted("needle", n=150)
    plain = token_information(z, y)
    rng = np.random.default_rng(1)
    values, mask = (
        np.full((150, 2 * T, D), np.nan, np.float32),
        np.zeros((150, 2 * T), bool),
    )
    for i in range(150):
        own = z.values[i][z.mask[i]].numpy()
        places = np.sort(rng.permutation(2 * T)[: len(own)])
        values[i, places], mask[i, places] = own, True
    spread = token_information(HiddenStates(values, mask), y)
    for reader in ("prefix", "alone"):
        np.testing.assert_allclose(
            spread[reader].pointwise[mask],
            plain[reader].pointwise[z.mask.numpy()],
            atol=1e-5,
        )
    np.testing.assert_allclose(spread["prefix"].totals, plain["prefix"].totals, atol=1e-5)


def test_same_seed_same_number_and_the_global_state_is_left_alone():
    z, y = planted("needle", n=100)
    torch.manual_seed(5)
    first = token_information(z, y, readers=["alone"])["alone"]
    drawn = torch.rand(1)
    again = token_information(z, y, readers=["alone"])["alone"]
    np.testing.assert_array_equal(first.log_posterior, again.log_posterior)
    torch.manual_seed(5)
    assert torch.rand(1) == drawn


def test_three_classes_and_labels_of_any_numbers():
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=300)
    z = 0.3 * rng.normal(size=(300, 5, 8)).astype(np.float32)
    z[np.arange(300), 2, y] += 3
    mask = np.ones((300, 5), bool)
    prefix = token_information(HiddenStates(z, mask), 10 * y - 7)["prefix"]
    assert prefix.nats == pytest.approx(np.log(3), abs=0.06)
    assert by_place(prefix.increments)[2] >= 0.95 * prefix.nats


def test_answers_in_tokens_are_classes_by_their_distinct_values():
    answers = [[5], [5, 9], [7, 7, 2]]
    y = np.arange(60) % 3
    target = token_classes([answers[i] for i in y])
    assert target.index.tolist() == y.tolist()
    padded = np.array([[5, -1, -1], [5, 9, -1], [7, 7, 2]])[y]
    assert token_classes(padded).n_classes == 3


def test_spans_of_tokens_add_up_to_the_total(found):
    prefix = found("needle")["prefix"]
    spans = np.tile(np.arange(T) // 4, (N, 1))  # the needle, 3, is in the first
    added = prefix.by_span(spans)
    np.testing.assert_allclose(added.sum(1), prefix.totals, atol=1e-12)
    assert added.mean(0)[0] == pytest.approx(LN2, abs=0.04)
    assert np.abs(added.mean(0)[1:]).max() < 0.03


def test_increments_bridge_holes():
    cumulative = np.array([[0.1, np.nan, 0.4], [np.nan, -0.2, np.nan]])
    mask = ~np.isnan(cumulative)
    np.testing.assert_allclose(
        increments(cumulative, mask), [[0.1, np.nan, 0.3], [np.nan, -0.2, np.nan]]
    )


def test_refusals_say_what_to_do(found):
    z, y = planted("noise", n=100)
    with pytest.raises(InputError, match="classes for token-level"):
        token_information(z, y.astype(float) + 0.5 * np.arange(100))
    with pytest.raises(InputError, match="at least 10 rows a class.* of 2 has 3"):
        token_information(z, (np.arange(100) < 3).astype(int))
    with pytest.raises(InputError, match="at most 64 classes .* got 65. Pool"):
        token_classes(np.arange(650) % 65)
    gold = HiddenStates(z.values, z.mask, roles=torch.full(z.mask.shape, int(Role.GOLD)))
    with pytest.raises(InputError, match="gold"):
        token_information(gold, y)
    with pytest.raises(InputError, match="reads each token alone"):
        _ = found("needle")["alone"].increments
