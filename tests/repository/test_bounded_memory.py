"""Memory is bounded by row groups, not by the size of what comes in."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from warehouse.repository import Repository


@pytest.mark.slow
@pytest.mark.parametrize(("table", "megabytes"), [("documents", 1000), ("typed", 400)])
@pytest.mark.disk
def test_one_object_of_text_is_many_files_in_one_commit_below_500_mb(
    tmp_path: Path, table: str, megabytes: int
) -> None:
    writer = [sys.executable, str(Path(__file__).with_name("large_writer.py")), str(tmp_path), table, str(megabytes)]
    peak = int(subprocess.run(writer, check=True, capture_output=True, text=True).stdout.split()[0])
    assert peak < 500
    snapshot = Repository(tmp_path).snapshot(table)
    assert snapshot.version == 0
    assert len(snapshot.files) >= megabytes // 400
    assert [receipt.rows_out for receipt in Repository(tmp_path).receipts(table)] == [snapshot.rows]
