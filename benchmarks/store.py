"""What the store costs beside plain safetensors, and one of many sites beside all of them.

    python benchmarks/store.py [ROWS] [SITES]

writes states of ROWS rows of 16 tokens x 576 in 16 bit at SITES sites (2,000 and 33 by
default: 1.2 GB) into a temporary folder in four ways: as the store does; as plain
safetensors, with a wait for the disk; the same with one sha256 a file, as the store was
until its layout 3; and a file a site. Then one site of each is read, padded, and verified
where there is something to verify it by.

Seconds are of this process's CPU, the least of five that take turns, since the disk's
depend on who else uses it. Bytes are those that came from the disk (Linux only).
"""

import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from mi_probe.capture import shards
from mi_probe.capture.packed import unpacked
from mi_probe.capture.store import SHARD_BYTES, Store, open_store

TOKENS, WIDTH, REPEATS = 16, 576, 5


def costs(*runs: Callable[[], object]) -> dict[str, float]:
    """Least CPU seconds of each, by name."""
    seconds: dict[str, list[float]] = {run.__name__: [] for run in runs}
    for _ in range(REPEATS):
        for run in runs:
            start = time.process_time()
            run()
            seconds[run.__name__].append(time.process_time() - start)
    return {name: min(found) for name, found in seconds.items()}


def said(title: str, found: dict[str, float], base: str) -> None:
    """Print CPU seconds, and speeds beside one of them."""
    print(f"{title}: CPU s, share of the speed of '{base}'")
    for name, seconds in found.items():
        print(f"  {name:14s} {seconds:7.3f}  {found[base] / seconds:.2f}")


def tensors_of(rows: int, sites: list[str]) -> dict[str, torch.Tensor]:
    """A shard's tensors."""
    drawn = torch.randn(rows * TOKENS, WIDTH, generator=torch.Generator().manual_seed(0))
    return {
        "lengths/text": torch.full((rows,), TOKENS, dtype=torch.int32),
        "position/text": torch.full((rows,), -1, dtype=torch.int32),
        "tokens/text": torch.zeros(rows * TOKENS, dtype=torch.int32),
        "roles/text": torch.ones(rows * TOKENS, dtype=torch.int8),
        **{f"full/{site}": (drawn + i).half() for i, site in enumerate(sites)},
    }


def new_store(folder: Path, ids: list[str], sites: list[str]) -> Store:
    """An empty store."""
    header = {"fingerprint": {"of": str(folder)}, "ids": ids, "sites": sites}
    return open_store(
        folder,
        {**header, "views": ["full"], "stacks": dict.fromkeys(sites, "text"), "notes": []},
    )


def synced(path: Path) -> None:
    """Wait until a file is on the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def main(rows: int = 2000, n_sites: int = 33) -> None:
    """Write, read, print."""
    sites = [f"block.{i}" for i in range(n_sites)]
    per_shard = max(1, SHARD_BYTES // (n_sites * TOKENS * WIDTH * 2) - 1)
    counts = [min(per_shard, rows - i) for i in range(0, rows, per_shard)]
    parts = [tensors_of(count, sites) for count in counts]
    wanted = f"full/{sites[n_sites // 2]}"
    own = sum(part[wanted].nbytes for part in parts)
    whole = sum(t.nbytes for part in parts for t in part.values())
    print(f"{rows:,} rows, {n_sites} sites, {len(parts)} shards, {whole / 1e9:.2f} GB")
    with tempfile.TemporaryDirectory() as place:
        measured(Path(place), parts, counts, sites, wanted, own)


def measured(
    place: Path,
    parts: list[dict[str, torch.Tensor]],
    counts: list[int],
    sites: list[str],
    wanted: str,
    own: int,
) -> None:
    """What each layout costs."""
    names = [str(i) for i in range(sum(counts))]
    firsts = [sum(counts[:i]) for i in range(len(counts))]
    store = new_store(place / "store", names, sites)

    def kept() -> None:
        shutil.rmtree(store.folder)
        new_store(store.folder, names, sites)
        for first, count, part in zip(firsts, counts, parts, strict=True):
            store.append(names[first : first + count], part)

    def plain() -> None:
        for i, part in enumerate(parts):
            save_file(part, place / f"{i}.safetensors")
            synced(place / f"{i}.safetensors")

    def sha256_a_file() -> None:
        plain()
        for i in range(len(parts)):
            hashlib.sha256((place / f"{i}.safetensors").read_bytes()).hexdigest()

    def file_a_site() -> None:
        for i, part in enumerate(parts):
            for name, values in part.items():
                path = place / f"{i}-{name.replace('/', '-')}.safetensors"
                save_file({name: values}, path)
                shards.Sums.of(path, {name: values})
                synced(path)

    said("writing", costs(plain, kept, sha256_a_file, file_a_site), "plain")

    def padded(found: list[torch.Tensor]) -> torch.Tensor:
        values = torch.zeros(sum(counts), TOKENS, WIDTH, dtype=torch.float16)
        for first, part in zip(firsts, found, strict=True):
            rows = torch.arange(first, first + len(part) // TOKENS)
            lengths = torch.full((len(rows),), TOKENS)
            row, column = unpacked(rows, lengths)
            values[row, column] = part
        return values

    def plain_site() -> torch.Tensor:
        found = []
        for i in range(len(parts)):
            with safe_open(place / f"{i}.safetensors", framework="pt") as file:
                found.append(file.get_tensor(wanted))
        return padded(found)

    def site_by_sha256() -> torch.Tensor:
        for i in range(len(parts)):
            hashlib.sha256((place / f"{i}.safetensors").read_bytes()).hexdigest()
        return plain_site()

    def site() -> torch.Tensor:
        # Of shards that are opened anew nothing is verified yet.
        return padded([shard.get(wanted) for shard in store.shards()])

    assert torch.equal(plain_site(), site())
    said("reading one site", costs(plain_site, site, site_by_sha256), "plain_site")
    shard = store.shards()[0]
    shard.get(wanted)

    def rows_64() -> None:
        shard.get(wanted, slice(TOKENS * 8, TOKENS * 72))

    print(f"64 rows of a verified site: {1e3 * costs(rows_64)['rows_64']:.2f} CPU ms")
    share = bytes_read(site, place) / own
    print(f"bytes from the disk for one site, of its own: {share:.3f} (limit 1.2)")


def bytes_read(run: Callable[[], object], place: Path) -> int:
    """Bytes of pages that a run had to fetch from the disk, by the kernel's own count."""
    os.sync()
    for path in place.rglob("*.safetensors"):
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    before = from_disk()
    run()
    return from_disk() - before


def from_disk() -> int:
    """What this process fetched so far."""
    said = Path("/proc/self/io").read_text().split()
    return int(said[said.index("read_bytes:") + 1])


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
