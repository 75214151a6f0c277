"""Whether anything is left of what a takedown removed: every file under the data root and the state, decoded.

Parquet with its statistics, Delta logs, DuckDB files of every generation, token shards, SQLite with its write-ahead
log, objects of the archive unpacked (zip, tar, gzip, zstd, bzip2, xz, LZ4, in each other), PDF and web archives also by
their own readers, and all else as text: once as it is, once without JSON's escapes, once without the tags of HTML and
XML and the codings of mail. Looked for are content hashes and every run of 13 words (``kernels.prints``), each exactly;
runs in portions of PORTION, a pass over the files for each, so that memory is bounded whatever was removed.
"""

from __future__ import annotations

import base64
import binascii
import bz2
import gzip
import html
import io
import lzma
import quopri
import re
import shutil
import sqlite3
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import lz4.frame
import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import zstandard

from warehouse import mirror, query
from warehouse.datasets import read_any, vocabulary_of
from warehouse.datasets.samples import texts_of
from warehouse.kernels.prints import Known, met
from warehouse.kernels.texts import texts
from warehouse.manifest import NAME, Manifest
from warehouse.project import Project
from warehouse.query import connect, fetch_all, stream
from warehouse.repository import nested_texts
from warehouse.sources import Located, Source, closing_parser, read

BLOCK = 4 << 20
OVERLAP = 1 << 16
"""Bytes of a block that the next one has again: more than 13 words, whatever stands between them."""
HELD_BYTES = 8 << 20
MEANING = ("", "content_hash", "words")
COMPILED = (".nbi", ".nbc")
"""Code that numba keeps: made of sources alone."""


@dataclass(frozen=True, slots=True)
class Left:
    """Where something was found that was to be gone, and what: content_hash | words."""

    path: str
    what: str


def left(project: Project, marked: Known, *, without: Iterable[Path] = ()) -> list[Left]:
    """Every file under root and state that still holds something of it, but for those left out."""
    mirror.fetch_below(project.root)
    roots, out = {project.root, project.state}, {*without}
    files = sorted({path for root in roots for path in root.rglob("*") if path.is_file() and not path.is_symlink()})
    found = []
    with closing_parser():
        for path in files:
            if path not in out and path.suffix not in COMPILED and (what := holds(readable(path), marked)):
                found.append(Left(str(path), what))
    return found


def holds(given: Iterable[str], marked: Known) -> str:
    """What one of the texts holds: content_hash, words, or nothing."""
    for column in columns(given):
        if worst := int(met(texts(column), marked).max(initial=0)):
            return MEANING[worst]
    return ""


def columns(given: Iterable[str]) -> Iterator[pa.Array]:
    """The texts, some HELD_BYTES at a time."""
    held: list[str] = []
    size = 0
    for text in given:
        held.append(text)
        size += len(text)
        if size > HELD_BYTES:
            yield _column(held)
            held, size = [], 0
    if held:
        yield _column(held)


def _column(held: Sequence[str]) -> pa.Array:
    """The texts as Arrow; a half of a surrogate pair is no text."""
    try:
        return pa.array(held, pa.large_string())
    except UnicodeEncodeError:
        return pa.array([text.encode("utf-8", "replace").decode() for text in held], pa.large_string())


def readable(path: Path) -> Iterator[str]:
    """The texts that a file holds, decoded by what it is; of a file that is none of these, or damaged, its bytes."""
    try:
        yield from _known(path)
    except (*BROKEN, sqlite3.DatabaseError):
        with path.open("rb") as raw:
            yield from _blocks(raw)


def _known(path: Path) -> Iterator[str]:
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
    if path.suffix == ".mds":
        return chain(texts_of(path), _bytes(path))
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
        yield from _batch(batch)


def _values(column: pa.Array) -> Iterator[str]:
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        yield from (value for value in column.to_pylist() if value)
    elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        yield from (value.decode("utf-8", "replace") for value in column.to_pylist() if value)
    elif pa.types.is_nested(kind):
        yield from (text for value in column.to_pylist() for text in nested_texts(value))
    elif pa.types.is_dictionary(kind):
        yield from _values(column.dictionary)


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
        head = raw.peek(512)[:512]
        yield from _unpacked(raw)
    if head.startswith(b"%PDF-") or b"WARC/1" in head or head.startswith((b"\x1f\x8b", b"filedesc:")):
        yield from _read(path)


def _read(path: Path) -> Iterator[str]:
    """The texts that our own reader of documents gives of a PDF or a web archive; none of anything else."""
    source, located = Source("proof", (path.name,)), Located(f"{path.name}", path, path.stat().st_size)
    for item in read(source, located, path):
        if isinstance(item, pa.RecordBatch) and "text" in item.schema.names:
            yield from (text for text in item["text"].to_pylist() if text)


OPENERS: Mapping[bytes, Any] = {
    b"\x1f\x8b": lambda raw: gzip.GzipFile(fileobj=raw),
    b"\x28\xb5\x2f\xfd": lambda raw: zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\0": lzma.LZMAFile,
    b"\x04\x22\x4d\x18": lz4.frame.LZ4FrameFile,
}
"""How a stream is unpacked, by its first bytes."""
SEEKING = (b"PK\x03\x04", b"PAR1", b"ARROW1", b"\xff\xff\xff\xff")
"""How Parquet, Arrow IPC and a zip begin, which are opened as files, as a tar is."""
BROKEN = (
    *(zipfile.BadZipFile, tarfile.TarError, pa.ArrowException, RuntimeError, NotImplementedError),
    *(EOFError, OSError, zlib.error, lzma.LZMAError, zstandard.ZstdError),
)
"""What a library raises over a file that is not what it begins as; zipfile tells a cipher by RuntimeError, a method
that it does not know by NotImplementedError. Such a file is searched as it is.
"""
CUT_SHORT = (OSError, EOFError, zlib.error, zipfile.BadZipFile, zstandard.ZstdError, lzma.LZMAError, RuntimeError)


def _unpacked(raw: io.BufferedReader, depth: int = 5) -> Iterator[str]:
    """The texts of a stream and of what it packs."""
    head = raw.peek(512)[:512]
    opener = next((each for sign, each in OPENERS.items() if head.startswith(sign)), None)
    if depth and opener:
        with opener(raw) as inner:
            yield from _unpacked(_buffered(inner), depth - 1)
    elif depth and (head.startswith(SEEKING) or head[257:262] == b"ustar"):
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
        elif head.startswith(b"ARROW1"):
            reader = pa.ipc.open_file(whole)
            for at in range(reader.num_record_batches):
                yield from _batch(reader.get_batch(at))
        elif head.startswith(b"\xff\xff\xff\xff"):
            for batch in pa.ipc.open_stream(whole):
                yield from _batch(batch)
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
    except BROKEN:
        whole.seek(0)
        yield from _blocks(whole)


def _batch(batch: pa.RecordBatch) -> Iterator[str]:
    for column in batch.columns:
        yield from _values(column)


def _blocks(raw: BinaryIO) -> Iterator[str]:
    """Blocks as they are, each with the end of the one before it, and what they say decoded. What a damaged stream
    gives before it ends.
    """
    kept = b""
    while block := _read_on(raw):
        whole = kept + block
        yield from decoded(whole)
        kept = whole[-OVERLAP:]


def _read_on(raw: Any) -> bytes:
    """The next BLOCK bytes, piece by piece: what comes before a cut or a broken byte is not lost with it."""
    held: list[bytes] = []
    left = BLOCK
    try:
        while left > 0 and (piece := raw.read1(min(left, OVERLAP))):
            held.append(piece)
            left -= len(piece)
    except CUT_SHORT:
        pass
    return b"".join(held)


def decoded(raw: bytes) -> Iterator[str]:
    """A text as it is in UTF-8 (UTF-16 where it looks like that), and where it has them without JSON's escapes (twice,
    for JSON in JSON), tags and character references, quoted-printable and base64.
    """
    text = raw.decode("utf-16-le" if raw[1:512:2].count(0) > 200 else "utf-8", "replace")
    yield text
    plain = text
    for _ in range(2):
        if "\\" not in plain:
            break
        plain = _ESCAPE.sub(_unescaped, plain)
        yield plain
    if _TAG.search(plain):
        yield html.unescape(_TAG.sub(" ", _INLINE.sub("", plain)))
    if b"=\n" in raw or b"=\r\n" in raw:
        yield quopri.decodestring(raw).decode("utf-8", "replace")
    for found in _BASE64.finditer(raw):
        packed = re.sub(rb"\s", b"", found[0])
        try:
            yield from decoded(base64.b64decode(packed[: len(packed) // 4 * 4]))
        except binascii.Error:
            continue


_ESCAPE = re.compile(r"(?:\\u[0-9a-fA-F]{4})+|\\[nrtbf\"/\\]")
_PLAIN = {"n": "\n", "r": "\r", "t": "\t", "b": " ", "f": " "}
_TAG = re.compile(r"<[/!a-zA-Z][^<>]*>")
_INLINE = re.compile(r"</?(?:a|abbr|b|em|font|i|mark|s|small|span|strong|sub|sup|u|wbr)(?:\s[^<>]*)?>", re.IGNORECASE)
_BASE64 = re.compile(rb"(?:[A-Za-z0-9+/]{60,76}\r?\n){2,}[A-Za-z0-9+/]*={0,2}")


def _unescaped(found: re.Match[str]) -> str:
    said = found[0]
    if said[1] == "u":
        units = b"".join(int(each, 16).to_bytes(2, "big") for each in said.split("\\u")[1:])
        return units.decode("utf-16-be", "replace")
    return _PLAIN.get(said[1], said[1])
