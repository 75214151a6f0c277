"""Every test of the repository runs twice: on a local disk, and in a bucket that a folder mirrors.

Those marked ``disk`` do so in 'make test-stores' alone: they cost seconds there (hundreds of commits) or look at what
only a disk has.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from warehouse import mirror
from warehouse.errors import FormatError
from warehouse.repository import Repository

EVERY = "EVERY_STORE" in os.environ


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Both places for each test that has a data root."""
    marked = metafunc.definition.get_closest_marker("disk")
    if "tmp_path" in metafunc.fixturenames and (not marked or (EVERY and not marked.kwargs.get("only"))):
        metafunc.parametrize("tmp_path", ["disk", "bucket"], indirect=True)


@pytest.fixture
def tmp_path(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """The data root: an empty folder, or one that mirrors an empty bucket, of which another machine then sees the
    same.
    """
    if getattr(request, "param", "disk") == "disk":
        yield tmp_path
        return
    s3: Any = request.getfixturevalue("s3")
    root, url = tmp_path / "mirror", f"s3://{s3.made()}/root"
    mirror.make(root, url)
    yield root
    other = tmp_path / "other"
    mirror.make(other, url)
    assert seen(other) == seen(root)


def seen(root: Path) -> dict[str, object]:
    """What a machine sees in a data root: of each table its version, its receipts and its rows, and the objects."""
    repository = Repository(root)
    found: dict[str, object] = {"objects": {name for aa in mirror.names(root / "archive") for name in aa}}
    for table in repository.tables():
        try:
            snapshot = repository.snapshot(table)
        except FormatError as error:
            found[table] = error.came
            continue
        mirror.fetch_all(map(Path, snapshot.files))
        rows = [repr(row) for name in snapshot.files for row in pq.read_table(name).to_pylist()]
        found[table] = (snapshot.version, repository.receipts(table), sorted(rows))
    return found
