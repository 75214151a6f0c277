"""What lies inside an object: packed streams around anything, zip and tar with many members; bounded at every step.

Containers are known by their magic bytes, a tar by the checksum of its first header; a member's format by its name
(``a.jsonl.gz`` is JSON Lines). A zip is opened where its name says zip or says nothing, so that a .docx stays one
object of unknown format. Hidden members (``is_bookkeeping``) are left out, and an archive that holds a Delta table is
a Reject. Nothing is ever written under a member's name, and no link is followed: one within the archive is Dropped,
one that leads out of it a Reject, as is a member whose name does.
"""

from __future__ import annotations

import posixpath
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import BinaryIO, cast

from warehouse.contracts import Dropped, Reject
from warehouse.sources import tars, zips
from warehouse.sources.beside import Beside, inside
from warehouse.sources.guard import guarded
from warehouse.sources.recipe import DELTA_LOG, Limits, file_name, is_bookkeeping
from warehouse.sources.unpacking import BLOCK, Bounded, Budget, Meter, Wrapper, stripped, wrapper_of

ZIP = b"PK\x03\x04"
HEAD = 512
MAX_DEPTH = 5  # .tar.gz with members that are .tar.gz of .gz


@dataclass(frozen=True, slots=True)
class Member:
    """A stream of records: an object, or one inside it. ``open`` starts it from its first byte, as often as asked.

    uri: the object's, with ``!/`` and the member's path for one inside an archive; name: without .gz, .zst and their
    like, tells the format; prefix: of ``_record`` in typed tables, so that two members of an object never share one.
    A member of an archive is to be used before the next one is asked for. beside: the files around it, None where they
    are not looked at. start: the byte from which it is to be read, whose record is number ``start_record``.
    """

    uri: str
    name: str
    open: Callable[[], BinaryIO]
    prefix: str = ""
    beside: Beside | None = None
    start: int = 0
    start_record: int = 0


Inside = Iterator[Member | Reject | Dropped]


def members(uri: str, path: Path, *, limits: Limits, beside: Beside | None = None) -> Inside:
    """The object itself, or what it holds: of a zip in order of name, of a tar as it comes. A Reject for each part
    that cannot be opened, a Dropped for each link.
    """
    size = path.stat().st_size
    whole = Member(uri, file_name(uri), lambda: path.open("rb", buffering=0), beside=beside)
    yield from guarded(_opened(whole, size, Budget(size, limits), 0), uri=uri)


def _opened(member: Member, size: int, budget: Budget, depth: int) -> Inside:
    with closing(member.open()) as stream:
        head = stream.read(HEAD)
    wrapper = wrapper_of(head)
    archive = head.startswith(ZIP) and is_zip_name(member.name)
    if depth >= MAX_DEPTH and (wrapper or archive or tars.is_tar(head)):
        yield Reject(member.uri, "", "too_deep", f"more than {MAX_DEPTH} containers in each other")
    elif wrapper is not None:
        yield from _unwrapped(member, wrapper, size, budget, depth)
    elif archive:
        yield from _zip_members(member, budget, depth)
    elif tars.is_tar(head):
        yield from _tar_members(member, budget, depth)
    else:
        yield replace(member, name=stripped(member.name))


def _unwrapped(member: Member, wrapper: Wrapper, size: int, budget: Budget, depth: int) -> Inside:
    meter = Meter(budget)

    def unpack() -> BinaryIO:
        packed = member.open()
        return cast(BinaryIO, Bounded(wrapper.open(packed), size, meter, source=packed))

    unpacked = replace(member, name=stripped(member.name, once=True), open=unpack)
    yield from _opened(unpacked, size, budget, depth + 1)


def _zip_members(member: Member, budget: Budget, depth: int) -> Inside:
    with seekable(member) as file:
        if _delta(zips.names(file)):
            yield _delta_refused(member)
            return
        met: set[str] = set()
        for entry in zips.entries(file, budget.limits):
            unpack = partial(_bounded, entry, Meter(budget))
            for found in _entry(member, replace(entry, open=unpack), met, budget, depth):
                if isinstance(found, Member) and found.prefix == f"{member.prefix}{entry.name}!":
                    yield replace(found, beside=inside(file, entry.name, budget))
                else:
                    yield found


def _tar_members(member: Member, budget: Budget, depth: int) -> Inside:
    """As they come. Whether the tar holds a Delta table, which its names alone tell, is asked at the first Parquet
    file: that is a second pass.
    """
    met: set[str] = set()
    asked = False
    with closing(member.open()) as stream:
        for entry in tars.entries(stream):
            if not asked and entry.name.endswith(".parquet"):
                asked = True
                with closing(member.open()) as again:
                    if _delta(tars.names(again)):
                        yield _delta_refused(member)
                        return
            yield from _entry(member, entry, met, budget, depth)


def _bounded(entry: tars.Entry, meter: Meter) -> BinaryIO:
    return cast(BinaryIO, Bounded(entry.open(), entry.packed, meter))


def _delta(names: Iterable[str]) -> bool:
    return any(DELTA_LOG in name.split("/")[:-1] for name in names)


def _delta_refused(member: Member) -> Reject:
    message = "a Delta table in an archive is not read: its files hold removed rows and no partition columns"
    return Reject(member.uri, "", "delta_table", message)


def _entry(member: Member, entry: tars.Entry, met: set[str], budget: Budget, depth: int) -> Inside:
    """What one entry of the archive ``member`` is; met: the names of those before it."""
    budget.take(0)
    path = posixpath.normpath(entry.name)
    outside = leads_out(entry.name)
    if is_bookkeeping(path) and not outside:
        return
    name = next(each for each in _numbered(path) if each not in met)
    met.add(name)
    uri = f"{member.uri}!/{name}"
    if outside:
        yield Reject(uri, "", "name_outside", f"the name {entry.name!r} leads out of the archive")
    elif entry.target is not None and leads_out(entry.target):
        yield Reject(uri, "", "link_outside", f"a link to {entry.target!r}, out of the archive")
    elif entry.target is not None:
        yield Dropped(uri, "", "link")
    elif entry.refused is not None:
        yield Reject(uri, "", *entry.refused)
    else:
        inside = Member(uri, posixpath.basename(path), entry.open, f"{member.prefix}{name}!")
        yield from guarded(_opened(inside, entry.packed, budget, depth + 1), uri=uri)


def _numbered(path: str) -> Iterator[str]:
    """The path, and for further entries of the same name path#2 and on."""
    yield path
    yield from (f"{path}#{at}" for at in count(2))


def leads_out(path: str) -> bool:
    """Whether a path, taken from some folder, leads out of it: absolute here or on Windows, or by ``..``."""
    plain = path.replace("\\", "/")
    return plain.startswith("/") or plain[1:3] == ":/" or posixpath.normpath(plain).split("/")[0] == ".."


def seekable(member: Member) -> BinaryIO:
    """The member's bytes as a file that can be sought: itself, or an unnamed temporary copy."""
    stream = member.open()
    return stream if stream.seekable() and not isinstance(stream, Bounded) else copied(stream)


def copied(stream: BinaryIO) -> BinaryIO:
    """An unnamed temporary file of all that is left of the stream, which is closed."""
    copy = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    with closing(stream):
        shutil.copyfileobj(stream, copy, BLOCK)
    copy.seek(0)
    return cast(BinaryIO, copy)


def is_zip_name(name: str) -> bool:
    """Whether a file of this name that begins as a zip is opened."""
    return Path(stripped(name)).suffix.lower() in ("", ".zip")
