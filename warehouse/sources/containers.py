"""What lies inside an object: gzip and zstd around anything, zip with many members; bounded at every step.

Containers are known by their magic bytes; a member's format by its name (``a.jsonl.gz`` is JSON Lines). A zip is
opened where its name says zip or says nothing, so that a .docx stays one object of unknown format; its hidden members
(``is_bookkeeping``) are left out, and one that holds a Delta table is a Reject. Unpacked bytes are
counted as they come out, so a bomb costs at most one block beyond the limit. zstandard's own stream reader takes a
cut frame for a whole one, hence the reader here, which feeds 2 kB at a time: a block of repeated bytes grows 32,000
times.
"""

from __future__ import annotations

import gzip
import io
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, cast

import zstandard

from warehouse.contracts import Reject
from warehouse.sources.beside import Beside, inside
from warehouse.sources.guard import TooLarge, guarded
from warehouse.sources.recipe import DELTA_LOG, Limits, file_name, is_bookkeeping

GZIP, ZSTD, ZIP = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PK\x03\x04"
WRAPPERS = (".gz", ".gzip", ".zst", ".zstd")
BLOCK = 1 << 20
FREE_BYTES = 16 << 20  # below this much output no ratio is a bomb
MAX_DEPTH = 3
DAMAGE = (EOFError, OSError, zlib.error, zstandard.ZstdError, zipfile.BadZipFile, TooLarge)


@dataclass(frozen=True, slots=True)
class Member:
    """A stream of records: an object, or one inside it. ``open`` starts it from its first byte, as often as asked.

    uri: the object's, with ``!/`` and the member's path for one inside a zip; name: without .gz and .zst, tells the
    format; prefix: of ``_record`` in typed tables, so that two members of an object never share one; beside: the files
    around it, None where it has none.
    """

    uri: str
    name: str
    open: Callable[[], BinaryIO]
    prefix: str = ""
    beside: Beside | None = None


class Bounded(io.RawIOBase):
    """An unpacked stream that raises TooLarge past its limits, and gives all that came before a cut or a bad byte."""

    def __init__(self, inner: BinaryIO, packed: int, limits: Limits, *, source: BinaryIO | None = None) -> None:
        self.inner, self.source, self.count = inner, source, 0
        self.packed, self.limits = packed, limits
        self.damage: BaseException | None = None
        self.once: Callable[[object], int] = getattr(inner, "readinto1", None) or inner.readinto  # type: ignore[attr-defined]  # every stream given here has one

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        if self.damage is not None:
            raise self.damage
        target, got = memoryview(cast(bytearray, buffer)), 0
        try:
            while got < len(target) and (size := self.once(target[got:])):
                got += size
                self.count += size
                check_ratio(self.count, self.packed, self.limits)
        except DAMAGE as error:
            self.damage = error
            if not got:
                raise
        return got

    def close(self) -> None:
        self.inner.close()
        if self.source is not None:
            self.source.close()
        super().close()


def check_ratio(unpacked: int, packed: int, limits: Limits) -> None:
    """Raises TooLarge where so many bytes out of so many are more than the limits allow."""
    allowed = min(limits.max_object_bytes, max(FREE_BYTES, packed * limits.max_ratio))
    if unpacked > allowed:
        raise TooLarge(f"unpacks to more than {allowed} bytes from {packed}")


class Unzstd(io.RawIOBase):
    """Unpacked bytes of one or more zstd frames; EOFError where the last one is cut."""

    def __init__(self, inner: BinaryIO) -> None:
        self.inner, self.ready, self.rest = inner, memoryview(b""), b""
        self.frame = zstandard.ZstdDecompressor().decompressobj()
        self.started = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        target = memoryview(cast(bytearray, buffer))
        while not self.ready and self._more():
            pass
        size = min(len(target), len(self.ready))
        target[:size] = self.ready[:size]
        self.ready = self.ready[size:]
        return size

    def _more(self) -> bool:
        """Unpack some input; False at its end."""
        packed = self.rest or self.inner.read(2048)
        self.rest = b""
        if not packed:
            if self.started:
                raise EOFError("the zstd stream ended before its end marker")
            return False
        self.started = True
        self.ready = memoryview(self.frame.decompress(packed))
        if self.frame.eof:
            self.rest, self.started = self.frame.unused_data, False
            self.frame = zstandard.ZstdDecompressor().decompressobj()
        return True

    def close(self) -> None:
        self.inner.close()
        super().close()


def members(uri: str, path: Path, *, limits: Limits, beside: Beside | None = None) -> Iterator[Member | Reject]:
    """The object itself, or what it holds, in order of name; a Reject for each part that cannot be opened."""
    whole = Member(uri, file_name(uri), lambda: path.open("rb", buffering=0), beside=beside)
    yield from guarded(_opened(whole, path.stat().st_size, limits, 0), uri=uri)


def _opened(member: Member, size: int, limits: Limits, depth: int) -> Iterator[Member | Reject]:
    with closing(member.open()) as stream:
        magic = stream.read(4)
    if magic[:2] == GZIP or magic == ZSTD:
        yield from _unwrapped(member, magic, size, limits, depth)
    elif magic == ZIP and _plain_zip(member.name):
        yield from _zip_members(member, limits, depth)
    else:
        yield replace(member, name=_stripped(member.name))


def _unwrapped(member: Member, magic: bytes, size: int, limits: Limits, depth: int) -> Iterator[Member | Reject]:
    if depth >= MAX_DEPTH:
        yield Reject(member.uri, "", "too_deep", f"more than {MAX_DEPTH} containers in each other")
        return

    def unpack() -> BinaryIO:
        packed = member.open()
        inner = gzip.GzipFile(fileobj=packed) if magic[:2] == GZIP else Unzstd(packed)
        return cast(BinaryIO, Bounded(cast(BinaryIO, inner), size, limits, source=packed))

    unpacked = replace(member, name=_stripped(member.name, once=True), open=unpack)
    yield from _opened(unpacked, size, limits, depth + 1)


def _zip_members(member: Member, limits: Limits, depth: int) -> Iterator[Member | Reject]:
    if depth >= MAX_DEPTH:
        yield Reject(member.uri, "", "too_deep", f"more than {MAX_DEPTH} containers in each other")
        return
    with seekable(member) as file, zipfile.ZipFile(file) as archive:
        entries = sorted((item for item in archive.infolist() if not item.is_dir()), key=lambda item: item.filename)
        if sum(item.file_size for item in entries) > limits.max_object_bytes:
            raise TooLarge(f"unpacks to more than {limits.max_object_bytes} bytes")
        if any(DELTA_LOG in entry.filename.split("/")[:-1] for entry in entries):
            message = "a Delta table in a zip is not read: its files hold removed rows and no partition columns"
            yield Reject(member.uri, "", "delta_table", message)
            return
        for entry in entries:
            if is_bookkeeping(entry.filename):
                continue
            yield from _zip_member(member, archive, entry, limits, depth)


def _zip_member(
    member: Member, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, limits: Limits, depth: int
) -> Iterator[Member | Reject]:
    uri = f"{member.uri}!/{entry.filename}"
    if entry.flag_bits & 1:
        yield Reject(uri, "", "encrypted", "the zip member is encrypted")
        return

    def unpack(one: zipfile.ZipInfo = entry) -> BinaryIO:
        return cast(BinaryIO, Bounded(cast(BinaryIO, archive.open(one)), one.compress_size, limits))

    around = inside(archive, entry.filename, unpack)
    found = Member(uri, Path(entry.filename).name, unpack, f"{member.prefix}{entry.filename}!", around)
    yield from guarded(_opened(found, entry.compress_size, limits, depth + 1), uri=uri)


def seekable(member: Member) -> BinaryIO:
    """The member's bytes as a file that can be sought: itself, or an unnamed temporary copy."""
    stream = member.open()
    if stream.seekable() and not isinstance(stream, Bounded):
        return stream
    copy = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    with closing(stream):
        shutil.copyfileobj(stream, copy, BLOCK)
    copy.seek(0)
    return cast(BinaryIO, copy)


def _plain_zip(name: str) -> bool:
    return Path(name).suffix.lower() in ("", ".zip") or name.lower().endswith((".zip.gz", ".zip.zst"))


def _stripped(name: str, *, once: bool = False) -> str:
    """The name without .gz and .zst; ``once`` takes one of them away."""
    while name.lower().endswith(WRAPPERS):
        name = name[: name.rindex(".")]
        if once:
            break
    return name
