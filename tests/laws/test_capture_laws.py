"""Laws that capture must keep for every family of models."""

import pytest
import torch

from mi_probe.capture import capture, check_padding, extract
from mi_probe.capture.forward import make_batch, run
from mi_probe.capture.sequences import as_sequences
from mi_probe.pooling import POOLINGS, pool
from tests.capture.models import (
    FAMILIES,
    PROMPTS,
    n_hooks,
    reference,
    tiny_backbone,
)

QUIET = {"progress": False, "padding_check": False}

pytestmark = pytest.mark.parametrize("family", FAMILIES)


@pytest.fixture
def backbone(family):
    return tiny_backbone(family)


def every(backbone):
    """The names of all sites, inside blocks too."""
    inside = {site.name.rpartition(".")[2] for site in backbone.inside.sites}
    assert {"attn_out", "mlp_out"} <= inside
    return ["all", *sorted(inside)]


def test_extract_equals_output_hidden_states(backbone):
    expected = reference(backbone)
    found = extract(backbone, PROMPTS, batch_size=len(PROMPTS), **QUIET)
    assert len(expected) >= 3
    for site, states in expected.items():
        z = found.hidden(site)
        assert z.values.shape == states.shape
        assert torch.equal(z.values[z.mask], states[z.mask]), site


def test_batching_changes_nothing(backbone):
    whole = extract(
        backbone, PROMPTS, sites=every(backbone), batch_size=len(PROMPTS), **QUIET
    )
    # One row a batch, and batches whose rows arrive in another order than the longest
    # first.
    for size, order in ((1, (0, 1, 2, 3, 4)), (2, (3, 0, 4, 2, 1))):
        prompts = [PROMPTS[i] for i in order]
        found = extract(backbone, prompts, sites=every(backbone), batch_size=size, **QUIET)
        assert set(found.sites) == set(whole.sites) > {s.name for s in backbone.sites}
        for site in whole.sites:
            z, states = found.hidden(site), whole.hidden(site).values
            torch.testing.assert_close(
                z.values[z.mask], states[list(order)][z.mask], atol=1e-5, rtol=1e-5
            )


def test_parts_of_a_block_add_up(backbone):
    found = extract(
        backbone, PROMPTS, sites=every(backbone), batch_size=len(PROMPTS), **QUIET
    )

    def z(name):
        states = found.hidden(name)
        return states.values[states.mask]

    streams = [site.name for site in backbone.sites]
    blocks = [name for name in streams if "block." in name]
    assert {site.name.rpartition(".")[0] for site in backbone.inside.sites} == set(blocks)
    for block in blocks:
        x, y = z(streams[streams.index(block) - 1]), z(block)
        attn, mlp = z(f"{block}.attn_out"), z(f"{block}.mlp_out")
        assert min(attn.std(), mlp.std()) > 1e-3
        cross = z(f"{block}.cross_out") if block.startswith("dec.") else 0
        near = {"atol": 1e-5, "rtol": 1e-5}
        if f"{block}.mid" not in found.sites:
            torch.testing.assert_close(x + attn + mlp, y, **near)
        elif block not in backbone.inside.normed:
            mid = z(f"{block}.mid")
            torch.testing.assert_close(x + attn, mid, **near)
            torch.testing.assert_close(mid + cross + mlp, y, **near)
        else:
            norm = backbone.base.get_submodule(backbone.select(f"{block}.mid")[0].module)
            with torch.no_grad():
                torch.testing.assert_close(norm(x + attn), z(f"{block}.mid"), **near)


def test_longer_padding_changes_nothing(backbone):
    data = as_sequences(backbone, PROMPTS, max_tokens=64)

    def states(extra):
        kept = {}
        batch = make_batch(backbone, data, range(len(PROMPTS)), extra=extra)
        sites = backbone.select(every(backbone))
        run(backbone, batch, sites, lambda s, v: kept.update({s: v.clone()}))
        return batch, kept

    batch, short = states(0)
    padded, long = states(7)
    for site, values in short.items():
        mask = batch.streams[site.stack].mask
        other = padded.streams[site.stack].mask
        assert other.shape[1] == mask.shape[1] + 7
        torch.testing.assert_close(values[mask], long[site][other], atol=1e-5, rtol=1e-5)
        for pooling in POOLINGS.values():
            torch.testing.assert_close(
                pooling(values, mask), pooling(long[site], other), atol=1e-5, rtol=1e-5
            )


def test_self_check_passes_and_sees_every_site(backbone):
    data = as_sequences(backbone, PROMPTS, max_tokens=64)
    sites = backbone.select(every(backbone))
    worst = check_padding(backbone, data, sites)
    assert set(worst) == {site.name for site in sites}
    assert max(worst.values()) < 1e-5


def test_pooled_in_the_hook_equals_pooled_from_full(backbone):
    views = tuple(POOLINGS)
    # The same batches: pooling alone differs.
    told = {"sites": every(backbone), "batch_size": 2, **QUIET}
    hooked = extract(backbone, PROMPTS, views=views, **told)
    full = extract(backbone, PROMPTS, **told)
    for site in hooked.sites:
        for view in views:
            expected = pool(full.hidden(site), view)
            torch.testing.assert_close(hooked.pooled(site, view), expected)
            torch.testing.assert_close(full.pooled(site, view), expected)


def test_hooks_are_gone(backbone, monkeypatch):
    before = n_hooks(backbone.model)
    with capture(backbone, every(backbone)):
        assert n_hooks(backbone.model) > before
    assert n_hooks(backbone.model) == before
    with pytest.raises(KeyError), capture(backbone.model):
        raise KeyError
    assert n_hooks(backbone.model) == before
    extract(backbone, PROMPTS, views=("mean",), progress=False)
    assert n_hooks(backbone.model) == before
    data = as_sequences(backbone, PROMPTS, max_tokens=64)
    with pytest.raises(ZeroDivisionError):
        run(
            backbone,
            make_batch(backbone, data, [0]),
            backbone.select(every(backbone)),
            lambda site, values: 1 / 0,
        )
    assert n_hooks(backbone.model) == before


def test_capture_sees_what_extract_sees(backbone):
    data = as_sequences(backbone, PROMPTS[:1], max_tokens=64)
    found = extract(backbone, PROMPTS[:1], sites=every(backbone), **QUIET)
    batch = make_batch(backbone, data, [0])
    ids = (batch.streams.get("") or batch.streams["enc"]).token_ids
    inputs = {"input_ids": ids}
    if "dec" in batch.streams:
        inputs["decoder_input_ids"] = batch.streams["dec"].token_ids
    with capture(backbone.model, every(backbone)) as states, torch.no_grad():
        backbone.model(**inputs)
    for site in found.sites:
        (values,) = states[site]
        z = found.hidden(site)
        torch.testing.assert_close(values[:, -z.values.shape[1] :], z.values)
        assert not values.requires_grad
