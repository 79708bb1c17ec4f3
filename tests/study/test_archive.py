"""An archive holds what is read, byte for byte, and writes nothing elsewhere."""

import hashlib

import pandas as pd
import pytest

from mi_probe.contents import sealed
from mi_probe.errors import InputError
from mi_probe.study.archive import archive, restore


@pytest.fixture
def folder(tmp_path):
    files = {
        "study.json": sealed({"study": "x"}),
        "status.csv": b"a\n1\n",
        "chain/steps/1-train.json": sealed({"step": "1"}),
        "chain/results/rows/ab.json": b'{"row": {"row_id": "ab", "value_nats": 0.25}}',
        "chain/results/pointwise/ab.safetensors": bytes(range(256)),
        "chain/results/gaps/cd.json": b"{}",
        "chain/results/activations/states.safetensors": b"large",
        "chain/trained/model.safetensors": b"larger",
        "chain/trained/losses.csv": b"step,loss\n1,0.5\n",
    }
    for name, content in files.items():
        path = tmp_path / "out" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "out"


def test_a_folder_comes_back_without_models_and_states(folder, tmp_path):
    path = archive(folder, tmp_path / "x.parquet")
    back = restore(path, tmp_path / "back")
    files = sorted(p.relative_to(back).as_posix() for p in back.rglob("*") if p.is_file())
    assert files == [
        "chain/results/gaps/cd.json",
        "chain/results/pointwise/ab.safetensors",
        "chain/results/rows/ab.json",
        "chain/steps/1-train.json",
        "chain/trained/losses.csv",
        "study.json",
    ]
    for name in files:
        assert (back / name).read_bytes() == (folder / name).read_bytes()
    table = pd.read_parquet(path)
    assert table.set_index("row_id").loc["ab", "value_nats"] == 0.25
    # The same folder, the same bytes.
    again = archive(folder, tmp_path / "y.parquet")
    assert again.read_bytes() == path.read_bytes()


def test_what_is_no_archive_is_refused(folder, tmp_path):
    with pytest.raises(InputError, match="has no study.json"):
        archive(tmp_path / "none", tmp_path / "x.parquet")
    with pytest.raises(InputError, match="must be a .parquet file"):
        archive(folder, tmp_path / "x.csv")
    with pytest.raises(InputError, match="must be a file that exists"):
        restore(tmp_path / "none.parquet", tmp_path / "back")
    path = tmp_path / "x.parquet"
    path.write_bytes(b"no parquet")
    with pytest.raises(InputError, match="is not"):
        restore(path, tmp_path / "back")
    archive(folder, path)
    with pytest.raises(InputError, match="new or empty"):
        restore(path, folder)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("../outside.json", b"x", "must be a study's"),
        ("/etc/study.json", b"x", "must be a study's"),
        ("chain/trained/model.safetensors", b"x", "must be a study's"),
        ("elsewhere/study.json", b"x", "must be a study's"),
        ("a/b/c/results/rows/x.json", b"x", "must be a study's"),
        ("study.json", None, "must be as they were"),
    ],
)
def test_a_hostile_archive_writes_nothing(tmp_path, name, content, said):
    right = hashlib.sha256(b"x").hexdigest()
    line = {"path": name, "sha256": right, "content": content or b"other"}
    pd.DataFrame([line]).to_parquet(tmp_path / "x.parquet")
    with pytest.raises(InputError, match=said):
        restore(tmp_path / "x.parquet", tmp_path / "back")
    assert not list((tmp_path / "back").rglob("*"))
