"""The order of a stream is a bijection, equal at every world size, near in blocks, as far from storage as stated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse.errors import UsageError
from warehouse.loader import Window
from warehouse.loader.course import Course, Order
from warehouse.loader.windows import Runs, Windows
from warehouse.manifest import BLOCK_BYTES, FileEntry


def runs_of(sizes: list[int], row_bytes: int, run: int) -> Runs:
    shards = [(FileEntry(f"{number}.bin", size * row_bytes, "", ()), size) for number, size in enumerate(sizes)]
    return Runs(shards, row_bytes, run)


@dataclass(frozen=True)
class Shape:
    """Shards of ``sizes`` samples, and a window of ``more`` blocks than it must have."""

    sizes: list[int]
    row_bytes: int
    run: int
    lanes: int
    more: int

    @property
    def runs(self) -> Runs:
        return runs_of(self.sizes, self.row_bytes, self.run)

    def order(self, runs: Runs) -> Order:
        return Windows("made/train/0", runs, Window(self.run * self.lanes + self.more, self.run, self.lanes)).samples


ROWS = (BLOCK_BYTES // 8, BLOCK_BYTES // 4, BLOCK_BYTES // 5, BLOCK_BYTES // 3 + 7, BLOCK_BYTES, 3 * BLOCK_BYTES // 2)
shapes = st.builds(
    Shape,
    sizes=st.lists(st.integers(0, 60), min_size=1, max_size=5).filter(any),
    row_bytes=st.sampled_from(ROWS),
    run=st.integers(1, 4),
    lanes=st.integers(1, 6),
    more=st.integers(0, 40),
)


@given(shape=shapes)
@settings(max_examples=40)
def test_runs_hold_each_sample_once_with_all_of_its_bytes(shape: Shape) -> None:
    runs, sizes, row_bytes, run = shape.runs, shape.sizes, shape.row_bytes, shape.run
    assert runs.total == sum(sizes)
    places = [(n, row) for n, size in enumerate(sizes) for row in range(size)]
    told = []
    for number in range(len(runs)):
        found = runs[number]
        assert 0 < found.last - found.first <= -(-run * BLOCK_BYTES // row_bytes)
        for sample in range(found.first, found.last):
            shard, row = places[sample]
            begin = row * row_bytes
            assert found.entry.path == f"{shard}.bin"
            assert begin == found.start + (sample - found.first) * row_bytes
            assert found.blocks.start * BLOCK_BYTES <= begin and begin + row_bytes <= found.blocks.stop * BLOCK_BYTES
            assert begin // (run * BLOCK_BYTES) == found.start // (run * BLOCK_BYTES)
            told.append(sample)
    assert told == list(range(sum(sizes)))
    each = {f"{n}.bin": -(-size * row_bytes // BLOCK_BYTES) for n, size in enumerate(sizes)}
    before = {f"{n}.bin": sum(list(each.values())[:n]) for n in range(len(sizes))}
    for number, (first, last, held) in enumerate(zip(*(values.tolist() for values in runs.spans()), strict=True)):
        found = runs[number]
        assert range(first, last) == range(
            *(before[found.entry.path] + at for at in (found.blocks.start, found.blocks.stop))
        )
        assert held == min(found.blocks.stop * BLOCK_BYTES, found.entry.bytes) - found.blocks.start * BLOCK_BYTES


@given(shape=shapes, epoch=st.integers(0, 2))
@settings(max_examples=40)
def test_an_epoch_is_a_bijection_and_any_position_can_be_computed_alone(shape: Shape, epoch: int) -> None:
    runs = shape.runs
    whole = shape.order(runs)(epoch, np.arange(runs.total)).tolist()
    assert sorted(whole) == list(range(runs.total))
    for position in range(0, runs.total, 41):
        assert shape.order(runs)(epoch, np.array([position])).tolist() == [whole[position]]


@given(
    shape=shapes,
    world=st.integers(1, 6),
    share=st.integers(1, 7),
    consumed=st.integers(0, 80),
    drop_last=st.booleans(),
)
@settings(max_examples=40)
def test_global_batches_are_slices_of_the_order_and_equal_at_every_world_size(
    shape: Shape, world: int, share: int, consumed: int, drop_last: bool
) -> None:
    runs, batch = shape.runs, world * share
    if runs.total < batch:
        return
    order = shape.order(runs)
    whole = order(1, np.arange(runs.total)).tolist()

    def courses(count: int) -> list[Course]:
        way = {"batch": batch, "world": count, "epoch": 1, "consumed": min(consumed, runs.total)}
        made = {"drop_last": drop_last, "order": order, "window": [1, 1, shape.lanes]}
        return [Course("made", "train", runs.total, rank=rank, **way, **made) for rank in range(count)]

    (one,), ranks = courses(1), courses(world)
    while one.unfinished:
        numbers, parts = one.numbers().tolist(), [rank.numbers() for rank in ranks]
        assert sorted(numbers) == sorted(whole[one.consumed : one.consumed + batch])
        assert np.concatenate(parts).tolist() == numbers
        assert all(part.size == share for part in parts) or one.consumed + batch > runs.total
        for course in (one, *ranks):
            course.advance()
    assert not any(rank.unfinished for rank in ranks)


@pytest.mark.parametrize("world", [2, 4, 8])
def test_ranks_have_blocks_of_their_own_but_for_one_at_each_border_of_lanes(world: int) -> None:
    runs, window = runs_of([3_000, 5_001, 7_777], BLOCK_BYTES // 16, 1), Window(64, 1, 8)
    order = Windows("made/train/0", runs, window).samples
    touched = []
    for rank in range(world):
        course = Course("made", "train", runs.total, 16, world, rank, order=order, window=[64, 1, 8])
        numbers = []
        while course.unfinished:
            numbers.append(course.numbers())
            course.advance()
        touched.append(set(runs.located(np.concatenate(numbers))[0].tolist()))
    assert len(set.union(*touched)) == len(runs)
    assert sum(map(len, touched)) <= len(runs) + world - 1


def test_a_batch_lies_in_the_runs_of_a_window_and_the_first_ones_in_few() -> None:
    runs, window = runs_of([100_000], BLOCK_BYTES // 64, 1), Window(64, 1, 8)
    order = Windows("made/train/0", runs, window)
    owners = runs.located(order.samples(0, np.arange(runs.total)))[0]
    first = len(set(owners[:64].tolist()))
    assert first <= 2 * window.lanes
    alive = [len(set(owners[at : at + 64 * 64].tolist())) for at in range(0, runs.total, 64 * 64)]
    assert max(alive) <= 2 * (window.blocks + 2 * window.lanes)
    spread = [np.ptp(np.flatnonzero(owners == run)) for run in range(0, len(runs), 50)]
    assert max(spread) <= 2 * 64 * (window.blocks + window.lanes)


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    runs, window = runs_of([500, 400], BLOCK_BYTES // 4, 1), Window(16, 1, 4)
    orders = {
        tuple(Windows(name, runs, window).samples(epoch, np.arange(runs.total)).tolist())
        for name in ("a/train/0", "a/train/1", "b/train/0")
        for epoch in (0, 1)
    }
    assert len(orders) == 6


def shuffled(window: Window, runs: Runs) -> np.ndarray:
    return Windows("made/train/0", runs, window).samples(0, np.arange(runs.total))


def fisher_yates(_: Window, runs: Runs) -> np.ndarray:
    return np.random.default_rng(0).permutation(runs.total)


@pytest.mark.parametrize(
    ("order", "blocks", "inflated"),
    [(shuffled, 32, 2.75), (shuffled, 64, 1.875), (shuffled, 256, 1.22), (fisher_yates, 256, 1.0)],
)
def test_batches_mix_the_sources_of_storage_as_far_as_stated(
    order: Callable[[Window, Runs], np.ndarray], blocks: int, inflated: float
) -> None:
    """chi-square of eight sources in batches of 64, over its mean in an exact shuffle: 1 + (batch - lanes) / blocks."""
    runs, sources, batch = runs_of([64 * 2048], BLOCK_BYTES // 64, 1), 8, 64
    batches = order(Window(blocks, 1, 8), runs).reshape(-1, batch)
    counts = np.stack([(batches // (runs.total // sources) == source).sum(axis=1) for source in range(sources)], axis=1)
    expected = batch / sources
    chi = ((counts - expected) ** 2 / expected).sum(axis=1).mean() / (sources - 1)
    assert chi == pytest.approx(inflated, rel=0.12)
    owners = np.sort(runs.located(batches.reshape(-1))[0].reshape(-1, batch), axis=1)
    same = sum((owners[:, lag:] == owners[:, :-lag]).sum() for lag in range(1, batch)) / (batch * (batch - 1) / 2)
    assert 1 + (batch - 1) * same / len(batches) == pytest.approx(inflated, rel=0.12)


@pytest.mark.parametrize("window", [Window(7, 1, 8), Window(8, 2, 8), Window(8, -1, 2), Window(8, 1, 0)])
def test_a_window_that_cannot_work_is_refused(window: Window) -> None:
    with pytest.raises(UsageError, match="a run or more a lane"):
        window.of(2048)


def test_runs_are_one_block_where_samples_divide_it_and_more_where_they_straddle() -> None:
    assert Window().of(2048).run == 1
    assert Window().of(2050).run == 8
