"""CSV: dialects, ragged rows, types found and types declared."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import re
import time
import zipfile
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from warehouse.sources import Column, Dialect, KnownAt, Limits
from warehouse.sources.columns import named, snake_case
from warehouse.sources.dialects import sniff_delimiter

SPECTRUM = ["comma_in_quotes", "empty", "empty_crlf", "escaped_quotes", "json", "newlines", "newlines_crlf"]
SPECTRUM += ["quotes_and_newlines", "simple", "simple_crlf", "utf8"]


def plain(rows):
    """Rows without the columns that the warehouse adds, blank cells as empty text."""
    return [{key: "" if value is None else value for key, value in row.items() if key[0] != "_"} for row in rows]


@pytest.mark.parametrize("name", SPECTRUM)
def test_csv_spectrum_is_read_as_its_authors_expect(reading, shared_data: Path, name):
    folder = shared_data / "csv_spectrum"
    expected = json.loads((folder / "json" / f"{name}.json").read_text("utf-8"))
    columns = {key: Column("string") for key in expected[0]}
    result = reading(folder / "csvs" / f"{name}.csv", "a.csv", table="things", columns=columns)
    assert plain(result.rows) == expected and not result.rejects


def test_csv_spectrum_location_is_read_but_for_the_number_that_its_json_has_otherwise(reading, shared_data: Path):
    folder = shared_data / "csv_spectrum"
    expected = json.loads((folder / "json" / "location_coordinates.json").read_text("utf-8"))
    result = reading(folder / "csvs" / "location_coordinates.csv", "a.csv", table="things")
    (row,) = result.rows
    assert row["contact_phone_number"] == 2095257564  # the expected file says 1234567890
    assert [row["cities"], row["counties"]] == [expected["Cities"], expected["Counties"]]
    assert row["location_coordinates"] == expected["Location Coordinates"]


def test_headers_alone_and_files_without_any_are_dropped_and_counted(reading, shared_data: Path):
    for alone in (b"a,b\n", b"a", b"\n\na\n"):
        result = reading(alone, "a.csv", table="t")
        assert (result.rows, result.reasons, result.dropped) == ([], {}, {"no_rows": 1})
    for blank in (b"", b"\n", b"\r\n\r\n"):
        assert reading(blank, "a.csv", table="t").dropped == {"empty_object": 1}
    empty = sorted((shared_data / "carbon_cloud_codecarbon").rglob("*-tasks.csv"))
    assert empty and all(reading(path, path.name, table="t").dropped == {"empty_object": 1} for path in empty)


def test_a_ragged_row_is_one_reject_and_its_neighbours_are_read(reading):
    result = reading(b"a,b\n1,2\n3\n4,5,6\n\n7,8\n", "a.csv", table="t")
    assert [(r.reason, r.record, r.position) for r in result.rejects] == [
        ("wrong_field_count", "1", 3),
        ("wrong_field_count", "2", 4),
    ]
    assert [(row["_record"], row["a"], row["b"]) for row in result.rows] == [("0", 1, 2), ("3", 7, 8)]


def test_a_carriage_return_inside_a_row_costs_that_row_alone(reading):
    result = reading(b"a,b\n1,2\n3,x\ry\n5,6\n", "a.csv", table="t")
    assert result.reasons == {"invalid_csv": 1} and [row["a"] for row in result.rows] == [1, 5]


def test_an_unclosed_quote_costs_its_own_line_and_the_lines_that_it_took_are_read_again(reading):
    lines = [f"{at},x" for at in range(500)]
    for text in ('3,"x', '"3,x', '3,"x,"y'):
        for behind in (lines, [*lines, '9,"quoted"', *lines]):
            result = reading("\n".join(["a,b", "1,y", text, *behind]).encode(), "a.csv", table="t")
            assert [(r.reason, r.record, r.position, r.first_bytes) for r in result.rejects] == [
                ("unclosed_quote", "1", 3, text.encode())
            ] or (text, result.reasons) == ('3,"x,"y', {"invalid_csv": 1})
            assert len(result.rows) == 1 + len(behind)
            assert len({row["_record"] for row in result.rows}) == len(result.rows)


def test_prose_that_an_unclosed_quote_took_is_no_rows_but_one_reject_that_counts_its_lines(reading):
    prose = ["it goes on,", "and on, and on,", "for three lines, and then", "the file is cut"]
    result = reading("\n".join(["a,b,c,d", "1,2,3,4", '5,6,7,"a text', *prose]).encode(), "a.csv", table="t")
    assert (result.reasons, len(result.rows)) == ({"unclosed_quote": 1}, 1)
    assert "5 lines" in result.rejects[0].message


def test_a_carriage_return_among_the_lines_that_a_quote_took_is_a_reject_of_its_own(reading):
    lines = [f"{at},x" for at in range(40)]
    data = "\n".join(["a,b", '3,"x', *lines[:20], "9,y\rz", *lines[20:]])
    result = reading(data.encode(), "a.csv", table="t")
    assert (result.reasons, len(result.rows)) == ({"unclosed_quote": 1, "invalid_csv": 1}, 40)


@pytest.mark.parametrize("seed", range(3))
def test_texts_of_quotes_ends_and_escapes_give_different_records_in_any_cutting(reading, monkeypatch, seed):
    numbers = random.Random(seed)
    parts = [
        "a",
        "b,",
        '"',
        '""',
        ",",
        "\n",
        "\r\n",
        "1",
        "\\",
        '\\"',
        " ",
        "; ",
        "|",
        "é",
        "\r",
        "\0",
        "x,y\n",
        "1,2\n",
    ]
    for _ in range(60):
        data = "".join(numbers.choices(parts, k=numbers.randrange(200))).encode(numbers.choice(["utf-8", "utf-16"]))
        monkeypatch.setattr("warehouse.sources.text_lines.BLOCK", numbers.choice([8, 64, 1 << 20]))
        monkeypatch.setattr("warehouse.sources.csv_rows.ROWS_AT_ONCE", numbers.choice([1, 2, 32]))
        monkeypatch.setattr("warehouse.sources.csv_rows.REREAD_CHARS", numbers.choice([0, 20, 1 << 20]))
        for dialect in (Dialect(), Dialect(header=False), Dialect(",", escape="backslash", header=True)):
            result = reading(data, "a.csv", table="t", dialect=dialect)
            assert "not_csv" not in result.reasons
            records = [row["_record"] for row in result.rows] + [reject.record for reject in result.rejects]
            assert len(set(records)) == len(records)


def test_text_after_a_closing_quote_costs_its_row(reading):
    result = reading(b'a,b\n1,"x"y\n2,"he said "hi" to me"\n3,"z"\n', "a.csv", table="t")
    assert (result.reasons, result.column("a"), result.column("b")) == ({"invalid_csv": 2}, [3], ["z"])


def test_quotes_that_never_close_are_read_again_within_bounds(reading, monkeypatch):
    monkeypatch.setattr("warehouse.sources.csv_rows.REREAD_CHARS", 1 << 16)
    lines = ['a""","z'] * 30_000  # in a row of text and in one of quotes the same: each opens a quote again
    began = time.process_time()
    result = reading("\n".join(["a,b", *lines]).encode(), "a.csv", table="t", dialect=Dialect(delimiter=","))
    assert set(result.reasons) == {"unclosed_quote"}
    assert time.process_time() - began < 10


def test_bytes_that_are_not_utf8_spoil_their_row_alone(reading):
    result = reading(b"a,b\n1,caf\xe9\n2,caf\xc3\xa9\n", "a.csv", table="t")
    assert result.reasons == {"invalid_utf8": 1} and result.column("b") == ["café"]
    latin = reading(b"a,b\n1,caf\xe9\n", "a.csv", table="t", dialect=Dialect(encoding="cp1252"))
    assert latin.column("b") == ["café"]


def test_a_line_over_the_limit_is_a_reject_and_reading_goes_on(reading, monkeypatch):
    monkeypatch.setattr("warehouse.sources.text_lines.BLOCK", 64)
    data = b"a,b\n1,2\n3," + b"x" * 1000 + b"\n5,6\n"
    result = reading(data, "a.csv", table="t", limits=Limits(max_record_bytes=100))
    assert result.reasons == {"record_too_large": 1} and [row["b"] for row in result.rows] == [2, 6]
    assert {row["_record"] for row in result.rows} | {r.record for r in result.rejects} == {"0", "1", "2"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_every_encoding_line_end_and_delimiter_gives_the_same_rows(reading, encoding, end, delimiter):
    rows = [["né", "wert"], ["ß", f"1{delimiter}5"], ["x", "2"]]
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator=end).writerows(rows)
    result = reading(out.getvalue().encode(encoding), "a.csv", table="t")
    assert plain(result.rows) == [{"né": "ß", "wert": f"1{delimiter}5"}, {"né": "x", "wert": "2"}]


CELL = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=6) | st.sampled_from(
    ['"', ",", "\n", '","', ""]
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 4).flatmap(lambda width: st.lists(st.lists(CELL, min_size=width, max_size=width), max_size=8)))
def test_what_a_csv_writer_wrote_is_read_back(reading, rows):
    width = len(rows[0]) if rows else 1
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows([[f"c{at}" for at in range(width)], *rows])
    columns = {f"c{at}": Column("string") for at in range(width)}
    result = reading(out.getvalue().encode(), "a.csv", table="t", columns=columns)
    assert [list(row.values()) for row in plain(result.rows)] == rows and not result.rejects


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text('ab,"\n;1', max_size=12), max_size=8))
def test_any_text_gives_rows_and_rejects_with_different_records_and_never_an_exception(reading, lines):
    result = reading(b"x,y\n" + "\n".join(lines).encode(), "a.csv", table="t", dialect=Dialect(delimiter=","))
    records = [row["_record"] for row in result.rows] + [reject.record for reject in result.rejects]
    assert len(set(records)) == len(records)
    assert result.dropped == ({} if records else {"no_rows": 1})


LINES = st.lists(
    st.sampled_from(["1,2", "x, y", ",", "é,", '"a,b",3', '"",4', '"5\n6",7', '"8', '9"', "", "0", "1,2,3", "\ud800,1"])
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(LINES, st.sampled_from(["\n", "\r\n", "\n\r"]), st.integers(1, 40), st.booleans())
def test_blocks_that_arrow_reads_at_once_have_the_rows_that_the_csv_module_has(reading, lines, end, block, header):
    """Broken UTF-8 (written here as half a surrogate pair) included."""
    text = "".join(f"{line}{end}" for line in ([f"a,b{end}1,1"] if header else ["1,1"]) + lines)
    raw = text.encode("utf-8", "surrogatepass")
    columns = {name: Column("string") for name in ("a", "b", "column_1", "column_2")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("warehouse.sources.text_lines.BLOCK", block)
        options = {"table": "t", "columns": columns, "dialect": Dialect(delimiter=",", header=header, escape="doubled")}
        at_once = reading(raw, "a.csv", **options)
        patch.setattr("warehouse.sources.csv_rows._Rows._at_plain_text", lambda _: False)
        one_by_one = reading(raw, "a.csv", **options)
    assert at_once.rows == one_by_one.rows
    assert sorted(map(repr, at_once.rejects)) == sorted(map(repr, one_by_one.rejects))


TYPES = {
    "int64": (["1", "-20", "0", ""], [1, -20, 0, None]),
    "double": (["1", "2.5", "-0.5", "1.5e3", "9E-04", "7.0"], [1.0, 2.5, -0.5, 1500.0, 0.0009, 7.0]),
    "bool": (["true", "False", "TRUE"], [True, False, True]),
    "date32[day]": (["2024-02-29", "1999-12-31"], [date(2024, 2, 29), date(1999, 12, 31)]),
    "string": (["007", "1"], ["007", "1"]),
}
STRINGS = [
    ["1", " 2"],
    ["2024-02-30", "2024-02-01"],
    ["1", "x"],
    ["12345678901234567890"],
    ["", ""],
    ["1,5"],
    ["nan"],
    ["0x1"],
    ["1.10", "1.9"],
    ["1.10", "1"],
    ["+49301234"],
    ["1e5"],
    [".5"],
    ["0.12345678901234567890"],
    ["123456789012345678", "0.5"],
]


@pytest.mark.parametrize("kind", TYPES)
def test_a_type_is_found_where_every_value_has_it(reading, kind):
    texts, values = TYPES[kind]
    data = "\n".join(["k,v", *(f"1,{text}" for text in texts)]).encode()
    result = reading(data, "a.csv", table="t")
    assert str(result.batches[0].schema.field("v").type) == kind and result.column("v") == values


@pytest.mark.parametrize("texts", STRINGS)
def test_a_column_is_text_where_one_value_is_not_of_a_type(reading, texts):
    data = "\n".join(["k;v", *(f"1;{text}" for text in texts)]).encode()
    result = reading(data, "a.csv", table="t")
    assert result.batches[0].schema.field("v").type == pa.string()
    assert result.column("v") == [text or None for text in texts]


@pytest.mark.parametrize("kept", [1, 1 << 20])
def test_types_are_found_over_the_whole_object_not_its_first_batch(reading, monkeypatch, kept):
    monkeypatch.setattr("warehouse.sources.csv_rows.CHUNK_CHARS", 1)
    monkeypatch.setattr("warehouse.sources.csv_rows.ROWS_AT_ONCE", 2)
    monkeypatch.setattr("warehouse.sources.delimited.KEPT_BYTES", kept)
    monkeypatch.setattr("warehouse.sources.text_lines.BLOCK", 8)
    result = reading(b"a\n1\n2\n3\n4\n5\nx\n", "a.csv", table="t")
    assert len(result.batches) > 1 and {batch.schema.field("a").type for batch in result.batches} == {pa.string()}


def test_timestamps_are_utc_and_cut_to_microseconds(reading):
    data = b"t\n2023-11-16 23:59:59.9999999\n2023-11-16T18:15:46+01:00\n2023-11-16 18:15\n2023-11-16 18:15:46Z\n"
    found = reading(data, "a.csv", table="t").column("t")
    assert found == [
        datetime(2023, 11, 16, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(2023, 11, 16, 17, 15, 46, tzinfo=UTC),
        datetime(2023, 11, 16, 18, 15, tzinfo=UTC),
        datetime(2023, 11, 16, 18, 15, 46, tzinfo=UTC),
    ]


def test_a_value_that_breaks_a_declared_type_is_a_reject_of_its_row(reading):
    columns = {
        "When": Column("date", "%m/%d/%Y", "day"),
        "n": Column("int64"),
        "x": Column("decimal"),
        "b": Column("bool"),
    }
    data = b"When,n,x,b\n1/31/2024,1,0.1,true\n13/1/2024,2,0.2,false\n2/1/2024, 3 ,1e-12,no\n2/2/2024,x,1,true\n,,,\n"
    result = reading(data, "a.csv", table="t", columns=columns)
    assert result.reasons == {"type_mismatch": 3}
    assert [reject.record for reject in result.rejects] == ["1", "2", "3"]
    assert plain(result.rows)[0] == {"day": date(2024, 1, 31), "n": 1, "x": Decimal("0.100000000"), "b": True}
    assert set(plain(result.rows)[1].values()) == {""}


def test_known_at_comes_from_the_named_column(reading):
    data = b"a,seen\n1,2024-01-02\n2,\n3,never\n"
    columns = {"seen": Column("string")}
    result = reading(data, "a.csv", table="t", columns=columns, known_at=KnownAt(column="seen"))
    assert result.column("_known_at") == [datetime(2024, 1, 2, tzinfo=UTC), None]
    assert result.reasons == {"type_mismatch": 1}


def test_documents_come_from_csv_by_field(reading):
    data = b"body,head\n,x\nhello,y\n"
    result = reading(data, "a.csv", fields={"text": "body", "title": "head"})
    assert result.reasons == {"missing_text": 1}
    assert [(row["record"], row["text"], row["title"]) for row in result.rows] == [("1", "hello", "y")]


def test_names_of_columns_follow_the_rule():
    names = ["providerName", "TIMESTAMP", "H100e (5th percentile)", "Total TDP (W)", "5th", "é!"]
    expected = ["provider_name", "timestamp", "h100e_5th_percentile", "total_tdp_w", "c5th", "é"]
    assert [snake_case(name) for name in names] == expected
    assert named(["a b", "aB", "", "_record"], {}) == ["a_b", "a_b_2", "column_3", "record"]
    assert sniff_delimiter('"a;b;c",d') == "," and sniff_delimiter("abc") == ","


NUMBERS = st.one_of(
    st.integers(-(10**20), 10**20).map(str),
    st.decimals(-1000, 1000, places=2).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.from_regex(r"[+-]?[0-9]{0,3}\.?[0-9]{0,20}([eE][+-]?[0-9]{1,2})?", fullmatch=True).filter(
        lambda text: any(map(str.isdigit, text))
    ),
)


def written_back(texts: list[str]) -> bool:
    """Whether one way to write doubles gives every text: the shortest (or with .0), or so many digits for all."""
    spelt = re.compile(r"-?(0|[1-9]\d*)(\.\d*[1-9]|\.0)?([eE][+-]?\d{1,3})?")
    fixed = {len(text.partition(".")[2]) for text in texts if re.fullmatch(r"-?(0|[1-9]\d*)\.\d+", text)}
    whole = [re.split("[.eE]", text.lstrip("-"))[0] for text in texts]
    if any(len(part) > 18 for part in whole):
        return False
    if len(fixed) == 1 and all(re.fullmatch(r"-?(0|[1-9]\d*)\.\d+", text) for text in texts):
        digits = fixed.pop()
        if all(Decimal(f"{float(text):.{digits}f}") == Decimal(text) for text in texts):
            return True
    return all(
        spelt.fullmatch(text)
        and not re.fullmatch(r"-?\d+[eE]\d+", text)
        and Decimal(repr(float(text))) == Decimal(text)
        for text in texts
    )


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(NUMBERS, min_size=1, max_size=4))
@example(["1.10", "2.25"])
@example(["1.5", "1"])
def test_a_column_is_of_numbers_where_they_are_written_back_as_they_came_and_text_elsewhere(reading, texts):
    result = reading("\n".join(["k;v", *(f"x;{text}" for text in texts)]).encode(), "a.csv", table="t")
    kind = result.batches[0].schema.field("v").type
    if all(re.fullmatch(r"0|-?[1-9][0-9]{0,17}", text) for text in texts):
        assert (kind, [str(value) for value in result.column("v")]) == (pa.int64(), texts)
    elif written_back(texts):
        assert (kind, result.column("v")) == (pa.float64(), [float(text) for text in texts])
    else:
        assert (kind, result.column("v")) == (pa.string(), texts)


WORDS = st.from_regex(r"[a-z]{3,8}", fullmatch=True)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(WORDS, min_size=2, max_size=4, unique=True),
    st.lists(st.tuples(st.integers(-999, 999), st.sampled_from(["tea", "a b", ""])), min_size=1, max_size=5),
)
def test_a_header_over_numbers_is_found_and_rows_without_one_lose_none(reading, names, values):
    rows = [[number, *([text] * (len(names) - 1))] for number, text in values]
    for first in ([names], []):
        out = io.StringIO()
        csv.writer(out).writerows([*first, *rows])
        result = reading(out.getvalue().encode(), "a.csv", table="t")
        expected = names if first else [f"column_{at}" for at in range(1, len(names) + 1)]
        assert (result.batches[0].schema.names[:-2], len(result.rows)) == (expected, len(rows))
        assert result.column(expected[0]) == [row[0] for row in rows]


HEADERS = {
    "word,2013,2014\na,0.5,0.25\nb,0.125,1.5\n": True,  # years over what are none
    "name,born\n": True,
    "anna,1984\n": False,
    "anna,1984\nbert,1990\n": False,
    ",count,mean,25%\nx,3,1.5,1\n": True,
    "zone,2024-01-31,2024-02-29\nn,5,6\n": True,
    "2024-01-31,5\n2024-02-29,6\n": False,
    "name,town\nanna,bern\n": True,
    "anna,bern\nbert,bern\n": False,  # bern stands in its column again
    "yes,no\nyes,yes\n": False,
    "1,2\n": False,
    "a,b\n1,2\na,b\n": True,
}


@pytest.mark.parametrize("text", HEADERS)
def test_a_first_row_is_one_of_names_by_the_stated_rule(reading, text):
    lines = text.count("\n")
    assert len(reading(text.encode(), "a.csv", table="t").rows) == lines - HEADERS[text]
    for stated in (True, False):
        result = reading(text.encode(), "a.csv", table="t", dialect=Dialect(header=stated))
        assert (len(result.rows), result.reasons) == (lines - stated, {})
    if not HEADERS[text]:
        named_so = {"column_1": Column("string", rename="own")}
        assert "own" in reading(text.encode(), "a.csv", table="t", columns=named_so).batches[0].schema.names


def test_a_name_that_the_recipe_states_makes_its_row_the_header(reading):
    data = b"anna,bern\nbert,bern\n"
    assert reading(data, "a.csv", table="t", columns={"bern": Column("string")}).met == 1
    assert reading(b"text,1\nwords,2\n", "a.csv").column("text") == ["words"]


def test_the_taxi_rides_without_a_header_are_all_rows(reading, shared_data: Path):
    path = shared_data / "nested_json_dlt" / "taxi.csv.gz"
    with gzip.open(path, "rt", newline="") as stream:
        rows = list(csv.reader(stream))
    result = reading(path, "taxi.csv.gz", table="t")
    assert (len(result.rows), result.rejects) == (len(rows), [])
    assert [str(value) for value in result.column("column_1")] == [row[0] for row in rows]


QUOTED = st.text(st.sampled_from('ab,"\\\n; x'), max_size=6)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(QUOTED, QUOTED), min_size=1, max_size=6))
def test_quotes_with_backslashes_are_read_back_found_or_stated(reading, rows):
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL, doublequote=False, escapechar="\\").writerows([["a", "b"], *rows])
    columns = {"a": Column("string"), "b": Column("string")}
    for escape in ("backslash", *([None] if '\\"z' in out.getvalue() else [])):
        result = reading(
            out.getvalue().encode(), "a.csv", table="t", columns=columns, dialect=Dialect(",", escape=escape)
        )
        assert [(row["a"], row["b"]) for row in result.rows] == rows


def test_backslashes_are_found_where_fewer_rows_fail_that_way(reading):
    data = b'a,b\n1,"{\\"x\\": \\"y\\\\n\\"}"\n2,"C:\\temp"\n'
    assert reading(data, "a.csv", table="t").column("b") == ['{"x": "y\\n"}', "C:\\temp"]
    plain = b'a,b\n1,"C:\\dir\\"\n2,"x"\n'
    assert reading(plain, "a.csv", table="t").column("b") == ["C:\\dir\\", "x"]


def test_blanks_between_a_delimiter_and_a_quote_are_no_part_of_the_field(reading):
    data = b'"name", "team", "age"\n"Ann, B.", "X", 7\n"Bo", "Y", 8\n'
    assert plain(reading(data, "a.csv", table="t").rows) == [
        {"name": "Ann, B.", "team": "X", "age": 7},
        {"name": "Bo", "team": "Y", "age": 8},
    ]
    assert reading(b"a,b\nx, y\n", "a.csv", table="t").column("b") == [" y"]


CELLS = st.none() | st.sampled_from(["", "a", "b,c", 'd"e', "f\ng", ","])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=8), st.sampled_from(["\n", "\r\n"]))
def test_quoted_empty_cells_are_empty_text_and_blank_ones_null(reading, rows, end):
    spelt = [",".join("" if cell is None else '"' + cell.replace('"', '""') + '"' for cell in row) for row in rows]
    columns = {name: Column("string") for name in "abc"}
    result = reading((end.join(["a,b,c", *spelt]) + end).encode(), "a.csv", table="t", columns=columns)
    assert [(row["a"], row["b"], row["c"]) for row in result.rows] == rows and not result.rejects
    bare = reading(
        (end.join(spelt) + end).encode(),
        "a.csv",
        table="t",
        columns={f"column_{at}": Column("string") for at in (1, 2, 3)},
        dialect=Dialect(",", header=False),
    )
    assert [(row["column_1"], row["column_2"], row["column_3"]) for row in bare.rows] == rows


def test_quoted_empty_cells_are_null_in_columns_of_numbers(reading):
    result = reading(b'a,b,c\n"1","x",""\n"","",5\n', "a.csv", table="t", columns={"c": Column("int64")})
    assert [result.column(name) for name in "abc"] == [[1, None], ["x", ""], [None, 5]]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_is_read(reading, encoding):
    data = "name;größe\nähnlich;1\nю;2\n".encode(encoding)
    assert plain(reading(data, "a.csv", table="t").rows) == [{"name": "ähnlich", "größe": 1}, {"name": "ю", "größe": 2}]


def test_a_few_nul_in_a_small_csv_make_it_no_utf_16(reading):
    result = reading(b"a,b\n1,x\0y\n2,z\n3\0\n", "a.csv", table="t")
    assert [list(row.values()) for row in plain(result.rows)] == [[1, "x\0y"], [2, "z"]]
    assert result.reasons == {"wrong_field_count": 1}


def test_the_azure_trace_is_read_as_polars_reads_it(reading, shared_data: Path):
    with zipfile.ZipFile(shared_data / "traces_azure.zip") as archive:
        data = archive.read("traces_azure/AzureLLMInferenceTrace_conv.csv")
    result = reading(data, "a.csv", table="t")
    ours = pa.Table.from_batches(result.batches)
    theirs = pl.read_csv(data).with_columns(
        pl.col("TIMESTAMP").str.slice(0, 26).str.to_datetime("%Y-%m-%d %H:%M:%S%.6f")
    )
    assert ours["timestamp"].cast(pa.timestamp("us")).to_pylist() == theirs["TIMESTAMP"].to_list()
    assert ours["context_tokens"].to_pylist() == theirs["ContextTokens"].to_list() and not result.rejects


def test_real_csv_files_have_as_many_rows_as_polars_finds(reading, shared_data: Path):
    paths = [*(shared_data / "tabular").rglob("*.csv*"), *(shared_data / "ai_chip_counts").rglob("*.csv")]
    for path in paths:
        result = reading(path, path.name, table="t")
        assert result.met == pl.read_csv(path, infer_schema=False).height, path.name


def test_fuzzed_files_are_rows_and_rejects(reading, shared_data: Path):
    for path in sorted((shared_data / "arrow_testing" / "csv").rglob("*")):
        if path.is_file():
            assert reading(path, "a.csv", table="t").met < 2000


@given(st.lists(st.sampled_from(["a", "A", "a_2", "a_3", "a_2_2", "aA", "", "1", "b"]), max_size=12))
def test_a_name_that_is_taken_gets_the_next_number_that_is_free(originals):
    taken = []
    for at, original in enumerate(originals, 1):
        base = snake_case(original) or f"column_{at}"
        taken.append(next(name for name in [base, *(f"{base}_{n}" for n in range(2, 99))] if name not in taken))
    assert named(originals, {}) == taken


def test_a_time_of_text_outside_the_years_1_to_9999_stays_text_or_is_a_reject(reading):
    far = ["0000-12-31T23:59:59", "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-05:00"]
    for text in [*far, "0000-02-01"]:
        found = reading(f"at\n{text}\n".encode(), "a.csv", table="t")
        assert found.column("at") == [text]
        kind = "timestamp" if "T" in text else "date"
        declared = reading(f"at\n{text}\n0001-01-02\n".encode(), "a.csv", table="t", columns={"at": Column(kind)})
        assert (len(declared.rows), declared.reasons) == (1, {"type_mismatch": 1})
    edge = Column("timestamp", "%Y-%m-%dT%H:%M:%S%z")
    assert reading(f"at\n{far[1]}\n".encode(), "a.csv", table="t", columns={"at": edge}).reasons == {"type_mismatch": 1}
