"""Packed bytes as a stream of unpacked ones: gzip, bzip2, xz, zstd and LZ4, known by their magic bytes, all bounded.

Of each, several streams in a row and zero bytes between them are one; a cut stream gives what came before the cut and
then EOFError, a broken one Corrupt. Unpacked bytes are counted as they come out, so a bomb costs at most one block
beyond its limit. zstandard's own stream reader takes a cut frame for a whole one, hence the reader here, which feeds
it 2 kB at a time: a block of repeated bytes grows 32,000 times. A zstd file may begin with its dictionary (.warc.zst
of IIPC's proposal: a skippable frame of magic 5D 2A 4D 18). xz may take 512 MB for its own dictionary, no more. gzip by
zlib-ng, 370 MB of text a CPU second where zlib has 245; isal, with 470, takes some broken streams for whole ones.
"""

from __future__ import annotations

import bz2
import io
import lzma
import os
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

import lz4.frame
import zstandard
from zlib_ng import zlib_ng

from warehouse.sources.guard import Corrupt, TooLarge
from warehouse.sources.recipe import Limits

BLOCK = 1 << 20
FREE_BYTES = 16 << 20  # below this much output no ratio is a bomb
MAX_DICTIONARY = 16 << 20
XZ_MEMORY = 512 << 20
MAX_GZIP_HEADER = 1 << 18
INFLATING = cast(type[Exception], zlib_ng.error)  # which its stubs call an instance
ZSTD = b"\x28\xb5\x2f\xfd"
ZSTD_DICTIONARY = b"\x5d\x2a\x4d\x18"
SKIPPABLE = tuple(bytes([first]) + b"\x2a\x4d\x18" for first in range(0x50, 0x60))
"""How a zstd frame begins that holds no data (RFC 8878, section 3.1.2), first in files of pzstd and others."""
DAMAGE = (EOFError, OSError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, TooLarge, Corrupt)


class Budget:
    """Bytes that may still be unpacked out of one object, over all that it holds."""

    def __init__(self, packed: int, limits: Limits) -> None:
        self.packed, self.limits, self.spent = packed, limits, 0

    def take(self, size: int) -> None:
        """Raises TooLarge where the object has given too much, and each time after that."""
        self.spent += size
        check_ratio(self.spent, self.packed, self.limits)


class Meter:
    """What one member took of a budget: bytes that are unpacked again (a look at its head) count once."""

    def __init__(self, budget: Budget) -> None:
        self.budget, self.top = budget, 0

    def upto(self, count: int) -> None:
        """The member has been unpacked as far as ``count``. Raises TooLarge."""
        if count > self.top:
            fresh, self.top = count - self.top, count
            self.budget.take(fresh)


def check_ratio(unpacked: int, packed: int, limits: Limits) -> None:
    """Raises TooLarge where so many bytes out of so many are more than the limits allow."""
    allowed = allowed_bytes(packed, limits)
    if unpacked > allowed:
        raise TooLarge(f"unpacks to more than {allowed} bytes from {packed}")


def allowed_bytes(packed: int, limits: Limits) -> int:
    """How much so many bytes may unpack to."""
    return min(limits.max_object_bytes, max(FREE_BYTES, packed * limits.max_ratio))


class Bounded(io.RawIOBase):
    """An unpacked stream that raises TooLarge past its limits, and gives all that came before a cut or a bad byte."""

    def __init__(self, inner: BinaryIO, packed: int, meter: Meter, *, source: BinaryIO | None = None) -> None:
        self.inner, self.source, self.count = inner, source, 0
        self.packed, self.meter = packed, meter
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
                check_ratio(self.count, self.packed, self.meter.budget.limits)
                self.meter.upto(self.count)
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


class Window(io.RawIOBase):
    """``size`` bytes of an open file from ``start`` on, with a place of its own; ``damage`` is raised at their end.

    EOFError where the file ends before them. The file stays open.
    """

    def __init__(self, file: int, start: int, size: int, damage: BaseException | None = None) -> None:
        self.file, self.start, self.size, self.damage, self.at = file, start, size, damage, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self.at, os.SEEK_END: self.size}[whence]
        self.at = max(0, base + offset)
        return self.at

    def tell(self) -> int:
        return self.at

    def readinto(self, buffer: object) -> int:
        target = memoryview(cast(bytearray, buffer))[: max(0, self.size - self.at)]
        if not target:
            if self.damage is not None and self.at >= self.size:
                raise self.damage
            return 0
        got = os.preadv(self.file, [target], self.start + self.at)
        if not got:
            raise EOFError(f"the archive ends {self.size - self.at} bytes before this member")
        self.at += got
        return got


def window(file: BinaryIO, start: int, size: int, damage: BaseException | None = None) -> Window:
    """Bytes of an open file, or of a window on one."""
    if isinstance(file, Window):
        return Window(file.file, file.start + start, size, damage)
    return Window(file.fileno(), start, size, damage)


class _Zstd:
    """A zstd frame under the names of the standard library's decompressors."""

    def __init__(self, dictionary: zstandard.ZstdCompressionDict | None) -> None:
        self.frame = zstandard.ZstdDecompressor(dict_data=dictionary).decompressobj()
        self.needs_input = True

    def decompress(self, packed: bytes, _max: int) -> bytes:
        return self.frame.decompress(packed)

    @property
    def eof(self) -> bool:
        return bool(self.frame.eof)

    @property
    def unused_data(self) -> bytes:
        return self.frame.unused_data


class _Deflated:
    """The deflated bytes of a zip member whose end nothing else tells, under the same names."""

    def __init__(self) -> None:
        self.stream = zlib_ng.decompressobj(-zlib.MAX_WBITS)

    def decompress(self, packed: bytes, most: int) -> bytes:
        return self.stream.decompress(self.stream.unconsumed_tail + packed, most)

    @property
    def needs_input(self) -> bool:
        return not self.stream.unconsumed_tail

    @property
    def eof(self) -> bool:
        return self.stream.eof

    @property
    def unused_data(self) -> bytes:
        return self.stream.unused_data


class _Gzip:
    """A gzip member (RFC 1952) under the same names, whose bytes come out before its checksum is looked at: zlib's own
    reader gives none of a last piece that is wrong.
    """

    def __init__(self) -> None:
        self.head, self.tail, self.unused_data = b"", b"", b""
        self.stream: Any = None
        self.crc = self.size = 0
        self.eof = self.wrong = False

    @property
    def needs_input(self) -> bool:
        if self.stream is None or self.stream.eof:
            return not self.wrong
        return not self.stream.unconsumed_tail

    def decompress(self, packed: bytes, most: int) -> bytes:
        if self.wrong:
            raise zlib.error("the checksum is wrong")
        if self.stream is None:
            self.head += packed
            size = _gzip_header(self.head)
            if size is None:
                return b""
            packed, self.stream = self.head[size:], zlib_ng.decompressobj(-zlib.MAX_WBITS)
        if self.stream.eof:
            self._ends(self.tail + packed)
            return b""
        found = cast(bytes, self.stream.decompress(self.stream.unconsumed_tail + packed, most))
        self.crc, self.size = zlib_ng.crc32(found, self.crc), self.size + len(found)
        if self.stream.eof:
            self._ends(self.stream.unused_data)
        return found

    def _ends(self, tail: bytes) -> None:
        self.tail = tail
        if len(tail) >= 8:
            stated = self.crc.to_bytes(4, "little") + (self.size & 0xFFFFFFFF).to_bytes(4, "little")
            self.eof, self.wrong, self.unused_data = tail[:8] == stated, tail[:8] != stated, tail[8:]


def _gzip_header(head: bytes) -> int | None:
    """Bytes of a gzip member's header; None where more is needed. Raises zlib.error."""
    if not head.startswith(b"\x1f\x8b\x08"[: len(head)]):
        raise zlib.error("no header of a member")
    if len(head) < 10:
        return None
    flags, end = head[3], 10
    if flags & 4:
        end += 2 + int.from_bytes(head[10:12], "little")
    for flag in (8, 16):  # name and comment, each ended by a zero byte
        if flags & flag:
            found = head.find(b"\0", end)
            if found < 0:
                if len(head) > MAX_GZIP_HEADER:
                    raise zlib.error("a header without end")
                return None
            end = found + 1
    end += 2 if flags & 2 else 0
    return end if len(head) >= end else None


class Unpacked(io.RawIOBase):
    """Unpacked bytes of one or more streams of ``start``'s kind; EOFError where the last is cut, Corrupt.

    start: a decompressor as of bz2 and lzma; feed: packed bytes given to it at once; once: the first stream alone.
    """

    def __init__(
        self, inner: BinaryIO, kind: str, start: Callable[[], Any], *, feed: int = 1 << 14, once: bool = False
    ) -> None:
        self.inner, self.kind, self.start, self.feed, self.once = inner, kind, start, feed, once
        self.ready, self.rest = memoryview(b""), b""
        self.stream: Any = None
        self.over = False

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
        if self.over:
            return False
        packed = b"" if self.stream is not None and not self.stream.needs_input else self._input()
        if self.stream is None:
            if not packed:
                self.over = True
                return False
            self.stream = self.start()
        elif not packed and self.stream.needs_input:
            raise EOFError(f"the {self.kind} stream ended before its end marker")
        self._unpack(packed)
        return True

    def _input(self) -> bytes:
        """The next packed bytes; between streams without the zero bytes that pad them."""
        packed = self.rest or self.inner.read(self.feed)
        self.rest = b""
        while self.stream is None and packed and not (packed := packed.lstrip(b"\0")):
            packed = self.inner.read(self.feed)
        return packed

    def _unpack(self, packed: bytes) -> None:
        try:
            self.ready = memoryview(self.stream.decompress(packed, BLOCK))
        except (RuntimeError, OSError, lzma.LZMAError, zlib.error, INFLATING, zstandard.ZstdError) as error:
            if "Memory usage limit" in str(error):
                raise TooLarge(f"xz asks for more than {XZ_MEMORY >> 20} MB of memory") from None
            raise Corrupt(f"{self.kind}: {error}") from None
        if self.stream.eof:
            self.rest, self.stream, self.over = self.stream.unused_data or b"", None, self.once

    def close(self) -> None:
        self.inner.close()
        super().close()


@dataclass(frozen=True, slots=True)
class Wrapper:
    """A format around one stream: its first bytes, its suffixes, how to open it."""

    magic: bytes
    suffixes: tuple[str, ...]
    open: Callable[[BinaryIO], BinaryIO]


def _zstd(packed: BinaryIO) -> BinaryIO:
    head = packed.read(8)
    dictionary = None
    if head[:4] == ZSTD_DICTIONARY:
        dictionary, head = _dictionary(packed, int.from_bytes(head[4:], "little")), b""
    stream = Unpacked(packed, "zstd", lambda: _Zstd(dictionary), feed=2048)
    stream.rest = head
    return cast(BinaryIO, stream)


def _dictionary(packed: BinaryIO, size: int) -> zstandard.ZstdCompressionDict:
    """The dictionary that a file begins with, itself packed or not."""
    if size > MAX_DICTIONARY:
        raise TooLarge(f"a zstd dictionary of {size} bytes")
    raw = _exactly(packed, size)
    if raw[:4] == ZSTD:
        try:
            raw = zstandard.ZstdDecompressor().decompressobj().decompress(raw)
        except zstandard.ZstdError as error:
            raise Corrupt(f"zstd dictionary: {error}") from None
    return zstandard.ZstdCompressionDict(raw)


def _exactly(packed: BinaryIO, size: int) -> bytes:
    parts = []
    while size and (part := packed.read(size)):
        parts.append(part)
        size -= len(part)
    if size:
        raise EOFError("the file ends in its zstd dictionary")
    return b"".join(parts)


def _unpacking(kind: str, start: Callable[[], Any]) -> Callable[[BinaryIO], BinaryIO]:
    return lambda packed: cast(BinaryIO, Unpacked(packed, kind, start))


def deflated(packed: BinaryIO) -> Unpacked:
    """What a zip member of method 8 holds."""
    return Unpacked(packed, "deflate", _Deflated, once=True)


WRAPPERS = (
    Wrapper(b"\x1f\x8b", (".gz", ".gzip"), _unpacking("gzip", _Gzip)),
    Wrapper(ZSTD, (".zst", ".zstd"), _zstd),
    *(Wrapper(magic, (), _zstd) for magic in SKIPPABLE),
    Wrapper(b"\x04\x22\x4d\x18", (".lz4",), _unpacking("LZ4", lz4.frame.LZ4FrameDecompressor)),
    Wrapper(b"BZh", (".bz2",), _unpacking("bzip2", bz2.BZ2Decompressor)),
    Wrapper(b"\xfd7zXZ\0", (".xz",), _unpacking("xz", lambda: lzma.LZMADecompressor(memlimit=XZ_MEMORY))),
)
SUFFIXES = tuple(suffix for wrapper in WRAPPERS for suffix in wrapper.suffixes)
SHORT = {".tgz": ".tar.gz", ".tzst": ".tar.zst", ".tbz2": ".tar.bz2", ".tbz": ".tar.bz2", ".txz": ".tar.xz"}


def wrapper_of(head: bytes) -> Wrapper | None:
    """What these first ten bytes or more are packed in."""
    found = next((wrapper for wrapper in WRAPPERS if head.startswith(wrapper.magic)), None)
    if found is not None and found.magic == b"BZh" and head[4:10] not in (b"1AY&SY", b"\x17rE8P\x90"):
        return None
    return found


def stripped(name: str, *, once: bool = False) -> str:
    """The name without the suffixes of what is around it; ``once`` takes one of them away."""
    while True:
        suffix = os.path.splitext(name)[1].lower()
        if suffix in SHORT:
            name = name[: -len(suffix)] + SHORT[suffix]
        elif suffix not in SUFFIXES:
            return name
        name = name[: name.rindex(".")]
        if once:
            return name
