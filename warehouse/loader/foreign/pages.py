"""Where the values of plain, uncompressed Parquet pages of one fixed width lie in the file.

A column chunk is a run of pages, each a header in Thrift's compact protocol and its content; of a column without nulls
the content ends in its values, one after the other (apache/parquet-format: Encodings.md, PLAIN; parquet.thrift,
PageHeader). pyarrow's metadata say where a chunk begins, but not its pages.
"""

from __future__ import annotations

from warehouse.loader.foreign.places import Bytes

DATA, DATA_V2, PLAIN = 0, 3, 0
"""Kinds of pages, and the encoding."""

Fields = dict[int, "int | Fields | None"]
"""By Thrift's number: integers and structures; None for a value of another kind."""


def plain_pages(raw: Bytes, at: int, end: int, *, width: int, rows: int) -> list[Bytes] | None:
    """The values of each page of the chunk at bytes ``at`` to ``end``, uint8[values, width]; rows: of the chunk.

    None where a page is of another kind. Raises ValueError for what is no chunk.
    """
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
    if sum(len(page) for page in found) != rows:
        raise ValueError(f"pages of {sum(len(page) for page in found)} values in a row group of {rows}")
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


def _value(raw: Bytes, at: int, kind: int, depth: int) -> tuple[int | Fields | None, int]:
    if kind in (1, 2):  # true and false, in the kind itself
        return None, at
    if kind == 3:
        return None, at + 1
    if kind in (4, 5, 6):
        return _zigzag(raw, at)
    if kind == 7:
        return None, at + 8
    if kind == 8:
        length, at = _varint(raw, at)
        return None, at + length
    if kind == 12:
        return _structure(raw, at, depth + 1)
    raise ValueError(f"a value of Thrift's kind {kind}")


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
