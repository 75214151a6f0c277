"""JSON Lines, and JSON in any other layout, through orjson: one value a line is one record.

What is not JSON as RFC 8259 has it (NaN, raw control characters) or not UTF-8 is a Reject with its line and byte
offset. Half a surrogate pair, which JSON can spell and UTF-8 cannot, is read as U+FFFD, as decoders of UTF-16 do
(Unicode, section 3.9). Of a name that one object has twice the last value counts, as orjson and Python have it (RFC
8259, section 4, leaves it open). An integer beyond 64 bits, which orjson makes a double, is a Reject of its row in a
typed table. A block of 1 MiB is parsed at once and line by line only where a line of it fails.

Layouts: a .json file of at most a record's size that is one value is that value, and the elements of an array are its
records; one of objects after one another is those. Any other file is read a line at a time, unless its first value
does not end with its first line (``json_values``): then it is a value after another, or the elements of its array.
UTF-16 is told by its mark or zero bytes.

A record that is no object has one field, ``value``. In a typed table it keeps its type where the values of the first
batch have one in common, else it is JSON text; null is null either way.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

import orjson
import pyarrow as pa

from warehouse.contracts import BATCH_BYTES, Dropped, Readings, Reject
from warehouse.sources.columns import opening
from warehouse.sources.containers import Member
from warehouse.sources.guard import guarded
from warehouse.sources.json_values import Utf8, Value, layout, values
from warehouse.sources.lines import BLOCK, Block, LongLine, line_blocks
from warehouse.sources.recipe import Limits
from warehouse.sources.records import Documents
from warehouse.sources.rows import Rows, common_type

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


class Bare(dict[str, Any]):
    """The object that stands for a value that is none: the value as its one field."""

    def __init__(self, value: Any) -> None:
        super().__init__(value=value)


@dataclass(frozen=True, slots=True)
class Parsed:
    """Consecutive records: their line numbers (or indices of values), the objects, and the bytes they took."""

    numbers: Sequence[int]
    rows: list[Row]
    size: int


def read_documents(member: Member, documents: Documents) -> Readings:
    """Documents of the member in batches of about BATCH_BYTES."""
    names = documents.names
    for parsed in _batched(member, documents.source.limits, BATCH_BYTES, orjson.loads):
        if not isinstance(parsed, Parsed):
            yield parsed
        else:
            yield from _documents(parsed, names, documents)


def read_table(member: Member, table: Rows) -> Readings:
    """Rows of a typed table in batches of about BATCH_BYTES."""
    as_text: bool | None = None
    for parsed in _batched(member, table.source.limits, TABLE_BYTES, _exact):
        if not isinstance(parsed, Parsed):
            yield parsed
            continue
        bare = [row for row in parsed.rows if type(row) is Bare]
        if as_text is None and any(row["value"] is not None for row in bare):
            as_text = common_type([row["value"] for row in bare]) is None
        for row in bare if as_text else ():
            row["value"] = _text(row["value"])
        yield from table.batch(parsed.numbers, parsed.rows)


def _text(value: Any) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _exact(raw: bytes) -> Any:
    """The value as orjson has it, but integers as long as they are."""
    value = orjson.loads(raw)
    try:
        return json.loads(raw) if type(value) is float or _LONG.search(raw) else value
    except RecursionError:  # some 900 levels, which no table holds: its row will be a Reject
        return value


def parse(member: Member, loads: Loads, *, max_bytes: int) -> Iterator[Parsed | Reject | Dropped]:
    """The member's records as Python objects, a block at a time, in the layout that it has; of one that is read on,
    lines from there.
    """
    how = "lines"
    if member.start:
        yield from _parse_rest(member, loads, max_bytes)
        return
    if member.name.lower().endswith(".json"):
        found = _whole(member, loads, max_bytes)
        if isinstance(found, list):
            yield from found
            return
        how = found or how
    else:
        head, whole = _head(member, BLOCK)
        if whole and not head.strip() and len(head) < BLOCK:
            yield Dropped(member.uri, "", "empty_object")
            return
        how = layout(head)
    with closing(Utf8(member.open())) as stream:
        if how != "lines":
            yield from _parse_values(values(stream, max_bytes=max_bytes, array=how == "array"), member.uri, loads)
            return
        yield from _parse_blocks(line_blocks(stream, max_bytes=max_bytes), member.uri, loads, max_bytes)


def _parse_rest(member: Member, loads: Loads, max_bytes: int) -> Iterator[Parsed | Reject]:
    with closing(member.open()) as stream:
        stream.seek(member.start)
        blocks = line_blocks(stream, max_bytes=max_bytes, number=member.start_record, offset=member.start)
        yield from _parse_blocks(blocks, member.uri, loads, max_bytes)


def _parse_blocks(
    blocks: Iterable[Block | LongLine], uri: str, loads: Loads, max_bytes: int
) -> Iterator[Parsed | Reject]:
    for block in blocks:
        if isinstance(block, LongLine):
            message = f"a line of {block.size} bytes, at most {max_bytes} allowed"
            yield Reject(uri, str(block.number), "record_too_large", message, block.offset, None, block.first_bytes)
        else:
            yield from _parse_block(block, uri, loads)


def layout_of(member: Member, *, max_bytes: int) -> str:
    """``lines``, ``values`` or ``array``: how ``parse`` takes the member."""
    if member.name.lower().endswith(".json") and _small(member, max_bytes):
        value = _value(b"".join(_parts(member, 2 * max_bytes)).removeprefix(b"\xef\xbb\xbf"), orjson.loads)
        if not isinstance(value, orjson.JSONDecodeError):
            return "array" if isinstance(value, list) else "values"
    return layout(_head(member, BLOCK)[0])


def _head(member: Member, size: int) -> tuple[bytes, bool]:
    """The first ``size`` bytes in UTF-8, fewer where it has no more, and whether it is undamaged so far."""
    parts = list(guarded(_parts(member, size), uri=member.uri))
    found = [part for part in parts if isinstance(part, bytes)]
    return b"".join(found), len(found) == len(parts)


def _parts(member: Member, size: int) -> Iterator[bytes]:
    with closing(Utf8(member.open())) as stream:
        while size > 0 and (part := stream.read(size)):
            yield part
            size -= len(part)


def _parse_values(found: Iterable[Value], uri: str, loads: Loads) -> Iterator[Parsed | Reject]:
    for value in found:
        if value.refused:
            reason = "record_too_large" if "bytes" in value.refused else "invalid_json"
            yield Reject(uri, str(value.number), reason, value.refused, value.offset, None, value.raw[:200])
            continue
        row = _object(value.raw, uri, loads, value.number, value.offset)
        if row is not None:
            yield row if isinstance(row, Reject) else Parsed([value.number], [row], len(value.raw))


def _parse_block(block: Block, uri: str, loads: Loads) -> Iterator[Parsed | Reject]:
    size = sum(map(len, block.lines))
    try:
        rows = [loads(line) for line in block.lines]
    except orjson.JSONDecodeError:
        yield from _parse_lines(block, uri, loads)
        return
    if not all(type(row) is dict for row in rows):
        rows = [row if type(row) is dict else Bare(row) for row in rows]
    yield Parsed(range(block.number, block.number + len(rows)), rows, size)


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
    return row if type(row) is dict else Bare(row)


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


def _whole(member: Member, loads: Loads, max_bytes: int) -> list[Parsed | Reject] | str | None:
    """Records of a file that holds one JSON value, or objects after one another; the layout of one that is too large
    for that, None where it holds a value a line.
    """
    if not _small(member, max_bytes):
        return layout(_head(member, BLOCK)[0])
    raw = b"".join(_parts(member, 2 * max_bytes)).removeprefix(b"\xef\xbb\xbf")
    value = _value(raw, loads)
    if not isinstance(value, orjson.JSONDecodeError):
        return _records(value if isinstance(value, list) else [value], len(raw))
    if (rows := _objects(raw, loads, max_bytes)) is not None:
        return _records(rows, len(raw))
    first = raw.lstrip().split(b"\n", 1)[0]
    if not isinstance(_value(first, loads), orjson.JSONDecodeError):
        return None
    return [Reject(member.uri, "0", _reason(raw), str(value), value.pos, type(value).__name__, raw[:200])]


def _objects(raw: bytes, loads: Loads, max_bytes: int) -> list[Any] | None:
    """The objects that the text consists of, one after another; None where it is not that to its end."""
    if layout(raw) != "values":
        return None
    found = list(values(Utf8(cast(BinaryIO, io.BytesIO(raw))), max_bytes=max_bytes))
    rows = [_value(each.raw, loads) for each in found if not each.refused]
    return rows if len(rows) == len(found) and all(type(row) is dict for row in rows) else None


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


def _records(values: list[Any], size: int) -> list[Parsed | Reject]:
    return [Parsed(range(len(values)), [value if type(value) is dict else Bare(value) for value in values], size)]


def _batched(member: Member, limits: Limits, size: int, loads: Loads) -> Iterator[Parsed | Reject | Dropped]:
    """Blocks joined until they took ``size`` bytes; Rejects pass at once, and a cut object keeps what was readable."""
    numbers: list[int] = []
    rows: list[Row] = []
    taken = 0
    items = parse(member, loads, max_bytes=limits.max_record_bytes)
    for item in guarded(items, uri=member.uri, reason="not_jsonl"):
        if not isinstance(item, Parsed):
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
