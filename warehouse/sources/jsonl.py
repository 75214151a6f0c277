"""JSON Lines (and small .json files) through orjson: one object a line is one record.

What is not JSON as RFC 8259 has it (NaN, raw control characters), not UTF-8, or not an object is a Reject with its
line and byte offset. Half a surrogate pair, which JSON can spell and UTF-8 cannot, is read as U+FFFD, as decoders of
UTF-16 do (Unicode, section 3.9). Of a name that one object has twice the last value counts, as orjson and Python have
it (RFC 8259, section 4, leaves it open). An integer beyond 64 bits, which orjson makes a double, is a Reject of its
row in a typed table. A block of 1 MiB is parsed at once and line by line only where a line of it fails.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import orjson
import pyarrow as pa

from warehouse.contracts import BATCH_BYTES, Reject
from warehouse.sources.columns import opening
from warehouse.sources.containers import Member
from warehouse.sources.guard import guarded
from warehouse.sources.lines import Block, LongLine, line_blocks
from warehouse.sources.recipe import Limits
from warehouse.sources.records import Documents
from warehouse.sources.rows import Rows

Row = dict[str, Any]
Loads = Callable[[bytes], Any]
"""Parses one JSON value. Raises orjson.JSONDecodeError."""
_ESCAPES = re.compile(
    rb"\\(?:u[dD][89abAB][0-9A-Fa-f]{2}\\u[dD][c-fC-F][0-9A-Fa-f]{2}|(?P<half>u[dD][89a-fA-F][0-9A-Fa-f]{2})|.)",
    re.DOTALL,
)
"""Escapes of a JSON text; pairs of surrogates before halves of them."""
_LONG = re.compile(rb"[\[:,\s-][1-9][0-9]{18,}(?![0-9.eE])")
"""An integer that may be beyond 64 bits, or a piece of text like it."""
TABLE_BYTES = BATCH_BYTES // 4  # of JSON text; four times that as Python objects and Arrow columns


@dataclass(frozen=True, slots=True)
class Parsed:
    """Consecutive records: their line numbers (or indices in an array), the objects, and the bytes they took."""

    numbers: Sequence[int]
    rows: list[Row]
    size: int


def read_documents(member: Member, documents: Documents) -> Iterator[pa.RecordBatch | Reject]:
    """Documents of the member in batches of about BATCH_BYTES."""
    names = documents.names
    for parsed in _batched(member, documents.source.limits, BATCH_BYTES, orjson.loads):
        if isinstance(parsed, Reject):
            yield parsed
        else:
            yield from _documents(parsed, names, documents)


def read_table(member: Member, table: Rows) -> Iterator[pa.RecordBatch | Reject]:
    """Rows of a typed table in batches of about BATCH_BYTES."""
    for parsed in _batched(member, table.source.limits, TABLE_BYTES, _exact):
        if isinstance(parsed, Reject):
            yield parsed
        else:
            yield from table.batch(parsed.numbers, parsed.rows)


def _exact(raw: bytes) -> Any:
    """The value as orjson has it, but integers as long as they are."""
    value = orjson.loads(raw)
    try:
        return json.loads(raw) if _LONG.search(raw) else value
    except RecursionError:  # some 900 levels, which no table holds: its row will be a Reject
        return value


def parse(member: Member, loads: Loads, *, max_bytes: int) -> Iterator[Parsed | Reject]:
    """The member's records as Python objects, a block at a time. A .json file of one value is read as that value."""
    if member.name.lower().endswith(".json"):
        whole = _whole(member, loads, max_bytes)
        if whole is not None:
            yield from whole
            return
    with closing(member.open()) as stream:
        for block in line_blocks(stream, max_bytes=max_bytes):
            if isinstance(block, LongLine):
                message = f"a line of {block.size} bytes, at most {max_bytes} allowed"
                yield Reject(
                    member.uri, str(block.number), "record_too_large", message, block.offset, None, block.first_bytes
                )
            else:
                yield from _parse_block(block, member.uri, loads)


def _parse_block(block: Block, uri: str, loads: Loads) -> Iterator[Parsed | Reject]:
    size = sum(map(len, block.lines))
    try:
        rows = [loads(line) for line in block.lines]
    except orjson.JSONDecodeError:
        yield from _parse_lines(block, uri, loads)
        return
    if all(type(row) is dict for row in rows):
        yield Parsed(range(block.number, block.number + len(rows)), rows, size)
    else:
        yield from _parse_lines(block, uri, loads)


def _parse_lines(block: Block, uri: str, loads: Loads) -> Iterator[Parsed | Reject]:
    numbers, rows, size, offset = [], [], 0, block.offset
    for number, line in enumerate(block.lines, block.number):
        row = _object(line, uri, loads, number, offset)
        if isinstance(row, Reject):
            yield row
        elif row is not None:
            numbers.append(number)
            rows.append(row)
            size += len(line)
        offset += len(line) + 1
    yield Parsed(numbers, rows, size)


def _object(line: bytes, uri: str, loads: Loads, number: int, offset: int) -> Row | Reject | None:
    """The line's object, None for a blank line, or why it is neither."""
    if not line or line.isspace():
        return None
    try:
        row = _mended(line, loads)
    except orjson.JSONDecodeError as error:
        return Reject(uri, str(number), _reason(line), str(error), offset, type(error).__name__, line[:200])
    if type(row) is dict:
        return row
    return Reject(uri, str(number), "not_an_object", f"a JSON {_kind(row)}, not an object", offset, None, line[:200])


def _mended(raw: bytes, loads: Loads) -> Any:
    """The value, halves of surrogate pairs as U+FFFD. Raises orjson.JSONDecodeError."""
    try:
        return loads(raw)
    except orjson.JSONDecodeError:
        mended = _ESCAPES.sub(lambda found: b"\\ufffd" if found["half"] else found[0], raw)
        if mended == raw:
            raise
        return loads(mended)


def _reason(line: bytes) -> str:
    """Why orjson refused the line."""
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return "invalid_utf8"
    return "invalid_json"


def _kind(value: Any) -> str:
    return {list: "array", str: "string", type(None): "null", bool: "boolean"}.get(type(value), "number")


def _whole(member: Member, loads: Loads, max_bytes: int) -> list[Parsed | Reject] | None:
    """Records of a file that holds one JSON value; None where it is too large for that or holds a value a line."""
    with closing(member.open()) as stream:
        raw = (
            b"".join(iter(lambda: stream.read(min(1 << 20, max_bytes + 1)), b"")) if _small(member, max_bytes) else b""
        )
    if not raw:
        return None
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    first = raw.lstrip().split(b"\n", 1)[0]
    value = _value(raw, loads)
    if isinstance(value, orjson.JSONDecodeError):
        if not isinstance(_value(first, loads), orjson.JSONDecodeError):
            return None
        return [Reject(member.uri, "0", _reason(raw), str(value), value.pos, type(value).__name__, raw[:200])]
    return _records(value if isinstance(value, list) else [value], member.uri, len(raw))


def _small(member: Member, max_bytes: int) -> bool:
    """Whether the member has at most ``max_bytes``; reads no more than that."""
    left = max_bytes
    with closing(member.open()) as stream:
        while left >= 0 and (chunk := stream.read(1 << 20)):
            left -= len(chunk)
    return left >= 0


def _value(raw: bytes, loads: Loads) -> Any:
    try:
        return _mended(raw, loads)
    except orjson.JSONDecodeError as error:
        return error


def _records(values: list[Any], uri: str, size: int) -> list[Parsed | Reject]:
    good = [number for number, value in enumerate(values) if type(value) is dict]
    bad: list[Parsed | Reject] = [
        Reject(
            uri,
            str(number),
            "not_an_object",
            f"a JSON {_kind(value)}, not an object",
            -1,
            None,
            opening(value),
        )
        for number, value in enumerate(values)
        if type(value) is not dict
    ]
    return [*bad, Parsed(good, [values[number] for number in good], size)]


def _batched(member: Member, limits: Limits, size: int, loads: Loads) -> Iterator[Parsed | Reject]:
    """Blocks joined until they took ``size`` bytes; Rejects pass at once, and a cut object keeps what was readable."""
    numbers: list[int] = []
    rows: list[Row] = []
    taken = 0
    items = parse(member, loads, max_bytes=limits.max_record_bytes)
    for item in guarded(items, uri=member.uri, reason="not_jsonl"):
        if isinstance(item, Reject):
            yield item
            continue
        numbers += item.numbers
        rows += item.rows
        taken += item.size
        if taken >= size:
            yield Parsed(numbers, rows, taken)
            numbers, rows, taken = [], [], 0
    if rows:
        yield Parsed(numbers, rows, taken)


def _documents(parsed: Parsed, names: dict[str, str], documents: Documents) -> Iterator[pa.RecordBatch | Reject]:
    """One batch where every field is of one type; else one of the rows whose fields are text, and the others singly."""
    lists = {name: [row.get(key) for row in parsed.rows] for name, key in names.items()}
    try:
        arrays = {name: _array(name, values) for name, values in lists.items()}
    except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError):
        yield from _mixed(parsed, lists, documents)
        return
    yield from documents.batch(parsed.numbers, arrays)


def _mixed(parsed: Parsed, lists: dict[str, list[Any]], documents: Documents) -> Iterator[pa.RecordBatch | Reject]:
    plain = [all(type(values[at]) in (str, type(None)) for values in lists.values()) for at in range(len(parsed.rows))]
    chosen = [at for at, good in enumerate(plain) if good]
    if chosen:
        arrays = {name: _array(name, [values[at] for at in chosen]) for name, values in lists.items()}
        yield from documents.batch([parsed.numbers[at] for at in chosen], arrays)
    for at in (at for at, good in enumerate(plain) if not good):
        single = {name: _single(values[at]) for name, values in lists.items()}
        yield from documents.batch([parsed.numbers[at]], single)


def _array(name: str, values: list[Any]) -> pa.Array:
    if name == "text":
        return pa.array(values, pa.large_string())
    array = pa.array(values)
    return pa.nulls(len(values), pa.string()) if pa.types.is_null(array.type) else array


def _single(value: Any) -> pa.Array:
    """One value of whatever type; what is no text and no number is bytes, which no column of a document accepts."""
    if value is None or type(value) in (str, int, float):
        return pa.array([value], None if value is not None else pa.string())
    return pa.array([opening(value)], pa.binary())
