"""A capture divided among processes: the same store, whoever makes it."""

import json
import os
import subprocess
import sys

import pytest
import torch
from tiny import save_tiny

from mi_probe.backbones import load_backbone
from mi_probe.capture import extract
from mi_probe.capture.batches import cut
from mi_probe.capture.sequences import Sequences
from mi_probe.capture.store import Store

WORDS = ["the", "cat", "sat", "on", "a", "mat", "and", "saw", "the", "dog", "run"]
TEXTS = [" ".join(WORDS[: 2 + i % 9]) + f" {i % 37}" for i in range(44)]
TOLD = {
    **{"sites": "block.1,final_norm", "views": ("full", "last")},
    **{"batch_size": 3, "progress": False},
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(save_tiny(tmp_path_factory.mktemp("models") / "llama"))


def same_bits(one, two):
    assert one.ids == two.ids
    for site in one.sites:
        a, b = one.hidden(site), two.hidden(site)
        assert torch.equal(a.mask, b.mask)
        assert torch.equal(a.values, b.values)
        assert torch.equal(one.pooled(site, "last"), two.pooled(site, "last"))


def kept(folder):
    """Each file of a store with the checksums of all that it holds."""
    lines = [*map(json.loads, (folder / "manifest.jsonl").read_text().splitlines())]
    found = {line["file"]: (line["ids"], line["bytes"], line["tensors"]) for line in lines}
    assert len(found) == len(lines) == len([*folder.glob("shard-*")])
    return found


def killed_after(monkeypatch, count):
    append, seen = Store.append, []

    def killed(store, ids, tensors):
        append(store, ids, tensors)
        seen.append(ids)
        if len(seen) == count:
            raise KeyboardInterrupt

    monkeypatch.setattr(Store, "append", killed)
    return lambda: monkeypatch.setattr(Store, "append", append)


def test_begun_as_four_and_ended_as_two_is_the_store_of_one(model, tmp_path, monkeypatch):
    backbone = load_backbone(model)
    alone = extract(backbone, TEXTS, store=tmp_path / "alone", **TOLD)
    same_bits(extract(backbone, TEXTS, **TOLD), alone)
    told = {"store": tmp_path / "s", **TOLD}
    for shard in ((1, 4), (3, 4), (4, 4)):
        mend = killed_after(monkeypatch, 1)
        with pytest.raises(KeyboardInterrupt):
            extract(backbone, TEXTS, shard=shard, **told)
        mend()
    begun = kept(tmp_path / "s")
    assert len(begun) == 3  # each began with a piece of its own
    for shard in ((2, 2), (1, 2)):
        same_bits(extract(backbone, TEXTS, shard=shard, **told), alone)
    assert kept(tmp_path / "s") == kept(tmp_path / "alone")
    assert begun.items() <= kept(tmp_path / "s").items()


def test_a_kill_leaves_the_batches_as_they_were(model, tmp_path, monkeypatch):
    backbone = load_backbone(model)
    told = {"rows_per_shard": 6, "store": tmp_path / "s", **TOLD}
    mend = killed_after(monkeypatch, 2)
    with pytest.raises(KeyboardInterrupt):
        extract(backbone, TEXTS, **told)
    mend()
    same_bits(extract(backbone, TEXTS, **told), extract(backbone, TEXTS, **TOLD))


def test_pieces_are_cut_over_the_whole_data():
    ids = [[7] * (1 + i % 5) + [i] for i in range(40)]
    data = Sequences(tuple(map(str, range(40))), ids)
    pieces = cut(data, batch_size=4, rows_per_piece=8)
    assert [sum(len(batch) for batch in piece) for piece in pieces] == [8] * 5
    rows = [row for piece in pieces for batch in piece for alike in batch for row in alike]
    assert sorted(rows) == list(range(40))
    lengths = [len(ids[row]) for row in rows]
    assert lengths == sorted(lengths, reverse=True)
    assert len(cut(data, batch_size=4, rows_per_piece=512)) == 1
    assert len(cut(data, batch_size=2, rows_per_piece=1)) == 20
    # Rows that are read alike stay together.
    copies = Sequences(tuple(map(str, range(12))), [[5, 6]] * 12)
    assert cut(copies, batch_size=4, rows_per_piece=4) == [[[list(range(12))]]]


@pytest.mark.slow
def test_two_processes_of_a_launcher_divide_it(model, tmp_path):
    program = (
        "import sys; from mi_probe.capture import extract\n"
        f"extract(sys.argv[1], {TEXTS!r}, store=sys.argv[2], **{TOLD!r})"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program, model, str(tmp_path / "s")],
            env={**os.environ, "RANK": str(rank), "WORLD_SIZE": "2"},
        )
        for rank in range(2)
    ]
    assert [one.wait(300) for one in running] == [0, 0]
    extract(load_backbone(model), TEXTS, store=tmp_path / "alone", **TOLD)
    assert kept(tmp_path / "s") == kept(tmp_path / "alone")
