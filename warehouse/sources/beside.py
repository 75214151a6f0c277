"""The files around an object, or around a member of a zip: what says how to read it lies beside it.

A template of Data Commons or a data package is an object of its own and part of how its CSV is read, so the reader's
name (``reading.reader_id``) has a digest of it: where it changes, the CSV is read again.
"""

from __future__ import annotations

import hashlib
import posixpath
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from warehouse.sources import zips
from warehouse.sources.unpacking import Bounded, Budget, Meter

BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Beside:
    """Files by their path relative to the folder of an object or member, such as ``config.json`` or ``../x.json``.

    has: whether there is one; names: of those in the folder itself, sorted; open: its bytes, as they lie there.
    """

    has: Callable[[str], bool]
    names: Callable[[], list[str]]
    open: Callable[[str], BinaryIO]

    def read(self, name: str, *, most: int) -> bytes | None:
        """The bytes of a file; None where it has more than ``most``."""
        with self.open(name) as stream:
            data = stream.read(most + 1)
        return data if len(data) <= most else None

    def digest(self, names: Iterable[str]) -> str:
        """12 hexadecimal digits of the names and bytes of some files."""
        state = hashlib.sha256()
        for name in names:
            inner = hashlib.sha256()
            with self.open(name) as stream:
                while block := stream.read(BLOCK):
                    inner.update(block)
            state.update(name.encode("utf-8", "surrogateescape") + b"\0" + inner.digest())
        return state.hexdigest()[:12]


def around(path: Path) -> Beside:
    """The files in the folder of a file."""
    folder = path.parent
    return Beside(
        lambda name: (folder / name).is_file(),
        lambda: sorted(each.name for each in folder.iterdir() if each.is_file()),
        lambda name: (folder / name).open("rb"),
    )


def inside(file: BinaryIO, member: str, budget: Budget) -> Beside:
    """The members in the folder of one, of the zip that a file is."""
    folder = posixpath.dirname(member)

    def whole(name: str) -> str:
        return posixpath.normpath(posixpath.join(folder, name))

    def listed() -> list[str]:
        return sorted(posixpath.basename(each) for each in zips.names(file) if posixpath.dirname(each) == folder)

    def opened(name: str) -> BinaryIO:
        archive = zipfile.ZipFile(file)
        entry = archive.getinfo(whole(name))
        return cast(BinaryIO, Bounded(cast(BinaryIO, archive.open(entry)), entry.compress_size, Meter(budget)))

    return Beside(lambda name: whole(name) in zips.names(file), lambda: [name for name in listed() if name], opened)
