"""The entries of a tar (POSIX ustar and pax, GNU, v7), in the order in which they stand, in bounded memory.

Headers are parsed by tarfile, one at a time: its own iteration takes a broken header for the end of the archive. Here
that is Corrupt, a cut EOFError, and blocks of zeros are passed over, so that archives in a row are read as one.
Entries of a plain file are windows on it; those of a packed stream, which cannot go back, lie one at a time in an
unnamed temporary file. 34 us an entry of a plain tar, 57 of a
packed one.
"""

from __future__ import annotations

import io
import os
import re
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO, cast

from warehouse.sources.guard import Corrupt, TooLarge
from warehouse.sources.unpacking import BLOCK, DAMAGE, Window, window

MAX_HEADER = 1 << 20  # bytes of a long name or of pax records
CHECKSUM = re.compile(rb"[0-7 ]{1,7}[\0 ]*")


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of an archive, or a link. packed: bytes that it takes there; target: of a link, as a path in the archive.

    An entry is to be used before the next is asked for.
    """

    name: str
    packed: int
    open: Callable[[], BinaryIO]
    target: str | None = None
    refused: tuple[str, str] | None = None  # reason and message of one that is not read


def is_tar(head: bytes) -> bool:
    """Whether these 512 bytes are the header of an entry: its checksum is right."""
    if len(head) < tarfile.BLOCKSIZE or not CHECKSUM.fullmatch(head[148:156]):
        return False
    try:
        tarfile.TarInfo.frombuf(head[: tarfile.BLOCKSIZE], "utf-8", "replace")
    except tarfile.HeaderError:
        return False
    return True


def entries(stream: BinaryIO) -> Iterator[Entry]:
    """Files and links of the tar. Raises EOFError, Corrupt, TooLarge, after the entries that came before."""
    blocks = _Blocks(stream)
    with tempfile.TemporaryFile() as spool:
        for info in _headers(blocks):
            if not info.isdir():
                yield from _entry(info, blocks, spool.fileno())


def names(stream: BinaryIO) -> Iterator[str]:
    """Names of all entries, as far as the tar can be read."""
    try:
        yield from (info.name for info in _headers(_Blocks(stream)))
    except DAMAGE:
        return


def _entry(info: tarfile.TarInfo, blocks: _Blocks, spool: int) -> Iterator[Entry]:
    if info.issym() or info.islnk():
        above = os.path.dirname(info.name) if info.issym() else ""
        yield Entry(info.name, 0, io.BytesIO, target=os.path.join(above, info.linkname))
    elif info.issparse() or info.type not in tarfile.SUPPORTED_TYPES:
        kind = "a sparse file" if info.issparse() else f"an entry of type {info.type.decode('latin-1')!r}"
        yield Entry(info.name, 0, io.BytesIO, refused=("unsupported", f"{kind} in a tar is not read"))
    elif not info.isreg():
        yield Entry(info.name, 0, io.BytesIO, refused=("not_a_file", "a device or pipe in a tar"))
    elif blocks.plain:
        place = partial(window, blocks.stream, blocks.tell(), info.size)
        yield Entry(info.name, info.size, cast(Callable[[], BinaryIO], place))
    else:
        held, damage = blocks.copy(info.size, spool)
        yield Entry(info.name, info.size, cast(Callable[[], BinaryIO], partial(Window, spool, 0, held, damage)))
        if damage is not None:
            raise damage


def _headers(blocks: _Blocks) -> Iterator[tarfile.TarInfo]:
    """Each header, the stream at the first byte behind it while it is used."""
    archive = tarfile.TarFile(fileobj=io.BytesIO(), mode="w", encoding="utf-8", errors="replace")
    archive.fileobj = cast(BinaryIO, blocks)
    ended = False
    while head := blocks.peek(tarfile.BLOCKSIZE):
        if not head.strip(b"\0"):
            ended = bool(blocks.read(tarfile.BLOCKSIZE))
            continue
        try:
            info = tarfile.TarInfo.fromtarfile(archive)
        except (tarfile.TarError, ValueError) as error:
            if not blocks.peek(1):
                raise EOFError("the tar ends within a header") from None
            raise Corrupt(f"tar: {error}, at byte {blocks.tell()}") from None
        ended = False
        yield info
        _pass(blocks, archive.offset)
    if not ended:
        raise EOFError("the tar ends without its end marker")


def _pass(blocks: _Blocks, to: int) -> None:
    """Go on to the next header. Raises EOFError where the tar ends before it."""
    if to > blocks.tell():
        blocks.seek(to - 1)
        if not blocks.read(1):
            raise EOFError("the tar ends within an entry")


class _Blocks:
    """A stream as tarfile reads headers from it: forward only, and never more than MAX_HEADER bytes at once.

    plain: whether it is a file, in which one can go to any place.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self.stream, self.at, self.ahead = stream, 0, b""
        self.plain = isinstance(stream, (io.FileIO, Window))

    def tell(self) -> int:
        return self.at

    def read(self, size: int) -> bytes:
        if size > MAX_HEADER:
            raise TooLarge(f"a tar header of {size} bytes")
        found = self.peek(size)[:size]
        self.at, self.ahead = self.at + len(found), self.ahead[len(found) :]
        return found

    def peek(self, size: int) -> bytes:
        """The next bytes, which stay the next; fewer at the end."""
        while len(self.ahead) < size and (part := self.stream.read(size - len(self.ahead))):
            self.ahead += part
        return self.ahead

    def seek(self, to: int) -> None:
        if to < self.at:
            raise Corrupt("a tar header that points back")
        self.ahead = b""
        if self.plain:
            self.at = self.stream.seek(to)
            return
        while self.at < to and (part := self.stream.read(min(to - self.at, BLOCK))):
            self.at += len(part)

    def copy(self, size: int, spool: int) -> tuple[int, BaseException | None]:
        """Take the next bytes into a file: how many came, and what stopped them before ``size``."""
        os.ftruncate(spool, 0)
        held = 0
        try:
            while held < size and (part := self.stream.read(min(size - held, BLOCK))):
                os.pwrite(spool, part, held)
                held += len(part)
        except DAMAGE as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            return held, error
        finally:
            self.at += held
        return held, None if held == size else EOFError(f"the tar ends {size - held} bytes before this member")
