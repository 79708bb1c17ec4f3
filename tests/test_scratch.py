import errno
import os
import tempfile

import numpy as np
import pytest
import torch

from mi_probe.errors import InputError
from mi_probe.estimators.core.states import as_states
from mi_probe.estimators.core.states import standardised as of_states
from mi_probe.estimators.models.columns import standardised, views_of_vectors, whitened
from mi_probe.memory import held_bytes, size_of
from mi_probe.scratch import (
    beside,
    column_blocks,
    is_on_disk,
    let_go,
    on_disk,
    picked,
    product,
)


@pytest.fixture
def x():
    drawn = np.random.default_rng(0).normal(size=(400, 131)) ** 3 + 2
    drawn[:, 5] = 1.5  # a column that does not vary
    return drawn


def stored(x):
    found = on_disk(x.shape)
    found[:] = x
    return found


def test_what_is_let_go_of_is_still_there():
    a = on_disk((300, 7))
    a[3] = 2
    let_go([a, None, np.zeros(3)])
    assert a.sum() == 14
    torch.from_numpy(a)[4, 0] = 5
    assert a[4, 0] == 5


def test_only_files_and_parts_of_them_are_on_the_disk():
    a = on_disk((6, 4))
    assert all(map(is_on_disk, (a, a[1:3], a[:, 2:], a.reshape(4, 6))))
    assert not any(map(is_on_disk, (a[[1, 2]], a + 1, a.mean(0), np.zeros(3), None)))
    assert is_on_disk(beside(a, (2, 2)))
    assert not is_on_disk(beside(np.zeros(2), (2, 2)))
    assert on_disk((0, 4)).shape == (0, 4)


@pytest.mark.parametrize("d", [0, 1, 64, 65, 129, 576])
def test_blocks_cover_all_columns_and_no_one_stands_alone(d):
    blocks = column_blocks(d)
    assert [i for part in blocks for i in range(d)[part]] == list(range(d))
    assert d < 2 or min(part.stop - part.start for part in blocks) > 1


def test_columns_in_blocks_have_the_bits_of_the_whole(x):
    centred = x - x.mean(0)
    spread = centred.std(0)
    varies = spread > 1e-6
    whole = (centred[:, varies] / spread[varies]).astype(np.float32)
    found = standardised(x)
    np.testing.assert_array_equal(found, whole)
    assert found.flags.f_contiguous == whole.flags.f_contiguous
    whole = (x[:, varies] - x.mean(0)[varies]) / x.std(0)[varies]
    np.testing.assert_array_equal(of_states(x), whole)


def test_what_is_made_of_columns_on_the_disk_is_that_of_memory(x):
    x = x.astype(np.float32)
    a = stored(x)
    one, two = dict(views_of_vectors(x.astype(np.float64))), dict(views_of_vectors(a))
    assert list(one) == list(two) == ["x", "squashed x"]
    for name in one:
        assert is_on_disk(two[name])
        u, v = whitened(one[name])[0], whitened(two[name])[0]
        assert is_on_disk(v)
        # Axes of one covariance may point either way.
        np.testing.assert_allclose(u @ u.T, v @ v.T, atol=2e-2)
    assert is_on_disk(product(a, np.ones((131, 3), np.float32)))


@pytest.mark.parametrize("text", ["", "GB", "0", "-1GB", "4 apples", "nan"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(InputError, match="memory must be a size such as 4GB"):
        size_of(text)


def test_sizes_are_read_and_forecasts_grow_with_rows():
    assert [size_of(t) for t in ("4GB", "4gib", "1.5k", 7)] == [4 * 10**9, 2**32, 1500, 7]
    assert held_bytes((10, 5, 8)) == 10 * held_bytes((1, 5, 8))
    assert held_bytes((10, 8)) < held_bytes((10, 1, 8))


def test_a_users_mapped_file_is_read_and_left_alone(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((20, 3), np.int8))
    x = np.load(tmp_path / "x.npy", mmap_mode="c")
    x[:, 0] = np.arange(20)
    assert not is_on_disk(x)
    let_go([x])
    states = as_states(x, 20)
    assert states.dtype == np.float64
    assert states[:, 0].tolist() == list(range(20))
    assert x[:, 0].tolist() == list(range(20))


def test_parts_and_chosen_rows_lie_where_the_whole_does(x):
    a = stored(x)
    rows = np.array([3, 1, 399])
    assert is_on_disk(a[2:5])
    assert is_on_disk(picked(a, rows))
    assert np.array_equal(picked(a, rows), picked(np.asarray(a, np.float32), rows))


def test_a_full_disk_is_named_before_anything_is_mapped(monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space left") as told:
        on_disk((10, 10))
    assert told.value.filename == tempfile.gettempdir()
