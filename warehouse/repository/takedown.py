"""Content that was taken down: barred from coming in again, its rows cut out of every version of every table.

A file that holds a row of it, of the last version or of any before, is written again without the row under its own
name, so that every version, and every snapshot and release that pins one, stays readable; then the log says the file's
new size and statistics, for the old ones may state a hash or a title as a minimum. Receipts stay as they are: they say
what a commit did then. What is barred is known by a keyed hash (HMAC-SHA256 of what it is and the content hash, uri,
host, or table and row hash): who has the table ``takedowns`` and not the key cannot try texts against it.
Order, so that a kill anywhere is completed by the same call again: checkpoints go first, then each file is replaced,
then each commit of the log, then an empty commit tells readers to open the log anew.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from warehouse import mirror
from warehouse.contracts import TIMESTAMP, content_hash
from warehouse.kernels.prints import Known, met
from warehouse.kernels.texts import texts
from warehouse.repository import delta, locks, parts, writing
from warehouse.repository.keyed import COLUMNS, row_hashes
from warehouse.repository.keys import Mask
from warehouse.repository.storage import room

TABLE = "takedowns"
TAKEDOWNS = pa.schema(
    [
        ("takedown_id", pa.string()),  # 32 hexadecimal digits
        (
            "step",
            pa.string(),
        ),  # taken: a row for each that is barred, before anything is removed; proved: one, at the end
        ("asked", pa.string()),  # uri | domain | source | doc | licence
        ("value", pa.string()),  # what was asked for
        ("why", pa.string()),  # as stated
        ("at", TIMESTAMP),
        ("run_id", pa.string()),
        ("barred", pa.string()),  # of taken: content | uri | domain | row; null of proved
        ("keyed_hash", pa.string()),  # of taken: HMAC-SHA256 of that; null of proved
        ("documents", pa.int64()),  # of taken: documents with this content; of proved: all
        ("rows", pa.int64()),  # of proved: rows of other tables that were asked for, or held the text
        ("releases", pa.list_(pa.string())),  # that were revoked, NAME@VERSION
        ("models", pa.list_(pa.string())),  # trained here, perhaps on it, and removed: NAME@VERSION
        ("receipt_id", pa.string()),
    ]
)
REDACTIONS_TABLE = "redactions"
REDACTIONS = pa.schema(
    [
        ("old_sha256", pa.string()),  # the object as it came
        ("new_sha256", pa.string()),  # the object that is in its place
        ("member", pa.string()),  # of an archive, that it was cut out of; empty for the object itself
        ("offset", pa.int64()),  # of what was cut out: bytes, unpacked; rows of Parquet and Arrow
        ("length", pa.int64()),
        ("reason", pa.string()),  # cut; else why all of it went: asked | single | every | format | damaged | unverified
        ("takedown_id", pa.string()),
        ("receipt_id", pa.string()),
    ]
)
KEY_BYTES = 32
DOC_IDS = ("doc_id", "a", "b")
CONTENT = "content_hash"
PLACE = ("source", "uri", "record")
OF_ROWS = ("_source", "_uri")
MODEL_TABLES = ("score_models", "scores")
OWN = (TABLE, REDACTIONS_TABLE)
"""Tables in which nothing is looked for: they say what was taken down."""
NO_TEXT = frozenset({*DOC_IDS, CONTENT, "receipt_id", "run_id", "object_sha256", "reject_id"})
NO_TEXT_OF_ROWS = frozenset({"_receipt_id", "_object_sha256", "_key", "_record"})
_HOST = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://(?:[^/@]*@)?([^/:?#]+)")

Matches = Callable[[pa.RecordBatch], Mask]
Barred = Literal["content", "uri", "domain", "row"]


@dataclass(frozen=True, slots=True)
class Bars:
    """What may not come in again, by keyed hash of each kind."""

    key: bytes
    hashes: Mapping[str, frozenset[str]]

    def mask(self, values: Collection[str | None], kind: Barred = "content") -> Mask:
        """bool (rows,): true for each value that is barred; each is hashed once."""
        barred = self.hashes.get(kind, frozenset())
        if not barred:
            return np.zeros(len(values), bool)
        known = {each: keyed_hash(self.key, each, kind) in barred for each in {*values} if each is not None}
        return np.array([each is not None and known[each] for each in values], bool)

    def uris(self, uris: Collection[str | None]) -> Mask:
        """bool (rows,): true for each uri that is barred itself, or by its host or one above it."""
        mask = self.mask(uris, "uri")
        if self.hashes.get("domain"):
            hosts = {each: [*_above(host_of(each))] for each in {*uris} if each is not None}
            barred = {each for each, above in hosts.items() if self.mask(above, "domain").any()}
            mask = mask | np.array([each in barred for each in uris], bool)
        return mask

    def rows(self, rows: pa.RecordBatch, table: str) -> Mask:
        """bool (rows,): true for rows of a typed table whose uri, values or one long text are barred."""
        mask = self.uris(rows["_uri"].to_pylist())
        if self.hashes.get("row"):
            mask |= self.mask(row_names(rows, table), "row")
        for column in long_texts(rows) if self.hashes.get("content") else ():
            named = [None if text is None else content_hash(text) for text in column]
            mask |= self.mask(named)
        return mask


def host_of(uri: str) -> str:
    """The host of a uri in lower case, empty where it has none."""
    found = _HOST.match(uri)
    return found[1].lower() if found else ""


def _above(host: str) -> Iterator[str]:
    """The host and each that it is below."""
    parts = host.split(".")
    yield from (".".join(parts[at:]) for at in range(len(parts)) if host)


def row_names(rows: pa.RecordBatch, table: str) -> list[str]:
    """What each row of a typed table is barred by: the table and the hash of the row's own values."""
    return [f"{table} {each:016x}" for each in row_hashes(rows).view(np.uint64).tolist()]


def long_texts(rows: pa.RecordBatch) -> Iterator[list[str | None]]:
    """Of each column of text of a typed table the texts of 13 words or more, null for others."""
    for name, column in zip(rows.schema.names, rows.columns, strict=True):
        if (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)) and name not in COLUMNS.names:
            lengths = pc.fill_null(pc.binary_length(column), 0)
            if (pc.max(lengths).as_py() or 0) >= LEAST_BYTES:
                yield [text if text is not None and is_long(text) else None for text in column.to_pylist()]


def is_long(text: str) -> bool:
    """Whether a text has 13 words, so that it cannot be met by chance."""
    return len(text) >= LEAST_BYTES // 4 and len(_WORD.findall(text)) >= WORDS


WORDS, LEAST_BYTES = 13, 25
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Origins:
    """From where all goes that came: names of sources, uris, hosts with those below them."""

    sources: frozenset[str] = frozenset()
    uris: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()

    def mask(self, sources: pa.Array, uris: pa.Array) -> Mask:
        """bool (rows,): true for rows of such a source or uri."""
        found = pc.is_in(sources, value_set=pa.array(sorted(self.sources), pa.string()))
        found = pc.or_(found, pc.is_in(uris, value_set=pa.array(sorted(self.uris), pa.string())))
        mask: Mask = found.to_numpy(zero_copy_only=False)
        return mask | np.array([self.has_host(uri) for uri in uris.to_pylist()], bool) if self.hosts else mask

    def has(self, source: str, uri: str) -> bool:
        """Whether an object or a row of this source and uri goes."""
        return source in self.sources or uri in self.uris or self.has_host(uri)

    def has_host(self, uri: str | None) -> bool:
        """Whether a uri is of such a host."""
        return bool(self.hosts) and uri is not None and not self.hosts.isdisjoint(_above(host_of(uri)))


@dataclass(frozen=True, slots=True)
class Gone:
    """What is to go: documents by doc_id and content hash, records by (source, uri, record), which rejects have
    instead, all that came from ``origins``, rows of other tables that hold a text of ``marks``, or one of ``short``
    (content hashes) as a whole cell, and models (name, version) with their scores.
    """

    doc_ids: frozenset[str]
    contents: frozenset[str]
    places: frozenset[tuple[str, str, str]]
    origins: Origins = Origins()
    marks: Known | None = None
    short: frozenset[str] = frozenset()
    models: frozenset[tuple[str, int]] = frozenset()

    def matcher(self, table: str) -> Matches:
        """From a batch of a table to bool (rows,): true for each row that goes."""
        ids, contents = (pa.array(sorted(values), pa.string()) for values in (self.doc_ids, self.contents))
        wanted = {**dict.fromkeys(DOC_IDS, ids), CONTENT: contents}

        def mask(batch: pa.RecordBatch) -> Mask:
            names = set(batch.schema.names)
            found = np.zeros(batch.num_rows, bool)
            for name in _keys(batch.schema):
                found |= pc.is_in(batch[name], value_set=wanted[name]).to_numpy(zero_copy_only=False)
            if not _keys(batch.schema) and set(PLACE) <= names:
                rows = zip(*(batch[name].to_pylist() for name in PLACE), strict=True)
                found |= np.array([row in self.places for row in rows], bool)
                found |= self.origins.mask(batch["source"], batch["uri"])
            if set(OF_ROWS) <= names:
                found |= self.origins.mask(batch["_source"], batch["_uri"])
            if table in MODEL_TABLES and {"name", "version"} <= names:
                named = zip(batch["name"].to_pylist(), batch["version"].to_pylist(), strict=True)
                found |= np.array([each in self.models for each in named], bool)
            return found | self.holding(batch) if table != "documents" else found

        return mask

    def holding(self, batch: pa.RecordBatch) -> Mask:
        """bool (rows,): true for rows that hold a text that goes."""
        found = np.zeros(batch.num_rows, bool)
        for name in text_columns(batch.schema) if self.marks is not None or self.short else ():
            column = as_texts(batch[name])
            if self.marks is not None:
                found |= met(texts(column), self.marks) > 0
            if self.short and set(OF_ROWS) <= set(batch.schema.names):
                coded = column.dictionary_encode()
                equal = [content_hash(text or "") in self.short for text in coded.dictionary.to_pylist()]
                at = coded.indices.fill_null(len(equal)).to_numpy(zero_copy_only=False)
                found |= np.array([*equal, False], bool)[at]
        return found


def text_columns(schema: pa.Schema) -> list[str]:
    """The columns of a table that may hold a text: strings, bytes, and what nests them."""
    own = NO_TEXT if "_source" not in schema.names else NO_TEXT_OF_ROWS
    return [field.name for field in schema if field.name not in own and _may_hold_text(field.type)]


def _may_hold_text(kind: pa.DataType) -> bool:
    t = pa.types
    plain = (t.is_string, t.is_large_string, t.is_binary, t.is_large_binary)
    return any(test(kind) for test in plain) or any(
        _may_hold_text(kind.field(at).type) for at in range(kind.num_fields)
    )


def as_texts(column: pa.Array) -> pa.Array:
    """A column as text: bytes read as UTF-8, the texts in a nested value a line each."""
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return column
    if pa.types.is_nested(kind):
        values = ["\n".join(nested_texts(value)) for value in column.to_pylist()]
    else:
        values = [(value or b"").decode("utf-8", "replace") for value in column.to_pylist()]
    return pa.array(values, pa.large_string())


def nested_texts(value: Any) -> Iterator[str]:
    """Every text in a value of structs, lists and maps, names left out."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, bytes):
        yield value.decode("utf-8", "replace")
    elif isinstance(value, (list, tuple, dict)):
        for each in value.values() if isinstance(value, dict) else value:
            yield from nested_texts(each)


def _keys(schema: pa.Schema) -> list[str]:
    """The columns of a table that name documents or contents."""
    named = [name for name in (*DOC_IDS, CONTENT) if name in schema.names]
    found = [name for name in named if pa.types.is_string(schema.field(name).type)]
    return [] if set(OF_ROWS) <= set(schema.names) else found


@dataclass(frozen=True, slots=True)
class Erased:
    """Rows that were cut out of a table, over all its files; a row that was put together lies in several. files: that
    were written again.
    """

    rows: int = 0
    files: int = 0


def key(root: Path) -> bytes:
    """The project's key, made on first use; only its owner may read the file."""
    path = mirror.fetch(root / "takedown.key")
    if not path.exists():
        with room("the key of takedowns", root), locks.alone(root / "locks" / TABLE, what="the key", wait_s=60):
            if not path.exists():
                draft = path.with_suffix(".draft")
                with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as target:
                    target.write(secrets.token_bytes(KEY_BYTES))
                _first(draft, path)
    return path.read_bytes()


def _first(draft: Path, path: Path) -> None:
    """Let a file be the key, unless another machine was first in the bucket."""
    os.replace(draft, path)
    if not mirror.send(path, new=True):
        mirror.refresh(path)


def keyed_hash(secret: bytes, value: str, kind: Barred = "content") -> str:
    """HMAC-SHA256 of what is barred and its value, 64 hexadecimal digits."""
    return hmac.digest(secret, f"{kind} {value}".encode(), "sha256").hex()


def bars(root: Path) -> Bars | None:
    """What is barred, None where nothing ever was."""
    files = [file.path for file in delta.files(root / "repository" / TABLE)]
    found: dict[str, set[str]] = {}
    mirror.fetch_all(files)
    for path in files:
        rows = pq.read_table(path, columns=["barred", "keyed_hash"])
        for kind, value in zip(rows["barred"].to_pylist(), rows["keyed_hash"].to_pylist(), strict=True):
            if value:
                found.setdefault(kind, set()).add(value)
    return Bars(key(root), {kind: frozenset(values) for kind, values in found.items()}) if found else None


def matching(root: Path, table: str, gone: Gone, *, columns: Collection[str] | None = None) -> Iterator[pa.RecordBatch]:
    """The rows of a table that go, of all its versions, each as often as files hold it; ``columns`` of them."""
    folder, matches = writing.folder_of(root, table), gone.matcher(table)
    mirror.fetch_below(folder)
    for path in sorted(folder.glob("*.parquet")):
        for batch in parts.row_groups(path):
            rows = batch.filter(pa.array(matches(batch)))
            if rows.num_rows:
                yield rows if columns is None else rows.select([name for name in columns if name in rows.schema.names])


def erase(root: Path, table: str, gone: Gone, *, wait_s: float) -> Erased:
    """Cut rows out of a table, of the last version and of every one before. Raises Busy, StorageFull, FormatError.

    A table that may name or hold a text gets a commit though none of its rows goes: rows that a run made meanwhile of a
    text that is gone find the table at another version, and are refused.
    """
    with writing.opened(root, table, wait_s=wait_s) as folder:
        schema, matches = delta.schema(folder) or pa.schema([]), gone.matcher(table)
        if table in OWN or not _columns(schema):
            return Erased()
        mirror.fetch_below(folder)
        holding = [path for path in sorted(folder.glob("*.parquet")) if _holds(path, matches)]
        delta.log(folder)  # refuses a log that is not whole: without its checkpoints it must say everything
        _drop_checkpoints(folder)
        rows = sum(_rewritten(path, matches) for path in holding)
        for path, mended in _stale(folder):
            _replace(path, mended)
        delta.touch(folder)
        return Erased(rows, len(holding))


def _columns(schema: pa.Schema) -> list[str]:
    """The columns that say whether a row goes."""
    told = {*DOC_IDS, CONTENT, *PLACE, *OF_ROWS, "name", "version", *text_columns(schema)}
    return [name for name in schema.names if name in told]


def _holds(path: Path, matches: Matches) -> bool:
    with pq.ParquetFile(path) as held:
        columns = _columns(held.schema_arrow)
        return bool(columns) and any(matches(batch).any() for batch in held.iter_batches(1 << 14, columns=columns))


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
        mirror.replace(draft, path)
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
        mirror.remove(path)


def _replace(path: Path, content: bytes) -> None:
    draft = path.with_name(f"{path.name}.tmp")
    with room(f"the log of table {path.parent.parent.name}", path.parent):
        draft.write_bytes(content)
        mirror.replace(draft, path)
