"""Where the values of plain, uncompressed Parquet pages of one fixed width lie in the file.

A file's metadata and the head of each page are in Thrift's compact protocol, and a column chunk is a run of pages; of a
column without nulls a page ends in its values, one after the other (apache/parquet-format: README.md, parquet.thrift,
Encodings.md, PLAIN). pyarrow does not say where pages lie, and ends the process at some damaged metadata.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from warehouse.loader.foreign.places import Bytes

DATA, DATA_V2, PLAIN = 0, 3, 0
"""Kinds of pages, and the encoding."""
FIXED_LEN_BYTE_ARRAY, UNCOMPRESSED = 7, 0

Fields = dict[int, "Field"]
"""A structure, by Thrift's numbers of its fields."""
Field = int | Fields | list["Field"] | None
"""Integers, structures and lists; None for a value of another kind, which is passed over."""
SIZES = {1: 0, 2: 0, 3: 1, 7: 8}
"""Bytes of true and false, which stand in the kind itself, of a byte and of a floating-point number."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """The one column of a row group: where its pages lie, and of how many rows."""

    begin: int
    end: int
    rows: int


def plain_chunks(raw: Bytes) -> list[Chunk] | None:
    """The chunks of a file of one column, of row groups that hold any rows; None where one is compressed, has nulls or
    does not say that it has none, or is of another type. Raises ValueError for what is no metadata.
    """
    size = int.from_bytes(raw[-8:-4].tobytes(), "little")
    about, _ = _structure(raw, raw.size - 8 - size)
    found = []
    for group in _list(about, 4):
        (column,) = _list(group, 1)
        chunk = _fields(column, 3)
        begin, length, rows = (_number(*each) for each in ((chunk, 9), (chunk, 7), (group, 3)))
        if (chunk.get(1), chunk.get(4)) != (FIXED_LEN_BYTE_ARRAY, UNCOMPRESSED) or chunk.get(11) is not None:
            return None
        if 12 not in chunk or _fields(chunk, 12).get(3) != 0:
            return None
        if not 0 <= begin <= begin + length <= raw.size:
            raise ValueError(f"a column of bytes {begin} to {begin + length}")
        found += [Chunk(begin, begin + length, rows)] if rows else []
    return found


def _list(fields: Fields, number: int) -> list[Fields]:
    value = fields.get(number)
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise ValueError(f"field {number} is no list of structures")
    return cast("list[Fields]", value)


def _fields(fields: Fields, number: int) -> Fields:
    value = fields.get(number)
    if not isinstance(value, dict):
        raise ValueError(f"field {number} is no structure")
    return value


def _number(fields: Fields, number: int) -> int:
    value = fields.get(number)
    if not isinstance(value, int):
        raise ValueError(f"field {number} is no number")
    return value


def plain_pages(raw: Bytes, chunk: Chunk, *, width: int) -> list[Bytes] | None:
    """The values of each page of a chunk, uint8[values, width].

    None where a page is of another kind. Raises ValueError or IndexError for what is no chunk.
    """
    at, end = chunk.begin, chunk.end
    found = []
    while at < end:
        header, at = _structure(raw, at)
        kind, size = header.get(1), header.get(3)
        about = header.get(5 if kind == DATA else 8)
        if not isinstance(size, int) or not isinstance(about, dict) or not 0 < size <= end - at:
            return None
        count, encoding = about.get(1), about.get(2 if kind == DATA else 4)
        if kind not in (DATA, DATA_V2) or encoding != PLAIN or not isinstance(count, int):
            return None
        if not 0 < count * width <= size:
            raise ValueError(f"a page of {count} values in {size} bytes")
        found.append(raw[at + size - count * width : at + size].reshape(count, width))
        at += size
    if sum(len(page) for page in found) != chunk.rows:
        raise ValueError(f"pages of {sum(len(page) for page in found)} values in a row group of {chunk.rows}")
    return found


def _structure(raw: Bytes, at: int, depth: int = 0) -> tuple[Fields, int]:
    """A structure, and where it ends (apache/thrift, thrift-compact-protocol.md)."""
    if depth > 8:
        raise ValueError("structures within structures")
    found: Fields = {}
    number = 0
    while kind := int(raw[at]):
        at += 1
        if kind >> 4:
            number += kind >> 4
        else:
            number, at = _zigzag(raw, at)
        found[number], at = _value(raw, at, kind & 15, depth)
    return found, at + 1


def _value(raw: Bytes, at: int, kind: int, depth: int) -> tuple[Field, int]:
    if kind in SIZES:
        return None, at + SIZES[kind]
    if kind in (4, 5, 6):
        return _zigzag(raw, at)
    if kind == 8:
        length, at = _varint(raw, at)
        return None, at + length
    if kind in (9, 10):
        return _values(raw, at, depth + 1)
    if kind == 12:
        return _structure(raw, at, depth + 1)
    raise ValueError(f"a value of Thrift's kind {kind}")


def _values(raw: Bytes, at: int, depth: int) -> tuple[Field, int]:
    """A list, after its head: how many, and of which kind."""
    count, kind = divmod(int(raw[at]), 16)
    at += 1
    if count == 15:
        count, at = _varint(raw, at)
    if count > raw.size - at or depth > 8:
        raise ValueError(f"a list of {count} values")
    found: list[Field] = []
    for _ in range(count):
        value, at = (None, at + 1) if kind in (1, 2) else _value(raw, at, kind, depth)
        found.append(value)
    return found, at


def _zigzag(raw: Bytes, at: int) -> tuple[int, int]:
    value, at = _varint(raw, at)
    return (value >> 1) ^ -(value & 1), at


def _varint(raw: Bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 64:
        byte = int(raw[at])
        value, at, shift = value | (byte & 127) << shift, at + 1, shift + 7
        if byte < 128:
            return value, at
    raise ValueError("a number of more than 64 bits")
