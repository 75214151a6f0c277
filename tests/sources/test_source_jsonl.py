"""JSON Lines: what is a record, what is not, and that nothing is lost between them."""

from __future__ import annotations

import io
import json
import tracemalloc
import zipfile
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from warehouse.contracts import RECORDS
from warehouse.sources import Column, KnownAt, Limits
from warehouse.sources.lines import Block, LongLine, line_blocks

BAD_LINES = {
    b"{": "invalid_json",
    b'{"text": NaN}': "invalid_json",
    b'{"text": "a\x00b"}': "invalid_json",
    b'{"text": "\xff"}': "invalid_utf8",
    b"[1]": "missing_text",
    b"null": "missing_text",
    b'{"other": 1}': "missing_text",
    b'{"text": null}': "missing_text",
    b'{"text": ""}': "empty_text",
    b'{"text": " \\n\\u00a0"}': "empty_text",
    b'{"text": 5}': "type_mismatch",
    b'{"text": ["a", 1]}': "type_mismatch",
    b"[" * 100_000: "invalid_json",
}


@pytest.mark.parametrize(("line", "reason"), BAD_LINES.items())
def test_a_bad_line_is_one_reject_with_its_line_and_offset_and_the_others_are_read(reading, line, reason):
    good = b'{"text": "one"}\n'
    result = reading(good + line + b"\n" + good, "a.jsonl")
    assert [(reject.reason, reject.record) for reject in result.rejects] == [(reason, "1")]
    assert result.rejects[0].position in (len(good), 1)
    assert [(row["record"], row["text"]) for row in result.rows] == [("0", "one"), ("2", "one")]


def test_blank_lines_are_no_records_but_count_as_lines(reading):
    result = reading(b'\n{"text": "a"}\r\n  \n\n{"text": "b"}', "a.jsonl")
    assert result.column("record") == ["1", "4"] and not result.rejects


def test_batches_have_the_schema_of_records_and_nothing_else(reading):
    result = reading(b'{"text": "a"}\n', "a.jsonl")
    assert result.batches[0].schema == RECORDS


def test_a_byte_order_mark_belongs_to_no_record(reading):
    assert reading(b'\xef\xbb\xbf{"text": "a"}\n', "a.jsonl").column("text") == ["a"]


@given(st.text(st.one_of(st.characters(exclude_categories=()), st.sampled_from("\ud83d\ude00\udfff\\u")), max_size=12))
@example("\\ud800 \ud800\udc00 \udc00\ud800")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80, deadline=None)
def test_halves_of_surrogate_pairs_are_read_as_replacement_characters(reading, text: str):
    wanted = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    for raw in (json.dumps({"text": f"a{text}"}), json.dumps([{"text": f"a{text}"}], indent=1)):
        result = reading(raw.encode(), "a.json")
        assert result.column("text") == [f"a{wanted}"] and not result.rejects


def test_an_escaped_nul_stays_in_the_text(reading):
    assert reading(b'{"text": "a\\u0000b"}\n', "a.jsonl").column("text") == ["a\0b"]


def test_a_line_over_the_limit_is_refused_in_memory_that_does_not_grow_with_it(reading, tmp_path: Path):
    path = tmp_path / "long"
    with path.open("wb") as file:
        file.write(b'{"text": "a"}\n{"text": "')
        for _ in range(64):
            file.write(b"x" * (1 << 20))
        file.write(b'"}\n{"text": "b"}\n')
    tracemalloc.start()
    result = reading(path, "a.jsonl", limits=Limits(max_record_bytes=1 << 20))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert result.reasons == {"record_too_large": 1} and result.rejects[0].position == 14
    assert [(row["record"], row["text"]) for row in result.rows] == [("0", "a"), ("2", "b")]
    assert peak < 12 << 20


def test_fields_of_the_record_become_columns_of_the_document(reading):
    line = json.dumps({"body": "t", "name": "n", "url": "http://a", "lic": "MIT", "date": "2024-01-02T03:04:05+01:00"})
    fields = {"text": "body", "title": "name", "uri": "url", "licence": "lic", "published_at": "date"}
    row = reading(line.encode() * 1, "a.jsonl", fields=fields, known_at=KnownAt(column="date")).rows[0]
    moment = datetime(2024, 1, 2, 2, 4, 5, tzinfo=UTC)
    assert row["published_at"] == row["known_at"] == moment
    assert [row[key] for key in ("uri", "record", "title", "text", "licence")] == ["http://a", "0", "n", "t", "MIT"]


def test_record_is_the_occurrence_of_a_stated_uri_and_else_the_line(reading):
    lines = [{"text": "a", "u": "x"}, {"text": "b", "u": "y"}, {"text": "c", "u": "x"}, {"text": "d"}]
    data = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    result = reading(data, "a.jsonl", fields={"text": "text", "uri": "u"})
    assert [(row["uri"], row["record"]) for row in result.rows] == [
        ("x", "0"),
        ("y", "0"),
        ("x", "1"),
        ("a.jsonl", "3"),
    ]


def test_a_time_that_is_none_is_a_reject_and_never_a_silent_null(reading):
    data = b'{"text": "a", "t": "soon"}\n{"text": "b", "t": 1700000000}\n{"text": "c", "t": null}\n'
    result = reading(data, "a.jsonl", fields={"text": "text", "published_at": "t"})
    assert result.reasons == {"type_mismatch": 1} and result.rejects[0].record == "0"
    assert {row["text"]: row["published_at"] for row in result.rows} == {
        "b": datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC),
        "c": None,
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
LINES = st.lists(JSON.map(json.dumps) | st.text(max_size=20).filter(lambda text: "\n" not in text), max_size=12)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(LINES)
@example(['{"": {}}', '{"": ""}'])
def test_lines_met_are_rows_plus_rejects(reading, lines):
    data = "\n".join(['{"text": "whole"}', *lines]).encode("utf-8", "replace")
    met = sum(bool(line.strip()) for line in data.removeprefix(b"\xef\xbb\xbf").split(b"\n"))
    for table in ("documents", "things"):
        result = reading(data, "a.jsonl", table=table)
        assert result.met == met
        records = [row.get("record", row.get("_record")) for row in result.rows] + [r.record for r in result.rejects]
        assert len(set(records)) == met


def reference_lines(data: bytes, max_bytes: int) -> Iterator[tuple[int, int, int]]:
    """Number, offset and size of each line, by the file object's own iteration."""
    offset = 3 if data.startswith(b"\xef\xbb\xbf") else 0
    for number, line in enumerate(io.BytesIO(data[offset:])):
        yield number, offset, len(line.rstrip(b"\n")) if line.endswith(b"\n") else len(line)
        offset += len(line)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60).map(lambda raw: raw.replace(b"a", b"\n")), st.integers(4, 30), st.booleans())
def test_blocks_hold_every_line_once_at_its_offset(raw, max_bytes, mark):
    data = (b"\xef\xbb\xbf" if mark else b"") + raw.removeprefix(b"\xef\xbb\xbf")
    found: list[tuple[int, int, int]] = []
    for item in line_blocks(io.BytesIO(data), max_bytes=max_bytes):
        if isinstance(item, LongLine):
            assert item.size > max_bytes
            found.append((item.number, item.offset, item.size))
        elif isinstance(item, Block):
            offset = item.offset
            for at, line in enumerate(item.lines):
                assert len(line) <= max_bytes
                found.append((item.number + at, offset, len(line)))
                offset += len(line) + 1
    assert found == list(reference_lines(data, max_bytes))


def test_typed_rows_keep_nested_objects_and_grow_columns(reading):
    rows: list[dict[str, Any]] = [
        {"id": 1, "providerName": "x", "meta": {"a": 1}, "tags": ["p"]},
        {"id": 2, "meta": {"a": 2, "b": "q"}, "tags": [], "none": None, "empty": {}},
    ]
    data = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    result = reading(data, "a.jsonl", table="things")
    schema = result.batches[0].schema
    assert schema.names == ["id", "provider_name", "meta", "tags", "_record", "_known_at"]
    assert schema.field("provider_name").metadata == {b"comment": b"providerName"}
    assert schema.field("meta").type == pa.struct([("a", pa.int64()), ("b", pa.string())])
    assert result.rows[1]["meta"] == {"a": 2, "b": "q"}


def test_a_value_that_does_not_fit_its_column_is_a_reject_and_types_never_change(reading):
    data = (
        b'{"a": 1, "b": 1.5}\n{"a": "x", "b": 2}\n{"a": 2.5, "b": null}\n{"a": {"c": 1}}\n{"a": 12345678901234567890}\n'
    )
    result = reading(data, "a.jsonl", table="things")
    assert result.reasons == {"type_mismatch": 3}
    assert [(row["a"], row["b"]) for row in result.rows] == [(1.0, 1.5), (2.5, None)]


def test_types_hold_over_batches(reading, monkeypatch):
    monkeypatch.setattr("warehouse.sources.jsonl.TABLE_BYTES", 1)
    monkeypatch.setattr("warehouse.sources.lines.BLOCK", 16)
    data = b'{"a": 1, "b": 0.5}\n{"a": 2, "b": 3}\n{"a": 3.5}\n{"a": 4, "c": [1]}\n{"a": 5, "c": ["x"]}\n'
    result = reading(data, "a.jsonl", table="things")
    assert len(result.batches) > 1
    assert {batch.schema.field("a").type for batch in result.batches} == {pa.int64()}
    assert {batch.schema.field("b").type for batch in result.batches} == {pa.float64()}
    assert result.column("a") == [1, 2, 4] and result.reasons == {"type_mismatch": 2}


def test_declared_types_hold_for_json_values(reading):
    columns = {"n": Column("int64"), "d": Column("date", "%d.%m.%Y"), "t": Column("timestamp"), "x": Column("decimal")}
    data = b'{"n": "7", "d": "3.2.2024", "t": 0, "x": "1.25"}\n{"n": 1.5}\n{"n": true}\n{"d": "x"}\n{"n": 8.0}\n'
    result = reading(data, "a.jsonl", table="things", columns=columns)
    assert result.reasons == {"type_mismatch": 3} and result.column("n") == [7, 8]
    assert str(result.rows[0]["x"]).rstrip("0") == "1.25" and result.rows[0]["t"] == datetime(1970, 1, 1, tzinfo=UTC)


def test_a_json_file_of_one_value_is_its_records(reading):
    assert reading(b'[{"text": "a"},\n {"text": "b"}, 3]', "a.json").column("record") == ["0", "1"]
    assert reading(b'["a", "b"]', "a.json", fields={"text": "value"}).column("text") == ["a", "b"]
    assert reading(b'{\n "text": "a"\n}', "a.json").column("text") == ["a"]
    assert reading(b'{"text": "a"}\n{"text": "b"}\n', "a.json").column("text") == ["a", "b"]
    assert reading(b'[\n{"text": "a"},\n', "a.json").reasons == {"invalid_json": 1}


def typed(value: Any) -> bool:
    """Whether anything in a JSON value has a type: lists and objects of nothing but nulls have none."""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return value is not None if parts is None else any(map(typed, parts))


def same(value: Any, held: Any) -> bool:
    """Whether a table's value is the JSON value: nothing for what has no type of its own, JSON text for mixed ones."""
    if held is None:
        return not typed(value)
    if isinstance(value, dict) and isinstance(held, dict):
        return all(same(part, held.get(name)) for name, part in value.items())
    if isinstance(value, list) and isinstance(held, list):
        return len(value) == len(held) and all(map(same, value, held))
    return held == value or (isinstance(held, str) and held[:1] in '[{"tfn-0123456789' and json.loads(held) == value)


def assert_rows_are(values: list[Any], result) -> None:
    """That each JSON value is a row: an object under its own names, any other as ``value``."""
    names = {field.metadata[b"comment"].decode(): field.name for b in result.batches for field in list(b.schema)[:-2]}
    for value, row in zip(values, result.rows, strict=True):
        wanted = value if isinstance(value, dict) else {"value": value}
        for name, part in wanted.items():
            assert same(part, row.get(names.get(name, name))), (name, part, row)


def test_json_test_suite_y_files_are_rows_n_files_rejects_and_i_files_either(reading, shared_data: Path):
    met = Counter()
    with zipfile.ZipFile(shared_data / "json_test_suite.zip") as archive:
        for name in (name for name in archive.namelist() if "test_parsing/" in name and name.endswith(".json")):
            raw, kind = archive.read(name), Path(name).name[0]
            result = reading(raw, Path(name).name, table="things")
            met[kind] += 1
            if kind == "y":
                value = json.loads(raw)
                assert not result.rejects, name
                assert_rows_are(value if isinstance(value, list) else [value], result)
            elif kind == "n":
                assert (len(result.rejects), result.rows) == (1, []) or len(raw.split(b"\n")) > 1, name
                assert result.rejects, name
            else:
                assert result.met == 1 or not result.rejects, name
    assert met == {"y": 95, "n": 188, "i": 35}


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(JSON.filter(lambda value: not isinstance(value, dict)), max_size=6))
@example([1, "1", None, [2], True])
@example([[], 1])
@example([10**30])
def test_values_that_are_no_objects_are_rows_with_one_column(reading, values):
    for name, data in (("a.json", json.dumps(values)), ("a.jsonl", "\n".join(map(json.dumps, values)) + "\n")):
        result = reading(data.encode(), name, table="t")
        assert not result.rejects
        assert_rows_are(values, result)


@pytest.mark.parametrize(
    ("values", "kind"),
    [([1, None, 2], pa.int64()), ([1, 1.5], pa.float64()), ([True], pa.bool_()), (["a"], pa.string()),
     ([[1], [2, 3]], pa.list_(pa.int64())), ([1, "a", [None]], pa.string()), ([10**30, 1], pa.string())],
)  # fmt: skip
def test_values_of_one_type_keep_it_and_mixed_ones_are_json_text(reading, values, kind):
    result = reading(json.dumps(values).encode(), "a.json", table="t")
    texts = [None if value is None else json.dumps(value, separators=(",", ":")) for value in values]
    mixed = kind == pa.string() and values != ["a"]
    assert (result.batches[0].schema.field("value").type, result.column("value")) == (kind, texts if mixed else values)


OBJECTS = st.lists(
    st.fixed_dictionaries(
        {"a": st.text(st.characters(exclude_categories=["Cs"]), max_size=8)}, optional={"n": st.floats(-9, 9)}
    ),
    min_size=1,
    max_size=5,
)
LAYOUTS = {
    "lines": lambda rows: "\n".join(map(json.dumps, rows)),
    "pretty": lambda rows: "\n".join(json.dumps(row, indent=2) for row in rows),
    "joined": lambda rows: "".join(json.dumps(row, ensure_ascii=False) for row in rows),
    "array": lambda rows: json.dumps(rows, indent=1, ensure_ascii=False),
}


@pytest.mark.parametrize("block", [7, 1 << 20])
@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(OBJECTS)
def test_objects_are_the_same_records_in_every_layout_and_encoding(reading, monkeypatch, name, block, rows):
    monkeypatch.setattr("warehouse.sources.json_values.BLOCK", block)
    for layout, spelt in LAYOUTS.items():
        for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"):
            if layout == "joined" and len(rows) > 1 and encoding == "utf-8" and name == "a.json":
                assert reading(spelt(rows).encode(), "a.txt", reader="jsonl", table="t").met == len(rows)
            result = reading(spelt(rows).encode(encoding), name, table="t")
            assert (result.rejects, [row.get("a") for row in result.rows]) == ([], [row["a"] for row in rows])
            assert [row.get("n") for row in result.rows] == [row.get("n") for row in rows]
            assert result.column("_record") == [str(at) for at in range(len(rows))]


def test_a_large_array_is_read_an_element_at_a_time(reading):
    rows = [{"n": at, "t": "x" * 300} for at in range(300)]
    for name in ("a.json", "a.jsonl"):
        result = reading(json.dumps(rows, indent=1).encode(), name, table="t", limits=Limits(max_record_bytes=2000))
        assert (result.column("n"), result.rejects) == (list(range(300)), [])
    cut = reading(json.dumps(rows, indent=1).encode()[:-200], "a.json", table="t", limits=Limits(max_record_bytes=2000))
    assert (len(cut.rows), cut.reasons) == (299, {"invalid_json": 1})


def test_a_value_that_is_none_costs_itself_among_values_over_several_lines(reading):
    texts = [json.dumps({"n": at}, indent=1) for at in range(6)]
    texts[2] = texts[2].replace(":", "")
    texts[4] = '{\n "n": NaN\n}'
    result = reading("\n".join(texts).encode(), "a.jsonl", table="t")
    assert (result.column("n"), result.reasons) == ([0, 1, 3, 5], {"invalid_json": 2})
    assert [reject.record for reject in result.rejects] == ["2", "4"]
    assert result.rejects[0].position == len("\n".join(texts[:2])) + 1


def test_a_first_line_that_is_cut_is_a_reject_and_the_lines_behind_it_are_read(reading):
    result = reading(b'{"n": "cut in the mid\n{"n": "a"}\n{"n": "b"}\n', "a.jsonl", table="t")
    assert (result.column("n"), result.reasons) == (["a", "b"], {"invalid_json": 1})


def test_an_object_of_no_bytes_is_dropped_and_counted_and_as_json_a_reject(reading):
    for blank in (b"", b" \n"):
        assert reading(blank, "a.jsonl").dropped == {"empty_object": 1}
    assert reading(b"", "a.json").reasons == reading(b" \n", "a.json").reasons == {"invalid_json": 1}


@given(
    st.lists(
        st.one_of(
            st.integers(-(2**63), 2**63 - 1),
            st.integers(-(10**40), 10**40),
            st.floats(allow_nan=False, allow_infinity=False),
        ),
        min_size=1,
    ),
    st.sampled_from(["plain", "listed", "nested"]),
)
@example([2**63 - 1, 1e300, 10**30 + 1], "plain")
@example([1e300, 10**22], "plain")
@example([-(2**63) - 1, 2**64], "nested")
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_number_is_kept_exactly_or_its_record_alone_is_rejected(reading, numbers, shape):
    wrapped = {"plain": lambda value: value, "listed": lambda value: [value], "nested": lambda value: {"x": value}}
    lines = [json.dumps({"n": wrapped[shape](number)}) for number in numbers]
    result = reading("\n".join(lines).encode(), "a.jsonl", table="numbers")
    assert len(result.rows) + len(result.rejects) == len(numbers)
    assert {reject.reason for reject in result.rejects} <= {"type_mismatch"}
    for row in result.rows:
        assert row["n"] == wrapped[shape](numbers[int(row["_record"])])


@pytest.mark.parametrize("levels", [33, 64, 200, 400, 1000, 1500])
def test_a_value_nested_too_deep_is_a_reject_and_the_lines_around_it_are_read(reading, levels):
    deep = '{"x":' * levels + "1" + "}" * levels
    for options in ({"table": "t"}, {"fields": {"text": "text", "title": "x"}}):
        lines = ['{"text":"a","x":null}', '{"text":"b","x":' + deep + "}", '{"text":"c"}', '{"text":"d","x":null}']
        result = reading("\n".join(lines).encode(), "a.jsonl", **options)
        assert result.column("text") == ["a", "c", "d"]
        assert result.reasons == {"invalid_json" if levels > 1000 else "type_mismatch": 1}
        assert result.rejects[0].record == "1"


def test_fields_that_differ_in_case_only_are_a_reject_at_any_level(reading):
    lines = [b'{"x":{"a":1}}', b'{"x":{"A":2}}', b'{"x":{"b":{"c":1,"C":2}}}', b'{"x":{"b":{"c":3}}}', b'{"x":{"a":4}}']
    result = reading(b"\n".join(lines), "a.jsonl", table="t")
    assert [reject.record for reject in result.rejects] == ["1", "2"]
    assert result.reasons == {"type_mismatch": 2}
    assert [row["x"] for row in result.rows] == [{"a": 1, "b": None}, {"a": None, "b": {"c": 3}}, {"a": 4, "b": None}]


def test_integers_beyond_64_bits_are_rejects_beside_doubles_and_texts_like_them_stay(reading):
    lines = [
        '{"n":1e300}',
        '{"n":123456789012345678901234567890}',
        '{"n":0.12345678901234567890123,"t":"a: 12345678901234567890"}',
    ]
    for name, content in (("a.jsonl", "\n".join(lines)), ("a.json", f"[{','.join(lines)}]")):
        result = reading(content.encode(), name, table="t")
        assert [(row["n"], row.get("t")) for row in result.rows] == [
            (1e300, None),
            (0.12345678901234567890123, "a: 12345678901234567890"),
        ]
        assert [(reject.record, reject.reason) for reject in result.rejects] == [("1", "type_mismatch")]
    declared = reading("\n".join(lines).encode(), "a.jsonl", table="t", columns={"n": Column("double")})
    assert [reject.record for reject in declared.rejects] == ["1"]


def test_of_a_name_that_an_object_has_twice_the_last_value_counts(reading):
    result = reading(b'{"a":1,"a":2}\n{"a":12345678901234567890123,"a":3}', "a.jsonl", table="t")
    assert result.column("a") == [2, 3]
