"""A stream gives each sample of the release once, in an order of its own, from the blocks that come next and no others.

What goes wrong on the way is tried again and then told; what is held stays within its bounds.
"""

from __future__ import annotations

import gc
import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from file_server import Fault, FileServer, files_served
from hypothesis import given, settings
from hypothesis import strategies as st
from killing import with_tests
from stores import Answer, environ, faulty
from written_release import SIZES, write_release, write_rows

from warehouse import stores
from warehouse.errors import (
    FormatError,
    IntegrityError,
    NetworkError,
    NotFound,
    Revoked,
    StateError,
    StorageFull,
    UsageError,
    WarehouseError,
)
from warehouse.loader import Batch, Fetching, Loader, StreamingLoader, StreamingTableLoader, Window
from warehouse.loader import origin as origins
from warehouse.loader.parts import windows_of
from warehouse.loader.seen import seen
from warehouse.manifest import BLOCK_BYTES, encode, read_manifest, seal

LENGTH = 1 << 14
"""Tokens of a sample: 32 of them are a block."""
SHARDS = (96, 0, 33, 64)
"""Samples of each shard: of 3, 0, 1 and a bit, and 2 blocks: 7 runs."""
TOTAL, BLOCKS = sum(SHARDS), 7
WINDOW = Window(4, 1, 2)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origins, "WAIT_S", 0.001)
    monkeypatch.setattr(origins, "LONGEST_WAIT_S", 0.01)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_release(tmp_path_factory.mktemp("datasets") / "made" / "1", SHARDS, length=LENGTH)


@pytest.fixture(scope="module")
def straddling(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Samples of 20,000 bytes: some begin in one block and end in the next."""
    return write_release(tmp_path_factory.mktemp("straddling") / "1", (150, 61), length=10_000, pad=5)


@pytest.fixture
def server(made: Path) -> Iterator[FileServer]:
    with files_served(made.parent.parent) as found:
        yield found


def opened(location: Path | str, **options: Any) -> StreamingLoader:
    return StreamingLoader(location, **{"batch": 8, "window": WINDOW, **options})


def numbers(batches: Iterator[Batch]) -> list[list[int]]:
    return [batch.samples.tolist() for batch in batches]


def data_asked(server: FileServer) -> list[tuple[str, int]]:
    """Blocks of data that the server was asked for."""
    return [
        (each.path.rpartition("/")[2], at // BLOCK_BYTES)
        for each in server.asked
        if each.path.endswith(".bin")
        for at in range(each.start, each.stop, BLOCK_BYTES)
    ]


@pytest.mark.parametrize("run", [1, 3])
@pytest.mark.parametrize("which", ["made", "straddling"])
def test_what_comes_are_the_samples_of_the_release_each_once_with_their_pieces(
    request: pytest.FixtureRequest, which: str, run: int
) -> None:
    path = request.getfixturevalue(which)
    wanted = {"boundaries": True, "positions": True, "loss_mask": True}

    def content(batches: Iterator[Batch]) -> dict[int, tuple[bytes, ...]]:
        found = {}
        for batch in batches:
            assert batch.positions is not None and batch.loss_mask is not None
            for row, sample in enumerate(batch.samples.tolist()):
                arrays = (batch.tokens[row], batch.positions[row], batch.loss_mask[row], batch.boundaries[row])
                assert sample not in found
                found[sample] = tuple(array.tobytes() for array in arrays)
        return found

    expected = content(Loader(path, batch=8, drop_last=False).batches(**wanted))
    with files_served(path.parent) as server:
        for location in (path, f"{server.url}/1"):
            loader = opened(location, drop_last=False, window=Window(4 * run, run, 2))
            plain = [batch.tokens.tobytes() for batch in islice(loader.batches(reuse=True), 4)]
            loader.restore({**loader.state(), "samples": 0})
            streamed = list(loader.batches(**wanted))
            assert content(iter(streamed)) == expected
            assert [batch.tokens.tobytes() for batch in streamed[:4]] == plain
            loader.close()


@settings(max_examples=12)
@given(
    world=st.sampled_from([1, 2, 4, 8]),
    fetching=st.builds(Fetching, threads=st.integers(1, 4), ahead_bytes=st.sampled_from([0, 1 << 18, 1 << 26])),
    cache=st.sampled_from([0, 1 << 20, 4 << 20, 64 << 20]),
    options=st.fixed_dictionaries({"drop_last": st.booleans(), "seed": st.integers(0, 2)}),
)
def test_global_batches_are_the_same_at_any_world_and_number_of_threads_and_size_of_memory_and_cache(
    made: Path, world: int, fetching: Fetching, cache: int, options: dict[str, Any]
) -> None:
    whole = numbers(opened(made, **options).batches())
    with tempfile.TemporaryDirectory() as folder:
        fetching = replace(fetching, cache=folder if cache else None, cache_bytes=cache)
        shape = {**options, "fetching": fetching, "world": world}
        ranks = [opened(made, rank=rank, **shape) for rank in range(world)]
        for _ in range(2 if cache else 1):
            epoch = ranks[0].course.epoch
            parts = zip(*(numbers(rank.batches()) for rank in ranks), strict=True)
            again = [[sample for part in step for sample in part] for step in parts]
            assert again == (whole if not epoch else numbers(opened(made, epoch=1, **{**shape, "world": 1}).batches()))
        for rank in ranks:
            rank.close()


@settings(max_examples=10)
@given(
    stop=st.integers(0, 24), before=st.sampled_from([1, 2, 4]), after=st.sampled_from([1, 2, 8]), seed=st.integers(0, 3)
)
def test_a_resume_in_any_world_equals_no_interruption(
    made: Path, stop: int, before: int, after: int, seed: int
) -> None:
    whole = numbers(opened(made, seed=seed).batches())
    states = []
    for rank in range(before):
        loader = opened(made, seed=seed, world=before, rank=rank)
        assert len(list(islice(loader.batches(), stop))) == stop
        states.append(json.loads(json.dumps(loader.state())))
        loader.close()
    assert all(state == states[0] for state in states) and len(json.dumps(states[0])) < 200
    rest = [StreamingLoader.resume(made, states[0], batch=8, world=after, rank=rank) for rank in range(after)]
    parts = zip(*(numbers(each.batches()) for each in rest), strict=True)
    assert [[sample for part in step for sample in part] for step in parts] == whole[stop:]
    for each in rest:
        each.close()


TRAINED = """
import json, os, sys
from warehouse.loader import StreamingLoader, Window
location, world, given = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
ranks = [
    StreamingLoader.resume(location, given, batch=world, world=world, rank=rank) if given
    else StreamingLoader(location, batch=world, world=world, rank=rank, window=Window(4, 1, 2))
    for rank in range(world)
]
for parts in zip(*(rank.batches() for rank in ranks)):
    rows = [int(sample) for part in parts for sample in part.samples]
    print(json.dumps([rows, ranks[0].state()]), flush=True)
"""


def test_killed_at_any_step_and_resumed_in_another_world_nothing_is_lost_or_repeated(server: FileServer) -> None:
    trained: list[int] = []
    state: Any = None
    for world, steps in ((1, 11), (4, 23), (3, 999)):
        command = [sys.executable, "-c", TRAINED, f"{server.url}/made/1", str(world), json.dumps(state)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=with_tests()) as process:
            assert process.stdout is not None
            for line in islice(process.stdout, steps):
                rows, state = json.loads(line)
                trained += rows
            process.kill()
    assert sorted(trained) == list(range(TOTAL))


def test_the_next_epoch_follows_and_a_restore_on_the_way_is_followed(made: Path) -> None:
    loader = opened(made, drop_last=False)
    first, second = (numbers(loader.batches()) for _ in range(2))
    assert first != second == numbers(opened(made, epoch=1, drop_last=False).batches())
    batches = loader.batches()
    third = numbers(islice(batches, 9))
    loader.restore({**loader.state(), "samples": 16})
    assert numbers(islice(batches, 7)) == third[2:]


def test_a_state_of_another_order_is_refused(made: Path, straddling: Path) -> None:
    state = opened(made).state()
    with pytest.raises(StateError, match=r"windows of 4 blocks, runs of 1, 2 lanes.*Allowed: .* windows of 6 blocks"):
        opened(made, window=Window(6, 1, 2)).restore(state)
    with pytest.raises(StateError, match="Allowed: data set"):
        StreamingLoader.resume(straddling, state, batch=8)
    with pytest.raises(StateError, match="seed 0"):
        opened(made, seed=1).restore(state)
    with pytest.raises(StateError, match=r"streamed in windows.*Allowed: .*shuffled as a whole"):
        Loader.resume(made, state, batch=8)
    with pytest.raises(StateError, match="streamed in windows"):
        seen(state, [0], total=TOTAL, batch=8)
    for nonsense in ({"nonsense": 1}, {**state, "window": 7}, Loader(made, batch=8).state()):
        with pytest.raises(StateError, match="pass what"):
            StreamingLoader.resume(made, nonsense, batch=8)


@pytest.mark.parametrize(("batch", "world", "drop_last"), [(8, 2, True), (6, 3, False), (5, 1, False)])
def test_every_sample_is_seen_where_the_stream_hands_it_out(
    made: Path, batch: int, world: int, drop_last: bool
) -> None:
    options = {"batch": batch, "world": world, "drop_last": drop_last, "window": Window(6, 1, 3), "epoch": 1}
    expected = {}
    for rank in range(world):
        with opened(made, rank=rank, **options) as loader:
            for step, each in enumerate(loader.comes_next(999)):
                expected |= {sample: (step, rank, row) for row, sample in enumerate(each.samples.tolist())}
    state = {**opened(made, **options).state(), "samples": 7 * batch}
    windows = windows_of(read_manifest(made), state)
    found = seen(state, np.arange(TOTAL), total=TOTAL, windows=windows, batch=batch, world=world, drop_last=drop_last)
    told = zip(*(values.tolist() for values in (found.step, found.rank, found.row)), strict=True)
    assert list(told) == [expected.get(sample, (-1, -1, -1)) for sample in range(TOTAL)]
    assert sorted(np.flatnonzero(found.seen)) == sorted(sample for sample, at in expected.items() if at[0] < 7)


def test_what_comes_next_is_what_comes_and_what_is_asked_for(server: FileServer) -> None:
    for world, rank in ((1, 0), (2, 1)):
        loader = opened(f"{server.url}/made/1", world=world, rank=rank, fetching=Fetching(1, 0))
        told = list(loader.comes_next(1000))
        assert not data_asked(server)
        assert len(told) == len(loader) and [len(each.samples) for each in told] == [8 // world] * len(told)
        given = []
        for step, batch in enumerate(loader.batches()):
            given.append(batch.samples.tolist())
            known = {block for each in told[: step + 2] for block in each.blocks}  # one step is always planned
            assert set(data_asked(server)) <= known
        assert given == [each.samples.tolist() for each in told]
        assert set(data_asked(server)) == {block for each in told for block in each.blocks}
        assert next(loader.comes_next(3)).samples.tolist() != given[0]  # of the next epoch
        server.asked.clear()
        loader.close()


def test_each_block_comes_once_an_epoch_and_a_rank_fetches_its_own(server: FileServer, made: Path) -> None:
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
    made: Path, straddling: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetching = Fetching(cache=tmp_path, cache_bytes=4 << 20)
    with opened(made, fetching=fetching), pytest.raises(StorageFull, match="are in use"):
        opened(straddling, fetching=fetching)
    with opened(straddling, fetching=fetching) as loader:
        next(loader.batches())

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.pwrite", full)
    with opened(made, fetching=fetching) as loader, pytest.raises(StorageFull, match="no space left"):
        numbers(loader.batches())


def test_faults_on_the_way_change_nothing(server: FileServer, made: Path) -> None:
    expected = [batch.tokens.tobytes() for batch in opened(made).batches()]
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
    server: FileServer, made: Path
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
    assert given == numbers(opened(made).batches())


def test_what_is_revoked_missing_or_of_another_kind_is_told(server: FileServer, made: Path, tmp_path: Path) -> None:
    url = f"{server.url}/made/1"
    with pytest.raises(NotFound, match=r"no split 'dev' in http"):
        opened(url, split="dev")
    rows = write_rows(tmp_path / "rows")
    with pytest.raises(FormatError, match="StreamingTableLoader"):
        opened(rows)
    with pytest.raises(FormatError, match="StreamingLoader"):
        StreamingTableLoader(made, batch=8)
    server.ranges = False
    with pytest.raises(UsageError, match=r"gives no ranges of a file.*pull it"):
        opened(url)
    server.ranges = True
    loader = opened(url, fetching=Fetching(1, 0))
    server.fault = lambda asked, _: Fault(status=404) if asked.endswith(".bin") else None
    with pytest.raises(IntegrityError, match=r"\.bin: the file is missing in http"):
        numbers(loader.batches())
    (made / "revoked.json").write_text('{"why": "a person asked"}')
    try:
        with pytest.raises(Revoked, match="a person asked"):
            numbers(loader.batches())
        with pytest.raises(Revoked, match="a person asked"):
            opened(url)
    finally:
        (made / "revoked.json").unlink()


@pytest.mark.parametrize(
    "fetching", [Fetching(0), Fetching(ahead_bytes=-1), Fetching(cache="somewhere"), Fetching(cache_bytes=5)]
)
def test_options_that_cannot_work_are_refused(made: Path, fetching: Fetching) -> None:
    with pytest.raises(UsageError, match="1 thread or more"):
        opened(made, fetching=fetching)
    with pytest.raises(UsageError, match="a run or more a lane"):
        opened(made, window=Window(1, 1, 2))
    with pytest.raises(UsageError, match="batch of 8 over 3 ranks"):
        opened(made, world=3)


def streaming() -> int:
    return sum(thread.name == "stream" for thread in threading.enumerate())


def until(settled: Callable[[], bool]) -> bool:
    """Whether it is so within ten seconds."""
    end = time.monotonic() + 10
    while not settled() and time.monotonic() < end:
        time.sleep(0.01)
    return settled()


def test_a_loader_that_is_closed_or_let_go_of_leaves_no_thread(made: Path) -> None:
    gc.collect()  # of other tests
    assert until(lambda: streaming() == 0)
    loader = opened(made)
    assert streaming() == 0
    batches = loader.batches()
    next(batches)
    assert streaming() == 8
    loader.close()
    assert until(lambda: streaming() == 0)
    with pytest.raises(UsageError, match="closed"):
        next(batches)
    for batch in opened(made).batches(boundaries=True):
        assert batch.samples.size == 8 and streaming() == 8
        break
    del batch
    assert until(lambda: streaming() == 0)


def test_a_loader_that_is_closed_while_it_waits_says_so(server: FileServer) -> None:
    server.fault = lambda asked, _: Fault(wait_s=2) if asked.endswith(".bin") else None
    loader = opened(f"{server.url}/made/1", fetching=Fetching(1, 0))
    closing = threading.Thread(target=lambda: until(lambda: bool(data_asked(server))) and loader.close())
    closing.start()
    with pytest.raises(UsageError, match="the loader is closed"):
        next(loader.batches())
    closing.join()


WAITING = """
import sys, time
from warehouse.loader import StreamingLoader, Window
loader = StreamingLoader(sys.argv[1], batch=8, window=Window(4, 1, 2))
print("opened", flush=True)
try:
    next(loader.batches())
except KeyboardInterrupt:
    sys.exit("interrupted")
"""


def test_a_network_that_says_nothing_can_be_interrupted(server: FileServer) -> None:
    server.fault = lambda asked, _: Fault(wait_s=60) if asked.endswith(".bin") else None
    command = [sys.executable, "-c", WAITING, f"{server.url}/made/1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=with_tests()) as process:
        assert process.stdout is not None and process.stdout.readline() == b"opened\n"
        assert until(lambda: bool(data_asked(server)))
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
    assert (process.returncode, said) == (1, b"interrupted\n")
    assert time.monotonic() - begun < 10


MEASURED = """
import sys
from pathlib import Path
from warehouse.loader import Fetching, StreamingLoader, Window
def held():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))
loader = StreamingLoader(sys.argv[1], batch=64, window=Window(8, 1, 4), fetching=Fetching(2, 2 << 20))
before, most = held(), 0
for number, batch in enumerate(loader.batches(reuse=True)):
    most = max(most, held()) if number % 16 == 0 else most
print(most - before, loader.memory_bytes)
"""


def test_memory_is_that_of_the_window_however_long_the_stream(tmp_path: Path) -> None:
    """Of 48 MiB 16 runs of 1 MiB lie in memory, 2 MiB are ahead, and each of 2 threads has one in hand."""
    release = write_release(tmp_path / "release", (15_000, 9_576), length=1024)
    done = subprocess.run([sys.executable, "-c", MEASURED, release], check=True, stdout=subprocess.PIPE)
    grown, pool = (int(word) for word in done.stdout.split())
    assert pool == 16 << 20
    assert grown <= pool + (2 + 2 * 3 + 8) * BLOCK_BYTES


def test_rows_of_a_table_are_streamed_as_tokens_are(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows")
    with files_served(tmp_path) as server:
        loader = StreamingTableLoader(f"{server.url}/rows", batch=8, drop_last=False)
        seen = []
        for batch in loader.batches():
            values = batch.columns["number"]
            assert (batch.samples == values).all() and (batch.valid["number"] == (values % 3 > 0)).all()
            assert np.array_equal(batch.columns["share"], np.where(values % 2, values / 2, np.nan), equal_nan=True)
            seen += values.tolist()
        assert sorted(seen) == list(range(sum(SIZES)))
        state = {**loader.state(), "epoch": 0, "samples": 24}
        rest = StreamingTableLoader.resume(f"{server.url}/rows", state, batch=8, drop_last=False)
        assert [number for columns in rest for number in columns["number"].tolist()] == seen[24:]


@pytest.fixture
def bucket(s3: Any, made: Path) -> str:
    return str(s3.made({f"data/made/1/{path.name}": path.read_bytes() for path in made.iterdir()}))


def test_a_bucket_is_streamed_as_a_folder_is(bucket: str, made: Path) -> None:
    def content(location: Path | str) -> list[bytes]:
        return [batch.tokens.tobytes() for batch in opened(location).batches(boundaries=True)]

    assert content(f"s3://{bucket}/data/made/1") == content(made)


def test_a_store_that_is_gone_is_one_error(s3: Any, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "TRIES", 2)
    with faulty(s3.url) as between:
        for name, value in environ(between.url).items():
            monkeypatch.setenv(name, value)
        loader = opened(f"s3://{bucket}/data/made/1", fetching=Fetching(1, 0))
        failing = [Answer(500), Answer(reset=True)]
        between.faults = lambda _, target: failing.pop() if failing and target.endswith(".bin") else None
        batches = loader.batches()
        next(batches)
        assert not failing
        between.faults = lambda _, target: Answer(503) if target.endswith(".bin") else None
        with pytest.raises(NetworkError, match=r"\.bin cannot be reached"):
            numbers(batches)


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
