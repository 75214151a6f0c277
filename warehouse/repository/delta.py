"""The one door to Delta: open, read the log, commit. Files are written before (``parts``); a commit only names them.

A commit carries its receipt as custom metadata and moves the application transaction of ``APP`` to its own version, so
two commits made from one stale snapshot conflict instead of both landing (a plain stale swap doubles rows silently).
A new column is a commit of its own before the rows that have it: delta-rs's append does not evolve the schema. A wider
type is one commit that replaces every file by one written again (``dataChange`` false) and adds the new rows: without
that, Polars refuses the older files, and DuckDB reads each under its own type.
Tables keep their log and removed files for 36,500 days; else a checkpoint after 30 days would delete history. Every
tenth commit is a checkpoint: with delta-rs's hundred, to open ``runs``, of which a run makes ten, took up to 50 ms.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Schema, TableFeatures, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import AddAction, RemoveAction, create_table_with_add_actions

from warehouse import mirror
from warehouse.contracts import Receipt, Snapshot
from warehouse.errors import Busy, FormatError, NetworkError, NotFound
from warehouse.repository import receipts
from warehouse.repository.parts import Part
from warehouse.repository.storage import full, is_full

APP = "ml-warehouse"
TRIES = 20
"""Of a commit that may come after any other."""
MAINTENANCE = "maintenance"
"""In the metadata of a commit that changes no row: the name of its stage."""
READABLE = {"timestampNtz"}
SETTINGS = {
    "delta.logRetentionDuration": "interval 36500 days",
    "delta.deletedFileRetentionDuration": "interval 36500 days",
    "delta.checkpointInterval": "10",
}


@dataclass(frozen=True, slots=True)
class LiveFile:
    """A file of a table: its path, bytes, rows, and the range of its known_at and source where the log states them."""

    path: Path
    size: int
    rows: int
    known_at: tuple[datetime, datetime] | None
    source: tuple[str, str] | None


def exists(folder: Path) -> bool:
    """Whether a table has its first commit; its log is here afterwards, if it lies in a bucket."""
    mirror.refresh_log(folder)
    return any((folder / "_delta_log").glob("0*.json")) or (folder / "_delta_log" / "_last_checkpoint").exists()


def schema(folder: Path) -> pa.Schema | None:
    """The table's columns, or None where there is no table yet."""
    return _arrow(_read(folder)) if exists(folder) else None


def version(folder: Path) -> int:
    """The table's last version, -1 where there is no table."""
    return int(_read(folder).version()) if exists(folder) else -1


def files(folder: Path) -> list[LiveFile]:
    """The live files of the last version; none where there is no table."""
    return _files(folder, _read(folder)) if exists(folder) else []


def snapshot(folder: Path, version: int | None) -> Snapshot:
    """A table at one version, last by default. Raises NotFound for a version that is not there, FormatError."""
    table = _read(folder)
    last = table.version()
    if version is not None and not 0 <= version <= last:
        raise NotFound(f"table {folder.name} has no version {version}", allowed=f"0 to {last}", version=version)
    if version is not None and version != last:
        table = _open(folder, version)
    found = sorted(_files(folder, table), key=lambda file: file.path)
    if version is not None and version != last:
        mirror.fetch_all(file.path for file in found)
    if version is not None and version != last and not all(file.path.exists() for file in found):
        raise NotFound(
            f"version {version} of table {folder.name} is no longer kept: maintenance removed its files",
            allowed=f"{last}, and versions that a published snapshot or a release pins",
            do="keep versions longer with keep in [maintenance] of warehouse.toml",
            version=version,
        )
    return Snapshot(
        table=folder.name,
        version=table.version(),
        files=tuple(str(file.path) for file in found),
        schema=_arrow(table),
        rows=sum(file.rows for file in found),
        bytes=sum(file.size for file in found),
    )


def history(folder: Path) -> Iterator[Receipt]:
    """The receipts in a table's log, oldest first."""
    for entry in reversed(_read(folder).history()):
        if "receipt" in entry:
            yield receipts.decode(entry["receipt"], int(entry["version"]))


@dataclass(frozen=True, slots=True)
class Commit:
    """What one commit did to the files of a table: names added and removed; at: when, in UTC."""

    version: int
    at: datetime
    added: tuple[str, ...]
    removed: tuple[str, ...]


def log(folder: Path) -> list[Commit]:
    """Every commit of a table, oldest first. Raises FormatError where the log does not begin with the table."""
    paths = sorted((folder / "_delta_log").glob("*.json"))
    numbered = [(int(path.stem), path) for path in paths if path.stem.isdecimal()]
    if [number for number, _ in numbered] != list(range(len(numbered))):
        raise FormatError(
            f"the log of table {folder.name} is not whole: it holds {len(numbered)} commits up to {numbered[-1][0]}",
            do="leave its files as they are; what an old version needs cannot be told",
        )
    return [_commit(number, path) for number, path in numbered]


def _commit(version: int, path: Path) -> Commit:
    actions = [orjson.loads(line) for line in path.read_bytes().splitlines() if line]
    stated = (action["commitInfo"].get("timestamp") for action in actions if "commitInfo" in action)
    stamp = next(stated, None) or path.stat().st_mtime * 1000
    named = {kind: tuple(unquote(each[kind]["path"]) for each in actions if kind in each) for kind in ("add", "remove")}
    return Commit(version, datetime.fromtimestamp(stamp / 1000, UTC), named["add"], named["remove"])


def commit(
    folder: Path, columns: pa.Schema, parts: Sequence[Part], receipt: Receipt, *, base: int | None = None
) -> int:
    """Make the parts visible together with their receipt, in one commit; the version it made.

    Creates the table if there is none. Where a column's type is another one than the table's, the parts are all that
    the table holds from this version on; files of before stay for the versions that have them. base: the version
    (-1: no table) that the rows were made for; rows that stand on none are committed after whatever came between.
    Raises StorageFull, NetworkError, Busy when a writer that ignores the lock (one of another machine) came between.
    """
    for left in reversed(range(TRIES)):
        try:
            return _committed(folder, columns, parts, receipt, base)
        except Busy:
            if base is not None or not left:
                raise
    raise AssertionError("the last try returns or raises")


def _committed(folder: Path, columns: pa.Schema, parts: Sequence[Part], receipt: Receipt, base: int | None) -> int:
    with _refusals(folder):
        if not exists(folder):
            return _create(folder, columns, parts, receipt)
        table = _truth(folder)
        if base is not None and (found := table.version()) != base:
            raise Busy(
                f"table {folder.name} was at version {base} when its new rows were made and is at {found} now",
                do="run the same again",
            )
        recast = widened(_arrow(table), columns)
        if recast:
            _allow_types(table, columns)
        else:
            _add_columns(table, columns)
        version = table.version() + 1
        _send(folder, parts)
        table.create_write_transaction(
            [*_adds(parts)],
            "overwrite" if recast else "append",
            Schema.from_arrow(columns) if recast else table.schema(),
            commit_properties=_properties(receipt, version),
        )
        mirror.refresh_log(folder)
        return version


def swap(folder: Path, parts: Sequence[Part], names: Sequence[str], stage_id: str) -> int:
    """Put parts in the place of live files that hold the same rows, in one commit of no receipt; the version it made.

    The caller holds the table's lock. Raises Busy when a writer that ignores it came between, StorageFull.
    """
    with _refusals(folder):
        table = _truth(folder)
        version, now = table.version() + 1, int(time.time() * 1000)
        _send(folder, parts)
        table.create_write_transaction(
            [
                *_adds([replace(part, fresh=False) for part in parts]),
                *(RemoveAction(name, False, now, partition_values={}) for name in names),
            ],
            "append",
            table.schema(),
            commit_properties=CommitProperties(
                custom_metadata={MAINTENANCE: stage_id}, app_transactions=[Transaction(APP, version)]
            ),
        )
        mirror.refresh_log(folder)
        return version


def touch(folder: Path) -> None:
    """An empty commit after the log was mended, with a checkpoint: whoever keeps the table open opens it anew."""
    with _refusals(folder):
        _OPENED.pop(folder, None)
        table = _truth(folder)
        version = table.version() + 1
        properties = CommitProperties(
            custom_metadata={"takedown": "rows cut out"}, app_transactions=[Transaction(APP, version)]
        )
        table.create_write_transaction([], "append", table.schema(), commit_properties=properties)
        mirror.refresh_log(folder, own=True)
        checkpoint(folder)


def checkpoint(folder: Path) -> None:
    """Write the state of the last version beside the log, so that a reader need not replay the log. StorageFull."""
    with _refusals(folder):
        _truth(folder).create_checkpoint()
        mirror.refresh_log(folder)


def changed_since(folder: Path, version: int) -> bool:
    """Whether a commit after ``version`` was more than files put in the place of others with the same rows."""
    table = _read(folder)
    later = int(table.version()) - version
    return later < 0 or (later > 0 and any(MAINTENANCE not in entry for entry in table.history(later)))


def widened(held: pa.Schema, columns: pa.Schema) -> list[str]:
    """Names of the columns that ``columns`` has in another type than ``held``, as Delta knows types."""
    kinds = dict(zip(held.names, held.types, strict=True))
    others = [f.name for f in columns if kinds.get(f.name, f.type) != f.type]
    return [name for name in others if _kind(kinds[name]) != _kind(columns.field(name).type)]


def _kind(kind: pa.DataType) -> pa.DataType:
    """The type as Delta gives it back: large text as text."""
    return pa.schema(Schema.from_arrow(pa.schema([("c", kind)]))).field(0).type


def landed(folder: Path, stage_id: str) -> int | None:
    """The version that the commit of a stage made, if it is the last one: a commit may land and still report an error.

    A stage is named after its receipt; one that only puts files in the place of others has a name of its own.
    """
    if not exists(folder):
        return None
    last = _open(folder).history(1)[0]
    found = "receipt" in last and receipts.decode(last["receipt"], 0).receipt_id == stage_id
    return int(last["version"]) if found or last.get(MAINTENANCE) == stage_id else None


def _create(folder: Path, columns: pa.Schema, parts: Sequence[Part], receipt: Receipt) -> int:
    _send(folder, parts)
    create_table_with_add_actions(
        mirror.address(folder),
        Schema.from_arrow(columns),
        _adds(parts),
        mode="error",
        configuration=SETTINGS,
        storage_options=_STORE,
        commit_properties=_properties(receipt, 0),
    )
    mirror.refresh_log(folder)
    return 0


def _send(folder: Path, parts: Sequence[Part]) -> None:
    """Bring the files of a commit to where the commit will say they are."""
    for part in parts:
        mirror.send(folder / part.name)


def _add_columns(table: DeltaTable, columns: pa.Schema) -> None:
    held = set(_arrow(table).names)
    new = [field for field in columns if field.name not in held]
    if new:
        table.alter.add_columns(Schema.from_arrow(pa.schema(new)).fields)


def _allow_types(table: DeltaTable, columns: pa.Schema) -> None:
    """Turn on the feature of times without a zone where a column needs it, which a new schema alone does not."""
    if '"timestamp_ntz"' in Schema.from_arrow(columns).to_json() and "timestampNtz" not in _features(table):
        table.alter.add_feature(TableFeatures.TimestampWithoutTimezone, allow_protocol_versions_increase=True)


def _properties(receipt: Receipt, version: int) -> CommitProperties:
    return CommitProperties(
        custom_metadata={"receipt": receipts.encode(receipt)}, app_transactions=[Transaction(APP, version)]
    )


def _adds(parts: Sequence[Part]) -> list[AddAction]:
    now = int(time.time() * 1000)
    return [AddAction(part.name, part.size, {}, now, part.fresh, orjson.dumps(part.stats).decode()) for part in parts]


_STORE = {"allow_http": "true"}
"""Of a bucket: also where the environment names an endpoint without TLS. The rest delta-rs takes from there itself."""
_OPENED: dict[Path, tuple[tuple[str, int, int], DeltaTable]] = {}
"""Of each table that was read, what was opened, with the last commit that its log had then."""


def _read(folder: Path) -> DeltaTable:
    """The last version, for reading only; opened again where the log has gone on. A run reads a table four times."""
    last = _last_commit(folder)
    kept = _OPENED.get(folder)
    if kept is None or kept[0] != last:
        kept = _OPENED[folder] = (last, _open(folder))
    return kept[1]


def _last_commit(folder: Path) -> tuple[str, int, int]:
    """Name, inode and time of writing of the newest file of a log; a table made anew in the same place has others."""
    names = (name for name in os.listdir(folder / "_delta_log") if name.endswith(".json"))
    newest = max(names, default="")
    found = (folder / "_delta_log" / newest).stat()
    return newest, found.st_ino, found.st_mtime_ns


def _truth(folder: Path) -> DeltaTable:
    """The last version, opened anew, where it is in truth; what is committed to it is committed."""
    return _open(folder, at=mirror.address(folder))


def _open(folder: Path, version: int | None = None, *, at: str | None = None) -> DeltaTable:
    try:
        table = DeltaTable(at or str(folder), version=version, storage_options=_STORE)
    except DeltaError as error:
        raise FormatError(
            f"table {folder.name} cannot be opened: {_said(error)}", do=f"restore the files of {folder / '_delta_log'}"
        ) from error
    unknown = _features(table) - READABLE
    if unknown:
        raise FormatError(
            f"table {folder.name} uses the Delta features {', '.join(sorted(unknown))}",
            allowed="plain unpartitioned tables, and timestampNtz",
            do="rewrite it without them, or ingest it as a source",
        )
    return table


def _features(table: DeltaTable) -> set[str]:
    """Features in use that make a table's rows more, or other, than what its live files hold."""
    found = set(table.protocol().reader_features or ())
    if table.metadata().configuration.get("delta.columnMapping.mode", "none") != "none":
        found.add("columnMapping")
    if table.metadata().partition_columns:
        found.add("partitioning")
    return found


def _arrow(table: DeltaTable) -> pa.Schema:
    return pa.schema(table.schema())


def _files(folder: Path, table: DeltaTable) -> list[LiveFile]:
    rows = pa.table(table.get_add_actions(flatten=True)).to_pylist()
    return [_file(folder, row) for row in rows]


def _file(folder: Path, row: dict[str, Any]) -> LiveFile:
    path = folder.absolute() / unquote(row["path"])
    return LiveFile(
        path=path,
        size=row["size_bytes"],
        rows=pq.read_metadata(mirror.fetch(path)).num_rows if row["num_records"] is None else row["num_records"],
        known_at=_range(row, "known_at"),
        source=_range(row, "source"),
    )


def _range(row: dict[str, Any], name: str) -> Any:
    low, high = row.get(f"min.{name}"), row.get(f"max.{name}")
    return None if low is None or high is None else (low, high)


def _said(error: Exception) -> str:
    """What delta-rs says, without the backtrace that may follow."""
    return str(error).partition("\n")[0].rstrip(".")


@contextmanager
def _refusals(folder: Path) -> Iterator[None]:
    """delta-rs's errors as ours."""
    try:
        yield
    except (DeltaError, OSError) as error:
        if is_full(error):
            raise full(f"the log of table {folder.name}", folder) from error
        if isinstance(error, CommitFailedError) or "already exists" in str(error):
            raise Busy(
                f"another writer committed to table {folder.name} at the same moment ({_said(error)})",
                do="run the same again",
            ) from error
        if mirror.of(folder) is not None and getattr(error, "errno", None) is None:
            raise NetworkError(
                f"table {folder.name} cannot be written to in its bucket: {_said(error)}", do="run the same again"
            ) from error
        raise
