"""An object without some of its records: what is left keeps its bytes, or its values, and is read again as a proof.

Cut are lines of JSON Lines (their line feeds stay), rows of CSV, JSON values and elements of an array, messages of an
mbox, records of a WARC, rows of Parquet and Arrow IPC; of a zip or tar the members that are one document go, others are
cut themselves; what a stream is packed in is put around it again. A record is found by its number, by the content
hash of one of its texts, in a WARC by its target. Then the new object is read: no wanted content may come out of it,
and every other document and as many rows as before must.

All of an object goes, with a word for why, where it is one document (``single``), nothing else is in it (``every``),
its layout is not written again here: ARC, UTF-16, Data Commons, names that stand twice in an archive (``format``), it
is damaged (``damaged``), or the new object gave other records than it should (``unverified``).
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import re
import shutil
import tarfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from copy import copy
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO, cast

import lz4.frame
import orjson
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import zstandard

from warehouse.contracts import Cut, Cutting, Readings, Wanted, content_hash
from warehouse.sources import arrow, jsonl, mail, tars
from warehouse.sources.containers import HEAD, MAX_DEPTH, ZIP, Member, is_zip_name, leads_out
from warehouse.sources.csv_rows import stated_names
from warehouse.sources.dialects import SAMPLE_CHARS, found
from warehouse.sources.guard import guarded
from warehouse.sources.json_values import Utf8, values
from warehouse.sources.locate import Located
from warehouse.sources.names import Names
from warehouse.sources.reading import READERS, read, reader_of
from warehouse.sources.recipe import Source, file_name, is_bookkeeping
from warehouse.sources.records import Documents
from warehouse.sources.text_lines import Lines, charset_of
from warehouse.sources.unpacking import BLOCK, DAMAGE, Bounded, Budget, Meter, Wrapper, stripped, wrapper_of

BROKEN = (*DAMAGE, ValueError, csv.Error, tarfile.TarError, pa.ArrowException, NotImplementedError, RuntimeError)
"""What a library raises over bytes that it cannot read or write again, zipfile RuntimeError and NotImplementedError:
such an object goes whole.
"""
ZSTD_LEVEL = 3


class Whole(Exception):
    """Why all of an object, or of the object that a member is of, goes."""


@dataclass(frozen=True, slots=True)
class _Left:
    """What is left of a member: a file, None where it goes; cuts in order; renumbered as in Cutting."""

    path: Path | None
    cuts: tuple[Cut, ...]
    renumbered: bool = False


@dataclass(frozen=True, slots=True)
class _Hits:
    """The records of a member that are wanted: their numbers, and what their texts and targets are known by."""

    numbers: frozenset[str]
    wanted: Wanted

    def texts(self, found: Iterable[str]) -> bool:
        """Whether one of the texts is wanted."""
        return bool(self.wanted.contents) and any(content_hash(text) in self.wanted.contents for text in found)


@dataclass(slots=True)
class _Work:
    """One object that is being cut: how it is read, what is wanted, where new files go."""

    source: Source
    located: Located
    wanted: Wanted
    folder: Path
    budget: Budget
    made: Iterator[int] = field(default_factory=count)

    def file(self) -> Path:
        """A new file's path."""
        return self.folder / str(next(self.made))

    def hits(self, member: Member) -> _Hits:
        """What is wanted of a member: a row's name begins with the member's prefix."""
        own = {record for uri, record in self.wanted.records if uri == member.uri and "!" not in record}
        object_uri, prefix = self.located.uri, member.prefix
        of_rows = {
            record.removeprefix(prefix)
            for uri, record in self.wanted.records
            if uri == object_uri and prefix and record.startswith(prefix)
        }
        return _Hits(frozenset(own | of_rows), self.wanted)


def cut(source: Source, located: Located, path: Path, wanted: Wanted, folder: Path) -> Cutting:
    """The object at ``path``, ``located.uri`` of its source, without what is wanted; new files lie in ``folder``."""
    size = path.stat().st_size
    stated = frozenset(uri for uri in wanted.uris if uri != located.uri and not uri.startswith(f"{located.uri}!/"))
    wanted = replace(wanted, uris=stated)
    work = _Work(source, located, wanted, folder, Budget(size, source.limits))
    all_of_it = (Cut("", 0, size),)
    try:
        whole = Member(located.uri, file_name(located.uri), lambda: path.open("rb", buffering=0))
        left = _cut(work, whole, "", 0)
        if left is None:
            raise Whole("unverified")
        if left.path is None:
            return Cutting(None, all_of_it, "single" if len(left.cuts) <= 1 else "every")
        if not _as_it_should_be(work, path, left):
            raise Whole("unverified")
    except Whole as reason:
        return Cutting(None, all_of_it, str(reason))
    except BROKEN as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        return Cutting(None, all_of_it, "damaged")
    return Cutting(left.path, left.cuts, "cut", left.renumbered)


def _as_it_should_be(work: _Work, old: Path, left: _Left) -> bool:
    """Whether the new object gives none of what is wanted, and all else that the old one gave."""
    wanted, before, after = work.wanted, _given(work, old), _given(work, cast(Path, left.path))
    if work.source.typed:
        return len(left.cuts) >= len(wanted.records) and before.rows <= after.rows + len(left.cuts)
    stay = {
        each: number
        for each, number in before.documents.items()
        if each[0] not in wanted.contents and each[1] not in wanted.uris
    }
    gone = not any(content in wanted.contents for content, _ in after.documents)
    return gone and Counter(stay) <= after.documents <= before.documents


@dataclass(slots=True)
class _Given:
    """What an object gives: documents by content hash and uri, or how many rows."""

    documents: Counter[tuple[str, str]] = field(default_factory=Counter)
    rows: int = 0


def _given(work: _Work, path: Path) -> _Given:
    given = _Given()
    for item in read(work.source, work.located, path, Names()):
        if isinstance(item, pa.RecordBatch) and work.source.typed:
            given.rows += item.num_rows
        elif isinstance(item, pa.RecordBatch):
            texts, uris = item["text"].to_pylist(), item["uri"].to_pylist()
            given.documents.update((content_hash(text), uri) for text, uri in zip(texts, uris, strict=True))
    return given


def _cut(work: _Work, member: Member, inside: str, depth: int) -> _Left | None:
    """What is left of a member; None where nothing of it is wanted. inside: its path in the object."""
    with closing(member.open()) as stream:
        head = stream.read(HEAD)
    if depth > MAX_DEPTH:
        raise Whole("format")
    if wrapper_of(head) is not None:
        return _unwrapped(work, member, head, inside, depth)
    if head.startswith(ZIP) and is_zip_name(member.name):
        return _zip(work, member, inside, depth)
    if tars.is_tar(head):
        return _tar(work, member, inside, depth)
    return _records(work, member, inside)


def _unwrapped(work: _Work, member: Member, head: bytes, inside: str, depth: int) -> _Left | None:
    wrapper = cast(Wrapper, wrapper_of(head))
    plain = work.file()
    packed = member.open()
    bounded = Bounded(wrapper.open(packed), work.budget.packed, Meter(work.budget), source=packed)
    with bounded as stream, plain.open("wb") as target:
        shutil.copyfileobj(stream, target, BLOCK)
    unpacked = replace(member, name=stripped(member.name, once=True), open=partial(_raw, plain))
    left = _cut(work, unpacked, inside, depth + 1)
    if left is None or left.path is None:
        return left
    target_path = work.file()
    with left.path.open("rb") as source, target_path.open("wb") as target:
        _pack(source, target, head, records=_starts(left.path, b"WARC/"))
    return replace(left, path=target_path)


def _raw(path: Path) -> BinaryIO:
    return cast(BinaryIO, path.open("rb", buffering=0))


def _starts(path: Path, sign: bytes) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(sign)) == sign


def _pack(source: BinaryIO, target: BinaryIO, head: bytes, *, records: bool) -> None:
    """Pack a stream as what begins with ``head`` is packed, without a time, so that the same gives the same bytes;
    records: each record of a web archive a gzip member of its own, as crawlers have them.
    """
    if head.startswith(b"\x1f\x8b") and records:
        for piece in warc_pieces(source):
            target.write(gzip.compress(piece, mtime=0))
    elif head.startswith(b"\x1f\x8b"):
        with gzip.GzipFile(fileobj=target, mode="wb", mtime=0, filename="") as packed:
            shutil.copyfileobj(source, packed, BLOCK)
    elif head.startswith(b"BZh"):
        with bz2.open(target, "wb") as packed:
            shutil.copyfileobj(source, packed, BLOCK)
    elif head.startswith(b"\xfd7zXZ"):
        with lzma.open(target, "wb") as packed:
            shutil.copyfileobj(source, packed, BLOCK)
    elif head.startswith(b"\x04\x22\x4d\x18"):
        with lz4.frame.open(target, "wb") as packed:
            shutil.copyfileobj(source, packed, BLOCK)
    else:
        zstandard.ZstdCompressor(level=ZSTD_LEVEL).copy_stream(source, target)


@dataclass(slots=True)
class _Named:
    """The entries of an archive by name, as containers number and refuse them."""

    work: _Work
    member: Member
    inside: str
    depth: int
    met: set[str] = field(default_factory=set)

    def left(self, name: str, unpack: Callable[[], BinaryIO]) -> _Left | None:
        """What is left of the entry. Raises Whole where its name stands twice."""
        path = Path(name).as_posix() if not name.endswith("/") else name
        if leads_out(name) or is_bookkeeping(path):
            return None
        if path in self.met:
            raise Whole("format")
        self.met.add(path)
        uri = f"{self.member.uri}!/{path}"
        within = Member(uri, path.rsplit("/", 1)[-1], unpack, f"{self.member.prefix}{path}!")
        return _cut(self.work, within, f"{self.inside}!/{path}".removeprefix("!/"), self.depth + 1)


def _zip(work: _Work, member: Member, inside: str, depth: int) -> _Left | None:
    """A zip with what is left of its members, each packed as it was."""
    plain, target, cuts = work.file(), work.file(), list[Cut]()
    _copy(member, plain)
    named, kept, renumbered = _Named(work, member, inside, depth), 0, False
    with zipfile.ZipFile(plain) as archive, zipfile.ZipFile(target, "w") as made:
        for info in archive.infolist():
            if info.flag_bits & 1:
                raise Whole("format")
            spool = work.file()
            with archive.open(info) as packed, spool.open("wb") as unpacked:
                shutil.copyfileobj(packed, unpacked, BLOCK)
            link = info.external_attr >> 28 == 0xA
            left = None if info.is_dir() or link else named.left(info.filename, partial(_raw, spool))
            if left is not None:
                cuts += left.cuts
                renumbered |= left.renumbered
            if left is None or left.path is not None:
                fresh = zipfile.ZipInfo(info.filename, info.date_time)
                fresh.compress_type, fresh.external_attr = info.compress_type, info.external_attr
                fresh.create_system = info.create_system
                with (left.path if left and left.path else spool).open("rb") as content, made.open(fresh, "w") as entry:
                    shutil.copyfileobj(content, entry, BLOCK)
                kept += not info.is_dir()
            spool.unlink()
    return _archived(target if kept else None, cuts, renumbered=renumbered)


def _tar(work: _Work, member: Member, inside: str, depth: int) -> _Left | None:
    """A tar with what is left of its members."""
    plain, target, cuts = work.file(), work.file(), list[Cut]()
    _copy(member, plain)
    named, kept, renumbered = _Named(work, member, inside, depth), 0, False
    with (
        tarfile.open(plain, "r:", ignore_zeros=True) as archive,
        tarfile.open(target, "w:", format=archive.format) as made,
    ):
        for info in archive:
            if info.issparse():
                raise Whole("format")
            held = archive.extractfile(info) if info.isreg() else None
            if held is None:
                made.addfile(info)
                continue
            spool = work.file()
            with held, spool.open("wb") as unpacked:
                shutil.copyfileobj(held, unpacked, BLOCK)
            left = named.left(info.name, partial(_raw, spool))
            if left is not None:
                cuts += left.cuts
                renumbered |= left.renumbered
            if left is None or left.path is not None:
                content = left.path if left and left.path else spool
                fresh = copy(info)
                fresh.size = content.stat().st_size
                with content.open("rb") as stream:
                    made.addfile(fresh, stream)
                kept += 1
            spool.unlink()
    return _archived(target if kept else None, cuts, renumbered=renumbered)


def _archived(path: Path | None, cuts: list[Cut], *, renumbered: bool) -> _Left | None:
    return _Left(path, tuple(cuts), renumbered) if cuts else None


def _buffered(member: Member) -> io.BufferedReader[Any]:
    return io.BufferedReader(cast(Any, member.open()), BLOCK)


def _copy(member: Member, path: Path) -> None:
    with closing(member.open()) as stream, path.open("wb") as target:
        shutil.copyfileobj(stream, target, BLOCK)


def _records(work: _Work, member: Member, inside: str) -> _Left | None:
    """What is left of a member that holds records, by its reader."""
    name, hits = reader_of(member, work.source), work.hits(member)
    pieces = CUT.get(name or "")
    if name in UNWRITTEN:
        raise Whole("format")
    if pieces is None:
        return _single(work, member, inside)
    target = work.file()
    kept, cuts, renumbered = pieces(work, member, hits, target)
    if not cuts:
        return None
    return _Left(target if kept else None, tuple(Cut(inside, *each) for each in cuts), renumbered)


def _single(work: _Work, member: Member, inside: str) -> _Left | None:
    """All of a member that one document is made of, or that is not cut, where it gives something that is wanted."""
    hits = work.hits(member)
    size = 0
    with closing(member.open()) as stream:
        while chunk := stream.read(BLOCK):
            size += len(chunk)
    gone = _Left(None, (Cut(inside, 0, size),))
    if hits.numbers:
        return gone
    for item in _read(work, member):
        if isinstance(item, pa.RecordBatch) and "text" in item.schema.names:
            uris = item["uri"].to_pylist() if "uri" in item.schema.names else []
            if hits.texts(text for text in item["text"].to_pylist() if text) or not hits.wanted.uris.isdisjoint(uris):
                return gone
    return None


def _read(work: _Work, member: Member) -> Readings:
    """The documents of a member alone."""
    name = reader_of(member, work.source)
    if name is None or work.source.typed:
        return iter(())
    documents = Documents(work.source, member.uri, work.located.licence, work.located.title)
    return guarded(READERS[name].documents(member, documents), uri=member.uri)


Pieces = tuple[bool, list[tuple[int, int]], bool]
"""Whether anything is kept; offset and length of what is cut out; whether what is kept is numbered otherwise."""


def _json(work: _Work, member: Member, hits: _Hits, target: Path) -> Pieces:
    with closing(member.open()) as stream:
        head = stream.read(4)
    if head[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in head:
        raise Whole("format")
    layout = jsonl.layout_of(member, max_bytes=work.source.limits.max_record_bytes)
    if layout == "lines":
        return _json_lines(member, hits, target)
    return _json_values(work, member, hits, target, array=layout == "array")


def _json_lines(member: Member, hits: _Hits, target: Path) -> Pieces:
    """Lines emptied, so that every other line keeps its number."""
    cuts, kept, offset = list[tuple[int, int]](), False, 0
    with _buffered(member) as stream, target.open("wb") as out:
        for number, line in enumerate(stream):
            end = line[len(line.rstrip(b"\r\n")) :]
            size = len(line) - len(end)
            if size and (str(number) in hits.numbers or hits.texts(json_texts(line))):
                cuts.append((offset, size))
                out.write(end)
            else:
                kept |= bool(line.strip())
                out.write(line)
            offset += len(line)
    return kept, cuts, False


def _json_values(work: _Work, member: Member, hits: _Hits, target: Path, *, array: bool) -> Pieces:
    """Values that are kept, a line each, in an array where they were in one."""
    cuts, kept = list[tuple[int, int]](), 0
    with closing(Utf8(member.open())) as stream, target.open("wb") as out:
        out.write(b"[\n" if array else b"")
        for value in values(stream, max_bytes=work.source.limits.max_record_bytes, array=array):
            if value.refused:
                raise Whole("damaged")
            if str(value.number) in hits.numbers or hits.texts(json_texts(value.raw)):
                cuts.append((value.offset, len(value.raw)))
                continue
            out.write(b",\n" if array and kept else b"")
            out.write(re.sub(rb"[\r\n]+", b" ", value.raw) + (b"" if array else b"\n"))
            kept += 1
        out.write(b"\n]\n" if array else b"")
    return bool(kept), cuts, True


_HALF = re.compile("[\ud800-\udfff]")


def json_texts(raw: bytes) -> Iterator[str]:
    """Every text in a JSON value, names left out, halves of surrogate pairs as U+FFFD; none of what is no JSON."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        try:
            value = json.loads(raw)
        except (ValueError, RecursionError):
            return
    yield from (_HALF.sub("\ufffd", text) for text in _texts(value))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)


def _csv(work: _Work, member: Member, hits: _Hits, target: Path) -> Pieces:
    """Rows with all their lines. Lines are looked at as bytes, whose ASCII is that of every charset but UTF-16."""
    source = work.source
    csv.field_size_limit(source.limits.max_record_bytes)
    with closing(member.open()) as stream:
        lines = Lines(stream, member.uri, source.dialect.encoding, source.limits.max_record_bytes)
        tabs = member.name.lower().endswith((".tsv", ".tab")) and source.dialect.delimiter is None
        dialect = replace(source.dialect, delimiter="\t") if tabs else source.dialect
        written = found(lines.sample(SAMPLE_CHARS), dialect, stated_names(source))
    with closing(member.open()) as stream:
        charset = charset_of(stream.read(BLOCK), source.dialect.encoding)
    if charset.startswith("utf-16"):
        raise Whole("format")
    cuts, kept, number, offset, held = list[tuple[int, int]](), 0, 0, 0, list[bytes]()
    header = written.header
    with _buffered(member) as stream, target.open("wb") as out:

        def texts() -> Iterator[str]:
            for line in stream:
                held.append(line)
                yield written.doubled(line.decode("latin-1"))

        for row in written.reader(texts()):
            size, named = sum(map(len, held)), header
            cells = (cell.encode("latin-1").decode(charset, "surrogateescape") for cell in row)
            if row and header:
                header = False
            elif row and (str(number) in hits.numbers or hits.texts(cells)):
                cuts.append((offset, size))
                held.clear()
            out.write(b"".join(held))
            if row and not named:
                number += 1
                kept += bool(held)
            offset += size
            held.clear()
        out.write(b"".join(held))
    return bool(kept), cuts, True


def _mail(work: _Work, member: Member, hits: _Hits, target: Path) -> Pieces:
    """Messages of an mbox with the lines that begin them; a file of one message goes."""
    cuts, kept, offset = list[tuple[int, int]](), False, 0
    wanted = hits.numbers | _numbers_of(work, member, hits)
    with target.open("wb") as out:
        for number, message in enumerate(_messages(member)):
            if str(number) in wanted:
                cuts.append((offset, len(message)))
            else:
                kept = True
                out.write(message)
            offset += len(message)
    return kept, cuts, True


def _messages(member: Member) -> Iterator[bytes]:
    """The bytes of each message, its separator among them."""
    with _buffered(member) as stream:
        many = mail.SEPARATOR.match(stream.peek(mail.MAX_SEPARATOR)[: mail.MAX_SEPARATOR].partition(b"\n")[0])
        held: list[bytes] = []
        blank = True
        while line := stream.readline(mail.MAX_LINE):
            if many and blank and held and mail.SEPARATOR.match(line[: mail.MAX_SEPARATOR]):
                yield b"".join(held)
                held = []
            held.append(line)
            blank = not line.strip()
        if held:
            yield b"".join(held)


def _numbers_of(work: _Work, member: Member, hits: _Hits) -> set[str]:
    """The records of a member whose text is wanted."""
    found: set[str] = set()
    for item in _read(work, member) if hits.wanted.contents else ():
        if isinstance(item, pa.RecordBatch):
            for text, record in zip(item["text"].to_pylist(), item["record"].to_pylist(), strict=True):
                if content_hash(text) in hits.wanted.contents:
                    found.add(record)
    return found


def _warc(work: _Work, member: Member, hits: _Hits, target: Path) -> Pieces:
    """Records, of whatever type, whose target is wanted, or the number among all records."""
    with closing(member.open()) as stream:
        if not stream.read(5).startswith(b"WARC/"):
            raise Whole("format")
    cuts, kept, offset, number = list[tuple[int, int]](), False, 0, 0
    with _buffered(member) as stream, target.open("wb") as out:
        for piece in warc_pieces(stream):
            is_record = piece.startswith(b"WARC/")
            if is_record and (str(number) in hits.numbers or _target(piece) in hits.wanted.uris):
                cuts.append((offset, len(piece)))
            else:
                kept |= is_record
                out.write(piece)
            offset += len(piece)
            number += is_record
    return kept, cuts, True


def warc_pieces(stream: BinaryIO) -> Iterator[bytes]:
    """A web archive in pieces: each record with the line feeds after it, and what is no record line by line."""
    line = stream.readline()
    while line:
        if not line.startswith(b"WARC/"):
            yield line
            line = stream.readline()
            continue
        head = [line]
        while (line := stream.readline()).strip():
            head.append(line)
        size = _LENGTH.search(b"".join(head))
        piece = [*head, line, stream.read(int(size[1])) if size else b""]
        while (line := stream.readline()) in {b"\r\n", b"\n"}:
            piece.append(line)
        yield b"".join(piece)


def _target(record: bytes) -> str | None:
    """The target of a record as its document states it."""
    found_ = _TARGET.search(record.partition(b"\r\n\r\n")[0])
    stated = found_[1].decode("utf-8", "replace").strip() if found_ else ""
    bare = stated[1:-1] if stated.startswith("<") and stated.endswith(">") else stated
    return re.sub(r"\s", "%20", bare.strip()) or None


_LENGTH = re.compile(rb"^content-length:[ \t]*(\d{1,15})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_TARGET = re.compile(rb"^warc-target-uri:([^\r\n]*)", re.IGNORECASE | re.MULTILINE)


def _parquet(work: _Work, member: Member, hits: _Hits, target: Path) -> Pieces:
    """Rows; offset and length count rows, for their bytes lie in a page of each column."""
    plain = work.file()
    _copy(member, plain)
    with pq.ParquetFile(plain) as held:
        schema, groups = held.schema_arrow, held.num_row_groups
        packing = (
            held.metadata.row_group(0).column(0).compression.lower() if groups and held.metadata.num_columns else ""
        )
        with pq.ParquetWriter(
            target, schema, compression={"uncompressed": "none", "": "none"}.get(packing, packing)
        ) as made:
            tables = (held.read_row_group(group) for group in range(groups))
            return _rows(tables, hits, lambda table: made.write_table(table, row_group_size=max(1, table.num_rows)))


def _arrow(work: _Work, member: Member, hits: _Hits, target: Path) -> Pieces:
    """Rows, as of Parquet, in the form, file or stream, that they came in."""
    plain = work.file()
    _copy(member, plain)
    as_file = _starts(plain, arrow.MAGIC)
    opened: Any = pa.ipc.open_file if as_file else pa.ipc.open_stream
    begun: Any = pa.ipc.new_file if as_file else pa.ipc.new_stream
    with pa.OSFile(str(plain)) as source, opened(source) as held, begun(str(target), held.schema) as made:
        batches = (held.get_batch(at) for at in range(held.num_record_batches)) if as_file else iter(held)
        return _rows((pa.Table.from_batches([batch]) for batch in batches), hits, made.write_table)


def _rows(tables: Iterable[pa.Table], hits: _Hits, write: Callable[[pa.Table], None]) -> Pieces:
    cuts, kept, start = list[tuple[int, int]](), False, 0
    for table in tables:
        bad = {at for at in range(table.num_rows) if str(start + at) in hits.numbers} | _rows_with(table, hits)
        cuts += [(start + at, 1) for at in sorted(bad)]
        if len(bad) < table.num_rows:
            kept = True
            write(table.filter(pa.array([at not in bad for at in range(table.num_rows)])))
        start += table.num_rows
    return kept, cuts, True


def _rows_with(table: pa.Table, hits: _Hits) -> set[int]:
    """The rows one of whose texts is wanted."""
    found_: set[int] = set()
    for column in table.columns if hits.wanted.contents else ():
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)):
            continue
        texts = column.cast(pa.large_string())
        found_.update(at for at, text in enumerate(texts.to_pylist()) if text is not None and hits.texts([text]))
    return found_


CUT: dict[str, Callable[[_Work, Member, _Hits, Path], Pieces]] = {
    "jsonl": _json,
    "csv": _csv,
    "mail": _mail,
    "warc": _warc,
    "parquet": _parquet,
    "arrow": _arrow,
}
"""Of which readers an object is cut; of any other, a member that gives what is wanted goes."""
UNWRITTEN = ("datacommons", "datapackage", "python_env")
"""Readers of objects whose records are not told apart here."""
