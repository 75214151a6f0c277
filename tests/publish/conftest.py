"""A data root with one repository table, and a way to publish a generation from it."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from publishing import Root

from warehouse import mirror
from warehouse.contracts import Snapshot


@pytest.fixture(params=["disk", "bucket"])
def root(tmp_path: Path, request: pytest.FixtureRequest) -> Root:
    """A root whose repository table ``t`` has three rows in a Parquet file: a folder, or one that mirrors a bucket."""
    folder = tmp_path / "root"
    if request.param == "bucket":
        mirror.make(folder, f"s3://{request.getfixturevalue('s3').made()}/root")
    path = folder / "repository" / "t" / "part.parquet"
    path.parent.mkdir(parents=True)
    table = pa.table({"a": [1, 2, 3]})
    pq.write_table(table, path)
    mirror.send(path)
    return Root(
        folder, (Snapshot("t", 7, (str(path),), table.schema, 3, 100), Snapshot("none", 0, (), table.schema, 0, 0))
    )
