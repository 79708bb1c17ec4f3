import json

import pytest
import torch
from safetensors import safe_open

from mi_probe.capture import Activations, extract, forecast, load_activations
from mi_probe.capture.activations import sha256_of
from mi_probe.capture.shards import BLOCK
from mi_probe.capture.store import LAYOUT, SCHEMA, Store, open_store
from mi_probe.contents import sealed
from mi_probe.errors import InputError
from tests.capture.models import PROMPTS, tiny_backbone

TEXTS = [f"{prompt} {i}" for i, prompt in enumerate(PROMPTS * 4)]
VIEWS = ("full", "mean", "head")


def run(folder, texts=TEXTS, **changes) -> Activations:
    settings = {
        "sites": "block.0,final_norm",
        "views": VIEWS,
        "batch_size": 4,
        "rows_per_shard": 4,
        "progress": False,
        **changes,
    }
    return extract(tiny_backbone("llama"), texts, store=folder, **settings)


def same(one: Activations, two: Activations):
    assert one.ids == two.ids
    for site in one.sites:
        a, b = one.hidden(site), two.hidden(site)
        assert torch.equal(a.mask, b.mask)
        assert torch.equal(a.values, b.values)
        assert torch.equal(a.token_ids, b.token_ids)
        assert torch.equal(a.roles, b.roles)
        for view in ("mean", "head", "last"):
            assert torch.equal(one.pooled(site, view), two.pooled(site, view))


def counted(monkeypatch):
    """How many shards are written from here on."""
    written = []
    real = Store.append
    monkeypatch.setattr(
        Store, "append", lambda s, ids, t: (written.append(ids), real(s, ids, t))[1]
    )
    return written


def test_round_trip(tmp_path):
    folder = tmp_path / "deep" / "store"
    kept = run(folder)
    same(kept, run(None))
    same(load_activations(folder), kept)
    assert len(kept.shards) == 5
    lines = [
        json.loads(x) for x in (folder / "manifest.jsonl").read_text().split("\n")[:-1]
    ]
    assert sorted(i for line in lines for i in line["ids"]) == sorted(kept.ids)
    with safe_open(folder / lines[0]["file"], framework="pt") as file:
        assert file.metadata()["schema"] == LAYOUT
        assert json.loads(file.metadata()["ids"]) == lines[0]["ids"]
    assert not list(folder.glob("*.tmp"))


def test_a_killed_run_is_taken_up_again(tmp_path, monkeypatch):
    real = Store.append

    def killed(store, ids, tensors):
        if len(store.shards()) == 2:
            raise KeyboardInterrupt
        real(store, ids, tensors)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "append", killed)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path)
    with pytest.raises(InputError, match="12 of 20 are missing"):
        load_activations(tmp_path)
    before = {p.name: p.stat().st_mtime_ns for p in tmp_path.glob("shard-*")}
    written = counted(monkeypatch)
    # Another batch size: shards are keyed by rows.
    resumed = run(tmp_path, batch_size=3, rows_per_shard=6)
    assert sum(map(len, written)) == 12
    for name, time in before.items():
        assert (tmp_path / name).stat().st_mtime_ns == time
    whole = run(None)
    for site in whole.sites:
        torch.testing.assert_close(
            resumed.hidden(site).values, whole.hidden(site).values, atol=1e-5, rtol=1e-5
        )


def test_a_finished_store_runs_no_model(tmp_path, monkeypatch):
    kept = run(tmp_path)
    backbone, ran = tiny_backbone("llama"), []
    monkeypatch.setattr(backbone.base, "forward", lambda **_: ran.append("forward"))
    again = run(tmp_path)
    assert ran == []
    same(again, kept)


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"sites": "block.0"}, "settings.sites"),
        ({"views": ("full",)}, "settings.views"),
        ({"max_tokens": 7}, "data.tokens; settings.max_tokens"),
        ({"store_dtype": "bfloat16"}, "settings.store_dtype"),
        ({"texts": TEXTS[:-1] + ["other"]}, "data.tokens"),
        ({"texts": TEXTS[:-1]}, "data.ids; data.tokens"),
    ],
)
def test_another_fingerprint_is_refused(tmp_path, changes, key):
    run(tmp_path)
    before = (tmp_path / "manifest.jsonl").read_bytes()
    with pytest.raises(InputError) as error:
        run(tmp_path, **changes)
    for name in key.split("; "):
        assert f"{name}: there" in str(error.value)
    assert str(error.value).count(": there") == len(key.split("; "))
    assert (tmp_path / "manifest.jsonl").read_bytes() == before


def test_another_model_is_refused(tmp_path):
    run(tmp_path)
    other = tiny_backbone("llama", seed=1)
    with pytest.raises(InputError, match="model.model: there"):
        extract(
            other,
            TEXTS,
            sites="block.0,final_norm",
            views=VIEWS,
            store=tmp_path,
            progress=False,
        )


def test_a_torn_manifest_line_redoes_its_shard(tmp_path, monkeypatch):
    kept = run(tmp_path)
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_bytes(manifest.read_bytes()[:-30])
    with pytest.raises(InputError, match="4 of 20 are missing"):
        load_activations(tmp_path)
    written = counted(monkeypatch)
    same(run(tmp_path), kept)
    assert len(written) == 1
    # The new line did not grow onto the torn one.
    same(load_activations(tmp_path), kept)


def test_a_flipped_byte_is_detected_and_mended(tmp_path, monkeypatch):
    kept = run(tmp_path)
    values = kept.hidden("block.0").values
    victim = sorted(tmp_path.glob("shard-*"))[2]
    flipped(victim, place_of(victim, "mean/block.0"))
    damaged = load_activations(tmp_path)
    with pytest.raises(InputError, match=victim.name):
        damaged.pooled("block.0", "mean")
    written = counted(monkeypatch)
    mended = run(tmp_path, rows_per_shard=2)
    assert sum(map(len, written)) == 4
    assert torch.allclose(mended.hidden("block.0").values, values, atol=1e-5)
    assert torch.allclose(
        load_activations(tmp_path).hidden("block.0").values, values, atol=1e-5
    )
    victim.unlink()
    with pytest.raises(InputError, match="fingerprint.json"):
        load_activations(tmp_path / "nowhere")


def test_bfloat16_halves_full_states(tmp_path):
    kept, whole = run(tmp_path, store_dtype="bfloat16"), run(None)
    z = kept.hidden("block.0").values
    assert z.dtype == torch.bfloat16
    assert torch.equal(z, whole.hidden("block.0").values.bfloat16())
    # Pooled before it was rounded.
    assert torch.equal(kept.pooled("block.0", "mean"), whole.pooled("block.0", "mean"))


def test_forecast_knows_the_bytes(tmp_path):
    settings = {"sites": "block.0,final_norm", "views": VIEWS, "rows_per_shard": 4}
    seen = forecast(tiny_backbone("llama"), TEXTS, **settings)
    run(tmp_path)
    real = sum(p.stat().st_size for p in tmp_path.glob("shard-*"))
    assert real == pytest.approx(seen["bytes_on_disk"], rel=0.1)


def test_folder_of_something_else(tmp_path):
    (tmp_path / "shard-0.safetensors").touch()
    with pytest.raises(InputError, match="Choose another folder"):
        run(tmp_path)
    (tmp_path / "fingerprint.json").write_text("{")
    with pytest.raises(InputError, match="store's header"):
        run(tmp_path)


def lines_of(folder):
    return [json.loads(x) for x in (folder / "manifest.jsonl").read_text().splitlines()]


def rewritten(folder, lines):
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "manifest.jsonl").write_text(text)


def exchanged_ids(folder):
    lines = lines_of(folder)
    lines[0]["ids"], lines[1]["ids"] = lines[1]["ids"], lines[0]["ids"]
    rewritten(folder, lines)


def exchanged_files(folder):
    a, b = sorted(folder.glob("shard-*"))[:2]
    a_bytes, b_bytes = a.read_bytes(), b.read_bytes()
    a.write_bytes(b_bytes)
    b.write_bytes(a_bytes)


def another_id(folder):
    lines = lines_of(folder)
    lines[0]["ids"][0] = "nobody"
    rewritten(folder, lines)


def a_place_outside(folder):
    lines = lines_of(folder)
    lines[0]["file"] = f"../{folder.name}/{lines[0]['file']}"
    rewritten(folder, lines)


def deep_line(folder):
    lines = (folder / "manifest.jsonl").read_text().splitlines()
    text = "\n".join(["[" * 10**5, *lines[1:], ""])
    (folder / "manifest.jsonl").write_text(text)


@pytest.mark.parametrize(
    "spoil",
    [exchanged_ids, exchanged_files, another_id, a_place_outside, deep_line],
)
def test_exchanged_pieces_are_named_and_only_they_are_captured_again(
    tmp_path, monkeypatch, spoil
):
    kept = run(None)
    run(tmp_path, rows_per_shard=4)
    spoil(tmp_path)
    with pytest.raises(InputError, match=r"rows and checksums|missing"):
        load_activations(tmp_path).hidden("block.0")
    written = counted(monkeypatch)
    same(run(tmp_path, rows_per_shard=4), kept)
    assert sum(map(len, written)) == (8 if "exchanged" in spoil.__name__ else 4)
    same(load_activations(tmp_path), kept)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[:-40],
        lambda text: text.replace('"block.0"', '"block.1"', 1),
        lambda text: "[" * 10**5,
        lambda text: None,
    ],
)
def test_a_damaged_header_is_named_and_written_again(tmp_path, monkeypatch, spoil):
    kept = run(tmp_path)
    header = tmp_path / "fingerprint.json"
    whole = header.read_text()
    header.unlink()
    if (spoilt := spoil(whole)) is not None:
        header.write_text(spoilt)
    with pytest.raises(InputError, match=r"fingerprint\.json"):
        load_activations(tmp_path)
    written = counted(monkeypatch)
    same(run(tmp_path), kept)
    assert (written, header.read_text()) == ([], whole)


def old_layout(folder):
    """The store as it was written before there were checksums a tensor."""
    header = json.loads((folder / "fingerprint.json").read_text())
    del header["sha256"]
    header["schema"] = SCHEMA
    (folder / "fingerprint.json").write_bytes(sealed(header))
    lines = [
        {"file": line["file"], "bytes": line["bytes"], "ids": line["ids"]}
        | {"sha256": sha256_of(folder / line["file"])}
        for line in lines_of(folder)
    ]
    rewritten(folder, lines)


def test_an_older_store_is_converted_once_and_its_files_stay(tmp_path, monkeypatch):
    kept = run(tmp_path)
    old_layout(tmp_path)
    files = {p.name: p.stat().st_mtime_ns for p in tmp_path.glob("shard-*")}
    same(load_activations(tmp_path), kept)
    manifest = (tmp_path / "manifest.jsonl").read_bytes()
    written = counted(monkeypatch)
    same(run(tmp_path), kept)
    assert written == []
    assert (tmp_path / "manifest.jsonl").read_bytes() == manifest
    assert {p.name: p.stat().st_mtime_ns for p in tmp_path.glob("shard-*")} == files


def test_of_an_older_store_a_damaged_shard_is_not_converted(tmp_path):
    run(tmp_path)
    old_layout(tmp_path)
    flipped(sorted(tmp_path.glob("shard-*"))[2], -7)
    with pytest.raises(InputError, match="4 of 20 are missing"):
        load_activations(tmp_path)


def test_an_older_store_that_may_not_be_written_is_refused(tmp_path, monkeypatch):
    run(tmp_path)
    old_layout(tmp_path)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mi_probe.capture.store.write_atomically", full)
    with pytest.raises(InputError, match=r"older layout.*No space left.*Make the folder"):
        load_activations(tmp_path)
    header = json.loads((tmp_path / "fingerprint.json").read_text())
    header["schema"] = "mi_probe.activations/1"
    (tmp_path / "fingerprint.json").write_text(json.dumps(header))
    with pytest.raises(InputError, match="schema of a store must be"):
        load_activations(tmp_path)


def test_one_site_is_read_and_verified_without_the_others(tmp_path):
    kept = run(tmp_path, views=("full",))
    values = kept.hidden("block.0").values
    for path in tmp_path.glob("shard-*"):
        start = place_of(path, "full/final_norm")
        flipped(path, start)
    found = load_activations(tmp_path)
    assert torch.equal(found.hidden("block.0").values, values)
    with pytest.raises(InputError, match="rows and checksums"):
        found.hidden("final_norm")


def place_of(path, name):
    content = path.read_bytes()
    behind = 8 + int.from_bytes(content[:8], "little")
    return behind + json.loads(content[8:behind])[name]["data_offsets"][0]


def flipped(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def large_store(folder, rows=700, width=1024):
    """A store of one site, of more than two blocks, a token a row, row i all i."""
    ids = [str(i) for i in range(rows)]
    header = {"fingerprint": {}, "ids": ids, "sites": ["s"], "views": ["full"]}
    store = open_store(folder, {**header, "stacks": {"s": "text"}, "notes": []})
    store.append(ids, packed(torch.arange(rows).float()[:, None].expand(rows, width)))
    return store


def packed(values):
    beside = {f"{name}/text": torch.int32 for name in ("lengths", "position", "tokens")}
    beside["roles/text"] = torch.int8
    ones = {name: torch.ones(len(values), dtype=kind) for name, kind in beside.items()}
    return {"full/s": values, **ones}


def test_rows_of_a_site_are_verified_without_the_rest_of_it(tmp_path):
    store = large_store(tmp_path)
    path = next(tmp_path.glob("shard-*"))
    # 4,096 bytes a row: the third block begins with row 512.
    flipped(path, place_of(path, "full/s") + 2 * BLOCK + 5)
    (shard,) = store.shards()
    for entries in (slice(0, 3), slice(255, 258), slice(509, 512), slice(7, 7)):
        found = shard.get("full/s", entries)
        wanted = torch.arange(700.0)[entries, None].expand(-1, 1024)
        assert torch.equal(found, wanted)
        # Again, now that its blocks are known to be whole.
        assert torch.equal(shard.get("full/s", entries), wanted)
    with pytest.raises(InputError, match="rows and checksums"):
        shard.get("full/s", slice(500, 513))
    assert not shard.intact
    path.write_bytes(path.read_bytes()[: -BLOCK // 2])
    (shard,) = store.shards()
    # One that was cut off is refused whatever is asked for.
    with pytest.raises(InputError, match="rows and checksums"):
        shard.get("full/s", slice(0, 1))


def test_a_batch_larger_than_a_shard_becomes_several(tmp_path, monkeypatch):
    monkeypatch.setattr("mi_probe.capture.store.SHARD_BYTES", 100_000)
    store = large_store(tmp_path)
    sizes = [path.stat().st_size for path in tmp_path.glob("shard-*")]
    assert len(sizes) == -(-700 // (100_000 // (1024 * 4 + 13)))
    assert max(sizes) < 102_000
    values = load_activations(store.folder).hidden("s").values
    assert torch.equal(values[:, 0, 0], torch.arange(700.0))


def test_rows_of_unequal_length_are_cut_between_rows(tmp_path, monkeypatch):
    whole = run(None, rows_per_shard=20)
    monkeypatch.setattr("mi_probe.capture.store.SHARD_BYTES", 1)
    kept = run(tmp_path, rows_per_shard=20)
    same(kept, whole)
    assert [len(shard.ids) for shard in kept.shards] == [1] * 20
