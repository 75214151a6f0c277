"""A release brought here from a folder, a web server or an object store: every byte checked, and no byte fetched twice.

Each block of 1 MiB is compared with its xxh3 as it arrives and put where it belongs; each file is read back and
compared with its sha256; manifest.json comes last, so that nothing half is a release. What a kill leaves behind are
files some blocks of which are right: the next pull reads them, at the disk's speed, and fetches the others. There is
no journal that could be wrong. A block that differs is asked for once more, then the file and block are named. run.json
stays behind: no hash holds it. Needs numpy and xxhash alone; a store and a signature need their extras.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import xxhash

from warehouse.errors import Revoked, StorageFull, UsageError
from warehouse.loader.arriving import RUN_BLOCKS, Arrivals, consecutive, length
from warehouse.loader.offering import DRAFT, LOCK, MARK, Offer, as_json, offered
from warehouse.manifest import (
    BLOCK_BYTES,
    NAME,
    PART,
    REVOKED,
    FileEntry,
    check_file,
    revocation,
    taken_back,
)
from warehouse.signature import SIGNATURE

FULL = (errno.ENOSPC, errno.EDQUOT)
Lacking = tuple[FileEntry, list[int]]
"""A file that is not whole, and the numbers of its blocks that are not there or not right."""
Progress = Callable[[int, int], None]
"""Is told the bytes that came and those that had to come; from several threads, one at a time."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """A release, or a part of it, that is whole in ``path``. files, bytes: that it holds; fetched: bytes that came now;
    again: blocks that came damaged, and right when they were asked for once more, as ``file: block 3``.
    """

    path: Path
    id: str
    files: int
    bytes: int
    fetched: int
    again: tuple[str, ...] = ()


def pull(
    location: Path | str,
    to: Path | str,
    *,
    rank: int = 0,
    world: int = 1,
    splits: Sequence[str] = (),
    workers: int = 8,
    key: Path | None = None,
    headers: Mapping[str, str] | None = None,
    allow_private: bool = False,
    progress: Progress | None = None,
) -> Pulled:
    """Bring a release into the folder ``to``, or the rest of it where a pull was cut short; see ``find`` for location.

    rank, world: of each split only the rank-th of ``world`` runs of whole shards, for reading them by oneself: a global
    shuffle touches all shards on every rank. splits: these alone. key: PEM of the public key that must have signed the
    manifest. headers: of requests over HTTP, to the named host alone; allow_private: follow redirects to private
    addresses too.
    Raises Revoked, with the reason, also where that happens meanwhile: what came is deleted, and a copy that was
    complete says so. IntegrityError naming file and block for what is not as recorded, or not signed. StorageFull
    before the first byte, if the disk has no room; NetworkError when the network stays dead; UsageError for a folder
    that holds anything else; NotFound.
    """
    offer = offered(
        location, rank=rank, world=world, splits=splits, key=key, headers=headers, allow_private=allow_private
    )
    return fetch(offer, Path(to), workers=workers, progress=progress)


def fetch(offer: Offer, to: Path, *, workers: int = 8, progress: Progress | None = None) -> Pulled:
    """Bring what is offered into the folder; raises as ``pull``."""
    with room(to), _alone(to) as waited:
        there = _there(offer, to)
        try:
            offer.refuse_revoked()
            entries = list(offer.wanted.files.values())
            missing = [] if there and waited else _missing(to, entries, workers)
            needed = sum(length(entry, number) for entry, wrong in missing for number in wrong)
            transfer = _Transfer(Arrivals(offer), to, missing, needed, progress)
            if missing or not there:
                _begin(offer, to, needed)
                transfer.run(workers)
                _finish(offer, to, entries, workers)
            elif offer.signed is not None:
                _write(to / SIGNATURE, offer.signed)
        except Revoked as error:
            _withdraw(offer, to, error)
            raise
        return Pulled(
            to, offer.wanted.id, len(entries), offer.size, transfer.came, tuple(sorted(transfer.arrivals.again))
        )


@contextmanager
def room(to: Path) -> Iterator[None]:
    """A block that writes there; what the disk has no room for is a StorageFull."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise StorageFull(
            f"no space left at {to}", do="free some and run it again: what came stays, and is not fetched twice"
        ) from error


@contextmanager
def _alone(to: Path) -> Iterator[bool]:
    """Hold the folder, made where it is not there; true where another process held it first."""
    try:
        to.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise UsageError(f"{to} is no folder", allowed="an empty folder, or one that is not there") from None
    with (to / LOCK).open("a") as lock:
        waited = False
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waited = True
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield waited


def _there(offer: Offer, to: Path) -> bool:
    """Whether the folder holds what is offered, as a release; false where it is empty, or where a pull of it began.

    Raises UsageError for a folder that holds anything else, Revoked for a copy that says so.
    """
    if (why := revocation(to)) is not None:
        raise taken_back(str(to), why)
    left = {path.name for path in to.iterdir()} - {LOCK, DRAFT, "lost+found"}
    mark = to / MARK
    if not left or (mark.is_file() and mark.read_bytes() == offer.mark):
        return False
    held = (to / NAME).read_bytes() if NAME in left else b""
    part = (to / PART).read_bytes() if PART in left else None
    if held != offer.raw or part != _part_bytes(offer) or MARK in left:
        came = "another release, or another part" if held or MARK in left else f"{len(left)} other files"
        raise UsageError(f"{to} holds {came}", allowed="an empty folder, or one where a pull of the same began")
    return True


def _part_bytes(offer: Offer) -> bytes | None:
    return None if offer.part is None else as_json(asdict(offer.part))


def _missing(to: Path, entries: Sequence[FileEntry], workers: int) -> list[Lacking]:
    """The files that are not whole, each with the numbers of the blocks that are not there or not right."""
    with ThreadPoolExecutor(workers) as pool:
        found = pool.map(lambda entry: _wrong_blocks(to / entry.path, entry), entries)
        return [(entry, wrong) for entry, wrong in zip(entries, found, strict=True) if wrong is not None]


def _wrong_blocks(path: Path, entry: FileEntry) -> list[int] | None:
    """Numbers of the blocks of a file that differ from what was recorded; None where the file is whole."""
    try:
        with path.open("rb") as stream:
            wrong = [
                number
                for number, recorded in enumerate(entry.blocks)
                if xxhash.xxh3_64_hexdigest(stream.read(length(entry, number))) != recorded
            ]
            return None if not wrong and os.fstat(stream.fileno()).st_size == entry.bytes else wrong
    except FileNotFoundError:
        return list(range(len(entry.blocks)))


def _begin(offer: Offer, to: Path, needed: int) -> None:
    """Mark the folder as one where this pull began, no release any more. Raises StorageFull where it has no room."""
    free = shutil.disk_usage(to).free
    if needed + len(offer.raw) > free:
        raise StorageFull(
            f"{to} has room for {free:,} bytes, and {needed + len(offer.raw):,} are to come",
            do="free some space, or pull to another disk; nothing was fetched",
            free=free,
            needed=needed,
        )
    _write(to / MARK, offer.mark)
    for name in (NAME, PART, SIGNATURE):
        (to / name).unlink(missing_ok=True)


def _finish(offer: Offer, to: Path, entries: Sequence[FileEntry], workers: int) -> None:
    """Compare every file with its sha256, bring all to the disk, and show the release: manifest.json is the last."""
    with ThreadPoolExecutor(workers) as pool:
        for _ in pool.map(lambda entry: _settled(to, entry), entries):
            pass
    offer.refuse_revoked()
    beside = {PART: _part_bytes(offer), SIGNATURE: offer.signed, NAME: offer.raw}
    for folder in {to, *((to / entry.path).parent for entry in entries)}:
        _sync(folder)
    for name, content in beside.items():
        if content is not None:
            _write(to / name, content)
    (to / MARK).unlink()


def _settled(to: Path, entry: FileEntry) -> None:
    _sync(to / entry.path)
    check_file(to, entry)


def _write(path: Path, content: bytes) -> None:
    """The file with this content, whole and on the disk, or as it was."""
    draft = path.with_name(DRAFT)
    draft.write_bytes(content)
    _sync(draft)
    os.replace(draft, path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _withdraw(offer: Offer, to: Path, error: Revoked) -> None:
    """Of a release that was taken back: have a complete copy say so, and delete what came of another."""
    if (to / NAME).is_file():
        _write(to / REVOKED, as_json({"why": error.values["why"]}))
        return
    if (to / MARK).is_file():
        for path in offer.wanted.files:
            (to / path).unlink(missing_ok=True)
        (to / MARK).unlink()


@dataclass(slots=True)
class _Transfer:
    """The blocks of ``missing``, ``needed`` bytes, on their way. came: bytes of them so far."""

    arrivals: Arrivals
    to: Path
    missing: Sequence[Lacking]
    needed: int
    progress: Progress | None
    came: int = 0
    turn: threading.Lock = field(default_factory=threading.Lock)

    def run(self, workers: int) -> None:
        """Bring them, ``workers`` requests at once; the first error ends all."""
        for entry, _ in self.missing:
            path = self.to / entry.path
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab"):
                os.truncate(path, entry.bytes)
        with ThreadPoolExecutor(workers) as pool:
            try:
                for done in as_completed([pool.submit(self._brought, *run) for run in self._runs()]):
                    done.result()
            except BaseException:
                self.arrivals.stop.set()
                pool.shutdown(cancel_futures=True)
                raise

    def _runs(self) -> Iterator[tuple[FileEntry, int, int]]:
        """A file, its first block and the one after the last, of each request."""
        for entry, wrong in self.missing:
            if not self.arrivals.offer.origin.ranged and wrong:
                yield entry, wrong[0], wrong[-1] + 1
                continue
            for first, last in consecutive(wrong):
                for at in range(first, last, RUN_BLOCKS):
                    yield entry, at, min(at + RUN_BLOCKS, last)

    def _brought(self, entry: FileEntry, at: int, last: int) -> None:
        try:
            self._bring(entry, at, last)
        except BaseException:
            self.arrivals.stop.set()
            raise

    def _bring(self, entry: FileEntry, at: int, last: int) -> None:
        """Blocks at to last - 1 of a file, each put where it belongs."""
        with (self.to / entry.path).open("r+b", buffering=0) as target:
            for number, block in enumerate(self.arrivals.blocks(entry, at, last), at):
                os.pwrite(target.fileno(), block, number * BLOCK_BYTES)
                self._say(len(block))

    def _say(self, came: int) -> None:
        with self.turn:
            self.came += came
            if self.progress is not None:
                self.progress(self.came, self.needed)
