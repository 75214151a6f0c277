"""Records cut out of the objects of the archive: a new object in the place of the old one, which is removed.

Of JSON Lines, plain, gzip or zstd, the lines go that hold one of the texts; their line feeds stay, so every other line
keeps its number. Any other object that holds one goes whole, and an empty one takes its place: the documents that it
held beside stay in the tables, their bytes are gone.
``archive/<aa>/<sha256>.redacted`` names what is in an object's place, and the archive never takes the old bytes again.
Order: the new object, the row of ``redactions``, the name, then the old object is removed; the same again completes it.
"""

from __future__ import annotations

import gzip
import io
import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

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


@dataclass(frozen=True, slots=True)
class Cut:
    """Bytes that were cut out of an object: offset and length in it, unpacked."""

    offset: int
    length: int


def cut(root: Path, sha256: str, contents: Collection[str], *, lines: bool) -> tuple[str, list[Cut]]:
    """The sha256 of the object without these contents (content hashes), now in the archive, and what was cut out.

    lines: whether the object is JSON Lines. Where a content is in no line of it, all goes. Raises StorageFull.
    """
    path = archive.place(root, sha256)
    found = _cuts(path, contents) if lines else []
    if not found:
        new, _ = archive.store_chunks(root, [], name="nothing")
        return new, [Cut(0, path.stat().st_size)]
    new, _ = archive.store_chunks(root, _without(path, {each.offset for each in found}), name=f"{sha256} without")
    return new, found


def is_lines(uri: str, reader: str) -> bool:
    """Whether an object, as it was read, is JSON Lines, and no .json file of one value."""
    return reader.startswith("jsonl/") and not re.search(r"\.json(\.\w+)?$", uri.lower())


def redact(
    root: Path,
    sha256: str,
    contents: Collection[str],
    *,
    lines: bool,
    takedown_id: str,
    run_id: str,
    wait_s: float,
) -> str:
    """The sha256 of what is in the place of an object since these contents were cut out of it, as ``redactions`` says.

    Raises NotFound, Busy, StorageFull.
    """
    old = archive.object_path(root, sha256).name
    if takedown_id and _is_cut(root, old, takedown_id):
        return old
    new, cuts = cut(root, old, contents, lines=lines)
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


def _cuts(path: Path, contents: Collection[str]) -> list[Cut]:
    """The lines that hold one of the contents; none unless each of these is in a line."""
    found, met, offset = list[Cut](), set[str](), 0
    with _unpacked(path) as stream:
        for line in stream:
            held = {each for each in _hashes(line) if each in contents}
            if held:
                found.append(Cut(offset, len(line.rstrip(b"\r\n"))))
                met |= held
            offset += len(line)
    return found if met == set(contents) else []


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


def _without(path: Path, offsets: set[int]) -> Iterator[bytes]:
    """The object's bytes, packed as they were, without the lines that begin at ``offsets``."""
    with path.open("rb") as raw:
        head = raw.read(4)
    kept = _kept(path, offsets)
    if head.startswith(GZIP):
        return _gzipped(kept)
    return _zstandard(kept) if head.startswith(ZSTD) else kept


def _kept(path: Path, offsets: set[int]) -> Iterator[bytes]:
    offset = 0
    with _unpacked(path) as stream:
        for line in stream:
            yield line[len(line.rstrip(b"\r\n")) :] if offset in offsets else line
            offset += len(line)


def _gzipped(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Without a time in its header, so that the same again gives the same bytes."""
    sink = io.BytesIO()
    with gzip.GzipFile(fileobj=sink, mode="wb", mtime=0) as packed:
        for chunk in chunks:
            packed.write(chunk)
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
