"""What a takedown would reach, and whether anything is left of what one removed.

Reached are the documents asked for, every other version of them (same source, uri and record), their copies (equal
text, or equal but for case and space) and their verified near duplicates, which may have been kept in their place; the
objects that these were read from; the live releases that hold any of them. Nothing synthetic is made of documents
(warehouse.synthetic), so none descends from one. Models trained here (scores) hold weights and are not reached.
The proof reads every file under the data root and the state: Parquet and Delta logs, DuckDB files, token shards
decoded, objects of the archive unpacked, SQLite, and the rest as text. It looks for the content hashes and for each run
of 13 words that no remaining document has. Words are runs of letters and digits in lower case. A text of fewer than 13
words has no such run: only its hash is looked for. 60 MB of documents, which lie in the archive and in their table,
took 16 CPU s and 620 MB.
"""

from __future__ import annotations

import gzip
import io
import re
import shutil
import sqlite3
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash
import zstandard

from warehouse import query
from warehouse.contracts import ObjectFact
from warehouse.datasets import DOCUMENTS, list_releases, read_any, vocabulary_of
from warehouse.errors import NotFound, UsageError
from warehouse.manifest import NAME, Manifest, TableManifest
from warehouse.project import Project
from warehouse.query import Connection, attach_repository, connect, fetch_all, stream
from warehouse.repository import Repository
from warehouse.repository.redaction import Kind, Taken, kind_of, texts

ASKED = {
    "uri": "uri = $1",
    "domain": "host = lower($1) OR ends_with(host, '.' || lower($1))",
    "source": "source = $1",
    "doc": "doc_id = $1",
    "licence": "licence = $1",
}
"""What can be asked for, as SQL over documents and the host of their uri."""
WORDS = 13
BLOCK = 4 << 20
MOST_PRINTS = 2_000_000
_WORD = re.compile(r"[^\W_]+")
_HASH = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")


@dataclass(frozen=True, slots=True)
class Reached:
    """A document that a takedown reaches. why: asked | version | copy | near_duplicate."""

    doc_id: str
    why: str
    source: str
    uri: str
    record: str
    content_hash: str
    object_sha256: str
    synthetic: bool


@dataclass(frozen=True, slots=True)
class Object:
    """An object of the archive that holds some. taken: content hash and uri of each; others: documents of it that stay;
    kind: what is cut out, lines, records or the whole, of which the others' bytes go too.
    """

    sha256: str
    uri: str
    taken: tuple[Taken, ...]
    others: int
    kind: Kind


@dataclass(frozen=True, slots=True)
class Reach:
    """All that a takedown reaches; releases as NAME@VERSION."""

    documents: tuple[Reached, ...]
    objects: tuple[Object, ...]
    releases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Left:
    """Where something was found that was to be gone, and what: content_hash | words."""

    path: str
    what: str


_FOUND = """
CREATE OR REPLACE TEMP TABLE found AS
WITH hosted AS (
    SELECT *, lower(regexp_extract(uri, '^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/@]*@)?([^/:?#]+)', 1)) AS host
    FROM repository.documents
)
SELECT DISTINCT doc_id, 'asked' AS why FROM hosted WHERE {asked}
"""
_SAME = """
INSERT INTO found
SELECT DISTINCT other.doc_id, '{why}'
FROM repository.{table} AS other
JOIN repository.{table} AS one USING ({columns})
SEMI JOIN found ON found.doc_id = one.doc_id
ANTI JOIN found AS held ON held.doc_id = other.doc_id
"""
_VERSIONS = _SAME.format(why="version", table="documents", columns="source, uri, record")
_COPIES = _SAME.format(why="copy", table="documents", columns="content_hash")
_ALIKE = _SAME.format(why="copy", table="signals", columns="text_hash")
_NEAR = """
INSERT INTO found
SELECT DISTINCT doc_id, 'near_duplicate'
FROM (SELECT a AS doc_id, b AS one FROM repository.pairs UNION ALL SELECT b, a FROM repository.pairs)
SEMI JOIN found ON found.doc_id = one
ANTI JOIN found AS held USING (doc_id)
WHERE doc_id IS NOT NULL
"""
_DOCUMENTS = """
SELECT DISTINCT doc_id, why, source, uri, record, content_hash, object_sha256, synthetic
FROM repository.documents JOIN found USING (doc_id) ORDER BY ALL
"""
_OTHERS = """
SELECT count(DISTINCT doc_id)
FROM repository.documents ANTI JOIN found USING (doc_id)
WHERE list_contains($1, object_sha256)
"""


def reach(project: Project, asked: str, value: str) -> Reach:
    """What taking down the documents that ``asked`` (of ASKED) and ``value`` name reaches.

    Raises UsageError for another ``asked``, NotFound for no document.
    """
    if asked not in ASKED:
        raise UsageError(f"a takedown by {asked!r}", allowed=", ".join(ASKED))
    repository = Repository(project.root)
    with connected(repository) as con:
        _find(con, repository, asked, value)
        documents = tuple(Reached(*row) for row in fetch_all(con, _DOCUMENTS))
        objects = tuple(_objects(con, repository, documents))
    if not documents:
        raise NotFound(f"no document of {asked} {value!r}", do="look with 'warehouse sql' what there is")
    return Reach(documents, objects, tuple(_releases(project, documents)))


def connected(repository: Repository) -> Connection:
    """A connection with the newest documents, signals and pairs. Raises NotFound where there are no documents."""
    held = repository.tables()
    con = connect()
    attach_repository(
        con,
        [
            repository.snapshot(name)
            for name in ("documents", "signals", "pairs")
            if name in held or name == "documents"
        ],
    )
    return con


def _find(con: Connection, repository: Repository, asked: str, value: str) -> None:
    """The table ``found`` of doc_id and why."""
    query.fetch_all(con, _FOUND.format(asked=ASKED[asked]), [value])
    held = repository.tables()
    signals = "signals" in held and "text_hash" in repository.snapshot("signals").schema.names
    for sql, there in ((_VERSIONS, True), (_COPIES, True), (_ALIKE, signals), (_NEAR, "pairs" in held)):
        if there:
            fetch_all(con, sql)


def _objects(con: Connection, repository: Repository, documents: Sequence[Reached]) -> Iterator[Object]:
    """The objects that the documents were read from, and those that grew from these: they begin with the same bytes."""
    read: dict[str, ObjectFact] = {}
    before: dict[str, set[str]] = {}  # of each object itself and those that it grew from, earlier facts first
    for fact in (fact for receipt in repository.receipts("documents") for fact in receipt.objects):
        read[fact.sha256] = fact
        base = before.get(fact.grown_from, set()) if fact.grown_from else set()
        before.setdefault(fact.sha256, {fact.sha256}).update(base)
    taken: dict[str, set[Taken]] = {each.object_sha256: set() for each in documents}
    for each in documents:
        taken[each.object_sha256].add((each.content_hash, each.uri))
    holding = {sha256: parts for sha256, parts in before.items() if not parts.isdisjoint(taken)}
    for sha256, parts in sorted({**{each: {each} for each in taken}, **holding}.items()):
        last = read.get(sha256)
        kind = kind_of(last.uri, last.reader) if last else "whole"
        ((others,),) = fetch_all(con, _OTHERS, [sorted(parts)])
        held = set().union(*(taken.get(each, set()) for each in parts))
        yield Object(sha256, last.uri if last else "", tuple(sorted(held)), others, kind)


def _releases(project: Project, documents: Sequence[Reached]) -> Iterator[str]:
    """The live releases that hold any of the documents: of tokens by their frozen rows, of rows by their values."""
    live = [listed for listed in list_releases(project.datasets) if listed.state == "live"]
    ids = {each.doc_id for each in documents}
    of_rows = any(isinstance(listed.manifest, TableManifest) for listed in live)
    marked = marks(project, ids, seed=0) if of_rows else Marks(frozenset(each.content_hash for each in documents))
    for listed in live:
        if isinstance(listed.manifest, TableManifest):
            files = [listed.path / shard.parquet for split in listed.manifest.splits.values() for shard in split.shards]
        else:
            files = [listed.path / DOCUMENTS]
        if any(text in ids or marked.met(text) for path in files for text in readable(path)):
            yield f"{listed.name}@{listed.version}"


@dataclass(frozen=True, slots=True)
class Marks:
    """What a removed content is known by: content hashes, and prints (xxh3-64 under ``seed``) of its own 13-grams."""

    hashes: frozenset[str]
    prints: frozenset[int] = frozenset()
    seed: int = 0

    def met(self, text: str) -> str | None:
        """What of it a text holds: content_hash, words, or None."""
        if not self.hashes.isdisjoint(_HASH.findall(text)):
            return "content_hash"
        return "words" if self.prints and not self.prints.isdisjoint(prints(text, self.seed)) else None


def prints(text: str, seed: int) -> Iterator[int]:
    """xxh3-64 of each run of 13 words."""
    words = _WORD.findall(text.lower())
    for at in range(len(words) - WORDS + 1):
        yield xxhash.xxh3_64_intdigest(" ".join(words[at : at + WORDS]).encode(), seed)


def marks(project: Project, doc_ids: Iterable[str], *, seed: int) -> Marks:
    """The marks of documents that are still there: 13-grams that any other document has are left out.

    Of more than MOST_PRINTS one in two, four or more is taken, by its print: memory and the plan stay bounded.
    """
    gone = pa.table({"doc_id": pa.array(sorted(doc_ids), pa.string())})
    with connected(Repository(project.root)) as con:
        con.register("gone", gone)
        own = "SELECT DISTINCT content_hash, text FROM repository.documents SEMI JOIN gone USING (doc_id)"
        hashes, found, every = set[str](), set[int](), 1
        with stream(con, own, batch_rows=512) as batches:
            for batch in batches:
                hashes.update(batch["content_hash"].to_pylist())
                for text in batch["text"].to_pylist():
                    found.update(each for each in prints(text, seed) if each % every == 0)
                    while len(found) > MOST_PRINTS:
                        every *= 2
                        found = {each for each in found if each % every == 0}
        others = "SELECT text FROM repository.documents ANTI JOIN gone USING (doc_id)"
        with stream(con, others, batch_rows=512) as batches:
            for batch in batches:
                for text in batch["text"].to_pylist():
                    found.difference_update(prints(text, seed))
    return Marks(frozenset(hashes), frozenset(found), seed)


def left(project: Project, marked: Marks, *, without: Sequence[Path] = ()) -> list[Left]:
    """Every file under root and state that still holds something of it, but for those left out."""
    roots = {project.root, project.state}
    files = sorted({path for root in roots for path in root.rglob("*") if path.is_file() and not path.is_symlink()})
    found = []
    for path in files:
        if path in without or path.suffix in (".nbi", ".nbc"):
            continue
        what = next((met for text in readable(path) if (met := marked.met(text))), None)
        if what:
            found.append(Left(str(path), what))
    return found


def readable(path: Path) -> Iterator[str]:
    """The texts that a file holds, decoded by what it is; of a file that is none of these, its bytes as UTF-8."""
    with path.open("rb") as stream_:
        head = stream_.read(16)
    if head.startswith(b"PAR1"):
        return _parquet(path)
    if head[8:12] == b"DUCK":
        return _duckdb(path)
    if head.startswith(b"SQLite format 3"):
        return _sqlite(path)
    if path.suffix == ".bin" and (path.parent / NAME).is_file():
        return _tokens(path)
    return _bytes(path)


def _parquet(path: Path) -> Iterator[str]:
    with pq.ParquetFile(path) as held:
        yield from _columns(held)
        for group in range(held.metadata.num_row_groups):
            for at in range(held.metadata.num_columns):
                stated = held.metadata.row_group(group).column(at).statistics
                if stated is not None and stated.has_min_max:
                    yield f"{stated.min}\n{stated.max}"


def _columns(held: pq.ParquetFile) -> Iterator[str]:
    yield str(held.schema_arrow.metadata or "")
    for batch in held.iter_batches(1024):
        for column in batch.columns:
            yield from _values(column)


def _values(column: pa.Array) -> Iterator[str]:
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        yield from (value for value in column.to_pylist() if value)
    elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        yield from (value.decode("utf-8", "replace") for value in column.to_pylist() if value)
    elif pa.types.is_nested(kind):
        yield from (text for value in column.to_pylist() for text in texts(value))


def _duckdb(path: Path) -> Iterator[str]:
    sql = """
        SELECT schema_name, table_name, column_name
        FROM duckdb_columns() JOIN duckdb_tables() USING (schema_name, table_name)"""
    with connect(path, read_only=True) as con:
        for schema, table, column in fetch_all(con, sql):
            name = f"{query.quoted(schema)}.{query.quoted(table)}"
            with stream(con, f"SELECT CAST({query.quoted(column)} AS VARCHAR) FROM {name}", batch_rows=2048) as batches:
                for batch in batches:
                    yield from (value for value in batch.column(0).to_pylist() if value)


def _sqlite(path: Path) -> Iterator[str]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as con:
        con.text_factory = lambda raw: raw.decode("utf-8", "replace")
        for (name,) in con.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for row in con.execute(f'SELECT * FROM "{name}"'):
                yield from (value for value in row if isinstance(value, str))
    yield from _bytes(path)


def _tokens(path: Path) -> Iterator[str]:
    """The samples of a shard, decoded, each with the one after it; nothing of a shard of rows, which lies beside it as
    Parquet.
    """
    held = read_any(path.parent)
    if not isinstance(held, Manifest):
        return
    tokenizer = vocabulary_of(path.parent).tokenizer
    ids = np.fromfile(path, dtype=np.dtype(held.dtype))
    for start in range(0, ids.size, held.sequence_length):
        yield str(tokenizer.decode(ids[start : start + 2 * held.sequence_length].tolist(), skip_special_tokens=True))


def _bytes(path: Path) -> Iterator[str]:
    with path.open("rb") as raw:
        yield from _unpacked(raw)


def _unpacked(raw: io.BufferedReader, depth: int = 3) -> Iterator[str]:
    """The texts of a stream and of what it packs: gzip, zstd, the members of zip and tar, Parquet."""
    head = raw.peek(512)[:512]
    if depth and head.startswith(b"\x1f\x8b"):
        with gzip.GzipFile(fileobj=raw) as inner:
            yield from _unpacked(_buffered(inner), depth - 1)
    elif depth and head.startswith(b"\x28\xb5\x2f\xfd"):
        with zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True) as inner:
            yield from _unpacked(_buffered(inner), depth - 1)
    elif depth and (head.startswith((b"PK\x03\x04", b"PAR1")) or head[257:262] == b"ustar"):
        with tempfile.TemporaryFile() as whole:
            shutil.copyfileobj(raw, whole)
            whole.seek(0)
            yield from _opened(whole, head, depth)
    else:
        yield from _blocks(raw)


def _buffered(stream_: Any) -> io.BufferedReader:
    """Any binary stream as one that can be looked into; zipfile and tarfile give what is typed as less."""
    return io.BufferedReader(stream_)


def _opened(whole: BinaryIO, head: bytes, depth: int) -> Iterator[str]:
    """The texts of a container that is read from its end; of one that is damaged, its bytes."""
    try:
        if head.startswith(b"PAR1"):
            yield from _columns(pq.ParquetFile(whole))
        elif head.startswith(b"PK"):
            with zipfile.ZipFile(whole) as packed:
                for name in packed.namelist():
                    with packed.open(name) as member:
                        yield from _unpacked(_buffered(member), depth - 1)
        else:
            with tarfile.open(fileobj=whole) as archive:
                for each in archive:
                    if inner := archive.extractfile(each):
                        yield from _unpacked(_buffered(inner), depth - 1)
    except (zipfile.BadZipFile, tarfile.TarError, pa.ArrowException, RuntimeError):
        whole.seek(0)
        yield from _blocks(whole)


def _blocks(raw: BinaryIO) -> Iterator[str]:
    """Blocks of whole lines as they are, each with the end of what was before it where a line is longer, and the texts
    of every line that is JSON. What a damaged stream gives before it ends.
    """
    kept = b""
    while block := _read(raw):
        whole = kept + block
        yield whole.decode("utf-8", "replace")
        *lines, last = whole.split(b"\n")
        for line in lines:
            yield from _json_texts(line)
        kept = last[-BLOCK:]
    yield from _json_texts(kept)


def _read(raw: BinaryIO) -> bytes:
    try:
        return raw.read(BLOCK)
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, zstandard.ZstdError):
        return b""


def _json_texts(line: bytes) -> Iterator[str]:
    if line[:1] in (b"{", b"["):
        try:
            yield from texts(orjson.loads(line))
        except orjson.JSONDecodeError:
            return
