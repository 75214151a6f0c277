"""Typed tables: a column holds what all its objects have, whatever their order, and no value is lost on the way."""

from __future__ import annotations

import datetime as dt
import math
import re
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scenes import day, ingest, leftovers, reject, rows, stored

from warehouse.contracts import MAX_NESTING, Contract
from warehouse.errors import FormatError
from warehouse.repository import Repository
from warehouse.repository.columns import fit, stored_schema
from warehouse.repository.parts import statistics
from warehouse.repository.typed import SYSTEM, fitted


def column(repository: Repository, name: str) -> list[Any]:
    return [row[name] for row in sorted(stored(repository, "t"), key=lambda r: (r["_uri"], int(r["_record"])))]


def put(repository: Repository, sha: str, *batches: pa.RecordBatch) -> Any:
    (receipt,) = ingest(repository, [(f"u{sha}", sha, day(1), list(batches))], table="t")
    return receipt


@pytest.mark.parametrize(
    ("first", "second", "kind", "values"),
    [
        ([1], [1.5], pa.float64(), [1.0, 1.5]),
        ([1.5], [2], pa.float64(), [1.5, 2.0]),
        ([1], ["x"], pa.string(), ["1", "x"]),
        ([True], ["x"], pa.string(), ["true", "x"]),
        ([None], [3], pa.int64(), [None, 3]),
        ([[1]], ["x"], pa.string(), ["[1]", "x"]),
        ([{"a": 1}], [{"a": 2, "b": "y"}], None, [{"a": 1, "b": None}, {"a": 2, "b": "y"}]),
    ],
)
def test_batches_of_the_first_commit_widen_to_what_holds_them_all(
    tmp_path: Path, first: list[Any], second: list[Any], kind: pa.DataType | None, values: list[Any]
) -> None:
    repository = Repository(tmp_path)
    receipt = put(repository, "1", rows(x=first), rows(x=second))
    assert (receipt.rows_out, receipt.rejected) == (2, 0)
    assert kind is None or repository.snapshot("t").schema.field("x").type == kind
    assert column(repository, "x") == values


def test_system_columns_follow_the_tables_own(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    put(repository, "1", rows(a=[1]), rows(a=[2], b=[3]))
    assert repository.snapshot("t").schema.names == ["a", "b", *SYSTEM.names]
    first, second = stored(repository, "t")
    assert (first["_source"], first["_uri"], first["_object_sha256"], first["_known_at"]) == ("src", "u1", "1", day(1))
    assert [first["_record"], second["_record"]] == ["0", "1"]


def test_a_readers_own_record_and_time_are_kept(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    batch = rows(a=[1, 2], _record=["r7", None], _known_at=pa.array([None, day(5)], pa.timestamp("us", "UTC")))
    ingest(repository, [("u", "s", day(1), [reject("0"), batch])], table="t")
    assert [(r["a"], r["_record"], r["_known_at"]) for r in stored(repository, "t")] == [
        (1, "r7", day(1)),
        (2, "2", day(5)),
    ]


def test_a_new_column_is_added_and_a_missing_one_is_null(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    put(repository, "1", rows(a=[1], b=["x"]))
    put(repository, "2", rows(a=[2], c=[0.5]), rows(a=[3], d=[None]))
    assert repository.snapshot("t").schema.names == ["a", "b", *SYSTEM.names, "c"]
    assert column(repository, "b") == ["x", None, None]
    assert column(repository, "c") == [None, 0.5, None]


def test_a_value_that_does_not_fit_rejects_its_row_and_no_other_where_types_are_frozen(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    put(repository, "1", rows(n=[1], f=[0.5]))
    frozen = Contract(types="freeze")
    batch = rows(n=["2", "007", "x", None], f=[1, 1, 1, 2**53 + 1])
    (receipt,) = ingest(repository, [("u2", "2", day(1), [batch])], table="t", contract=frozen)
    assert (receipt.rows_in, receipt.rows_out, receipt.rejected) == (4, 1, 3)
    assert column(repository, "n") == [1, 2]
    rejects = stored(repository, "rejects")
    assert sorted((r["record"], r["first_bytes"]) for r in rejects) == [
        ("1", b"007"),
        ("2", b"x"),
        ("3", str(2**53 + 1).encode()),
    ]
    assert {r["reason"] for r in rejects} == {"type_mismatch"}
    assert "column n is int64 in the table" in rejects[0]["message"] + rejects[1]["message"] + rejects[2]["message"]


def test_unsigned_and_fine_types_are_held_without_loss(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    batch = rows(
        u8=pa.array([255], pa.uint8()),
        u64=pa.array([2**64 - 1], pa.uint64()),
        ns=pa.array([-1_700_000_000_123_456_789], pa.timestamp("ns", "UTC")),
        naive=pa.array([dt.datetime(2024, 1, 2, 3)], pa.timestamp("s")),
        clock=pa.array([dt.time(1, 2, 3)], pa.time32("s")),
        word=pa.array(["w"]).dictionary_encode(),
        half=pa.array([np.float16(0.5)]),
    )
    put(repository, "1", batch)
    (row,) = stored(repository, "t")
    assert (row["u8"], row["u64"], row["clock"], row["word"], row["half"]) == (
        255,
        Decimal(2**64 - 1),
        "01:02:03",
        "w",
        0.5,
    )
    assert row["ns"] == dt.datetime(1916, 2, 18, 1, 46, 39, 876543, tzinfo=dt.UTC)
    assert row["naive"] == dt.datetime(2024, 1, 2, 3)


@pytest.mark.parametrize("name", ["a b", "a,b", "a;b", "a{b}", "a(b)", "a\nb", "a\tb", "a=b", ""])
def test_a_name_that_delta_cannot_hold_ends_its_object_and_no_other(tmp_path: Path, name: str) -> None:
    refused = refusal(tmp_path, rows(**{name: [1]}))
    assert re.search(r"cannot hold a column named .*rename it in the source", refused)


def refusal(root: Path, bad: pa.RecordBatch) -> str:
    """The message of the one reject that ``bad`` is as the second of three objects, in a first and in a later
    commit.
    """
    repository = Repository(root)
    for shas in ("123", "456"):
        objects = [(f"u{sha}", sha, day(1), [bad if sha in "25" else rows(a=[int(sha)])]) for sha in shas]
        (receipt,) = ingest(repository, objects, table="t")
        assert (receipt.rows_in, receipt.rows_out, receipt.rejected) == (3, 2, 1)
    assert column(repository, "a") == [1, 3, 4, 6]
    assert leftovers(root) == []
    first, second = stored(repository, "rejects")
    assert (first["reason"], first["record"], first["message"]) == ("unsupported", "", second["message"])
    return str(first["message"])


def test_names_that_differ_in_case_only_are_refused_also_when_the_second_comes_later(tmp_path: Path) -> None:
    assert "differ in more than case" in refusal(tmp_path / "both", rows(b=[1], B=[2]))
    assert "differ in more than case" in refusal(tmp_path / "later", rows(A=[1]))


def nested(levels: int) -> pa.RecordBatch:
    value: Any = 1
    for _ in range(levels):
        value = {"x": value}
    return rows(x=[value])


def test_a_type_without_a_place_in_a_table_is_refused_by_column(tmp_path: Path) -> None:
    gap = rows(gap=pa.array([1], pa.duration("s")))
    assert "column 'gap' of table t has type duration[s]" in refusal(tmp_path / "gap", gap)
    alike = rows(x=pa.array([{"y": {"a": 1, "A": 2}}]))
    assert "column 'x' of table t has fields whose names differ in case only" in refusal(tmp_path / "alike", alike)
    assert "column 'x' of table t is nested in more than 32" in refusal(tmp_path / "deep", nested(33))


def test_the_deepest_type_allowed_is_stored_and_read(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    put(repository, "1", nested(MAX_NESTING))
    assert column(repository, "x") == nested(MAX_NESTING)["x"].to_pylist()


def test_structs_whose_names_differ_in_case_over_objects_are_text(tmp_path: Path) -> None:
    small, capital = rows(x=[{"a": 1}]), rows(x=[{"A": 2}])
    repository = Repository(tmp_path / "first")
    put(repository, "1", small, capital)
    assert column(repository, "x") == ['{"a":1}', '{"A":2}']
    repository = Repository(tmp_path / "later")
    put(repository, "1", small)
    put(repository, "2", capital, small)
    assert column(repository, "x") == ['{"a":1}', '{"A":2}', '{"a":1}']


def test_append_refuses_another_type_for_a_column_and_takes_a_new_one(tmp_path: Path) -> None:
    repository = Repository(tmp_path)

    def append(**columns: Any) -> Any:
        batch = rows(**columns)
        return repository.append("t", [batch], schema=batch.schema, source="s", run_id="r")

    append(x=[1])
    with pytest.raises(FormatError, match="column 'x' is string, but int64 in table t"):
        append(x=["1"])
    with pytest.raises(FormatError, match=r"column 'h' for table t is uint64\. Allowed: decimal128"):
        append(h=pa.array([1], pa.uint64()))
    append(x=[2], y=["new"])
    assert pl.read_delta(str(tmp_path / "repository" / "t")).sort("x").rows() == [(1, None), (2, "new")]


VALUES = st.one_of(
    st.lists(st.none() | st.integers(-(2**63), 2**63 - 1)),
    st.lists(st.none() | st.floats()),
    st.lists(st.none() | st.booleans()),
    st.lists(st.none() | st.sampled_from(["1", "007", "1.5", "true", "2024-01-01", "x", ""])),
)
TARGETS = st.sampled_from([pa.int8(), pa.int64(), pa.float32(), pa.float64(), pa.bool_(), pa.date32(), pa.string()])


@settings(max_examples=150, deadline=None)
@given(VALUES, TARGETS)
@example([math.nan], pa.bool_())
def test_a_value_is_either_held_exactly_or_reported(values: list[Any], target: pa.DataType) -> None:
    column_ = pa.array(values)
    if pa.types.is_null(column_.type):
        column_ = column_.cast(pa.int64())
    made, bad = fit(column_, target)
    assert made.type == target
    for value, held, lost in zip(values, made.to_pylist(), bad.tolist(), strict=True):
        assert (held is None) == (value is None or lost)
        if held is None or lost:
            continue
        if isinstance(value, str) or isinstance(held, str):
            assert isinstance(value, str) != isinstance(held, str) or value == held
            assert not isinstance(held, int) or isinstance(held, bool) or str(held) == value
        else:
            assert held == value or (math.isnan(held) and math.isnan(value))


def test_stored_types_are_their_own_stored_types() -> None:
    """Idempotence: what a table gives back can be put in again."""
    kinds = [pa.uint16(), pa.large_string(), pa.list_(pa.uint8()), pa.date64(), pa.map_(pa.string(), pa.uint32())]
    once = stored_schema(pa.schema([(f"c{at}", kind) for at, kind in enumerate(kinds)]), table="t")
    assert stored_schema(once, table="t") == once


def test_the_cost_of_a_row_grows_with_its_columns_and_not_with_their_square(tmp_path: Path) -> None:
    names = [f"c{at}" for at in range(20_000)]
    batch = pa.RecordBatch.from_arrays([pa.array([at]) for at in range(len(names))], names)
    pq.write_table(pa.table(batch), tmp_path / "wide.parquet")
    footer = pq.read_metadata(tmp_path / "wide.parquet")
    began = time.process_time()
    shaped = fitted(batch, batch.schema)
    stats = statistics(footer, batch.schema)
    assert time.process_time() - began < 10  # 0.5 s of CPU; 60 s where each column looks through all the names
    assert shaped.rows.equals(batch)
    assert stats["maxValues"] == {name: at for at, name in enumerate(names)}
