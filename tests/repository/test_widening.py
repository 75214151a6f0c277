"""Drift: a column's type and values do not depend on the order of its objects, and each difference is recorded."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from itertools import permutations
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import day, ingest, leftovers, reject, rows, stored

from warehouse.contracts import Contract
from warehouse.repository import Repository
from warehouse.repository import ingestion as ingesting
from warehouse.repository.widening import EXACT, converted, fitting, joined

FLAT = [
    pa.null(), pa.bool_(), pa.int8(), pa.int32(), pa.int64(), pa.float32(), pa.float64(), pa.decimal128(5, 2),
    pa.decimal128(38, 9), pa.date32(), pa.timestamp("us"), pa.timestamp("us", "UTC"), pa.string(), pa.binary(),
]  # fmt: skip
TYPES = st.recursive(
    st.sampled_from(FLAT),
    lambda inner: (
        inner.map(pa.list_)
        | st.dictionaries(st.sampled_from(["a", "b", "A"]), inner, min_size=1, max_size=2).map(
            lambda fields: pa.struct(fields.items())
        )
        | inner.map(lambda kind: pa.map_(pa.string(), kind))
    ),
    max_leaves=4,
)


def alike(one: pa.DataType, other: pa.DataType) -> bool:
    """Whether two types are the same but for the order of fields."""
    if pa.types.is_struct(one) and pa.types.is_struct(other):
        fields = [{field.name: field.type for field in kind} for kind in (one, other)]
        same = fields[0].keys() == fields[1].keys()
        return same and all(alike(kind, fields[1][name]) for name, kind in fields[0].items())
    inner = [[kind.field(at).type for at in range(kind.num_fields)] for kind in (one, other)]
    return one.id == other.id and (all(map(alike, *inner)) if inner[0] and inner[1] else one == other)


@settings(max_examples=300, deadline=None)
@given(TYPES, TYPES, TYPES)
def test_the_type_that_types_have_in_common_does_not_depend_on_their_order(
    a: pa.DataType, b: pa.DataType, c: pa.DataType
) -> None:
    assert alike(joined(a, b), joined(b, a))
    assert alike(joined(joined(a, b), c), joined(a, joined(b, c)))
    assert alike(joined(joined(a, b), a), joined(a, b))


MOMENTS = st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2100, 1, 1)) | st.just(dt.datetime(2024, 5, 1))
VALUES: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.bool_(): st.booleans(),
    pa.int8(): st.integers(-128, 127),
    pa.int64(): st.integers(-EXACT, EXACT) | st.integers(-(2**63), 2**63 - 1),
    pa.float32(): st.floats(width=32),
    pa.float64(): st.floats(allow_nan=False) | st.integers(-EXACT, EXACT).map(float),
    pa.decimal128(38, 9): st.decimals(-(10**20), 10**20, places=9),
    pa.date32(): st.dates(),
    pa.timestamp("us"): MOMENTS,
    pa.timestamp("us", "UTC"): MOMENTS.map(lambda moment: moment.replace(tzinfo=dt.UTC)),
    pa.string(): st.text(max_size=5) | st.sampled_from(["1", "1.50", "true", "2024-01-01"]),
}


@st.composite
def arrays(draw: st.DrawFn) -> pa.Array:
    kind = draw(st.sampled_from(sorted(VALUES, key=str)))
    values = st.none() | VALUES[kind]
    shape = draw(st.sampled_from(["flat", "list", "struct"]))
    if shape == "list":
        return pa.array(draw(st.lists(st.none() | st.lists(values, max_size=2), max_size=3)), pa.list_(kind))
    if shape == "struct":
        fields = st.fixed_dictionaries({"a": values, "b": values})
        return pa.array(draw(st.lists(st.none() | fields, max_size=3)), pa.struct([("a", kind), ("b", kind)]))
    return pa.array(draw(st.lists(values, max_size=3)), kind)


@settings(max_examples=500, deadline=None)
@given(arrays(), TYPES, TYPES)
def test_a_value_is_the_same_by_every_way_up(array: pa.Array, other: pa.DataType, last: pa.DataType) -> None:
    end = fitting(array, joined(joined(array.type, other), last))
    middle = fitting(array, joined(array.type, other))
    by_steps = converted(array, middle)
    end = fitting(by_steps, joined(end, joined(middle, last)))
    assert repr(converted(by_steps, end).to_pylist()) == repr(converted(array, end).to_pylist())


@settings(max_examples=200, deadline=None)
@given(arrays(), TYPES)
def test_no_value_is_lost_or_made_on_the_way(array: pa.Array, other: pa.DataType) -> None:
    made = converted(array, fitting(array, joined(array.type, other)))
    assert made.is_valid().to_pylist() == array.is_valid().to_pylist()
    if pa.types.is_floating(made.type) and pa.types.is_integer(array.type):
        assert made.to_pylist() == array.to_pylist()


VINTAGES: dict[str, list[dict[str, list[Any]]]] = {
    "numbers": [{"x": [1, 2]}, {"x": [0.5]}, {"x": [None]}, {"x": [3]}],
    "number and text": [{"x": [1]}, {"x": [2.5, 1e16]}, {"x": ["n/a"]}, {"x": [True]}],
    "integers beyond doubles": [{"x": [2**53 + 1]}, {"x": [0.5]}, {"x": [7]}],
    "times": [{"x": [dt.date(2024, 1, 2)]}, {"x": [dt.datetime(2024, 1, 2, 3)]}, {"x": ["soon"]}],
    "structs": [{"x": [{"a": 1}]}, {"x": [{"b": "y"}, None]}, {"x": [{"a": 0.5, "c": [1]}]}, {"x": ["text"]}],
    "nested integers": [{"x": [[2**60]]}, {"x": [[0.5]]}, {"x": [[1, None]]}],
    "columns": [{"a": [1]}, {"b": ["x"]}, {"a": [None], "c": [1.5]}],
    "decimals": [{"x": [Decimal("1.50")]}, {"x": [3]}, {"x": [0.25]}],
}


@pytest.mark.parametrize("per_commit", [1, 10])
@pytest.mark.parametrize("name", VINTAGES)
@pytest.mark.disk
def test_objects_in_every_order_give_the_same_columns_and_rows(
    tmp_path: Path, name: str, per_commit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingesting, "COMMIT_OBJECTS", per_commit)
    seen = []
    for number, order in enumerate(permutations(enumerate(VINTAGES[name]))):
        repository = Repository(tmp_path / str(number))
        objects = [(f"u{at}", f"s{at}", day(1), [rows(**columns)]) for at, columns in order]
        ingest(repository, objects, table="t")
        schema = repository.snapshot("t").schema
        found = [{key: row[key] for key in sorted(row)} for row in stored(repository, "t")]
        seen.append(([plain(row) for row in found], {field.name: field.type for field in schema}))
        assert leftovers(repository.root) == []
    (first, kinds), *others = seen
    for records, types in others:
        assert sorted(records) == sorted(first)
        assert types.keys() == kinds.keys()
        assert all(alike(types[key], kinds[key]) for key in kinds)


def plain(value: Any) -> str:
    """The value as text, its fields in order of name and those that are null left out."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {plain(value[key])}' for key in sorted(value) if value[key] is not None)}}}"
    return f"[{', '.join(map(plain, value))}]" if isinstance(value, list) else repr(value)


def test_a_wider_type_is_one_commit_that_every_reader_reads_and_the_version_before_stays(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    ingest(repository, [("u1", "1", day(1), [rows(x=[1, 2], y=["a", "b"])])], table="t")
    before = repository.snapshot("t")
    ingest(repository, [("u2", "2", day(2), [rows(x=[0.5], z=[True])])], table="t")
    after = repository.snapshot("t")
    assert (before.version, after.version) == (0, 1)
    place = str(tmp_path / "repository" / "t")
    values = [0.5, 1.0, 2.0]
    assert sorted(pl.read_delta(place)["x"].to_list()) == values
    assert sorted(DeltaTable(place).to_pyarrow_table()["x"].to_pylist()) == values
    files = duckdb.sql(f"SELECT x, typeof(x) FROM read_parquet({list(after.files)}) ORDER BY x").fetchall()
    assert files == [(value, "DOUBLE") for value in values]
    assert pl.read_delta(place, version=0)["x"].to_list() == [1, 2]
    assert duckdb.sql(f"SELECT x FROM read_parquet({list(before.files)}) ORDER BY x").fetchall() == [(1,), (2,)]
    assert repository.snapshot("t", version=0).schema.field("x").type == pa.int64()
    assert [receipt.rows_out for receipt in repository.receipts("t")] == [2, 1]


def test_a_file_written_again_is_no_change_of_data_in_the_log(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    ingest(repository, [("u1", "1", day(1), [rows(x=[1])])], table="t")
    ingest(repository, [("u2", "2", day(2), [rows(x=[0.5])])], table="t")
    log = pl.read_ndjson(
        tmp_path / "repository" / "t" / "_delta_log" / "00000000000000000001.json", infer_schema_length=None
    )
    added = [row for row in log["add"].to_list() if row and row["path"]]
    assert sorted(row["dataChange"] for row in added) == [False, True]


def changes(repository: Repository) -> list[tuple[Any, ...]]:
    names = ("column_name", "change", "was", "became", "rows", "objects", "uri")
    found = stored(repository, "schema_changes") if "schema_changes" in repository.tables() else []
    return sorted((tuple(row[name] for name in names) for row in found), key=repr)


def test_every_difference_is_recorded_once_with_its_first_object(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    named = pa.schema([pa.field("model", pa.string(), metadata={"comment": "System"}), ("n", pa.int64())])
    again = pa.schema([pa.field("model", pa.string(), metadata={"comment": "Model"}), ("gone", pa.null())])
    first = pa.record_batch([pa.array(["a"]), pa.array([1])], schema=named)
    ingest(repository, [("u1", "1", day(1), [first])], table="t")
    assert changes(repository) == []
    second = pa.record_batch([pa.array(["b"]), pa.nulls(1)], schema=again)
    objects = [("u2", "2", day(2), [second]), ("u3", "3", day(2), [rows(model=["c"], n=[0.5], new=[True])])]
    ingest(repository, objects, table="t")
    assert changes(repository) == [
        ("gone", "empty", None, None, 0, 1, "u2"),
        ("model", "renamed", "System", "Model", 0, 1, "u2"),
        ("n", "missing", "int64", None, 0, 1, "u2"),
        ("n", "widened", "int64", "double", 0, 1, "u3"),
        ("new", "added", None, "bool", 0, 1, "u3"),
    ]


@pytest.mark.parametrize(
    ("contract", "kept", "reasons", "noted"),
    [
        (Contract(), [("1", None), ("x", None), ("2", 5)], [], ["added", "widened"]),
        (Contract(columns="freeze"), [("1", None), ("x", None)], ["new_column"], ["refused", "widened"]),
        (Contract(columns="discard"), [("1", None), ("x", None), ("2", None)], [], ["discarded", "widened"]),
        (Contract(types="freeze"), [(1, None), (2, 5)], ["type_mismatch"], ["added", "misfit"]),
        (Contract(types="discard"), [(1, None), (None, None), (2, 5)], [], ["added", "misfit"]),
    ],
)
def test_the_contract_says_what_becomes_of_what_differs(
    tmp_path: Path, contract: Contract, kept: list[Any], reasons: list[str], noted: list[str]
) -> None:
    repository = Repository(tmp_path)
    ingest(repository, [("u1", "1", day(1), [rows(x=[1])])], table="t", contract=contract)
    later = rows(x=["x", "2"], more=[None, 5])
    (receipt,) = ingest(repository, [("u2", "2", day(2), [later])], table="t", contract=contract)
    found = sorted(stored(repository, "t"), key=lambda row: (row["_uri"], row["_record"]))
    assert [(row["x"], row.get("more")) for row in found] == kept
    assert [row["reason"] for row in stored(repository, "rejects")] == reasons
    assert (receipt.rows_in, receipt.rejected) == (2, len(reasons))
    assert sorted(change for _, change, *_ in changes(repository)) == noted


@pytest.mark.parametrize("per_commit", [1, 9])
def test_the_first_object_with_columns_decides_what_is_frozen(
    tmp_path: Path, per_commit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingesting, "COMMIT_OBJECTS", per_commit)
    repository, frozen = Repository(tmp_path), Contract(columns="freeze", types="freeze")
    batches = [[reject("0")], [rows(x=[1]), rows(x=[0.5], y=[None])], [rows(x=[1.5], y=["no"])], [rows(x=[2])]]
    objects = [(f"u{at}", f"s{at}", day(1), batch) for at, batch in enumerate(batches)]
    ingest(repository, objects, table="t", contract=frozen)
    assert sorted(row["x"] for row in stored(repository, "t")) == [0.5, 1.0, 2.0]
    assert [row["reason"] for row in stored(repository, "rejects")].count("new_column") == 1
