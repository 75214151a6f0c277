"""Content that was taken down: barred from coming in again, its rows cut out of every version of every table.

A file that holds a row of it, of the last version or of any before, is written again without the row under its own
name, so that every version, and every snapshot and release that pins one, stays readable; then the log says the file's
new size and statistics, for the old ones may state a hash or a title as a minimum. Receipts stay as they are: they say
what a commit did then. What is barred is known by a keyed hash (HMAC-SHA256 of the content hash): who has the table
``takedowns`` and not the key cannot try texts against it.
Order, so that a kill anywhere is completed by the same call again: checkpoints go first, then each file is replaced,
then each commit of the log, then an empty commit tells readers to open the log anew.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from warehouse.contracts import TIMESTAMP
from warehouse.repository import delta, locks, parts, writing
from warehouse.repository.keys import Mask
from warehouse.repository.storage import room

TABLE = "takedowns"
TAKEDOWNS = pa.schema(
    [
        ("takedown_id", pa.string()),  # 32 hexadecimal digits
        ("step", pa.string()),  # taken: one row a content, before anything is removed; proved: one, when all is done
        ("asked", pa.string()),  # uri | domain | source | doc | licence
        ("value", pa.string()),  # what was asked for
        ("why", pa.string()),  # as stated
        ("at", TIMESTAMP),
        ("run_id", pa.string()),
        ("keyed_hash", pa.string()),  # of taken: HMAC-SHA256 of the content hash; null of proved
        ("documents", pa.int64()),  # of taken: documents with this content; of proved: all
        ("releases", pa.list_(pa.string())),  # that were revoked, NAME@VERSION
        ("receipt_id", pa.string()),
    ]
)
REDACTIONS_TABLE = "redactions"
REDACTIONS = pa.schema(
    [
        ("old_sha256", pa.string()),  # the object as it came
        ("new_sha256", pa.string()),  # the object that is in its place
        ("offset", pa.int64()),  # of the bytes that were cut out, in the old object, unpacked
        ("length", pa.int64()),
        ("takedown_id", pa.string()),
        ("receipt_id", pa.string()),
    ]
)
KEY_BYTES = 32


Matches = Callable[[pa.RecordBatch], Mask]


@dataclass(frozen=True, slots=True)
class Bars:
    """Contents that may not come in again, by keyed hash."""

    key: bytes
    hashes: frozenset[str]

    def mask(self, content_hashes: Collection[str]) -> Mask:
        """bool (rows,): true for each content that is barred."""
        return np.array([keyed_hash(self.key, each) in self.hashes for each in content_hashes], bool)


@dataclass(frozen=True, slots=True)
class Gone:
    """What is to go: documents by doc_id and by content hash, and records by (source, uri, record), which rejects have
    instead.
    """

    doc_ids: frozenset[str]
    contents: frozenset[str]
    places: frozenset[tuple[str, str, str]]

    def matcher(self) -> Matches:
        """From a batch to bool (rows,): true for each row that says something of them."""
        ids, contents = (pa.array(sorted(values), pa.string()) for values in (self.doc_ids, self.contents))
        wanted = {**dict.fromkeys(DOC_IDS, ids), CONTENT: contents}

        def mask(batch: pa.RecordBatch) -> Mask:
            found = np.zeros(batch.num_rows, bool)
            for name in _keys(batch.schema):
                found |= pc.is_in(batch[name], value_set=wanted[name]).to_numpy(zero_copy_only=False)
            if not _keys(batch.schema) and set(PLACE) <= set(batch.schema.names):
                rows = zip(*(batch[name].to_pylist() for name in PLACE), strict=True)
                found |= np.array([row in self.places for row in rows], bool)
            return found

        return mask


def _keys(schema: pa.Schema) -> list[str]:
    """The columns of a table that name documents or contents."""
    named = [name for name in (*DOC_IDS, CONTENT) if name in schema.names]
    return [name for name in named if pa.types.is_string(schema.field(name).type)]


DOC_IDS = ("doc_id", "a", "b")
CONTENT = "content_hash"
PLACE = ("source", "uri", "record")


@dataclass(frozen=True, slots=True)
class Erased:
    """Rows that were cut out of a table, over all its files; a row that was put together lies in several. files: that
    were written again.
    """

    rows: int = 0
    files: int = 0


def key(root: Path) -> bytes:
    """The project's key, made on first use; only its owner may read the file."""
    path = root / "takedown.key"
    if not path.exists():
        with room("the key of takedowns", root), locks.alone(root / "locks" / TABLE, what="the key", wait_s=60):
            if not path.exists():
                draft = path.with_suffix(".draft")
                with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as target:
                    target.write(secrets.token_bytes(KEY_BYTES))
                draft.replace(path)
    return path.read_bytes()


def keyed_hash(secret: bytes, content: str) -> str:
    """HMAC-SHA256 of a content hash, 64 hexadecimal digits."""
    return hmac.new(secret, content.encode(), hashlib.sha256).hexdigest()


def bars(root: Path) -> Bars | None:
    """What is barred, None where nothing ever was."""
    files = [file.path for file in delta.files(root / "repository" / TABLE)]
    columns = [pq.read_table(path, columns=["keyed_hash"])["keyed_hash"] for path in files]
    found = frozenset(value for column in columns for value in column.to_pylist() if value)
    return Bars(key(root), found) if found else None


def erase(root: Path, table: str, gone: Gone, *, wait_s: float) -> Erased:
    """Cut rows out of a table, of the last version and of every one before. Raises Busy, StorageFull, FormatError.

    A table of documents gets a commit though none of its rows goes: rows that a run made meanwhile of a text that is
    gone find the table at another version, and are refused.
    """
    with writing.opened(root, table, wait_s=wait_s) as folder:
        schema, matches = delta.schema(folder) or pa.schema([]), gone.matcher()
        if not _keys(schema) and not set(PLACE) <= set(schema.names):
            return Erased()
        holding = [path for path in sorted(folder.glob("*.parquet")) if _holds(path, matches)]
        delta.log(folder)  # refuses a log that is not whole: without its checkpoints it must say everything
        _drop_checkpoints(folder)
        rows = sum(_rewritten(path, matches) for path in holding)
        for path, mended in _stale(folder):
            _replace(path, mended)
        delta.touch(folder)
        return Erased(rows, len(holding))


def _holds(path: Path, matches: Matches) -> bool:
    names = pq.read_schema(path).names
    columns = [name for name in (*DOC_IDS, CONTENT, *PLACE) if name in names]
    with pq.ParquetFile(path) as held:
        return bool(columns) and any(matches(batch).any() for batch in held.iter_batches(1 << 16, columns=columns))


def _rewritten(path: Path, matches: Matches) -> int:
    """The file without the rows, in its place; how many they were. Row groups stay as they were cut."""
    draft = path.parent / "_staging" / f"erased-{path.name}"
    with room(f"table {path.parent.name}", path.parent), pq.ParquetFile(path) as held:
        draft.parent.mkdir(exist_ok=True)
        groups = _left(held, matches)
        first = next(groups, held.schema_arrow.empty_table())
        target = parts._Open(draft, first)
        for group in chain([first] if first.num_rows else [], groups):
            target.write(group)
        part = target.close()
        os.replace(draft, path)
    with suppress(OSError):
        draft.parent.rmdir()
    return int(held.metadata.num_rows - part.rows)


def _left(held: pq.ParquetFile, matches: Matches) -> Iterator[pa.Table]:
    for number in range(held.num_row_groups):
        for batch in held.read_row_group(number).combine_chunks().to_batches():
            left = batch.filter(pa.array(~matches(batch)))
            if left.num_rows:
                yield pa.Table.from_batches([left])


def _stale(folder: Path) -> list[tuple[Path, bytes]]:
    """The commits that say of a file more rows than it has, and what they are to say."""
    found = []
    for path in sorted((folder / "_delta_log").glob("*.json")):
        before = [orjson.loads(line) for line in path.read_bytes().splitlines() if line]
        after = [_mended(folder, action) for action in before]
        if after != before:
            found.append((path, b"\n".join(orjson.dumps(action) for action in after)))
    return found


def _mended(folder: Path, action: Mapping[str, Any]) -> Mapping[str, Any]:
    add = action.get("add")
    if add is None or not (path := folder / add["path"]).is_file():
        return action
    footer = pq.read_metadata(path)
    if orjson.loads(add.get("stats") or "{}").get("numRecords") == footer.num_rows:
        return action
    stats = orjson.dumps(parts.statistics(footer, pq.read_schema(path))).decode()
    return {**action, "add": {**add, "size": path.stat().st_size, "stats": stats}}


def _drop_checkpoints(folder: Path) -> None:
    log = folder / "_delta_log"
    for path in [log / "_last_checkpoint", *log.glob("*.checkpoint*.parquet")]:
        path.unlink(missing_ok=True)


def _replace(path: Path, content: bytes) -> None:
    draft = path.with_name(f"{path.name}.tmp")
    with room(f"the log of table {path.parent.parent.name}", path.parent):
        draft.write_bytes(content)
        os.replace(draft, path)
