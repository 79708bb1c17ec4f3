"""Rows to train, to select and to measure never meet, whatever they are drawn from."""

import pytest

from mi_probe.errors import InputError
from mi_probe.predgen.data import Source, read_splits


def test_a_user_s_file_is_cut_always_in_the_same_way(classes):
    first, again = read_splits(Source(data=classes)), read_splits(Source(data=classes))
    assert first.sha256() == again.sha256()
    sizes = [len(p) for p in (first.train, first.validation, first.test)]
    assert sizes == [128, 16, 16]
    ids = [set(p.ids) for p in (first.train, first.validation, first.test)]
    assert len(ids[0] | ids[1] | ids[2]) == 160
    other = read_splits(Source(data=classes, split_seed=1))
    assert other.test.ids != first.test.ids


def test_draws_stay_within_their_part(classes):
    whole = read_splits(Source(data=classes))
    drawn = read_splits(
        Source(data=classes), train_rows=20, validation_rows=4, reserve=5, seed=3
    )
    assert [len(p) for p in (drawn.train, drawn.validation, drawn.test)] == [20, 4, 5]
    assert set(drawn.test.ids) < set(whole.test.ids)
    assert set(drawn.train.ids) < set(whole.train.ids)
    # More rows than there are: all of them.
    assert len(read_splits(Source(data=classes), train_rows=10**6).train) == 128


def test_trainings_of_several_seeds_are_scored_on_the_same_rows(classes):
    rows = {"train_rows": 20, "validation_rows": 4, "reserve": 5}
    one, two = (read_splits(Source(data=classes), **rows, seed=seed) for seed in (0, 1))
    assert one.train.ids != two.train.ids
    assert one.validation.ids == two.validation.ids
    assert one.test.ids == two.test.ids
    # The other half of a split seed: the rows are drawn by it, too.
    three = read_splits(Source(data=classes, split_seed=1), **rows)
    assert three.test.ids != one.test.ids


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "got neither"),
        ({"task": "sst2", "data": "x.csv"}, "got both"),
        ({"data": "CLASSES", "data_folder": "x"}, "data-folder belongs to a declared task"),
        ({"data": "CLASSES", "answer": "text"}, "answer belongs to a declared task"),
        ({"data": "CLASSES", "without_train": "cut"}, "without-train belongs to"),
    ],
)
def test_a_source_that_is_none(options, said, classes):
    given = {k: classes if v == "CLASSES" else v for k, v in options.items()}
    with pytest.raises(InputError, match=said):
        read_splits(Source(**given))


def test_rows_of_one_class_cannot_be_trained_on(classes):
    with pytest.raises(InputError, match="of two classes or more"):
        read_splits(Source(data=classes), train_rows=1)
