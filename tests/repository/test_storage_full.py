"""A full disk is one clear error; nothing half-written is visible or left; with room again the same call succeeds."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from scenes import day, documents, ingest, leftovers, rows

from warehouse.errors import StorageFull
from warehouse.repository import Repository, parts

SCHEMA = pa.schema([("x", pa.binary())])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)],  # noqa: S607
        check=False,
        capture_output=True,
    )
    if mounted.returncode:
        pytest.skip("needs leave to mount a small file system")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)  # noqa: S607


def random_rows(count: int) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({"x": [os.urandom(1000) for _ in range(count)]}, schema=SCHEMA)


def fill(disk: Path, left: int) -> Path:
    """Fill a disk but for ``left`` KB."""
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    ballast = disk / "ballast"
    ballast.write_bytes(b"\0" * max(0, free - left * 1024))
    return ballast


@pytest.mark.disk(only=True)
def test_a_write_larger_than_the_disk_leaves_the_table_as_it_was(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "BATCH_BYTES", 1 << 18)
    repository = Repository(small_disk)
    repository.append("t", [random_rows(10)], schema=SCHEMA, source="s", run_id="r")
    with pytest.raises(StorageFull, match=r"no space left while writing table t under .*free space"):
        repository.append("t", (random_rows(500) for _ in range(20)), schema=SCHEMA, source="s", run_id="r")
    assert (repository.snapshot("t").rows, repository.snapshot("t").version) == (10, 0)
    assert leftovers(small_disk) == []
    repository.append("t", [random_rows(1000)], schema=SCHEMA, source="s", run_id="r")
    assert repository.snapshot("t").rows == 1010


@pytest.mark.disk(only=True)
def test_wherever_in_a_commit_the_disk_fills_up_the_rows_are_all_there_or_none_is(small_disk: Path) -> None:
    repository = Repository(small_disk)
    repository.append("t", [random_rows(4)], schema=SCHEMA, source="s", run_id="r")
    done, refused = 1, set()
    for left in range(0, 24, 2):
        ballast = fill(small_disk, left)
        try:
            repository.append("t", [random_rows(4)], schema=SCHEMA, source="s", run_id="r")
            done += 1
        except StorageFull as error:
            refused.add(error.came.split(" under ")[0])
        ballast.unlink()
        assert repository.snapshot("t").rows == 4 * done
        assert leftovers(small_disk) == []
    assert done > 1
    assert {"no space left while writing table t", "no space left while writing the log of table t"} <= refused


@pytest.mark.parametrize("table", ["documents", "typed"])
@pytest.mark.disk(only=True)
def test_an_ingestion_that_fills_the_disk_is_completed_when_there_is_room(small_disk: Path, table: str) -> None:
    repository = Repository(small_disk)
    source = small_disk.parent / "object"
    source.write_bytes(os.urandom(1 << 20))
    sha256, size = repository.archive(source)
    texts = [os.urandom(500).hex() for _ in range(400)]
    objects = [("u", sha256, day(1), [documents(texts) if table == "documents" else rows(text=texts)])]
    ballast = fill(small_disk, 64)
    source.write_bytes(os.urandom(1 << 20))
    with pytest.raises(StorageFull, match="archived copy of object"):
        repository.archive(source)
    with pytest.raises(StorageFull):
        ingest(repository, objects, table=table)
    assert table not in repository.tables()
    ballast.unlink()
    assert leftovers(small_disk) == []
    (receipt,) = ingest(repository, objects, table=table)
    assert (receipt.rows_out, size) == (400, 1 << 20)


def test_the_operating_systems_refusal_becomes_the_clear_error_without_a_small_disk_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no file system may be mounted: the same errors, raised by the layer below at the second row group."""
    repository = Repository(tmp_path)
    monkeypatch.setattr(parts, "BATCH_BYTES", 1 << 12)
    real, calls = parts._Open.write, []

    def full(self: parts._Open, table: pa.Table) -> int:
        calls.append(table)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(self, table)

    monkeypatch.setattr(parts._Open, "write", full)
    with pytest.raises(StorageFull, match="nothing half-written is kept"):
        repository.append("t", [random_rows(100)], schema=SCHEMA, source="s", run_id="r")
    assert repository.tables() == []
    assert leftovers(tmp_path) == []
