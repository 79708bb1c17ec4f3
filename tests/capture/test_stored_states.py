import shutil
from itertools import groupby

import numpy as np
import pytest
import torch

from mi_probe.capture import extract, load_activations
from mi_probe.capture.shards import FileShard
from mi_probe.capture.stored_states import StoredStates
from mi_probe.errors import InputError
from mi_probe.estimators import ESTIMATORS
from mi_probe.estimators.core.states import as_states, as_they_stand, views_of
from mi_probe.estimators.prefixes.token_information import token_information
from mi_probe.estimators.sequences.token_coordinates import token_coordinates
from mi_probe.hidden import Role
from mi_probe.scratch import is_on_disk
from tests.capture.models import PROMPTS, tiny_backbone

TEXTS = [f"{prompt} {'and so ' * (i % 3)}{i}" for i, prompt in enumerate(PROMPTS * 12)]
SITE = "block.0"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("states") / "store"
    told = {"sites": SITE, "batch_size": 8, "rows_per_shard": 16, "progress": False}
    extract(tiny_backbone("llama"), TEXTS, store=folder, **told)
    return folder


@pytest.fixture
def both(store):
    """The same states, in memory and on the disk."""
    found = load_activations(store)
    return found.hidden(SITE), found.read_by_rows(SITE)


@pytest.mark.parametrize(
    "rows",
    [
        *(slice(None), slice(3, 40, 7), slice(9, 9), torch.arange(0)),
        *([5], [40, 2, 2, 17], [7, 7, 7], [3, 3, 5]),
    ],
)
def test_chosen_examples_are_those_in_memory(both, rows):
    z, stored = both
    held, read = z[rows], stored[rows]
    assert not isinstance(read, StoredStates)
    for name in ("values", "mask", "token_ids", "roles"):
        assert torch.equal(getattr(held, name), getattr(read, name))
    assert read.site == SITE


def test_all_that_is_known_without_reading_agrees(both, monkeypatch):
    z, stored = both
    monkeypatch.setattr(FileShard, "get", None)  # from here on nothing may be read
    assert (len(stored), stored.shape, stored.has_gold) == (len(z), z.shape, False)
    kept = stored.keep(Role.PROMPT).acknowledge_gold()
    assert isinstance(kept, StoredStates)
    assert kept.gold_acknowledged
    assert torch.equal(kept.mask, z.mask)


def test_a_pass_reads_each_shard_in_one_piece(both, monkeypatch):
    z, stored = both
    monkeypatch.setattr("mi_probe.estimators.core.states._CHUNK_BYTES", 4000 * 8)
    parts = as_they_stand(stored)
    assert len(parts) > 3
    assert sorted(np.concatenate(parts)) == list(range(len(z)))
    asked = []
    real = FileShard.get
    monkeypatch.setattr(
        FileShard, "get", lambda s, *told: (asked.append(s.path), real(s, *told))[1]
    )
    for rows in parts:
        assert torch.equal(stored[rows].values, z[rows].values)
    # None is come back to, and only where a part ends inside it is it asked for twice.
    assert len([path for path, _ in groupby(asked)]) == len(set(asked))
    assert len(asked) <= len(set(asked)) + len(parts) - 1


def test_views_and_coordinates_are_equal(both):
    z, stored = both
    one, two = views_of(z), views_of(stored)
    for name in one:
        np.testing.assert_allclose(one[name], two[name], rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(
        token_coordinates(z).values, token_coordinates(stored).values
    )


@pytest.mark.parametrize("name", ["auto", "mine", "attention"])
def test_an_estimate_is_that_of_states_in_memory(both, name):
    z, stored = both
    y = np.random.default_rng(0).integers(0, 2, len(z))
    held, read = (ESTIMATORS[name].estimate(x, y, seed=0) for x in (z, stored))
    assert read.nats == pytest.approx(held.nats, abs=1e-4)
    assert read.status == held.status


def test_single_positions_and_some_examples_are_those_in_memory(both):
    z, stored = both
    rows, places = torch.tensor([40, 2, 2, 17]), torch.tensor([0, 1, 0, 1])
    assert torch.equal(stored.at(rows, places), z.at(rows, places))
    some = stored.only(np.array([40, 2, 17]))
    assert isinstance(some, StoredStates)
    assert torch.equal(some.values, z[[40, 2, 17]].values)
    assert torch.equal(some[[1]].mask, z[[2]].mask)
    assert sorted(some.reading_order.tolist()) == [0, 1, 2]


def test_what_tokens_tell_is_that_of_states_in_memory(both):
    y = np.arange(len(both[0])) % 2
    held, read = (token_information(x, y, seed=0)["prefix"] for x in both)
    np.testing.assert_allclose(read.totals, held.totals, atol=1e-4)


def test_memory_decides_whether_states_and_vectors_stay_on_the_disk(store):
    much, little = (load_activations(store, memory=size) for size in ("4GB", "9kB"))
    assert not isinstance(much.states(SITE), StoredStates)
    assert isinstance(little.states(SITE), StoredStates)
    held, read = (one.vectors(SITE, "mean") for one in (much, little))
    assert not is_on_disk(held)
    assert is_on_disk(read)
    np.testing.assert_array_equal(held, read)
    y = np.arange(len(held)) % 2
    for name in ("auto", "linear"):
        one, two = (ESTIMATORS[name].estimate(x, y, seed=0) for x in (held, read))
        assert two.nats == pytest.approx(one.nats, abs=1e-4)


def test_a_state_that_is_not_finite_is_found_by_its_mean(tmp_path):
    folder = tmp_path / "store"
    told = {"sites": SITE, "rows_per_shard": 5, "progress": False}
    extract(tiny_backbone("llama"), TEXTS[:12], store=folder, **told)
    z = load_activations(folder).read_by_rows(SITE)
    rows, real = z._rows, type(z._rows).__getitem__

    class Broken(type(rows)):
        def __getitem__(self, wanted):
            found = real(self, wanted)
            found[torch.arange(12)[wanted] == 7, 0] = torch.inf
            return found

    rows.__class__ = Broken
    with pytest.raises(InputError, match="1 of 12 examples hold NaN or .* row 7"):
        as_states(z, 12)


def test_damage_is_named_when_it_is_read(store, tmp_path):
    folder = shutil.copytree(store, tmp_path / "copy")
    z = load_activations(folder).read_by_rows(SITE)
    for path in folder.glob("shard-*"):
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="rows and checksums"):
        z[:3]
