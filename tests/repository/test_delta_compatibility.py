"""Delta tables that others wrote give their rows or are refused; what we write opens with other readers as it is."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from scenes import day, ingest, rows

from warehouse.errors import FormatError, NotFound
from warehouse.query import connect, fetch_all
from warehouse.repository import Repository, read_delta


@pytest.fixture(scope="module")
def golden(checkout: Path, shared_data: Path) -> list[Any]:
    """The verdicts of benchmarks/delta_golden.py, but for its two tables of a million rows (both right, 30 s)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(checkout / "benchmarks")
        delta_golden = import_module("delta_golden")
        return list(delta_golden.verdicts(shared_data, without=delta_golden.LARGE))


def test_golden_tables_give_the_rows_of_the_protocol_or_are_refused(golden: list[Any]) -> None:
    words = Counter(each.word for each in golden)
    assert [(each.table, each.said) for each in golden if each.word == "wrong"] == []
    assert (words["right"], words["refused"]) == (87, 19)
    assert [each.table for each in golden if each.word == "refused" and not each.empty] == ["spark-variant-checkpoint"]


def test_a_refusal_names_the_feature_the_file_or_the_action(golden: list[Any]) -> None:
    said = {each.table: each.said for each in golden}
    assert "uses variantType-preview. Allowed: columnMapping, deletionVectors" in said["spark-variant-checkpoint"]
    assert "special p@#h is in its log and not there" in said["log-replay-special-characters-b"]
    for table, named in (
        ("deltalog-state-reconstruction-without-protocol", "its log has no protocol"),
        ("deltalog-state-reconstruction-without-metadata", "its log has no metaData"),
        ("canonicalized-paths-normal-a", "its log has no schemaString in its metaData"),
        ("deltalog-invalid-protocol-version", "Invalid protocol action"),
    ):
        assert named in said[table], table


def test_a_version_of_a_table_is_read_and_one_that_is_not_there_refused(tmp_path: Path) -> None:
    for n in range(3):
        write_deltalake(tmp_path / "t", pa.table({"p": [f"a b/{n}"], "x": [n]}), mode="append", partition_by=["p"])
    assert sorted(read_delta(tmp_path / "t").read_all().to_pylist(), key=str) == [
        {"p": f"a b/{n}", "x": n} for n in range(3)
    ]
    assert read_delta(tmp_path / "t", 1).read_all().num_rows == 2
    with pytest.raises(FormatError, match="cannot be read"):
        read_delta(tmp_path / "t", 9)
    with pytest.raises(NotFound, match="no Delta table in"):
        read_delta(tmp_path)


def test_what_we_write_opens_in_deltalake_polars_and_duckdb_as_it_is(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    at = datetime(2024, 2, 29, 12, 30, 1, 5, ZoneInfo("UTC"))
    values = {
        "whole": [1, None, -(2**63)],
        "text": ["a\x1b", "", None],
        "raw": [b"\x00\xff", None, b""],
        "moment": [at, None, at],
        "list": [[1, None], [], None],
        "struct": [{"a": "x"}, None, {"a": None}],
        "share": [0.5, None, float("inf")],
        "flag": [True, None, False],
    }
    for n in (1, 2):
        ingest(repository, [(f"u{n}", f"s{n}", day(n), [rows(**values)])], table="t")
    repository.compact("t")
    path, columns = tmp_path / "repository/t", list(values)
    with connect() as con:
        listed = ", ".join(f"'{name}'" for name in repository.snapshot("t").files)
        found = fetch_all(con, f"SELECT {', '.join(columns)} FROM read_parquet([{listed}])")
    read = [
        DeltaTable(path).to_pyarrow_table().select(columns).to_pylist(),
        pl.read_delta(str(path)).select(columns).to_dicts(),
        read_delta(path).read_all().select(columns).to_pylist(),
        [dict(zip(columns, row, strict=True)) for row in found],
    ]
    wanted = sorted(told(row) for row in 2 * [*zip(*values.values(), strict=True)])
    assert [sorted(told(tuple(row.values())) for row in each) for each in read] == 4 * [wanted]


def told(row: tuple[Any, ...]) -> str:
    """A row as text; a time as its own in UTC, for readers name the zone differently."""
    return repr(
        [value.astimezone(ZoneInfo("UTC")).isoformat() if isinstance(value, datetime) else value for value in row]
    )
