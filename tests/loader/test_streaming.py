"""A stream gives each sample of the release once, in an order of its own, whatever fetches, stops or resumes it."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from file_server import FileServer, files_served
from hypothesis import given, settings
from hypothesis import strategies as st
from killing import with_tests
from streams import TOTAL, data_asked, numbers, opened
from written_release import SIZES, write_rows

from warehouse.errors import (
    StateError,
)
from warehouse.loader import Batch, Fetching, Loader, StreamingLoader, StreamingTableLoader, Window
from warehouse.loader.parts import windows_of
from warehouse.loader.seen import seen
from warehouse.manifest import read_manifest


@pytest.mark.parametrize("run", [1, 3])
@pytest.mark.parametrize("which", ["large", "straddling"])
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
    large: Path, world: int, fetching: Fetching, cache: int, options: dict[str, Any]
) -> None:
    whole = numbers(opened(large, **options).batches())
    with tempfile.TemporaryDirectory() as folder:
        fetching = replace(fetching, cache=folder if cache else None, cache_bytes=cache)
        shape = {**options, "fetching": fetching, "world": world}
        ranks = [opened(large, rank=rank, **shape) for rank in range(world)]
        for _ in range(2 if cache else 1):
            epoch = ranks[0].course.epoch
            parts = zip(*(numbers(rank.batches()) for rank in ranks), strict=True)
            again = [[sample for part in step for sample in part] for step in parts]
            assert again == (whole if not epoch else numbers(opened(large, epoch=1, **{**shape, "world": 1}).batches()))
        for rank in ranks:
            rank.close()


@settings(max_examples=10)
@given(
    stop=st.integers(0, 24), before=st.sampled_from([1, 2, 4]), after=st.sampled_from([1, 2, 8]), seed=st.integers(0, 3)
)
def test_a_resume_in_any_world_equals_no_interruption(
    large: Path, stop: int, before: int, after: int, seed: int
) -> None:
    whole = numbers(opened(large, seed=seed).batches())
    states = []
    for rank in range(before):
        loader = opened(large, seed=seed, world=before, rank=rank)
        assert len(list(islice(loader.batches(), stop))) == stop
        states.append(json.loads(json.dumps(loader.state())))
        loader.close()
    assert all(state == states[0] for state in states) and len(json.dumps(states[0])) < 200
    rest = [StreamingLoader.resume(large, states[0], batch=8, world=after, rank=rank) for rank in range(after)]
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


def test_the_next_epoch_follows_and_a_restore_on_the_way_is_followed(large: Path) -> None:
    loader = opened(large, drop_last=False)
    first, second = (numbers(loader.batches()) for _ in range(2))
    assert first != second == numbers(opened(large, epoch=1, drop_last=False).batches())
    batches = loader.batches()
    third = numbers(islice(batches, 9))
    loader.restore({**loader.state(), "samples": 16})
    assert numbers(islice(batches, 7)) == third[2:]


def test_a_state_of_another_order_is_refused(large: Path, straddling: Path) -> None:
    state = opened(large).state()
    with pytest.raises(StateError, match=r"windows of 4 blocks, runs of 1, 2 lanes.*Allowed: .* windows of 6 blocks"):
        opened(large, window=Window(6, 1, 2)).restore(state)
    with pytest.raises(StateError, match="Allowed: data set"):
        StreamingLoader.resume(straddling, state, batch=8)
    with pytest.raises(StateError, match="seed 0"):
        opened(large, seed=1).restore(state)
    with pytest.raises(StateError, match=r"streamed in windows.*Allowed: .*shuffled as a whole"):
        Loader.resume(large, state, batch=8)
    with pytest.raises(StateError, match="streamed in windows"):
        seen(state, [0], total=TOTAL, batch=8)
    for nonsense in ({"nonsense": 1}, {**state, "window": 7}, Loader(large, batch=8).state()):
        with pytest.raises(StateError, match="pass what"):
            StreamingLoader.resume(large, nonsense, batch=8)


@pytest.mark.parametrize(("batch", "world", "drop_last"), [(8, 2, True), (6, 3, False), (5, 1, False)])
def test_every_sample_is_seen_where_the_stream_hands_it_out(
    large: Path, batch: int, world: int, drop_last: bool
) -> None:
    options = {"batch": batch, "world": world, "drop_last": drop_last, "window": Window(6, 1, 3), "epoch": 1}
    expected = {}
    for rank in range(world):
        with opened(large, rank=rank, **options) as loader:
            for step, each in enumerate(loader.comes_next(999)):
                expected |= {sample: (step, rank, row) for row, sample in enumerate(each.samples.tolist())}
    state = {**opened(large, **options).state(), "samples": 7 * batch}
    windows = windows_of(read_manifest(large), state)
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
