"""Delta tables as others write them: the rows of a version, or a refusal that names what stands in the way.

Won: deletion vectors, column mapping (by name and by id), v2 checkpoints, type widening, partitions, time without zone.
Of the 108 logs of Delta's own golden tables, 89 give the rows that the protocol gives them; 19 are refused: 18 have no
rows to give (files that are not there, metadata or protocol missing or wrong, a gap in the log), one holds variants;
none gives other rows. delta-rs's scan reads all but two features, for which files are read one by one and cast to the
table's types. Rejected: ``to_pyarrow_table`` (with
column mapping it gives nulls, deletion vectors it refuses), ``polars.scan_delta`` (refuses column mapping).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlparse

import orjson
import pyarrow as pa
import pyarrow.dataset as ds
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from warehouse.errors import FormatError, NetworkError, NotFound

SCANNED = {"columnMapping", "deletionVectors", "timestampNtz", "v2Checkpoint"}
"""Reader features that delta-rs's scan knows."""
Where = Path | str
"""The folder of a table, or the URL of one in an object store."""
OF_A_STORE = {"allow_http": "true", "timeout": "60s", "max_retries": "3", "retry_timeout": "60s"}
"""Tries of a request are bounded as those of ``stores`` are; credentials come from the environment."""
CAST = {"timestampNtz", "typeWidening", "typeWidening-preview", "v2Checkpoint", "vacuumProtocolCheck"}
"""Reader features under which live files hold the rows as they are, of the table's types or narrower ones."""


def read(folder: Path, version: int | None = None) -> pa.RecordBatchReader:
    """The rows of a Delta table at one version, the last by default, in the types that its schema states.

    Raises NotFound for a folder without a log and a version that is not there, FormatError for a table that cannot be
    read: its message names the feature, the file or the action.
    """
    table = opened(folder, version)
    if missing := next((path for path in _paths(folder, table) if not path.is_file()), None):
        raise FormatError(f"Delta table {folder}: {missing.name} is in its log and not there", do="restore the file")
    used = features(table)
    if used <= SCANNED:
        schema = pa.schema(table.schema())
        return pa.RecordBatchReader.from_batches(schema, _scanned(folder, table, schema))
    if used <= CAST:
        schema = pa.schema(table.schema())
        return pa.RecordBatchReader.from_batches(schema, _cast(folder, table, schema))
    raise FormatError(
        f"Delta table {folder} uses {', '.join(sorted(used - SCANNED))}",
        allowed=f"{', '.join(sorted(SCANNED))}; or {', '.join(sorted(CAST))}",
        do="write it again without",
    )


def opened(folder: Where, version: int | None) -> DeltaTable:
    """The table at a version. Raises NotFound, FormatError; NetworkError for one in a store."""
    if isinstance(folder, str):
        return _opened_there(folder, version)
    if not (folder / "_delta_log").is_dir():
        raise NotFound(f"no Delta table in {folder}", allowed="a folder with _delta_log")
    try:
        return DeltaTable(str(folder), version=version)
    except DeltaError as error:
        if named := _lacking(folder / "_delta_log"):
            raise FormatError(f"Delta table {folder}: its log has no {named}", do="write it again") from None
        raise refusal(folder, error) from None


def _opened_there(url: str, version: int | None) -> DeltaTable:
    scheme, _, path = url.partition("://")
    try:
        return DeltaTable(f"{scheme}://{quote(path, safe='/@')}", version=version, storage_options=OF_A_STORE)
    except OSError as error:
        raise unreachable(url, error) from None
    except DeltaError as error:
        raise refusal(url, error) from None


def _lacking(log: Path) -> str:
    """Which action of a log's commits, that no table is without, is not there; "" where all are."""
    lines = [line for path in log.glob("*.json") if path.stem.isdecimal() for line in path.read_bytes().splitlines()]
    actions = [action for line in lines if line.strip() and isinstance(action := _parsed(line), dict)]
    stated = {name for action in actions for name in action}
    if any("schemaString" in (action.get("metaData") or {}) for action in actions):
        return "" if "protocol" in stated else "protocol"
    return "metaData" if "metaData" not in stated else "schemaString in its metaData"


def _parsed(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return None


def unreachable(url: str, error: Exception) -> NetworkError:
    """What delta-rs says of a table in a store, without the request, which may show a secret."""
    said = str(error).partition("\n")[0]
    return NetworkError(f"Delta table {url} cannot be read: {said}", do="run it again later")


def refusal(folder: Where, error: Exception) -> FormatError:
    """What delta-rs says, without the backtrace that may follow."""
    said = str(error).partition("\n")[0].rstrip(".")
    return FormatError(f"Delta table {folder} cannot be read: {said}", do="write it again, or restore its log")


def features(table: DeltaTable) -> set[str]:
    """Reader features that a table uses."""
    found = set(table.protocol().reader_features or ())
    if table.metadata().configuration.get("delta.columnMapping.mode", "none") != "none":
        found.add("columnMapping")
    return found


def _actions(table: DeltaTable) -> list[dict[str, Any]]:
    """Path of every live file, and its values of the columns that the table is partitioned by."""
    found = pa.table(table.get_add_actions(flatten=False))
    rows: list[dict[str, Any]] = found.select([n for n in ("path", "partition") if n in found.column_names]).to_pylist()
    return rows


def _paths(folder: Path, table: DeltaTable) -> list[Path]:
    return [place(folder, action["path"]) for action in _actions(table)]


def place(folder: Path, name: str) -> Path:
    """Where a file of a log lies: its path is a URI, escaped, and relative to the table unless it is absolute."""
    return folder / (unquote(urlparse(name).path) if name.startswith("file:") else unquote(name))


def _scanned(folder: Path, table: DeltaTable, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    try:
        for batch in pa.RecordBatchReader.from_stream(table.scan()):
            yield _conformed(batch, schema)
    except (DeltaError, pa.ArrowException) as error:
        raise refusal(folder, error) from None


def _cast(folder: Path, table: DeltaTable, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for action in _actions(table):
        held = ds.dataset(place(folder, action["path"]), format="parquet")
        for batch in held.to_batches():
            columns = {name: batch[name] for name in batch.schema.names}
            for name, value in (action.get("partition") or {}).items():
                columns[name] = pa.repeat(pa.scalar(value), batch.num_rows)
            yield _conformed(pa.RecordBatch.from_pydict(columns), schema)


def _conformed(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    arrays = [
        batch[field.name].cast(field.type) if field.name in batch.schema.names else pa.nulls(batch.num_rows, field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
