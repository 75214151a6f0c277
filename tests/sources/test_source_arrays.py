"""Values of Arrow and Parquet files are those of the table, at any depth, or their row is a reject."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from warehouse.contracts import Receipt
from warehouse.repository import Repository
from warehouse.sources import KnownAt, Located, Source, read
from warehouse.sources.arrays import decoded, simple

NANOSECONDS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
FIRST, LAST = (
    (end.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    for end in (datetime.min, datetime.max)
)
TIMES = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-(10**12), 10**12),
    st.sampled_from([end // 10**power + step for end in (FIRST, LAST) for power in (0, 3, 6) for step in (-1, 0, 1)]),
    st.none(),
)


def ipc(column: pa.Array) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, pa.schema([("x", column.type)])) as writer:
        writer.write_batch(pa.record_batch([column], names=["x"]))
    return sink.getvalue()


def parquet(column: pa.Array) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"x": column}), sink)
    return sink.getvalue()


def wrap(values: list[Any], kind: pa.DataType, shape: str) -> pa.Array:
    """The values as a column of the shape, one a row; beside each, where there is room, one always held."""
    rows: list[Any] = [{"a": {"b": value}} for value in values]
    whole = pa.struct([("a", pa.struct([("b", kind)]))])
    if shape == "plain":
        rows, whole = values, kind
    if shape in ("list", "large", "view"):
        rows = [None if value is None else [0, value] for value in values]
        whole = {"list": pa.list_, "large": pa.large_list, "view": pa.list_view}[shape](kind)
    if shape == "fixed":
        rows, whole = [None if value is None else [0, value] for value in values], pa.list_(kind, 2)
    if shape == "map":
        rows, whole = (
            [[] if value is None else [("k", 0), ("l", value)] for value in values],
            pa.map_(pa.string(), kind),
        )
    if shape == "dictionary":
        return pa.array(values, kind).dictionary_encode()
    if shape == "runs":
        return pc.run_end_encode(pa.array(values, kind))
    return pa.array(rows, whole)


def unwrap(value: Any, shape: str) -> Any:
    if shape == "struct":
        return value["a"]["b"]
    if shape == "map":
        return value[1][1] if value else None
    return value[1] if value is not None and shape in ("list", "large", "view", "fixed") else value


SHAPES = ["plain", "struct", "list", "large", "view", "fixed", "map", "dictionary", "runs"]


@pytest.mark.parametrize("shape", SHAPES)
@given(st.lists(TIMES, min_size=1, max_size=12), st.sampled_from(list(NANOSECONDS)), st.booleans())
@example([2**61, 0], "ms", False)
@example([2**61, 0], "s", False)
@example([-383_400_366_876_543_211, 1_700_000_000_123_456_789], "ns", False)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_time_is_its_microsecond_toward_the_past_or_its_row_is_a_reject(reading, shape, counts, unit, zoned):
    kind = pa.timestamp(unit, "Asia/Tokyo" if zoned else None)
    result = reading(ipc(wrap(counts, kind, shape)), "a.arrow", table="t")
    micros = [None if count is None else count * NANOSECONDS[unit] // 1_000 for count in counts]
    held = [micro is None or FIRST <= micro <= LAST for micro in micros]
    assert [int(reject.record) for reject in result.rejects] == [at for at, good in enumerate(held) if not good]
    assert set(result.reasons) <= {"type_mismatch"}
    found = [unwrap(row["x"], shape) for row in result.rows]
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    wanted = [
        epoch + timedelta(microseconds=micro) if micro is not None and good else None
        for micro, good in zip(micros, held, strict=True)
    ]
    assert found == [value for value, good in zip(wanted, held, strict=True) if good]
    part = simple(decoded(wrap([0, *counts, 0], kind, shape).slice(1, len(counts))))
    part.validate(full=True)
    assert [None if row is None else unwrap(row, shape) for row in part.to_pylist()] == wanted


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
@given(st.lists(TIMES, min_size=1, max_size=12))
@example([2**61, 1])
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_times_of_parquet_and_of_documents_are_held_or_rejected(reading, unit, counts):
    column = pa.array(counts, pa.timestamp(unit))
    held = [count is None or FIRST <= count * NANOSECONDS[unit] // 1_000 <= LAST for count in counts]
    assert len(reading(parquet(column), "a.parquet", table="t").rows) == sum(held)
    sink = io.BytesIO()
    pq.write_table(pa.table({"x": column, "text": ["words"] * len(counts)}), sink)
    documents = reading(sink.getvalue(), "a.parquet", fields={"text": "text", "published_at": "x"})
    assert [int(row["record"]) for row in documents.rows] == [at for at, good in enumerate(held) if good]
    vintages = reading(parquet(column), "a.parquet", table="t", known_at=KnownAt(column="x"))
    assert len(vintages.rows) == sum(held)


FRACTION = pa.Array.from_buffers(pa.decimal128(2, 5), 1, [None, pa.py_buffer((12).to_bytes(16, "little"))])
KEPT = {
    "dec negative": (pa.array([Decimal("12300"), None], pa.decimal128(5, -2)), [Decimal(12300), None]),
    "dec fraction": (FRACTION, [Decimal("0.00012")]),
    "dec wide": (pa.array([Decimal("12300")], pa.decimal128(38, -2)), ["1.23E+4"]),
    "dec32": (pa.array([Decimal("1.5")], pa.decimal32(5, 2)), [Decimal("1.50")]),
    "dec64": (pa.array([Decimal("1.5")], pa.decimal64(5, 2)), [Decimal("1.50")]),
    "runs": (pc.run_end_encode(pa.array(["a", "a", None, "b"])), ["a", "a", None, "b"]),
    "runs inside": (
        pa.StructArray.from_arrays([pc.run_end_encode(pa.array([1, 1, None]))], ["a"]),
        [{"a": 1}, {"a": 1}, {"a": None}],
    ),
    "null of a dictionary": (pa.DictionaryArray.from_arrays(pa.array([0, 1]), pa.array(["a", None])), ["a", None]),
    "dictionary of views": (
        pa.DictionaryArray.from_arrays(pa.array([1, 0, None]), pa.array(["a", "b"], pa.string_view())),
        ["b", "a", None],
    ),
    "views": (pa.array([["a", None], None, []], pa.list_view(pa.string_view())), [["a", None], None, []]),
    "large views": (pa.array([[1], None], pa.large_list_view(pa.uint8())), [[1], None]),
}


@pytest.mark.parametrize("name", KEPT)
def test_a_type_that_a_table_has_not_is_held_in_one_that_it_has(name, tmp_path: Path):
    column, values = KEPT[name]
    receipt, rows = stored(tmp_path, ipc(column))
    assert (receipt.rows_out, receipt.rejected) == (len(values), 0)
    assert rows == values


def test_an_unsigned_integer_beyond_64_bits_is_a_reject_of_its_row_at_any_depth(reading):
    for shape in SHAPES:
        result = reading(ipc(wrap([5, 2**63, 6], pa.uint64(), shape)), "a.arrow", table="t")
        assert ([unwrap(row["x"], shape) for row in result.rows], result.rejects[0].record) == ([5, 6], "1")


UNION = pa.UnionArray.from_dense(pa.array([0], pa.int8()), pa.array([0], pa.int32()), [pa.array([1])])
CASE = "names differ in case"
REFUSED = {
    "interval": (pa.array([(1, 2, 3)], pa.month_day_nano_interval()), "has type month_day_nano_interval"),
    "union": (UNION, "has type dense_union"),
    "inside": (pa.StructArray.from_arrays([UNION], ["a"]), "has type dense_union"),
    "no fields": (pa.array([{}, None], pa.struct([])), "has type struct<>"),
    "case": (pa.array([{"a": 1, "A": 2}]), CASE),
    "twice": (pa.StructArray.from_arrays([pa.array([1]), pa.array([2])], ["a", "a"]), CASE),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_type_without_a_place_is_one_reject_that_names_column_and_type(name, tmp_path: Path):
    column, why = REFUSED[name]
    receipt, rows = stored(tmp_path, ipc(column), ipc(pa.array([7])))
    assert (receipt.rows_out, receipt.rejected, rows) == (1, 1, [7])
    (reject,) = pl.read_delta(str(tmp_path / "repository" / "rejects")).to_dicts()
    assert reject["reason"] == "unsupported"
    assert "column 'x' of table t" in reject["message"]
    assert why in reject["message"]


def stored(root: Path, *contents: bytes) -> tuple[Receipt, list[Any]]:
    """The receipt of one commit of the files, and the values of column x in the table."""
    repository, source = Repository(root), Source("s", ("u",), table="t")
    with repository.ingestion(table="t", source="s", run_id="r", max_reject_share=1.0) as ingestion:
        for at, content in enumerate(contents):
            path = root / f"{at}.arrow"
            path.write_bytes(content)
            items = read(source, Located(path.name, path, len(content)), path)
            ingestion.add(path.name, str(at), len(content), datetime(2026, 1, 1, tzinfo=UTC), "arrow/1", items)
        (receipt,) = ingestion.finish()
    frame = pl.read_delta(str(root / "repository" / "t"))
    return receipt, frame["x"].to_list() if "x" in frame.columns else []
