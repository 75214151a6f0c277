"""WebDataset: tars whose consecutive members of one stem are a sample, in the order of the files' names.

A sample is a dictionary of ``__key__``, the stem, and of what each member holds under its extension, which begins at
the first dot of its name, in lower case; names without one, folders, links and members called ``__...__`` are passed
over (webdataset/tariterators.py). Its last part says how it is read: txt as text, json, npy as an array, cls as a whole
number; anything else, images and pickles among them, stays bytes. Headers are ustar, PAX (path and size) or GNU's long
names (POSIX.1, pax), each compared with its checksum.

Opening walks over all headers, some 7 us of CPU a member; 8 bytes a sample are held. The format has no hashes. A tar
without an end is refused: it may have been cut off. So are compressed ones, in which nothing can be found at random.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt

from warehouse.errors import FormatError, NotFound
from warehouse.loader.foreign import values
from warehouse.loader.foreign.places import SPLIT, Bytes, Location, identity, mapped, unsound
from warehouse.loader.foreign.samples import UNDECODED, FirstTouch, Opened, Record, ShardRecords, Value

BLOCK = 512
SUM = slice(148, 156)
"""Of a header: where its checksum stands, which counts as spaces in itself."""

STEM = re.compile(r"((?:.*/|)[^.]+)[.]([^/]*)", re.DOTALL)
PASSED = re.compile(r"__[^/]*__($|/)")
BRACES = re.compile(r"\{(\d+)\.\.(\d+)\}")

DECODES: dict[str, Callable[[Bytes], Value]] = {
    "txt": values.text,
    "json": values.json_value,
    "npy": values.npy,
    "cls": lambda data: int(values.text(data)),
}
KEY = "__key__"


@dataclass(frozen=True, slots=True)
class Member:
    """A file in a tar: where its first header stands, its name and its bytes."""

    begin: int
    name: str
    first: int
    last: int


def open_webdataset(location: Location, split: str, *, checked: bool) -> Opened:
    """The data set; checksums of headers are always compared, so ``checked`` changes nothing."""
    paths = _tars(location, split)
    raws = [mapped(path.parent, path.name) for path in paths]
    starts = [_starts(path, raw) for path, raw in zip(paths, raws, strict=True)]

    def record(at: int, place: int) -> Record:
        return _record(raws[at], int(starts[at][place]), int(starts[at][place + 1]))

    sizes = [len(each) - 1 for each in starts]
    if not sum(sizes):
        raise unsound(location.path, "holds no sample")
    at = next(at for at, size in enumerate(sizes) if size)
    members = _members(raws[at], int(starts[at][0]), int(starts[at][1]))
    extensions = ", ".join(named[1] for member in members if (named := _named(member.name)))
    touch = FirstTouch(len(paths), lambda _: None)
    return Opened(
        location,
        identity(
            "webdataset",
            chain.from_iterable(
                zip([path.name.encode() for path in paths], [each.data for each in starts], strict=True)
            ),
        ),
        f"members ({extensions})",
        ShardRecords([str(path) for path in paths], sizes, record, touch),
        None,
    )


def _tars(location: Location, split: str) -> list[Path]:
    """The files: of a folder those that begin with the split's name, else all; of ``{000..012}`` each number."""
    path = location.path
    if path.is_dir():
        found = sorted(path.glob(f"{split}-*.tar")) or (sorted(path.glob("*.tar")) if split == SPLIT else [])
    elif split == SPLIT:
        found = [Path(name) for name in _spread(str(path))]
    else:
        found = []
    if not found:
        raise NotFound(
            f"no tar of split {split!r} in {path}", do="name a folder of .tar files, one, or a-{000..012}.tar"
        )
    return found


def _spread(name: str) -> list[str]:
    braces = BRACES.search(name)
    if braces is None:
        return [name]
    first, last = braces.groups()
    numbers = range(int(first), min(int(last), int(first) + 10**6) + 1)
    spread = (f"{name[: braces.start()]}{number:0{len(first)}d}{name[braces.end() :]}" for number in numbers)
    return [each for part in spread for each in _spread(part)]


def _starts(path: Path, raw: Bytes) -> npt.NDArray[np.int64]:
    """Where each sample begins, and where the last one ends. Raises IntegrityError for what is no whole tar."""
    if raw[:2].tobytes() == b"\x1f\x8b" or raw[:4].tobytes() == b"\x28\xb5\x2f\xfd":
        raise FormatError(f"{path} is compressed", allowed="tars as they are", do="unpack it")
    starts, stem, seen, end = [], "", set[str](), 0
    try:
        for member in _members(raw, 0, raw.size):
            split = _named(member.name)
            if split is not None and split[0] != stem:
                starts.append(member.begin)
                stem, seen = split[0], set()
            if split is not None and split[1] in seen:
                raise ValueError(f"two members {member.name!r:.80} in a sample")
            seen.update(split[1:] if split else ())
            end = member.last
    except UNDECODED as error:
        raise unsound(path, str(error)) from None
    return np.array([*starts, end], np.int64)


def _named(name: str) -> tuple[str, str] | None:
    """Stem and extension of a member that is part of a sample."""
    found = None if PASSED.match(name) else STEM.fullmatch(name)
    return (found[1], found[2].lower()) if found else None


def _record(raw: Bytes, first: int, last: int) -> Record:
    found: Record = {}
    for member in _members(raw, first, last):
        if (split := _named(member.name)) is not None:
            found[KEY] = split[0]
            decode = DECODES.get(split[1].rpartition(".")[2], values.raw)
            found[split[1]] = decode(raw[member.first : member.last])
    return found


def _members(raw: Bytes, at: int, end: int) -> Iterator[Member]:
    """The files from a header on, up to ``end``; of a whole tar up to its end, which must be there."""
    begin, path, size = at, None, None
    while at < end:
        header = raw[at : at + BLOCK].tobytes()
        if not any(header) and len(header) == BLOCK:
            return
        own, kind = _header(header, at)
        data, length = at + BLOCK, own if size is None or kind in b"xgLK" else size
        if not 0 <= length <= raw.size - data or kind == b"S":
            raise ValueError(f"a member of {length} bytes at byte {at}, cut off or sparse")
        if kind == b"x":
            path, size = _extended(raw[data : data + length].tobytes(), path, size)
        elif kind == b"L":
            path = raw[data : data + length].tobytes().rstrip(b"\0").decode("utf-8")
        elif kind not in b"gK":
            if kind in b"0\x007":
                yield Member(begin, path if path is not None else _name(header), data, data + length)
            path, size = None, None
        at = data + length + -length % BLOCK
        begin = begin if kind in b"xgLK" else at
    if end == raw.size:
        raise ValueError("no end: it was cut off" if end else "an empty file")


def _header(header: bytes, at: int) -> tuple[int, bytes]:
    """Size and kind of a member."""
    stated = header[SUM].rstrip(b"\0 ").lstrip(b" ")
    if len(header) < BLOCK or int(stated or b"0", 8) != sum(header) - sum(header[SUM]) + 8 * ord(" "):
        raise ValueError(f"no header of a tar at byte {at}")
    size = header[124:136]
    big = size[0] & 0x80
    return int.from_bytes(size[1:], "big") if big else int(size.rstrip(b"\0 ") or b"0", 8), header[156:157]


def _name(header: bytes) -> str:
    name, prefix = header[:100].partition(b"\0")[0], header[345:500].partition(b"\0")[0]
    ustar = header[257:263] == b"ustar\0" and prefix
    return (prefix + b"/" + name if ustar else name).decode("utf-8")


def _extended(content: bytes, path: str | None, size: int | None) -> tuple[str | None, int | None]:
    """Path and size that a PAX header gives to the member after it: records ``<length> <key>=<value>\\n``."""
    while content:
        length = int(content[: content.index(b" ")])
        key, _, value = content[content.index(b" ") + 1 : length - 1].partition(b"=")
        if not 0 < length <= len(content):
            raise ValueError(f"a PAX record of {length} bytes")
        path = value.decode("utf-8") if key == b"path" else path
        size = int(value) if key == b"size" else size
        content = content[length:]
    return path, size
