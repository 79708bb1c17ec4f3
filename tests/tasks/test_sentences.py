"""SST-2 in its three forms on disk."""

import pytest

from mi_probe.errors import InputError
from mi_probe.tasks import load_splits, load_task

HEAD = "sentence\tlabel\n"


def phrases(folder, **files):
    for name, rows in files.items():
        text = HEAD + "".join(f"{sentence} \t{label}\n" for sentence, label in rows)
        (folder / f"{name}.tsv").write_text(text, "utf-8")
    return folder


def test_phrases_end_without_a_blank(tmp_path):
    folder = tmp_path / "sst2" / "phrases"
    folder.mkdir(parents=True)
    phrases(folder, train=[("it 's \"good", 1), ("bad", 0)], dev=[("so", 0), ("fine", 1)])
    phrases(folder, test=[("a 'charm", 1)])
    # The folder itself, the one above it, and the one above that.
    for place in (folder, folder.parent, tmp_path):
        task = load_task("sst2", data_folder=place, split="train")
        assert task.prompts[0] == "Review: it 's \"good\nSentiment:"
        assert task.labels.tolist() == [1, 0]
        assert task.ids == ("train-0", "train-1")
    assert load_task("sst2", data_folder=tmp_path).prompts[0].startswith("Review: a 'charm")
    assert len(load_task("sst2", data_folder=tmp_path, split="validation")) == 2


def test_glues_own_folder_reports_on_its_dev_file(tmp_path):
    # There, dev.tsv is what other copies call test, and test.tsv has no labels.
    train = [(f"phrase {i}", i % 2) for i in range(20)]
    phrases(tmp_path, train=train, dev=[("a charm", 1), ("bleak", 0)])
    (tmp_path / "test.tsv").write_text("index\tsentence\n0\tunknown\n", "utf-8")
    test = load_task("sst2", data_folder=tmp_path)
    assert test.split == "test"
    assert test.prompts[0] == "Review: a charm\nSentiment:"
    assert load_task("sst2", data_folder=tmp_path / "dev.tsv").ids == test.ids
    with pytest.raises(InputError, match="holds only train, test"):
        load_task("sst2", data_folder=tmp_path, split="validation")
    parts = load_splits("sst2", data_folder=tmp_path)
    assert [len(part) for part in parts.values()] == [18, 2, 2]
    assert parts["test"].prompts == test.prompts


def test_sentences_are_cut_at_the_first_blank(tmp_path):
    path = tmp_path / "stsa.binary.dev"
    path.write_text("1 one\u00a0long \"string\n0 it's 1 of\ttwo\n", "utf-8")
    task = load_task("sst2_sentences", data_folder=path)
    assert task.split == "validation"
    assert task.prompts[0] == 'Review: one\u00a0long "string\nSentiment:'
    assert task.prompts[1] == "Review: it's 1 of\ttwo\nSentiment:"
    assert task.labels.tolist() == [1, 0]
    path.write_text("1 fine\nbad\n", "utf-8")
    with pytest.raises(InputError, match="line 2 of stsa.binary.dev must be a label"):
        load_task("sst2_sentences", data_folder=path)
    path.write_text("1 fine\n2 odd\n", "utf-8")
    with pytest.raises(InputError, match="line 2 must be one of 0, 1; got '2'"):
        load_task("sst2_sentences", data_folder=path)
