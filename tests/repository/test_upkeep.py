"""Laws of maintenance: no row and no receipt changes, what is pinned stays readable, a kill anywhere undoes nothing."""

from __future__ import annotations

import math
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import killed_upkeep
import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable
from hypothesis import given, settings
from hypothesis import strategies as st
from killing import with_tests
from scenes import day, documents, facts, ingest, leftovers

from examples import dear
from warehouse.contracts import Snapshot
from warehouse.errors import Busy, FormatError, NotFound
from warehouse.query import attach_repository, connect, fetch_all
from warehouse.repository import Repository, delta, upkeep

SCHEMA = pa.schema([("x", pa.int64()), ("text", pa.large_string())])
WIDER = pa.schema([*SCHEMA, ("seen", pa.list_(pa.int64()))])
LATER = datetime.now(UTC) + timedelta(days=1)
SIZES = st.lists(st.integers(0, 40), min_size=1, max_size=14)


def filled(root: Path, sizes: list[int], *, first: int = 0) -> Repository:
    """A table ``t`` of one commit a size, numbered rows, a column that comes with the fourth commit."""
    repository = Repository(root, wait_s=5)
    for at in range(len(sizes)):
        numbers = range(first + sum(sizes[:at]), first + sum(sizes[: at + 1]))
        row = {"x": list(numbers), "text": [f"text {n}" if n % 3 else None for n in numbers]}
        schema = SCHEMA if at < 3 else WIDER
        row |= {"seen": [[n, at] for n in numbers]} if at >= 3 else {}
        batch = pa.RecordBatch.from_pydict(row, schema=schema)
        repository.append("t", [batch], schema=schema, source="s", run_id=str(at))
    return repository


def seen(snapshot: Snapshot) -> Counter[tuple[Any, ...]]:
    """The rows that DuckDB reads of a version."""
    with connect() as con:
        attach_repository(con, [snapshot])
        return (
            Counter(fetch_all(con, "SELECT x, text, COLUMNS('seen')::VARCHAR FROM repository.t"))
            if ("seen" in snapshot.schema.names)
            else Counter(fetch_all(con, "SELECT x, text, NULL FROM repository.t"))
        )


@contextmanager
def empty_root(within: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=within) as folder:
        yield Path(folder)


@settings(max_examples=dear(8))
@given(SIZES, st.integers(900, 4000))
def test_a_compaction_changes_neither_rows_nor_receipts_nor_what_was_pinned(
    memory_folder: Path, sizes: list[int], small: int
) -> None:
    with empty_root(memory_folder) as root:
        repository = filled(root, sizes)
        before, receipts = repository.snapshot("t"), repository.receipts("t")
        rows = seen(before)
        done = upkeep.compact(root, "t", wait_s=5, small_bytes=small, file_bytes=3 * small)
        after = repository.snapshot("t")
        assert seen(after) == rows == seen(before) == seen(repository.snapshot("t", version=before.version))
        assert repository.receipts("t") == receipts
        assert (after.rows, after.version) == (before.rows, before.version + done.commits)
        assert len(after.files) == len(before.files) - done.files_in + done.files_out
        assert upkeep.compact(root, "t", wait_s=5, small_bytes=small, file_bytes=3 * small) == upkeep.Compacted()
        assert pl.read_delta(str(root / "repository/t")).height == after.rows
        assert DeltaTable(root / "repository/t").to_pyarrow_table().num_rows == after.rows


@settings(max_examples=dear(8))
@given(SIZES, st.data())
def test_a_vacuum_removes_what_no_kept_version_has_and_nothing_else(
    memory_folder: Path, sizes: list[int], data: st.DataObject
) -> None:
    """The twin asks Delta for the files of every version; the vacuum reads the log once."""
    with empty_root(memory_folder) as root:
        repository = filled(root, sizes)
        for _ in range(2):
            repository.compact("t")
            filled(root, data.draw(SIZES), first=1000)
        versions = {v: repository.snapshot("t", version=v) for v in range(repository.snapshot("t").version + 1)}
        pins = data.draw(st.sets(st.sampled_from(sorted(versions))))
        wanted = {file for v in {*pins, max(versions)} for file in versions[v].files}
        rows = {v: seen(versions[v]) for v in {*pins, max(versions)}}
        done = repository.vacuum("t", pins=pins, since=LATER)
        assert {str(path) for path in (root / "repository/t").glob("*.parquet")} == wanted
        assert done.files == len({file for each in versions.values() for file in each.files} - wanted)
        assert {v: seen(repository.snapshot("t", version=v)) for v in rows} == rows
        for v, snapshot in versions.items():
            if not {*snapshot.files} <= wanted:
                with pytest.raises(NotFound, match=rf"version {v} of table t is no longer kept"):
                    repository.snapshot("t", version=v)


def test_versions_within_the_time_of_keeping_stay(tmp_path: Path) -> None:
    repository = filled(tmp_path, [5] * 6)
    repository.compact("t")
    commits = delta.log(tmp_path / "repository/t")
    assert repository.vacuum("t", pins=(), since=commits[-1].at).files == 0, "version 5 was the last one until then"
    assert repository.vacuum("t", pins=(), since=commits[-1].at + timedelta(milliseconds=1)).files == 6
    assert repository.snapshot("t").rows == 30


@pytest.mark.disk
def test_a_row_is_rewritten_a_logarithm_of_times_however_many_commits_come(tmp_path: Path) -> None:
    rewritten = 0
    for at in range(60):
        repository = filled(tmp_path, [20], first=20 * at)
        rewritten += repository.compact("t").bytes_in
    found = repository.statistics("t")
    assert (found.rows, found.files <= math.log(60, 1.5) + 1) == (1200, True)
    assert rewritten < 11 * 60 * 1000, "60 files of at most 1,000 bytes each: 60 < 1.5^11"


def test_rows_made_for_a_version_land_where_only_a_compaction_came_after_it(tmp_path: Path) -> None:
    repository = filled(tmp_path, [2, 2])
    repository.compact("t")
    assert repository.snapshot("t").version == 2
    batch = pa.RecordBatch.from_pydict({"x": [9], "text": ["z"]}, schema=SCHEMA)
    assert repository.append("t", [batch], schema=SCHEMA, source="s", run_id="r", after=1).version == 3
    for after in (1, 2, 7):
        with pytest.raises(Busy, match=f"was at version {after} when its new rows were looked for and is at 3 now"):
            repository.append("t", [batch], schema=SCHEMA, source="s", run_id="r", after=after)


def test_documents_that_came_before_a_compaction_are_not_new_after_it(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    objects = [(f"u{n}", f"s{n}", day(n), [documents([f"text {n}"], uri=f"u{n}")]) for n in range(1, 9)]
    for each in objects:
        ingest(repository, [each])
    known = facts(repository, "documents")
    repository.compact("documents")
    repository.vacuum("documents", pins=(), since=LATER)
    ingest(repository, objects)
    with repository.ingestion(table="documents", source="src", run_id="again") as taking:
        for uri, sha256, at, readings in objects:
            taking.add(uri, sha256, 10, at, "reader@2", readings)
    assert facts(repository, "documents")[:8] == known
    assert sum(fact.rows_out for fact in facts(repository, "documents")) == 8 == repository.snapshot("documents").rows
    assert leftovers(tmp_path) == []


@pytest.mark.disk
def test_maintenance_killed_anywhere_loses_and_doubles_nothing_and_the_next_completes_it(tmp_path: Path) -> None:
    roots = {point: tmp_path / point for point in killed_upkeep.POINTS}
    for root in roots.values():
        filled(root, [3, 4, 5, 6, 7])
    script = [
        sys.executable,
        str(Path(killed_upkeep.__file__)),
        *(str(each) for pair in roots.items() for each in pair[::-1]),
    ]
    ended = subprocess.run(script, check=True, timeout=200, stdout=subprocess.PIPE, text=True, env=with_tests())
    assert ended.stdout.split() == [str(-signal.SIGKILL.value)] * len(roots)
    for root in roots.values():
        repository = Repository(root)
        for _ in range(2):
            assert sorted(row[0] for row in seen(repository.snapshot("t")).elements()) == [*range(25)]
            killed_upkeep.maintained(root)
        last = repository.snapshot("t").version
        assert (len(repository.snapshot("t").files), repository.snapshot("t", version=2).rows) == (1, 12)
        kept = {Path(file).name for v in (2, last) for file in repository.snapshot("t", version=v).files}
        assert {path.name for path in (root / "repository/t").glob("*")} == {*kept, "_delta_log"}


@pytest.mark.disk(only=True)
def test_a_table_that_is_not_there_and_a_log_that_is_not_whole_are_refused(tmp_path: Path) -> None:
    repository = filled(tmp_path, [1, 1, 1])
    for ask in (repository.compact, repository.statistics):
        with pytest.raises(NotFound, match="no table 'u' in the repository"):
            ask("u")
    (tmp_path / "repository/t/_delta_log/00000000000000000001.json").rename(tmp_path / "kept")
    with pytest.raises(FormatError, match="the log of table t is not whole: it holds 2 commits up to 2"):
        repository.vacuum("t", pins=(), since=LATER)
