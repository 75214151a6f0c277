"""The names of a recipe against the columns of its objects: what no object has is said, never silently null."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from examples import dear
from warehouse.sources import Column, KnownAt, Located, Names, Source, read

Rows = list[dict[str, Any]]


def csv(rows: Rows) -> bytes:
    return "\n".join(",".join(map(str, line)) for line in (rows[0], *(row.values() for row in rows))).encode()


def jsonl(rows: Rows) -> bytes:
    return "\n".join(map(json.dumps, rows)).encode()


def parquet(rows: Rows) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return sink.getvalue()


def arrow(rows: Rows, new: Callable[..., Any] = pa.ipc.new_file) -> bytes:
    sink, table = io.BytesIO(), pa.Table.from_pylist(rows)
    with new(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def stream(rows: Rows) -> bytes:
    return arrow(rows, pa.ipc.new_stream)


WRITERS = {"csv": csv, "jsonl": jsonl, "json": lambda rows: json.dumps(rows).encode()}
WRITERS |= {"parquet": parquet, "arrow": arrow, "arrows": stream}
DAY = datetime(2024, 1, 2, tzinfo=UTC)
ROW = {"text": "a text", "day": "2024-01-02", "x": 1}


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("options", [{"table": "t"}, {}, {"table": "benchmarks"}], ids=str)
def test_a_column_of_known_at_that_an_object_lacks_makes_it_a_reject_and_never_takes_the_runs_moment(
    reading, suffix, options
):
    data = WRITERS[suffix]([ROW, ROW])
    result = reading(data, f"a.{suffix}", known_at=KnownAt(column="dayy"), **options)
    assert (result.reasons, result.rows) == ({"unknown_column": 1}, [])
    assert "'dayy' (did you mean 'day'?)" in result.rejects[0].message and "text, day, x" in result.rejects[0].message
    found = reading(data, f"a.{suffix}", known_at=KnownAt(column="day"), **options)
    assert not found.rejects and found.rows
    if options != {"table": "benchmarks"}:
        assert {row.get("_known_at") or row.get("known_at") for row in found.rows} == {DAY}


def test_the_field_of_known_at_is_held_to_the_same(reading):
    result = reading(csv([ROW]), "a.csv", fields={"text": "text", "known_at": "dayy"})
    assert result.reasons == {"unknown_column": 1}


def test_a_key_that_json_has_far_down_or_as_null_is_there(reading):
    rows: Rows = [{"text": "x" * 1000}] * 3000
    late = reading(jsonl([*rows, ROW]), "a.jsonl", known_at=KnownAt(column="day"))
    assert len(late.rows) == 3001 and not late.rejects and late.rows[-1]["known_at"] == DAY
    assert reading(jsonl(rows), "a.jsonl", known_at=KnownAt(column="day")).reasons == {"unknown_column": 1}
    assert reading(b'{"x": 1, "day": null}', "a.jsonl", table="t", known_at=KnownAt(column="day")).met == 1


@pytest.mark.parametrize("data", [b"", b"\n", b"{"])
def test_an_object_without_columns_lacks_none(reading, data):
    result = reading(data, "a.jsonl", known_at=KnownAt(column="day"))
    assert "unknown_column" not in result.reasons


WORDS = st.sampled_from("abcdefgh")
OBJECTS = st.lists(st.tuples(st.sampled_from(sorted(WRITERS)), st.lists(WORDS, min_size=1, unique=True)), max_size=4)


@given(OBJECTS, st.lists(WORDS, unique=True), st.booleans())
@settings(max_examples=dear(60), deadline=None)
def test_names_that_no_object_has_are_said_and_those_that_one_of_them_has_are_not(objects, wanted, typed):
    columns = {name: Column() for name in wanted}
    keys = dict(zip(("title", "uri", "licence", "published_at"), wanted, strict=False))
    source = Source("s", ("x",), table="t", columns=columns) if typed else Source("s", ("x",), fields=keys)
    names = Names()
    with TemporaryDirectory() as folder:
        for at, (suffix, there) in enumerate(objects):
            path = Path(folder) / f"{at}.{suffix}"
            path.write_bytes(WRITERS[suffix]([dict.fromkeys(there, "v")]))
            list(read(source, Located(path.name, path, 0), path, names))
    missing = {*(wanted if typed else keys.values())} - {name for _, there in objects for name in there}
    said = names.unmatched(source)
    assert len(said) == (len(missing) if objects else 0)
    assert all(any(f" names {name!r}" in each for each in said) for name in missing if objects)


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_rename_to_the_name_of_another_column_is_a_reject_and_two_for_one_name_are_none_apart(reading, suffix):
    renamed = {"x": Column("int64", rename="day")}
    result = reading(WRITERS[suffix]([ROW]), f"a.{suffix}", table="t", columns=renamed)
    assert (result.reasons, result.rows) == ({"column_clash": 1}, [])
    assert "'day' and 'x' both lead to 'day'" in result.rejects[0].message
    either = {"x": Column("int64", rename="n"), "y": Column("int64", rename="n")}
    for name in ("x", "y"):
        assert reading(WRITERS[suffix]([{name: 5}]), f"a.{suffix}", table="t", columns=either).column("n") == [5]
    both = reading(WRITERS[suffix]([{"x": 5, "y": 6}]), f"a.{suffix}", table="t", columns=either)
    assert both.reasons == {"column_clash": 1}
    free = {"day": Column(rename="x"), "x": Column("int64", rename="day")}
    assert reading(WRITERS[suffix]([ROW]), f"a.{suffix}", table="t", columns=free).column("x") == ["2024-01-02"]


def test_a_clash_that_json_shows_far_down_ends_its_object_with_a_reject(reading):
    rows: Rows = [{"x": 1, "pad": "x" * 1000}] * 6000
    result = reading(jsonl([*rows, {"day": "a"}]), "a.jsonl", table="t", columns={"x": Column("int64", rename="day")})
    assert result.reasons == {"column_clash": 1}
