"""Records cut out of the objects of the archive: a new object in the place of the old one, which is removed.

Of JSON Lines, plain, gzip or zstd, the lines go that hold one of the texts; their line feeds stay, so every other line
keeps its number. Of a web archive the records go, of whatever type, whose target is the uri of one of the documents.
Any other object that holds one goes whole, and an empty one takes its place: the documents that it held beside stay in
the tables, their bytes are gone.
``archive/<aa>/<sha256>.redacted`` names what is in an object's place, and the archive never takes the old bytes again.
Order: the new object, the row of ``redactions``, the name, then the old object is removed; the same again completes it.
"""

from __future__ import annotations

import gzip
import io
import json
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from warehouse.contracts import content_hash
from warehouse.repository import archive, delta, writing
from warehouse.repository.storage import room
from warehouse.repository.takedown import REDACTIONS, REDACTIONS_TABLE

GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_HALF = re.compile("[\ud800-\udfff]")


Taken = tuple[str, str]
"""A document that goes, as an object holds it: its content hash and its uri."""
Kind = Literal["lines", "records", "whole"]
"""What is cut out of an object: lines of JSON Lines, records of a web archive, or all of it."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Bytes that were cut out of an object: offset and length in it, unpacked."""

    offset: int
    length: int


def cut(root: Path, sha256: str, taken: Collection[Taken], *, kind: Kind) -> tuple[str, list[Cut]]:
    """The sha256 of the object without these documents, now in the archive, and what was cut out.

    Where one of them is in no line or record of it, all goes. Raises StorageFull.
    """
    path = archive.place(root, sha256)
    found = _cuts(path, {each[WANTED[kind]] for each in taken}, kind) if kind != "whole" else []
    if not found:
        new, _ = archive.store_chunks(root, [], name="nothing")
        return new, [Cut(0, path.stat().st_size)]
    new, _ = archive.store_chunks(root, _without(path, {each.offset for each in found}, kind), name=f"{sha256} without")
    return new, found


def kind_of(uri: str, reader: str) -> Kind:
    """What can be cut out of an object as it was read; a .json file of one value is not JSON Lines."""
    if reader.startswith("jsonl/") and not re.search(r"\.json(\.\w+)?$", uri.lower()):
        return "lines"
    return "records" if reader.startswith("warc/") else "whole"


def redact(
    root: Path,
    sha256: str,
    taken: Collection[Taken],
    *,
    kind: Kind,
    takedown_id: str,
    run_id: str,
    wait_s: float,
) -> str:
    """The sha256 of what is in the place of an object since these documents were cut out of it, as ``redactions`` says.

    Raises NotFound, Busy, StorageFull.
    """
    old = archive.object_path(root, sha256).name
    if takedown_id and _is_cut(root, old, takedown_id):
        return old
    new, cuts = cut(root, old, taken, kind=kind)
    if new == old:
        return old
    said = {"old_sha256": old, "new_sha256": new, "takedown_id": takedown_id, "receipt_id": ""}
    rows = [said | {"offset": each.offset, "length": each.length} for each in cuts]
    writing.append(
        root,
        REDACTIONS_TABLE,
        [pa.RecordBatch.from_pylist(rows, schema=REDACTIONS)],
        schema=REDACTIONS,
        source="takedown",
        run_id=run_id,
        keys=("old_sha256", "offset"),
        wait_s=wait_s,
    )
    _replace(root, old, new)
    return new


def _is_cut(root: Path, sha256: str, takedown_id: str) -> bool:
    """Whether an object came of this takedown: it is not to be looked into again for what is no longer in it."""
    files = [file.path for file in delta.files(root / "repository" / REDACTIONS_TABLE)]
    tables = (pq.read_table(path, columns=["new_sha256", "takedown_id"]).to_pylist() for path in files)
    return {"new_sha256": sha256, "takedown_id": takedown_id} in (row for table in tables for row in table)


def _replace(root: Path, old: str, new: str) -> None:
    """Let ``new`` stand in the place of ``old``, whose bytes are removed."""
    place = archive.place(root, old)
    with room("a redaction", root):
        draft = place.with_suffix(".redacted.tmp")
        draft.write_text(new + "\n", "utf-8")
        draft.replace(place.with_suffix(archive.REDACTED))
    place.unlink(missing_ok=True)


def _cuts(path: Path, wanted: set[str], kind: Kind) -> list[Cut]:
    """The pieces that hold what is wanted; none unless all of it is in a piece."""
    found, met, offset = list[Cut](), set[str](), 0
    with _unpacked(path) as stream:
        for piece in PIECES[kind](stream):
            held = wanted.intersection(_hashes(piece) if kind == "lines" else _target(piece))
            if held:
                found.append(Cut(offset, len(piece) - len(_rest(piece, kind))))
                met |= held
            offset += len(piece)
    return found if met == wanted else []


def _rest(piece: bytes, kind: Kind) -> bytes:
    """What stays of a piece that is cut out: the end of a line, nothing of a record."""
    return piece[len(piece.rstrip(b"\r\n")) :] if kind == "lines" else b""


def _records(stream: BinaryIO) -> Iterator[bytes]:
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


def _target(record: bytes) -> set[str]:
    """The target of a record as its document states it; none of what is no record."""
    found = _TARGET.search(record.partition(b"\r\n\r\n")[0]) if record.startswith(b"WARC/") else None
    stated = found[1].decode("utf-8", "replace").strip() if found else ""
    bare = stated[1:-1] if stated.startswith("<") and stated.endswith(">") else stated
    return {re.sub(r"\s", "%20", bare.strip())} if bare else set()


_LENGTH = re.compile(rb"^content-length:[ \t]*(\d{1,15})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_TARGET = re.compile(rb"^warc-target-uri:([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
PIECES: dict[Kind, Callable[[BinaryIO], Iterator[bytes]]] = {"lines": iter, "records": _records}
WANTED: dict[Kind, int] = {"lines": 0, "records": 1}
"""Of Taken, by what a piece is known that holds it."""


def _hashes(line: bytes) -> Iterator[str]:
    """The content hash of every text in a line of JSON."""
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        try:
            value = json.loads(line)
        except ValueError:
            return
    yield from (content_hash(_HALF.sub("\ufffd", text)) for text in texts(value))


def texts(value: Any) -> Iterator[str]:
    """Every text in a JSON value, names left out."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for each in value.values() if isinstance(value, dict) else value:
            yield from texts(each)


def _without(path: Path, offsets: set[int], kind: Kind) -> Iterator[bytes]:
    """The object's bytes, packed as they were, without the pieces that begin at ``offsets``."""
    with path.open("rb") as raw:
        head = raw.read(4)
    kept = _kept(path, offsets, kind)
    if head.startswith(GZIP):
        return _gzipped(kept, members=kind == "records")
    return _zstandard(kept) if head.startswith(ZSTD) else kept


def _kept(path: Path, offsets: set[int], kind: Kind) -> Iterator[bytes]:
    offset = 0
    with _unpacked(path) as stream:
        for piece in PIECES[kind](stream):
            yield _rest(piece, kind) if offset in offsets else piece
            offset += len(piece)


def _gzipped(pieces: Iterator[bytes], *, members: bool) -> Iterator[bytes]:
    """Without a time in its header, so that the same again gives the same bytes; members: each piece one of its own,
    as web archives have their records.
    """
    if members:
        yield from (gzip.compress(piece, mtime=0) for piece in pieces if piece)
        return
    sink = io.BytesIO()
    with gzip.GzipFile(fileobj=sink, mode="wb", mtime=0) as packed:
        for piece in pieces:
            packed.write(piece)
            yield sink.getvalue()
            sink.seek(0)
            sink.truncate()
    yield sink.getvalue()


def _zstandard(chunks: Iterator[bytes]) -> Iterator[bytes]:
    packer = zstandard.ZstdCompressor().compressobj()
    for chunk in chunks:
        yield packer.compress(chunk)
    yield packer.flush()


def _unpacked(path: Path) -> BinaryIO:
    with path.open("rb") as raw:
        head = raw.read(4)
    if head.startswith(GZIP):
        return io.BufferedReader(gzip.GzipFile(path))
    if head.startswith(ZSTD):
        packed = path.open("rb")
        return io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True))
    return path.open("rb")
