"""What each format holds is read back equal by that format's own readers."""

from __future__ import annotations

import csv
import io
import json
import math
from decimal import Decimal
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse import query
from warehouse.cli import formats

PLAIN = """
    SELECT range::INTEGER AS n, range * 1.5::DOUBLE AS ratio, range % 2 = 0 AS even, 'row ' || range AS name,
           if(range % 3 = 0, NULL, 'ü "quoted", ' || chr(10) || range) AS text, 
           DATE '2026-01-01' + range::INTEGER AS day,
           TIMESTAMPTZ '2026-01-01 00:00:00+00' + to_hours(range) AS at, (range / 4)::DECIMAL(18, 2) AS price
    FROM range(20000)"""
NESTED = "SELECT [1, 2] AS list, {'a': NULL, 'b': 'x'} AS struct, MAP {'k': 1} AS map, 'a'::ENUM ('a', 'b') AS enum"


def written(sql: str, form: formats.Format, *, seekable: bool = True) -> bytes:
    sink = io.BytesIO()
    with query.connect() as con:
        formats.write(query.stream(con, sql), form, sink, seekable=seekable)
    return sink.getvalue()


def asked(sql: str) -> pa.Table:
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        return con.sql(sql).to_arrow_table()


def test_parquet_reads_back_equal(tmp_path: Path):
    path = tmp_path / "x.parquet"
    path.write_bytes(written(PLAIN, "parquet"))
    assert pa.parquet.read_table(path).to_pylist() == asked(PLAIN).to_pylist()
    assert pl.read_parquet(path).to_arrow().num_rows == 20000


@pytest.mark.parametrize("sql", [PLAIN, NESTED])
def test_arrow_reads_back_equal_as_file_and_as_stream(sql):
    as_file = pa.ipc.open_file(written(sql, "arrow")).read_all()
    as_stream = pa.ipc.open_stream(written(sql, "arrow", seekable=False)).read_all()
    assert as_file.equals(as_stream)
    assert as_file.to_pylist() == asked(sql).to_pylist()


def test_csv_reads_back_equal_and_tells_null_from_empty():
    options = pa.csv.ConvertOptions(strings_can_be_null=True, quoted_strings_can_be_null=False)
    parsing = pa.csv.ParseOptions(newlines_in_values=True)
    sql = f"SELECT * REPLACE (if(n = 1, '', text) AS text) FROM ({PLAIN})"
    read = pa.csv.read_csv(io.BytesIO(written(sql, "csv")), convert_options=options, parse_options=parsing)
    same = asked(sql)
    assert read["text"].to_pylist() == same["text"].to_pylist()
    assert read.cast(same.schema).to_pylist() == same.to_pylist()


def test_jsonl_reads_back_equal():
    rows = [json.loads(line) for line in written(PLAIN, "jsonl").splitlines()]
    for row, wanted in zip(rows, asked(PLAIN).to_pylist(), strict=True):
        assert row == wanted | {
            "day": wanted["day"].isoformat(),
            "at": wanted["at"].isoformat(),
            "price": float(wanted["price"]),
        }


def test_nested_values_are_json_in_csv_and_jsonl():
    wanted = {"list": [1, 2], "struct": {"a": None, "b": "x"}, "map": {"k": 1}, "enum": "a"}
    assert json.loads(written(NESTED, "jsonl")) == wanted
    row = next(csv.DictReader(io.StringIO(written(NESTED, "csv").decode())))
    assert {key: value if key == "enum" else json.loads(value) for key, value in row.items()} == wanted


@settings(max_examples=80, deadline=None)
@given(st.lists(st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"])), st.just(""))))
def test_any_text_survives_csv_and_jsonl(texts):
    table = pa.table({"text": pa.array(texts, pa.string()), "n": pa.array(range(len(texts)), pa.int64())})
    as_csv, as_jsonl = io.BytesIO(), io.BytesIO()
    formats.write(table.to_reader(), "csv", as_csv, seekable=True)
    formats.write(table.to_reader(), "jsonl", as_jsonl, seekable=True)
    assert [json.loads(line)["text"] for line in as_jsonl.getvalue().split(b"\n")[:-1]] == texts
    rows = list(csv.reader(io.StringIO(as_csv.getvalue().decode(), newline="")))[1:]
    assert [row[0] for row in rows] == ["" if text is None else text for text in texts]


@settings(max_examples=80, deadline=None)
@given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**20), max_value=10**20))
def test_a_decimal_loses_no_digit_in_json(value):
    assert Decimal(str(formats.as_json(value))) == value


@settings(max_examples=60, deadline=None)
@given(st.floats())
def test_every_json_line_is_strict_json(value):
    line = written(f"SELECT '{value}'::DOUBLE AS x", "jsonl")
    read = json.loads(line, parse_constant=lambda _: pytest.fail("NaN and Infinity are not JSON"))["x"]
    assert float(read) == value or math.isnan(value)


def test_integers_beyond_64_bits_stay_integers():
    assert (
        json.loads(written("SELECT 2::HUGEINT ** 100 AS x, sum(range::HUGEINT) AS s FROM range(3)", "jsonl"))["s"] == 3
    )
    assert json.loads(written("SELECT 170141183460469231731::HUGEINT AS x", "jsonl"))["x"] == 170141183460469231731


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path):
    target = tmp_path / "x.csv"
    target.write_text("the old one")
    with pytest.raises(KeyboardInterrupt), formats.replaced(target) as sink:
        sink.write(b"half")
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.iterdir()] == ["x.csv"]
    assert target.read_text() == "the old one"
