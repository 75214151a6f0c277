"""Parquet through pyarrow (extra ``peers``): a row is a sample, in the order of the files' names.

Parquet has no row of its own to read: a row group is decoded whole, and the last used ones are kept in CACHE_BYTES.
A shuffle over more than that decodes a group for nearly every sample, some 10 ms of CPU each; write such data sets as
a release, or in another format. Tokens are rows of one column, a fixed-size list of integers, or fixed-size binary with
``?dtype=``, for its bytes do not say what they are. Uncompressed fixed-size binary in plain pages is read where it
lies, without decoding. Parquet's own checksums of pages are compared where there are any.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from threading import Lock
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from warehouse.errors import FormatError, MissingExtra, NotFound, UsageError
from warehouse.loader.course import Numbers, distinct
from warehouse.loader.foreign import values
from warehouse.loader.foreign.pages import plain_chunks, plain_pages
from warehouse.loader.foreign.places import SPLIT, Bytes, Location, identity, mapped, unsound
from warehouse.loader.foreign.samples import Fixed, Opened, Record, Rows, ShardRows, Value

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ModuleNotFoundError as error:
    raise MissingExtra(
        f"the package {error.name!r} is not installed", do="pip install 'ml-warehouse[peers]'"
    ) from error

CACHE_BYTES = 1 << 28
"""Of decoded row groups, in memory; one at least is kept."""
MAGIC = b"PAR1"
UNREADABLE = (pa.ArrowException, OSError, ValueError)

Kept = TypeVar("Kept")


class LastUsed(Generic[Kept]):
    """The values last asked for, together at most CACHE_BYTES, or one."""

    def __init__(self, made: Callable[[int], Kept], size: Callable[[Kept], int]) -> None:
        self._made, self._size, self._kept, self._lock = made, size, OrderedDict[int, Kept](), Lock()

    def at(self, key: int) -> Kept:
        """The value of this key, made if it is not kept."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        value = self._made(key)
        with self._lock:
            self._kept[key] = value
            while len(self._kept) > 1 and sum(map(self._size, self._kept.values())) > CACHE_BYTES:
                self._kept.popitem(last=False)
        return value


@dataclass(frozen=True, slots=True)
class Group:
    """A row group that has any rows."""

    path: Path
    number: int
    rows: int


class Table:
    """Rows of all groups, one after the other; as records."""

    def __init__(self, groups: list[Group]) -> None:
        self.groups = groups
        self._firsts = np.cumsum([0, *(group.rows for group in groups)], dtype=np.int64)
        self._kept = LastUsed(self.decoded, lambda table: int(table.nbytes))

    @property
    def total(self) -> int:
        """Rows."""
        return int(self._firsts[-1])

    def decoded(self, at: int) -> pa.Table:
        """A row group. Raises IntegrityError for one that cannot be read."""
        group = self.groups[at]
        try:
            with pq.ParquetFile(group.path, page_checksum_verification=True) as file:
                found = file.read_row_group(group.number, use_threads=False)
        except UNREADABLE as error:
            raise unsound(group.path, f"row group {group.number} cannot be read: {error}") from None
        if found.num_rows != group.rows:
            raise unsound(group.path, f"{found.num_rows} rows in row group {group.number} of {group.rows}")
        return found

    def parts(self, numbers: Numbers) -> Iterator[tuple[int, Numbers, Numbers]]:
        """For each row group that holds any of them: which, their places in ``numbers`` and in the group."""
        owner = np.searchsorted(self._firsts, numbers, side="right") - 1
        for group in distinct(owner):
            places = np.flatnonzero(owner == group)
            yield group, places, numbers[places] - self._firsts[group]

    def read(self, numbers: Numbers) -> list[Record]:
        """Those rows."""
        found: list[Record] = [{} for _ in range(numbers.size)]
        for group, places, rows in self.parts(numbers):
            for name, column in self._taken(group, rows):
                for place, value in zip(places.tolist(), column, strict=True):
                    found[place][name] = value
        return found

    def _taken(self, group: int, rows: Numbers) -> list[tuple[str, list[Value]]]:
        """The columns of these rows of a group. Raises IntegrityError for values that are not of their type."""
        table = self._kept.at(group).take(pa.array(rows))
        try:
            return [(name, _values(table.column(name))) for name in table.column_names]
        except UNREADABLE as error:
            raise unsound(self.groups[group].path, f"row group {group} cannot be read: {error}") from None


class DecodedRows:
    """The one column of a table as rows of tokens."""

    def __init__(self, table: Table, dtype: np.dtype[Any], length: int) -> None:
        self._table, self._dtype, self._length = table, dtype, length
        self._kept = LastUsed(self._rows, lambda rows: rows.nbytes)

    @property
    def total(self) -> int:
        """Rows."""
        return self._table.total

    def gather(self, numbers: Numbers, out: npt.NDArray[Any]) -> None:
        """Copy those rows."""
        for group, places, rows in self._table.parts(numbers):
            out[places] = self._kept.at(group)[rows]

    def _rows(self, at: int) -> npt.NDArray[Any]:
        chunk = self._table.decoded(at).column(0).combine_chunks()
        if chunk.null_count:
            raise unsound(self._table.groups[at].path, f"{chunk.null_count} nulls in a column of tokens")
        if pa.types.is_fixed_size_list(chunk.type):
            values_of = chunk.flatten()
            if values_of.null_count:
                raise unsound(self._table.groups[at].path, f"{values_of.null_count} nulls among the tokens")
            return np.asarray(values_of.to_numpy(zero_copy_only=True)).reshape(-1, self._length)
        flat = np.frombuffer(chunk.buffers()[1], self._dtype)[chunk.offset * self._length :]
        return flat[: len(chunk) * self._length].reshape(-1, self._length)


def open_parquet(location: Location, split: str, *, checked: bool) -> Opened:
    """The data set; checksums of pages are compared wherever a group is decoded, so ``checked`` changes nothing."""
    paths = _files(location, split)
    raws = [mapped(path.parent, path.name) for path in paths]
    feet = [_foot(path, raw) for path, raw in zip(paths, raws, strict=True)]
    schema, groups = _groups(paths)
    if not groups:
        raise unsound(location.path, "holds no row")
    table = Table(groups)
    parts = zip([path.name.encode() for path in paths], [foot.data for foot in feet], strict=True)
    name = identity("parquet", chain.from_iterable(parts))
    form = ", ".join(f"{field.name} ({field.type})" for field in schema)
    return Opened(location, name, form, table, _fixed(location, schema, table, paths, raws))


def _files(location: Location, split: str) -> list[Path]:
    """The files: of a folder those that begin with the split's name, there or in ``data``, else all."""
    path = location.path
    if not path.is_dir():
        found = [path] if path.is_file() and split == SPLIT else []
    else:
        named = sorted(path.glob(f"{split}-*.parquet")) or sorted(path.glob(f"data/{split}-*.parquet"))
        found = named or (sorted(path.glob("*.parquet")) if split == SPLIT else [])
    if not found:
        raise NotFound(f"no Parquet of split {split!r} in {path}", do="name a folder of .parquet files, or one")
    return found


def _foot(path: Path, raw: Bytes) -> Bytes:
    """The metadata at a file's end, and its size: equal only for equal row groups in equal places."""
    size = int.from_bytes(raw[-8:-4].tobytes(), "little") if raw.size > 12 else 0
    if raw[-4:].tobytes() != MAGIC or not 0 < size <= raw.size - 12:
        raise unsound(path, "is no Parquet")
    return np.concatenate([raw[raw.size - 8 - size :], np.array([raw.size], "<u8").view(np.uint8)])


def _groups(paths: list[Path]) -> tuple[pa.Schema, list[Group]]:
    """The schema that all files have, and the row groups that hold any rows."""
    groups: list[Group] = []
    first: pa.Schema | None = None
    for path in paths:
        try:
            with pq.ParquetFile(path) as file:
                schema, metadata = file.schema_arrow, file.metadata
                rows = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
        except UNREADABLE as error:
            raise unsound(path, f"cannot be read: {error}") from None
        first = schema if first is None else first
        if not schema.equals(first) or min(rows, default=0) < 0:
            raise FormatError(f"{path}: other columns than those of {paths[0].name}", allowed="the same in all")
        groups += [Group(path, number, count) for number, count in enumerate(rows) if count]
    return first, groups


def _fixed(location: Location, schema: pa.Schema, table: Table, paths: list[Path], raws: list[Bytes]) -> Fixed | None:
    if len(schema) != 1:
        return None
    kind, named = schema.field(0).type, location.options.get("dtype")
    if pa.types.is_fixed_size_list(kind) and pa.types.is_integer(kind.value_type) and kind.list_size:
        dtype = np.dtype(kind.value_type.to_pandas_dtype()).newbyteorder("<")
        return Fixed(DecodedRows(table, dtype, kind.list_size), dtype, kind.list_size)
    if not pa.types.is_fixed_size_binary(kind) or named is None:
        return None
    if named not in values.INTEGERS or kind.byte_width % np.dtype(named).itemsize or not kind.byte_width:
        raise UsageError(f"{location}: {named} in {kind.byte_width} bytes", allowed=", ".join(values.INTEGERS))
    dtype = np.dtype(named).newbyteorder("<")
    length = kind.byte_width // dtype.itemsize
    rows: Rows | None = _lying(paths, raws, table, kind.byte_width)
    return Fixed(DecodedRows(table, dtype, length) if rows is None else rows, dtype, length)


def _lying(paths: list[Path], raws: list[Bytes], table: Table, width: int) -> ShardRows | None:
    """The rows where they lie, if every page is plain and uncompressed and no value is null."""
    found: list[tuple[str, Bytes]] = []
    for path, raw in zip(paths, raws, strict=True):
        try:
            chunks = plain_chunks(raw)
            pages = [plain_pages(raw, chunk, width=width) for chunk in chunks or ()]
        except (ValueError, IndexError) as error:
            raise unsound(path, f"cannot be read: {error}") from None
        if chunks is None or any(page is None for page in pages):
            return None
        found += [(str(path), page) for part in pages if part is not None for page in part]
    if sum(len(page) for _, page in found) != table.total:
        raise unsound(paths[0], f"pages of {sum(len(page) for _, page in found)} rows in files of {table.total}")
    return ShardRows(found)


def _values(column: pa.ChunkedArray) -> list[Value]:
    """Of each row: lists of numbers as arrays, anything else as Python has it; None for null."""
    kind = column.type
    lists = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    if lists and (pa.types.is_integer(kind.value_type) or pa.types.is_floating(kind.value_type)):
        return [each.values.to_numpy(zero_copy_only=False) if each.is_valid else None for each in column]
    found: list[Value] = column.to_pylist()
    return found
