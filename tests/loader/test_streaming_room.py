"""A stream fetches the blocks that it needs and no others, and stays within its bounds of memory and disk."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from file_server import FileServer
from streams import BLOCKS, LENGTH, TOTAL, data_asked, numbers, opened
from written_release import write_release

from warehouse.errors import (
    StorageFull,
)
from warehouse.loader import Fetching
from warehouse.manifest import BLOCK_BYTES


def test_each_block_comes_once_an_epoch_and_a_rank_fetches_its_own(server: FileServer, large: Path) -> None:
    whole = opened(f"{server.url}/made/1", drop_last=False)
    numbers(whole.batches())
    asked = data_asked(server)
    assert len(asked) == len(set(asked)) == BLOCKS
    assert whole.counters.fetched == TOTAL * 2 * LENGTH and whole.counters.samples == TOTAL
    ranks = [opened(f"{server.url}/made/1", world=2, rank=rank) for rank in range(2)]
    for rank in ranks:
        numbers(rank.batches())
    assert sum(rank.counters.fetched for rank in ranks) <= TOTAL * 2 * LENGTH + BLOCK_BYTES  # one lies in both lanes


@pytest.mark.parametrize("cache", [64 << 20, 4 << 20, 1 << 20, 1000])
def test_a_cache_holds_its_share_of_every_epoch_and_no_more(server: FileServer, tmp_path: Path, cache: int) -> None:
    fetching = Fetching(cache=tmp_path / "cache", cache_bytes=cache)
    loader = opened(f"{server.url}/made/1", drop_last=False, fetching=fetching)
    first = [batch.tokens.tobytes() for batch in loader.batches()]
    loader.close()
    kept = [path for path in (tmp_path / "cache").rglob("*.bin")]
    used = sum(path.stat().st_blocks * 512 for path in kept)
    assert used <= cache
    server.asked.clear()
    again = opened(f"{server.url}/made/1", drop_last=False, fetching=fetching)
    assert [batch.tokens.tobytes() for batch in again.batches()] == first
    assert again.counters.fetched == TOTAL * 2 * LENGTH - used
    if cache == 64 << 20:
        assert not data_asked(server)
        raw = bytearray(kept[0].read_bytes())
        raw[5] ^= 1
        kept[0].write_bytes(raw)
        again.close()
        mended = opened(f"{server.url}/made/1", drop_last=False, fetching=fetching)
        assert [batch.tokens.tobytes() for batch in mended.batches()] == first
        assert data_asked(server) == [(kept[0].name, 0)]


def test_a_cache_that_another_uses_up_is_told_and_a_full_disk_too(
    large: Path, straddling: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetching = Fetching(cache=tmp_path, cache_bytes=4 << 20)
    with opened(large, fetching=fetching), pytest.raises(StorageFull, match="are in use"):
        opened(straddling, fetching=fetching)
    with opened(straddling, fetching=fetching) as loader:
        next(loader.batches())

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.pwrite", full)
    with opened(large, fetching=fetching) as loader, pytest.raises(StorageFull, match="no space left"):
        numbers(loader.batches())


MEASURED = """
import sys
from pathlib import Path
from warehouse.loader import Fetching, StreamingLoader, Window
def held():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))
loader = StreamingLoader(sys.argv[1], batch=64, window=Window(8, 1, 4), fetching=Fetching(2, 2 << 20))
before, most, beside = held(), 0, bool(sys.argv[2:])
for number, batch in enumerate(loader.batches(loss_mask=beside, source_ids=beside, reuse=True)):
    most = max(most, held()) if number % 16 == 0 else most
print(most - before, loader.memory_bytes)
"""


def test_memory_is_that_of_the_window_however_long_the_stream(tmp_path: Path) -> None:
    """Of 48 MiB 16 runs of 1 MiB lie in memory, 2 MiB are ahead, and each of 2 threads has one in hand.

    Beside them 4 MiB of masks, sources and indexes, as they come and of each run once more.
    """
    release = write_release(tmp_path / "release", (15_000, 9_576), length=1024, sources=("web",), masked=True)
    for wanted, more in (((), 0), (("beside",), 8)):
        command = [sys.executable, "-c", MEASURED, release, *wanted]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
        grown, pool = (int(word) for word in done.stdout.split())
        assert pool == 16 << 20
        assert grown <= pool + (2 + 2 * 3 + 8 + more) * BLOCK_BYTES
