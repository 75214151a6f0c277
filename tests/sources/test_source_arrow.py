"""Arrow IPC: files and streams give what Parquet of the same rows gives; broken ones Rejects, never an exception."""

from __future__ import annotations

import io
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from warehouse.sources import KnownAt, Limits, Source, guess_reader, sniff_table

TABLE = pa.table(
    {
        "text": pa.array(["one text", "another", None, "  "]),
        "meterId": pa.array([1, 2, 3, 4], pa.uint16()),
        "at": pa.array([datetime(2026, 4, day, tzinfo=UTC) for day in (1, 2, 3, 4)]),
        "kind": pa.array(["a", "b", "a", "b"]).dictionary_encode(),
        "span": pa.array([1, 2, 3, None], pa.duration("ms")),
    }
)


def packed(table: pa.Table, make: Any, *, rows: int = 2, **options: Any) -> bytes:
    sink = io.BytesIO()
    with make(sink, table.schema, **options) as writer:
        writer.write_table(table, max_chunksize=rows)
    return sink.getvalue()


FORMS = {
    "file": packed(TABLE, pa.ipc.new_file),
    "stream": packed(TABLE, pa.ipc.new_stream),
    "zstd": packed(TABLE, pa.ipc.new_file, options=pa.ipc.IpcWriteOptions(compression="zstd")),
    "lz4": packed(TABLE, pa.ipc.new_stream, options=pa.ipc.IpcWriteOptions(compression="lz4")),
}


@pytest.mark.parametrize("form", FORMS)
def test_rows_and_documents_are_those_of_the_same_parquet(form, reading):
    sink = io.BytesIO()
    pq.write_table(TABLE, sink)
    for options in ({"table": "meters"}, {"fields": {"text": "text", "published_at": "at"}}):
        wanted = reading(sink.getvalue(), "a.parquet", **options)
        found = reading(FORMS[form], "a.parquet", **options)
        assert (
            pa.Table.from_batches(found.batches).equals(pa.Table.from_batches(wanted.batches))
            or found.rows == wanted.rows
        )
        assert found.reasons == wanted.reasons


@pytest.mark.parametrize("form", FORMS)
def test_a_cut_or_flipped_file_gives_rows_and_rejects_and_never_an_exception(form, reading):
    raw = FORMS[form]
    numbers = random.Random(form)
    for _ in range(60):
        broken = bytearray(raw)
        for _ in range(numbers.choice([1, 1, 4])):
            broken[numbers.randrange(8, len(raw))] = numbers.randrange(256)
        assert reading(bytes(broken), "a.arrow", table="meters").met >= 0
    for size in range(0, len(raw) - 8, 97):
        result = reading(raw[:size], "a.arrow", table="meters")
        assert result.rejects or form in ("stream", "lz4")


def test_a_batch_beyond_the_limit_of_the_object_is_a_reject(reading):
    wide = pa.table({"n": pa.array([0] * 3_000_000)})
    bomb = packed(wide, pa.ipc.new_file, rows=3_000_000, options=pa.ipc.IpcWriteOptions(compression="zstd"))
    assert reading(bomb, "a.arrow", table="t", limits=Limits(max_ratio=2)).reasons == {"too_large": 1}
    nulls = pa.table({"n": pa.nulls(1 << 30)})
    assert reading(packed(nulls, pa.ipc.new_stream, rows=1 << 30), "a.arrow", table="t").reasons == {"too_large": 1}


def test_a_time_outside_the_years_that_a_table_can_spell_is_a_reject_of_its_row(reading):
    far = pa.table(
        {"text": ["a", "b"], "at": pa.array([0, 1 << 60], pa.timestamp("us")), "on": pa.array([0, 1], pa.date32())}
    )
    raw = packed(far, pa.ipc.new_file)
    for options in (
        {"table": "t"},
        {"fields": {"text": "text", "published_at": "at"}},
        {"known_at": KnownAt(column="at")},
    ):
        result = reading(raw, "a.arrow", **options)
        assert (len(result.rows), result.reasons) == (1, {"type_mismatch": 1})


def test_reader_and_table_are_guessed_from_bytes(tmp_path: Path):
    for name, table in {"a": TABLE, "b": TABLE.drop_columns("text")}.items():
        (tmp_path / name).write_bytes(packed(table, pa.ipc.new_stream))
    assert [guess_reader(tmp_path / name) for name in "ab"] == ["arrow", "arrow"]
    assert [sniff_table(tmp_path / name) for name in "ab"] == ["documents", "b"]
    assert Source("s", ("a",)).reader is None
