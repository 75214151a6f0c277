"""What goes wrong on the way of a stream is tried again and then told, at the step that it befalls."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from file_server import Fault, FileServer
from streams import BLOCKS, numbers, opened
from written_release import write_release, write_rows

from warehouse.errors import (
    FormatError,
    IntegrityError,
    NetworkError,
    NotFound,
    Revoked,
    UsageError,
    WarehouseError,
)
from warehouse.loader import Fetching, StreamingTableLoader, Window
from warehouse.manifest import BLOCK_BYTES, encode, read_manifest, seal


def test_faults_on_the_way_change_nothing(server: FileServer, large: Path) -> None:
    expected = [batch.tokens.tobytes() for batch in opened(large).batches()]
    path = "made/1/train-00000-of-00004.bin"
    faults = [Fault(flip=BLOCK_BYTES + 5), Fault(cut=7), Fault(status=503), Fault(cut=0), Fault(status=429)]
    server.fault = lambda asked, _: faults.pop() if faults and asked == path else None
    assert [batch.tokens.tobytes() for batch in opened(f"{server.url}/made/1").batches()] == expected
    assert not faults


def test_a_block_that_stays_damaged_is_named_at_the_step_that_needs_it(server: FileServer) -> None:
    name = "train-00000-of-00004.bin"
    server.fault = lambda asked, _: Fault(flip=2 * BLOCK_BYTES + 5) if asked.endswith(name) else None
    for threads, ahead in ((1, 0), (4, 64 << 20)):
        loader = opened(f"{server.url}/made/1", fetching=Fetching(threads, ahead))
        needing = next(n for n, each in enumerate(loader.comes_next(99)) if (name, 2) in each.blocks)
        with pytest.raises(IntegrityError, match=rf"^{name}: block 2 \(bytes {2 * BLOCK_BYTES} to") as told:
            numbers(loader.batches())
        assert told.value.values["block"] == 2
        assert loader.counters.batches == needing and loader.state()["samples"] == 8 * needing
        loader.close()


def test_a_dead_network_is_tried_a_few_times_then_one_error_and_once_it_is_back_the_loader_goes_on(
    server: FileServer, large: Path
) -> None:
    loader = opened(f"{server.url}/made/1", fetching=Fetching(2, 0))
    given: list[list[int]] = []

    def take() -> None:
        given.extend(batch.samples.tolist() for batch in loader.batches())

    alive, dead = server.fault, [0]

    def failing(path: str, _: int) -> Fault | None:
        dead[0] += path.endswith(".bin")
        return Fault(status=503) if path.endswith(".bin") and len(given) > 1 else None

    server.fault = failing
    with pytest.raises(NetworkError, match=r"\.bin answers 503"):
        take()
    assert 2 <= len(given) < len(loader) and dead[0] <= BLOCKS * 5
    server.fault = alive
    take()
    assert given == numbers(opened(large).batches())


def test_what_is_revoked_missing_or_of_another_kind_is_told(server: FileServer, large: Path, tmp_path: Path) -> None:
    url = f"{server.url}/made/1"
    with pytest.raises(NotFound, match=r"no split 'dev' in http"):
        opened(url, split="dev")
    rows = write_rows(tmp_path / "rows")
    with pytest.raises(FormatError, match="StreamingTableLoader"):
        opened(rows)
    with pytest.raises(FormatError, match="StreamingLoader"):
        StreamingTableLoader(large, batch=8)
    server.ranges = False
    with pytest.raises(UsageError, match=r"gives no ranges of a file.*pull it"):
        opened(url)
    server.ranges = True
    loader = opened(url, fetching=Fetching(1, 0))
    server.fault = lambda asked, _: Fault(status=404) if asked.endswith(".bin") else None
    with pytest.raises(IntegrityError, match=r"\.bin: the file is missing in http"):
        numbers(loader.batches())
    (server.folder / "made/1/revoked.json").write_text('{"why": "a person asked"}')
    with pytest.raises(Revoked, match="a person asked"):
        numbers(loader.batches())
    with pytest.raises(Revoked, match="a person asked"):
        opened(url)


@pytest.mark.parametrize(
    "fetching", [Fetching(0), Fetching(ahead_bytes=-1), Fetching(cache="somewhere"), Fetching(cache_bytes=5)]
)
def test_options_that_cannot_work_are_refused(large: Path, fetching: Fetching) -> None:
    with pytest.raises(UsageError, match="1 thread or more"):
        opened(large, fetching=fetching)
    with pytest.raises(UsageError, match="a run or more a lane"):
        opened(large, window=Window(1, 1, 2))
    with pytest.raises(UsageError, match="batch of 8 over 3 ranks"):
        opened(large, world=3)


def test_a_damaged_manifest_and_a_shard_of_another_size_are_refused(tmp_path: Path) -> None:
    path = write_release(tmp_path / "1", (40,))
    manifest = read_manifest(path)
    shards = tuple(replace(shard, samples=39) for shard in manifest.splits["train"].shards)
    split = replace(manifest.splits["train"], shards=shards)
    wrong = replace(manifest, splits={"train": split}, seal="")
    (path / "manifest.json").write_bytes(encode(replace(wrong, seal=seal(wrong))))
    with pytest.raises(IntegrityError, match="bytes for 39 samples"):
        opened(path)
    (path / "manifest.json").write_bytes(encode(manifest)[:-9])
    with pytest.raises(WarehouseError, match=r"manifest\.json"):
        opened(path)
