"""Rows come in the same exact order as tokens: none lost, equal at every world size, resume = uninterrupted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from written_release import SIZES, write_rows

from warehouse.errors import FormatError, IntegrityError, NotFound, StateError
from warehouse.loader import Loader, TableLoader


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "rows")


def epoch_of(path: Path, *, world: int, **options: int) -> list[list[int]]:
    ranks = [list(TableLoader(path, world=world, rank=rank, **options)) for rank in range(world)]
    return [[int(n) for rank in ranks for n in rank[step]["number"]] for step in range(len(ranks[0]))]


def test_an_epoch_gives_every_row_once_with_its_values(rows: Path) -> None:
    seen = []
    for batch in TableLoader(rows, batch=8, drop_last=False).batches():
        numbers = batch.columns["number"]
        assert (batch.samples == numbers).all()
        assert (batch.valid["number"] == (numbers % 3 > 0)).all() and list(batch.valid) == ["number"]
        assert np.array_equal(batch.columns["share"], np.where(numbers % 2, numbers / 2, np.nan), equal_nan=True)
        seen += numbers.tolist()
    assert sorted(seen) == list(range(sum(SIZES))) and seen != sorted(seen)


def test_global_batches_of_rows_are_the_same_at_every_world_size(rows: Path) -> None:
    one = epoch_of(rows, world=1, batch=8, seed=3)
    assert len(one) == len(TableLoader(rows, batch=8)) == 12
    assert epoch_of(rows, world=2, batch=8, seed=3) == epoch_of(rows, world=4, batch=8, seed=3) == one


@pytest.mark.parametrize(("stop", "before", "after"), [(0, 1, 2), (5, 4, 1), (12, 2, 4)])
def test_a_resume_of_rows_equals_no_interruption(rows: Path, stop: int, before: int, after: int) -> None:
    whole = epoch_of(rows, world=1, batch=8, seed=1)
    loaders = [TableLoader(rows, batch=8, world=before, rank=rank, seed=1) for rank in range(before)]
    for loader in loaders:
        for _, _ in zip(range(stop), loader, strict=False):
            pass
    state = loaders[0].state()
    assert all(loader.state() == state for loader in loaders)
    rest = [list(TableLoader.resume(rows, state, batch=8, world=after, rank=rank)) for rank in range(after)]
    assert [[int(n) for rank in rest for n in rank[step]["number"]] for step in range(len(rest[0]))] == whole[stop:]


def test_a_resume_of_rows_keeps_the_last_partial_batch_if_asked_to(rows: Path) -> None:
    loader = TableLoader(rows, batch=8, drop_last=False)
    first = next(loader.batches()).samples.tolist()
    rest = TableLoader.resume(rows, loader.state(), batch=10, drop_last=False)
    assert sorted(first + [n for batch in rest.batches() for n in batch.samples.tolist()]) == list(range(sum(SIZES)))


def test_a_damaged_row_and_the_wrong_loader_are_refused(rows: Path, release: Path) -> None:
    path = rows / "train-00000-of-00004.bin"
    data = bytearray(path.read_bytes())
    data[3] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(IntegrityError, match=r"train-00000-of-00004\.bin: block 0"):
        list(TableLoader(rows, batch=8))
    with pytest.raises(FormatError, match="TableLoader"):
        Loader(rows, batch=8)
    if release != rows:
        with pytest.raises(FormatError, match="holds tokens"):
            TableLoader(release, batch=8)
    with pytest.raises(NotFound, match="no split 'dev'"):
        TableLoader(rows, batch=8, split="dev")
    state = TableLoader(rows, batch=8).state()
    with pytest.raises(StateError):
        TableLoader.resume(rows, {**state, "dataset": "other"}, batch=8)


def test_the_table_loader_loads_nothing_of_the_stack() -> None:
    heavy = "{'pyarrow', 'duckdb', 'yaml', 'dagster', 'polars', 'pandas'}"
    code = f"import sys, warehouse.loader; print(sorted(sys.modules.keys() & {heavy}))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
