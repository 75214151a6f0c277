"""Threads change neither batches, nor their order, nor where an error comes or a state stands; memory is bounded."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from written_release import write_rows

from warehouse.errors import IntegrityError, UsageError
from warehouse.loader import Batch, Counters, Loader, Mixture, Phase, Source, TableLoader
from warehouse.loader.delivery import delivered

Made = Callable[..., Path]


@pytest.fixture(scope="module")
def shared_release(tmp_path_factory: pytest.TempPathFactory, make_release: Made) -> Path:
    return make_release(tmp_path_factory.mktemp("delivery") / "release", (40, 0, 33, 30), pad=5, sources=("a", "b"))


def content(batches: Iterator[Batch]) -> list[tuple[bytes, ...]]:
    """What is in each batch before the next is asked for."""
    found = []
    for batch in batches:
        time.sleep(0.0005)
        arrays = (batch.samples, batch.tokens, batch.sources, batch.positions, batch.loss_mask)
        lists = (*batch.boundaries, *batch.source_ids)
        found.append(tuple(array.tobytes() for array in (*arrays, *lists) if array is not None))
    return found


@given(threads=st.integers(1, 4), ahead=st.integers(1, 9), reuse=st.booleans(), drop_last=st.booleans())
@settings(max_examples=15, deadline=None)
def test_batches_are_the_same_at_any_number_of_threads(
    shared_release: Path, threads: int, ahead: int, reuse: bool, drop_last: bool
) -> None:
    wanted = {"boundaries": True, "positions": True, "loss_mask": True, "source_ids": True}
    options = {"batch": 8, "world": 2, "rank": 1, "drop_last": drop_last}
    alone, made = Loader(shared_release, **options), Loader(shared_release, **options)
    for _ in range(2):  # the second is the next epoch
        expected = content(alone.batches(**wanted))
        assert content(made.batches(threads=threads, ahead=ahead, reuse=reuse, **wanted)) == expected


def test_mixtures_and_rows_are_the_same_in_threads_too(
    shared_release: Path, tmp_path: Path, make_release: Made
) -> None:
    sources = [Source(shared_release), Source(make_release(tmp_path / "other", (9,)))]
    phases = [Phase(weights=(2, 1)), Phase(50, weights=(1, 2))]
    one, other = (Mixture(sources, batch=8, phases=phases) for _ in range(2))
    threaded = content(islice(other.batches(threads=3, reuse=True), 30))
    assert threaded == content(islice(one.batches(), 30))
    assert one.state() == other.state() and one.counters.samples == other.counters.samples == 240
    rows = write_rows(tmp_path / "rows")
    alone, made = (
        [batch.columns["number"].tolist() for batch in TableLoader(rows, batch=8).batches(threads=threads)]
        for threads in (0, 2)
    )
    assert alone == made


def test_a_state_counts_what_was_handed_out_and_a_restore_on_the_way_is_followed(shared_release: Path) -> None:
    whole = [batch.samples.tolist() for batch in Loader(shared_release, batch=8).batches()]
    loader = Loader(shared_release, batch=8)
    batches = loader.batches(threads=2, ahead=6, reuse=True)
    assert [next(batches).samples.tolist() for _ in range(3)] == whole[:3]
    state = loader.state()
    assert state["samples"] == 24
    assert [next(batches).samples.tolist() for _ in range(4)] == whole[3:7]
    loader.restore(state)
    assert [batch.samples.tolist() for batch in batches] == whole[3:]


def test_a_change_of_phases_on_the_way_is_followed(shared_release: Path, tmp_path: Path, make_release: Made) -> None:
    sources = [Source(shared_release), Source(make_release(tmp_path / "other", (9,)))]
    mixture = Mixture(sources, batch=4)
    batches = mixture.batches(threads=2)
    next(batches)
    mixture.change([Phase(weights=(0, 1))])
    assert next(batches).sources.tolist() == [1, 1, 1, 1]


@dataclass
class Counting:
    """A way of 40 batches."""

    at: int = 0

    @property
    def unfinished(self) -> bool:
        return self.at < 40

    @property
    def place(self) -> int:
        return self.at

    def numbers(self) -> int:
        return self.at

    def advance(self) -> None:
        self.at += 1


@dataclass
class Small:
    samples: list[int]
    bytes: int = 7


@pytest.mark.parametrize(("threads", "ahead"), [(1, 1), (2, 5), (5, 2)])
def test_no_more_batches_than_asked_for_are_made_ahead_and_no_slot_is_taken_while_in_use(
    threads: int, ahead: int
) -> None:
    begun, slots = [], {}

    def make(number: int, slot: int) -> Small:
        begun.append(number)
        time.sleep(0.001 * (number % 3))
        slots[slot] = number
        return Small([number, slot])

    for expected, batch in enumerate(delivered(Counting(), make, Counters(), threads=threads, ahead=ahead)):
        number, slot = batch.samples
        time.sleep(0.001)
        assert number == expected and slots[slot] == number
        assert max(begun) <= number + ahead


def test_a_damaged_block_is_told_at_the_same_step_with_threads(tmp_path: Path, make_release: Made) -> None:
    path = make_release(tmp_path / "big", (4000, 2000), length=512)
    raw = bytearray((path / "train-00000-of-00002.bin").read_bytes())
    raw[2_500_000] ^= 1
    (path / "train-00000-of-00002.bin").write_bytes(raw)
    stopped = []
    for threads in (0, 3):
        loader = Loader(path, batch=8)
        with pytest.raises(IntegrityError, match="block 2"):
            for _ in loader.batches(threads=threads):
                pass
        stopped.append((loader.state(), loader.counters.batches))
    assert stopped[0] == stopped[1]


def test_an_iteration_that_is_left_leaves_no_thread(shared_release: Path) -> None:
    before = threading.active_count()
    for _ in Loader(shared_release, batch=8).batches(threads=3):
        assert threading.active_count() > before
        break
    assert threading.active_count() == before


def test_counters_say_what_came_and_what_was_waited(shared_release: Path) -> None:
    loader = Loader(shared_release, batch=8, world=2, rank=0)
    seen = [batch.tokens.nbytes for batch in loader.batches()]
    told = asdict(loader.counters)
    assert (told["batches"], told["samples"], told["bytes"]) == (12, 48, sum(seen))
    assert told["stalls"] == 12 and 0 < told["first_s"] < told["wait_s"]
    for _ in loader.batches(threads=1, ahead=3):
        time.sleep(0.02)
    assert loader.counters.batches == 24 and loader.counters.stalls < 24


@pytest.mark.parametrize("options", [{"threads": -1}, {"threads": 1, "ahead": 0}])
def test_threads_that_cannot_work_are_refused(shared_release: Path, options: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="Allowed: 0 threads or more"):
        next(Loader(shared_release, batch=8).batches(**options))


def test_positions_and_loss_mask_are_those_of_each_piece(shared_release: Path) -> None:
    """Pieces of 5 and 11 tokens; one that begins with the padding id, 5, is padding."""
    masked = 0
    for batch in Loader(shared_release, batch=8).batches(positions=True, loss_mask=True):
        assert batch.positions is not None and batch.loss_mask is not None and batch.boundaries == ()
        assert batch.positions.tolist() == [[*range(5), *range(11)]] * 8 and batch.positions.dtype == np.int32
        for row, mask in zip(batch.tokens, batch.loss_mask, strict=True):
            assert mask.tolist() == [row[0] != 5] * 5 + [row[5] != 5] * 11
            masked += int((~mask).sum())
    assert masked > 0
