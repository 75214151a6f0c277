"""Delta tables that others write, read as sources: one version whole, or what came after a version.

What came after is told by the commits between: files added alone, those files; with a change data feed, its rows; any
other change (rows removed or rewritten without a feed, commits that are gone, another table in the same place) makes
the version be read whole. Commits that change no data (OPTIMIZE) give no rows.

Files of a table without deletion vectors and column mapping are read one by one in order of path, so that a row has
one place, FILE!NUMBER, in every version; others through delta-rs's own scan, whose order is not stated (``foreign``,
which also says what is refused). Of a table in an object store each file is copied here to be read; a scan goes there.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlparse

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from warehouse import stores
from warehouse.contracts import BATCH_BYTES
from warehouse.errors import FormatError
from warehouse.repository.foreign import CAST, SCANNED, Where, features, opened, place, refusal, unreachable
from warehouse.stores import Store

Mapping = dict[str, Any]
Mode = Literal["whole", "appended", "changes"]
FEED = "delta.enableChangeDataFeed"
CHANGE, COMMIT = "_change_type", "_commit_version"
MAX_ROWS = 65_536

Numbered = tuple[str, pa.RecordBatch]
"""Rows, and what their record begins with; its number follows where the rows begin at 0."""


@dataclass(frozen=True, slots=True)
class ToRead:
    """What is to be read of a table: at ``version``, by ``mode``; state: the same as JSON, for the archive.

    version: the table's own name and the version, NAME@N. size: bytes of the files that it is read from.
    """

    table: DeltaTable
    folder: Where
    version: str
    mode: Mode
    since: int | None
    files: tuple[Mapping, ...]
    size: int

    @property
    def state(self) -> bytes:
        """What was read, as JSON: table and version, after which version, files."""
        return orjson.dumps(
            {"version": self.version, "mode": self.mode, "since": self.since, "files": self.files},
            option=orjson.OPT_INDENT_2,
            default=str,
        )

    def batches(self) -> Iterator[Numbered]:
        """The rows. Raises FormatError for files that are gone, NetworkError for a store that fails."""
        try:
            if self.mode == "changes":
                yield from self._changes()
            elif self.mode == "whole" and _scanned(self.table):
                yield from self._scan()
            else:
                yield from self._files()
        except (DeltaError, OSError, pa.ArrowException) as error:
            if isinstance(self.folder, str):
                raise unreachable(self.folder, error) from None
            if isinstance(error, DeltaError | FileNotFoundError):
                raise refusal(self.folder, error) from None
            raise

    def _fed(self) -> bool:
        return self.table.metadata().configuration.get(FEED) == "true"

    def _at(self) -> int:
        return int(self.version.rpartition("@")[2])

    def _scan(self) -> Iterator[Numbered]:
        for number, batch in enumerate(pa.RecordBatchReader.from_stream(self.table.scan())):
            yield f"{self._at()}!{number}.", self._marked(batch)

    def _files(self) -> Iterator[Numbered]:
        schema = pa.schema(self.table.schema())
        for file in sorted(self.files, key=lambda file: file["path"]):
            yield from ((f"{file['path']}!", self._marked(batch)) for batch in _file_batches(self.folder, file, schema))

    def _marked(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Rows of a table with a feed as insertions, so that its later changes have the same columns."""
        if not self._fed():
            return batch
        made = {CHANGE: pa.scalar("insert"), COMMIT: pa.scalar(self._at(), pa.int64())}
        for name, value in made.items():
            batch = batch.append_column(name, pa.repeat(value, batch.num_rows))
        return batch

    def _changes(self) -> Iterator[Numbered]:
        first = (self.since or 0) + 1
        feed = self.table.load_cdf(starting_version=first, ending_version=self._at())
        for number, batch in enumerate(pa.RecordBatchReader.from_stream(feed)):
            yield f"{first}-{self._at()}!{number}.", batch.drop_columns(["_commit_timestamp"])


def is_table(folder: Path) -> bool:
    """Whether a folder is a Delta table."""
    return (folder / "_delta_log").is_dir()


def to_read(folder: Where, *, held: str | None = None, start: str | None = None) -> ToRead:
    """What is to be read of a table: of its last version what came after ``held`` (ToRead.version), or all of it.

    start: a version or an ISO time whose version is taken, whole, in place of the last. Raises FormatError for a table
    that cannot be opened, a version that is not there, and features that are not read; NetworkError.
    """
    table = _started(folder, start)
    name, version = str(table.metadata().id), int(table.version())
    mode, since, files = _since(folder, table, held) if start is None and held else ("whole", None, _live(table))
    size = sum(file["size"] for file in files)
    return ToRead(table, folder, f"{name}@{version}", mode, since, tuple(files), size)


def _started(folder: Where, start: str | None) -> DeltaTable:
    if start is None or re.fullmatch(r"\d+", start):
        table = opened(folder, None if start is None else int(start))
    else:
        table = opened(folder, None)
        try:
            table.load_as_version(start)
        except DeltaError as error:
            raise refusal(folder, error) from None
    if missing := features(table) - SCANNED - CAST:
        raise FormatError(
            f"Delta table {folder} uses {', '.join(sorted(missing))}",
            allowed=", ".join(sorted(SCANNED | CAST)),
            do="write it again without",
        )
    return table


def _live(table: DeltaTable) -> list[Mapping]:
    """The files of a version, with the values of the columns that it is partitioned by."""
    rows = pa.table(table.get_add_actions(flatten=False)).to_pylist()
    return [
        {"path": row["path"], "size": row["size_bytes"], "partition": dict(row.get("partition") or {})} for row in rows
    ]


def _scanned(table: DeltaTable) -> bool:
    """Whether live files hold other rows than the table."""
    return not features(table) <= CAST


def _since(folder: Where, table: DeltaTable, held: str) -> tuple[Mode, int | None, list[Mapping]]:
    """How what came after a version is read, that version, and the files of it."""
    name, _, number = held.rpartition("@")
    since, last = int(number), int(table.version())
    if name != str(table.metadata().id) or since > last:
        return "whole", None, _live(table)
    commits = [_commit(folder, version) for version in range(since + 1, last + 1)]
    if None in commits:
        return "whole", None, _live(table)
    actions = [orjson.loads(line) for commit in commits for line in (commit or b"").splitlines() if line.strip()]
    changed = [action for action in actions if _changes_data(action)]
    if any("metaData" in action and action["metaData"].get("id") != name for action in actions):
        return "whole", None, _live(table)
    added = [action["add"] for action in changed if "add" in action]
    if len(added) == len(changed) and not _scanned(table):
        return "appended", since, [_added(add) for add in added]
    if table.metadata().configuration.get(FEED) == "true":
        return "changes", since, [_added(add) for add in added]
    return ("whole", None, _live(table)) if changed else ("appended", since, [])


def _commit(folder: Where, version: int) -> bytes | None:
    """What a commit says, None where it is gone."""
    name = f"_delta_log/{version:020}.json"
    if isinstance(folder, str):
        found = _store(folder).get(f"{_key(folder)}{name}")
        return found[0] if found else None
    return (folder / name).read_bytes() if (folder / name).is_file() else None


def _store(url: str) -> Store:
    return stores.opened("/".join(url.split("/")[:3]))


def _key(url: str) -> str:
    """What the keys of a table's files begin with."""
    return "".join(f"{part}/" for part in url.split("/")[3:])


@contextmanager
def _local(folder: Where, name: str) -> Iterator[Path]:
    """A file of a table on this machine; a copy of one in a store, which is removed afterwards."""
    if isinstance(folder, Path):
        yield place(folder, name)
        return
    store, key = _store(folder), f"{_key(folder)}{unquote(name)}"
    entry = None if urlparse(name).scheme else store.head(key)
    if entry is None:
        raise FileNotFoundError(f"{name} is in its log and not there")
    with tempfile.TemporaryDirectory() as made:
        path = Path(made, "file")
        with path.open("wb") as copy:
            for chunk in store.chunks(entry):
                copy.write(chunk)
        yield path


def _changes_data(action: Mapping) -> bool:
    """Whether an action of a commit adds or removes rows, rather than rewriting files."""
    return any((action.get(kind) or {}).get("dataChange") for kind in ("add", "remove"))


def _added(add: Mapping) -> Mapping:
    return {"path": add["path"], "size": add["size"], "partition": add.get("partitionValues") or {}}


def _file_batches(folder: Where, file: Mapping, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """A file's rows in the table's schema, the columns that it is partitioned by from the log."""
    with _local(folder, file["path"]) as path, pq.ParquetFile(path) as parquet:
        a_row = max(1, file["size"] * 4 // max(1, parquet.metadata.num_rows))
        for batch in parquet.iter_batches(batch_size=int(min(MAX_ROWS, max(64, BATCH_BYTES // a_row)))):
            yield _shaped(batch, file["partition"], schema)


def _shaped(batch: pa.RecordBatch, partition: Mapping, schema: pa.Schema) -> pa.RecordBatch:
    size = batch.num_rows
    arrays = []
    for field in schema:
        if field.name in partition:
            arrays.append(_constant(partition[field.name], field.type, size))
        elif field.name in batch.schema.names:
            arrays.append(_cast(batch[field.name], field.type))
        else:
            arrays.append(pa.nulls(size, field.type))
    return pa.RecordBatch.from_arrays(arrays, names=schema.names)


def _cast(array: pa.Array, kind: pa.DataType) -> pa.Array:
    return array if array.type == kind or pa.types.is_nested(kind) else array.cast(kind, safe=False)


def _constant(value: Any, kind: pa.DataType, size: int) -> pa.Array:
    """A partition's value, which a log writes as text, in its type; empty text is null."""
    if value is None or value == "":
        return pa.nulls(size, kind)
    if isinstance(value, str) and not pa.types.is_string(kind):
        value = pc.cast(pa.array([value]), kind)[0].as_py()
    return pa.repeat(pa.scalar(value, kind), size)
