"""Rows that trained a system are found again, and others are not taken for them."""

from dataclasses import replace

import pandas as pd
import pytest

from mi_probe.errors import InputError
from mi_probe.predgen.data import Source, read_splits
from mi_probe.predgen.reserved import refuse_trained, tied_to
from mi_probe.tasks import read_table

TEXTS = [f"the {('bad', 'good')[i % 2]} film {i}" for i in range(20)]


@pytest.fixture
def splits(tmp_path):
    return read_splits(Source(data=file(tmp_path / "reviews.csv", TEXTS)))


def file(path, texts):
    labels = [("no", "yes")[i % 2] for i in range(len(texts))]
    path.parent.mkdir(exist_ok=True)
    pd.DataFrame({"text": texts, "label": labels}).to_csv(path, index=False)
    return str(path)


@pytest.mark.parametrize(
    "change",
    [str, lambda x: x + " !", str.upper, lambda x: x.replace(" ", "\t ")],
)
def test_a_trained_text_in_another_file_is_refused(splits, change, tmp_path):
    copied = [change(text) for text in splits.train.prompts]
    task = read_table(file(tmp_path / "own.csv", copied))
    with pytest.raises(InputError, match=r"16 of 16 trained here"):
        refuse_trained(task, splits, where="here")


def test_no_training_is_cut_so_that_it_cannot_be_measured(tmp_path):
    """Rows that differ in case and punctuation are many in any file of short messages."""
    texts = [f"thanks a lot {i // 3}" for i in range(90)]
    texts[1::3] = [text.capitalize() for text in texts[1::3]]
    texts[2::3] = [f"{text}!" for text in texts[2::3]]
    for seed in range(5):
        source = Source(data=file(tmp_path / "twins.csv", texts), split_seed=seed)
        splits = read_splits(source)
        for part in (splits.validation, splits.test):
            refuse_trained(part, splits, where="here")
        assert not tied_to(splits.test, splits.validation).any()


def test_rows_of_a_group_that_trained_are_refused(splits):
    test = replace(splits.test, groups=("me",) * len(splits.test))
    theirs = ["you"] * len(splits.train)

    def trained():
        return replace(splits, train=replace(splits.train, groups=tuple(theirs)))

    refuse_trained(test, trained(), where="here")
    theirs[3] = "me"
    with pytest.raises(InputError, match="2 of 2 trained here"):
        refuse_trained(test, trained(), where="here")
    # A speaker "me" of another file is somebody else.
    refuse_trained(replace(test, file_sha256="another"), trained(), where="here")


def test_groups_of_a_file_are_known_to_the_training_and_to_who_measures(tmp_path):
    texts = [f"the film {i}" for i in range(40)]
    path = file(tmp_path / "spoken.csv", texts)
    speakers = [f"speaker {i // 4}" for i in range(40)]
    pd.read_csv(path).assign(speaker=speakers).to_csv(path, index=False)
    splits = read_splits(Source(data=path, group_column="speaker"))
    refuse_trained(splits.test, splits, where="here")
    speaker = splits.train.groups[0]
    own = read_table(path, group_column="speaker")
    rows = [i for i, name in enumerate(own.groups) if name == speaker]
    train = splits.train.rows(range(1, len(splits.train)))
    with pytest.raises(InputError, match="4 of 4 trained here"):
        refuse_trained(own.rows(rows), replace(splits, train=train), where="here")


def test_another_template_hides_no_row_of_the_file_that_trained(splits, tmp_path):
    same = file(tmp_path / "renamed.csv", TEXTS)
    task = read_table(same, template="Review: {text}?")
    with pytest.raises(InputError, match=r"16 of 20 trained here"):
        refuse_trained(task, splits, where="here")
    kept = [i for i, name in enumerate(task.ids) if name not in splits.train.ids]
    refuse_trained(task.rows(kept), splits, where="here")


def test_new_rows_in_another_file_of_the_same_name_are_welcome(splits, tmp_path):
    """Though they are numbered as the old ones were."""
    new = [f"a play {i}" for i in range(20)]
    task = read_table(file(tmp_path / "new" / "reviews.csv", new))
    assert set(task.ids) >= set(splits.train.ids)
    refuse_trained(task, splits, where="here")
