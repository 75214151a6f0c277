"""The entries of a zip: by its directory, in order of name; where that is cut off, by their own headers.

Without its directory an entry is read as far as it goes, and its checksum is not looked at (APPNOTE.TXT 6.3.10,
4.3.7 to 4.3.9).
"""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from functools import partial
from os.path import dirname, join
from typing import BinaryIO, cast

from warehouse.sources.guard import TooLarge
from warehouse.sources.recipe import Limits
from warehouse.sources.tars import Entry
from warehouse.sources.unpacking import BLOCK, deflated, window

LOCAL = struct.Struct("<4sHHHHHIIIHH")
MAGIC = b"PK\x03\x04"
DESCRIPTORS = (16, 24, 12, 20)  # bytes of a data descriptor: with its signature or without, of 32 or 64 bits
STORED, DEFLATED = 0, 8
MAX_LINK = 1 << 12
ENCRYPTED = ("encrypted", "the zip member is encrypted")


def entries(file: BinaryIO, limits: Limits) -> Iterator[Entry]:
    """Files and links of the zip. Raises BadZipFile after those that could be found, TooLarge."""
    try:
        archive = zipfile.ZipFile(file)
    except zipfile.BadZipFile as error:
        yield from _salvaged(file)
        raise zipfile.BadZipFile(f"{error}; what could be read came from the members' own headers") from None
    with archive:
        listed = sorted((item for item in archive.infolist() if not item.is_dir()), key=lambda item: item.filename)
        if sum(item.file_size for item in listed) > limits.max_object_bytes:
            raise TooLarge(f"unpacks to more than {limits.max_object_bytes} bytes")
        for item in listed:
            yield _entry(archive, item)


def names(file: BinaryIO) -> list[str]:
    """Names of all entries; none of a zip without its directory."""
    try:
        with zipfile.ZipFile(file) as archive:
            return archive.namelist()
    except zipfile.BadZipFile:
        return []


def _entry(archive: zipfile.ZipFile, item: zipfile.ZipInfo) -> Entry:
    unpack = cast("partial[BinaryIO]", partial(archive.open, item))
    if item.flag_bits & 1:
        return Entry(item.filename, 0, unpack, refused=ENCRYPTED)
    if stat.S_ISLNK(item.external_attr >> 16):
        with archive.open(item) as link:
            target = link.read(MAX_LINK).decode("utf-8", "replace")
        return Entry(item.filename, 0, unpack, target=join(dirname(item.filename), target))
    return Entry(item.filename, item.compress_size, unpack)


def _salvaged(file: BinaryIO) -> Iterator[Entry]:
    """Entries one after another, each told by its own header, until there is none."""
    size = file.seek(0, io.SEEK_END)
    place: int | None = 0
    while place is not None and (found := _header(file, place)):
        name, flags, method, start, packed = found
        known = not flags & 8 and packed < 0xFFFFFFFF
        end = start + packed if known else size
        if flags & 1:
            yield Entry(name, 0, io.BytesIO, refused=ENCRYPTED)
        elif method == DEFLATED:
            yield Entry(name, end - start, partial(_inflated, file, start, end))
        elif method == STORED and known:
            yield Entry(name, packed, cast("partial[BinaryIO]", partial(window, file, start, packed)))
        elif not name.endswith("/"):
            yield Entry(name, 0, io.BytesIO, refused=("unsupported", f"method {method} of a zip without its directory"))
        place = end if known else _behind(file, start) if method == DEFLATED else None


def _header(file: BinaryIO, place: int) -> tuple[str, int, int, int, int] | None:
    """Name, flags, method, first byte and packed size of the entry whose header stands there; None for none."""
    file.seek(place)
    head = file.read(LOCAL.size)
    if len(head) < LOCAL.size or not head.startswith(MAGIC):
        return None
    _, _, flags, method, _, _, _, packed, _, name_size, extra = LOCAL.unpack(head)
    name = file.read(name_size).decode("utf-8" if flags & 0x800 else "cp437", "replace")
    return name, flags, method, place + LOCAL.size + name_size + extra, packed


def _inflated(file: BinaryIO, start: int, end: int) -> BinaryIO:
    return cast(BinaryIO, deflated(cast(BinaryIO, window(file, start, end - start))))


def _behind(file: BinaryIO, start: int) -> int | None:
    """Where the next header may stand behind deflated bytes that alone tell where they end, and their descriptor."""
    file.seek(start)
    stream, end = zlib.decompressobj(-zlib.MAX_WBITS), start
    while not stream.eof:
        packed = stream.unconsumed_tail or file.read(BLOCK)
        if not packed:
            return None
        end += 0 if stream.unconsumed_tail else len(packed)
        try:
            stream.decompress(packed, BLOCK)
        except zlib.error:
            return None
    end -= len(stream.unused_data)
    return next((place for gap in DESCRIPTORS if _header(file, place := end + gap)), None)
