"""Writers at once lose nothing; a reader that pinned a version sees that version."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from scenes import day, documents, ingest, leftovers, rows

from warehouse.errors import Busy, NotFound
from warehouse.repository import Repository, delta, writing

SCHEMA = pa.schema([("x", pa.int64())])
APPENDER = """
import sys
from pathlib import Path
import pyarrow as pa
from warehouse.repository import Repository
schema = pa.schema([("x", pa.int64())])
for at in range(15):
    batch = pa.RecordBatch.from_pydict({"x": [int(sys.argv[2]) * 100 + at]}, schema=schema)
    Repository(Path(sys.argv[1]), wait_s=60).append("t", [batch], schema=schema, source=sys.argv[2], run_id="r")
"""


@pytest.mark.disk
def test_two_processes_appending_at_once_lose_nothing(tmp_path: Path) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", APPENDER, str(tmp_path), str(n)]) for n in (1, 2)]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    repository = Repository(tmp_path)
    values = pl.read_delta(str(tmp_path / "repository" / "t"))["x"].to_list()
    assert sorted(values) == [n * 100 + at for n in (1, 2) for at in range(15)]
    assert [receipt.version for receipt in repository.receipts("t")] == list(range(30))
    assert leftovers(tmp_path) == []


def test_a_snapshot_stays_what_it_was_while_others_append(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    for when in (1, 2, 3):
        ingest(repository, [("u", f"s{when}", day(when), [documents(["x"] * when)])])
    pinned = repository.snapshot("documents", version=1)
    ingest(repository, [("u", "s4", day(4), [documents(["y"])])])
    assert pinned == repository.snapshot("documents", version=1)
    assert (pinned.version, pinned.rows, pl.read_parquet(pinned.files).height) == (1, 3, 3)
    assert pinned.bytes == sum(Path(name).stat().st_size for name in pinned.files)
    assert repository.snapshot("documents").version == 3


def test_a_table_or_version_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    with pytest.raises(NotFound, match=r"no table .documents. in the repository\. Allowed: none yet"):
        repository.snapshot("documents")
    repository.append("one", [], schema=SCHEMA, source="s", run_id="r")
    repository.append("two", [], schema=SCHEMA, source="s", run_id="r")
    assert repository.snapshot("one").rows == 0
    with pytest.raises(NotFound, match="Allowed: one, two"):
        repository.receipts("three")
    with pytest.raises(NotFound, match=r"table one has no version 7\. Allowed: 0 to 0"):
        repository.snapshot("one", version=7)
    assert repository.current_objects("three", "s") == {}


def test_a_writer_that_ignores_the_lock_cannot_make_ours_land_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process of ours on a file system without working locks: the application transaction conflicts."""
    repository = Repository(tmp_path)
    repository.append("t", [rows(x=[1])], schema=SCHEMA, source="s", run_id="r", keys=("x",))
    real = delta._add_columns

    def interfered(table: object, columns: pa.Schema) -> None:
        monkeypatch.setattr(delta, "_add_columns", real)
        other = writing.Stage(tmp_path / "repository" / "t", "other")
        other.write(rows(x=[3]))
        receipt = repository.receipts("t")[0]
        delta.commit(other.folder, SCHEMA, other.close(), receipt)
        other.settle()

    monkeypatch.setattr(delta, "_add_columns", interfered)
    with pytest.raises(Busy, match="another writer committed to table t"):
        repository.append("t", [rows(x=[2])], schema=SCHEMA, source="s", run_id="r", keys=("x",))
    assert sorted(pl.read_delta(str(tmp_path / "repository" / "t"))["x"].to_list()) == [1, 3]
    assert leftovers(tmp_path) == []
