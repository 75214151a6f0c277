"""A data root in a bucket: a local folder mirrors what was read or written of it, and the bucket is the truth.

The folder says so by its file ``.warehouse-mirror``, which holds the bucket's URL. Everything else keeps its paths: a
file that is not here is brought when it is asked for (``fetch``), one that was written goes to the bucket before
anything names it (``send``), and what was removed is removed there first (``remove``). For a folder that mirrors
nothing each of these does nothing, or what its name says to the file alone. What makes data visible is never decided
here: a commit to a Delta table is delta-rs's own on the bucket, and a pointer (``current``, ``index.json``) is
switched by a conditional PUT (``swap``). So two machines with mirrors of one bucket see the same, and a mirror may be
thrown away at any moment.
Files of one name never differ (their names hold a hash, a random id or a number that was claimed) but for pointers and
for tables whose rows were taken down, so what is here need not be compared again.
Lost: what a query reads is on the local disk first; ``tidy`` removes what was not used for longest.
"""

from __future__ import annotations

import os
import re
import shutil
import uuid
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from time import time

from warehouse import stores
from warehouse.errors import Busy
from warehouse.stores import Entry, Store

MARKER = ".warehouse-mirror"
INCOMING = ".incoming"
LOG = "_delta_log"
TAKEDOWNS = "takedowns"
"""The table whose last commit of a takedown comes when all is gone."""
RESTS_S = 3600
"""A file that was used within this time is not removed, nor is what is being fetched taken for a leftover."""
SENT_S = 60
"""A file of this machine that was written longer ago is in the bucket, unless it went there."""
STRAY_S = 86_400
SWAPS = 20
_LOGGED = re.compile(r"[0-9]{20}\.(json|checkpoint(\..*)?\.parquet)")


@dataclass(frozen=True, slots=True)
class Mirror:
    """A folder that mirrors a store."""

    root: Path
    store: Store

    def key(self, path: Path) -> str:
        """What a file or folder of the mirror is called in the bucket; the root itself is ""."""
        key = path.relative_to(self.root).as_posix()
        return "" if key == "." else key

    def download(self, entry: Entry) -> Path:
        """Bring an object: it is at its path when it is whole."""
        path = self.root / entry.key
        draft = self.root / INCOMING / uuid.uuid4().hex
        draft.parent.mkdir(parents=True, exist_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with draft.open("wb") as target:
                for chunk in self.store.chunks(entry):
                    target.write(chunk)
            os.replace(draft, path)
        finally:
            draft.unlink(missing_ok=True)
        return path

    def write(self, path: Path, content: bytes) -> None:
        """Put small content at its path, whole."""
        draft = self.root / INCOMING / uuid.uuid4().hex
        draft.parent.mkdir(parents=True, exist_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(content)
        os.replace(draft, path)


def make(root: Path, url: str) -> None:
    """Have the folder mirror the store at ``url``. Raises UsageError for what is no such URL."""
    stores.opened(url)
    root.mkdir(parents=True, exist_ok=True)
    if not (root / MARKER).exists():
        (root / MARKER).write_text(url + "\n", "utf-8")


def of(path: Path) -> Mirror | None:
    """The mirror that a path lies in, None where it lies in none."""
    for folder in (path, *path.parents):
        try:
            url = (folder / MARKER).read_text("utf-8").strip()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            continue
        settings = tuple(sorted(item for item in os.environ.items() if item[0].startswith(_SETTINGS)))
        return Mirror(folder, _opened(url, settings))
    return None


_SETTINGS = ("AWS_", "GOOGLE_", "AZURE_")


@lru_cache(16)
def _opened(url: str, _settings: tuple[tuple[str, str], ...]) -> Store:
    """The store of a URL, one for each state of the environment's settings."""
    return stores.opened(url)


def address(path: Path) -> str:
    """Where a file or folder is in truth: its URL in the bucket, or its own path."""
    mirror = of(path)
    return str(path) if mirror is None else f"{mirror.store.url}/{mirror.key(path)}".rstrip("/")


def fetch(path: Path) -> Path:
    """The path, whose bytes are here afterwards if the bucket has them."""
    if not path.exists() and (mirror := of(path)) is not None:
        entry = mirror.store.head(mirror.key(path))
        if entry is not None:
            mirror.download(entry)
    return path


def fetch_all(paths: Iterable[Path]) -> None:
    """Bring several files, side by side."""
    missing = [path for path in paths if not path.exists()]
    if missing and (mirror := of(missing[0])) is not None:
        mirror.store.each(fetch, missing)


def fetch_below(folder: Path, *, named: Collection[str] = ()) -> None:
    """Bring every file below a folder that is not here, or of these names alone."""
    if (mirror := of(folder)) is not None:
        below = mirror.store.list(mirror.key(folder))
        wanted = [each for each in below if not named or each.key.rpartition("/")[2] in named]
        mirror.store.each(mirror.download, [each for each in wanted if not (mirror.root / each.key).exists()])


def forget_below(folder: Path, pattern: str = "**/*", *, rested_s: float = 0) -> None:
    """Remove the files below a folder that are here and in the bucket no longer, and were not written just now."""
    if (mirror := of(folder)) is not None:
        held = {mirror.root / entry.key for entry in mirror.store.list(mirror.key(folder))}
        here = [path for path in folder.glob(pattern) if path.is_file() and path not in held]
        for path in here:
            if path.stat().st_mtime <= time() - rested_s:
                path.unlink(missing_ok=True)


def refresh(path: Path) -> Path:
    """The path of a small file that may change: its bytes are the bucket's afterwards, gone where it has none."""
    if (mirror := of(path)) is not None:
        found = mirror.store.get(mirror.key(path))
        if found is None:
            path.unlink(missing_ok=True)
        elif not path.exists() or path.read_bytes() != found[0]:
            mirror.write(path, found[0])
    return path


def send(path: Path, *, new: bool = False) -> bool:
    """Bring a file to the bucket. new: unless an object of that name is there, which False says; it must fit in
    memory.
    """
    mirror = of(path)
    return mirror is None or mirror.store.put(mirror.key(path), path, new=new)


def send_once(path: Path) -> None:
    """Bring a file to the bucket whose name says its content, unless it is there."""
    if (mirror := of(path)) is not None:
        there = mirror.store.head(mirror.key(path))
        if there is None or there.size != path.stat().st_size:
            mirror.store.put(mirror.key(path), path)


def send_below(folder: Path, *, to: Path, last: str) -> None:
    """Bring every file below a folder to the bucket as if it lay in ``to``, the file ``last`` after all others."""
    if (mirror := of(folder)) is not None:
        files = [path for path in folder.rglob("*") if path.is_file() and path != folder / last]

        def sent(path: Path) -> None:
            mirror.store.put(mirror.key(to / path.relative_to(folder)), path)

        mirror.store.each(sent, files)
        sent(folder / last)


def claim(path: Path) -> bool:
    """Whether a name was free in the bucket, and is ours now: an empty object. Always true of a local folder."""
    mirror = of(path)
    return mirror is None or mirror.store.put(mirror.key(path), b"", new=True)


def swap(path: Path, change: Callable[[str | None], str | None]) -> None:
    """Switch a pointer in the bucket from what it says (None: nothing) to what ``change`` makes of it (None: it stays).

    Another machine that switches it at the same time is not overwritten: its word is read, and changed. Raises Busy
    where that happens SWAPS times.
    """
    if (mirror := of(path)) is None:
        return
    for _ in range(SWAPS):
        found = mirror.store.get(mirror.key(path))
        text = change(found[0].decode() if found else None)
        if text is None:
            return
        done = mirror.store.put(mirror.key(path), text.encode(), new=not found, instead_of=found[1] if found else None)
        if done:
            return
    raise Busy(f"{mirror.store.url}/{mirror.key(path)} is being changed by other machines", do="run it again")


def replace(draft: Path, path: Path) -> None:
    """Let a whole file take the place of another, in one step."""
    os.replace(draft, path)
    send(path)


def remove(path: Path) -> None:
    """Remove a file or a folder, in the bucket first; nothing where there is none."""
    if path.is_dir() and not path.is_symlink():
        remove_below(path)
        shutil.rmtree(path)
        return
    if (mirror := of(path)) is not None:
        mirror.store.delete([mirror.key(path)])
    path.unlink(missing_ok=True)


def remove_below(folder: Path, *, but: Iterable[str] = ()) -> None:
    """Remove in the bucket every object below a folder, but those of these names in the folder itself."""
    if (mirror := of(folder)) is not None:
        kept = {mirror.key(folder / name) for name in but}
        mirror.store.delete(entry.key for entry in mirror.store.list(mirror.key(folder)) if entry.key not in kept)


def is_left(path: Path) -> bool:
    """Whether the bucket has held a file for more than STRAY_S, which whoever was to remove it did not."""
    mirror = of(path)
    entry = mirror.store.head(mirror.key(path)) if mirror else None
    return entry is not None and entry.modified < datetime.now(UTC) - timedelta(seconds=STRAY_S)


def remove_strays(folder: Path, known: Collection[str]) -> None:
    """Remove the bucket's Parquet files of a folder that are not ``known`` and older than STRAY_S: a machine that died
    before its commit left them.
    """
    if (mirror := of(folder)) is not None:
        before = datetime.now(UTC) - timedelta(seconds=STRAY_S)
        _, entries = mirror.store.children(mirror.key(folder))
        old = [entry.key for entry in entries if entry.key.endswith(".parquet") and entry.modified < before]
        mirror.store.delete(key for key in old if key.rpartition("/")[2] not in known)


def names(folder: Path) -> list[str]:
    """Names of the files and folders in a folder, sorted: of the bucket's, where it mirrors one; none where it is not
    there.
    """
    if (mirror := of(folder)) is None:
        return sorted(os.listdir(folder)) if folder.is_dir() else []
    folders, entries = mirror.store.children(mirror.key(folder))
    return sorted({*folders, *(entry.key.rpartition("/")[2] for entry in entries)})


def sizes(folder: Path) -> dict[Path, int]:
    """Bytes of the files in a folder, of those below it not."""
    if (mirror := of(folder)) is None:
        return {path: path.stat().st_size for path in folder.glob("*") if path.is_file()}
    return {mirror.root / entry.key: entry.size for entry in mirror.store.children(mirror.key(folder))[1]}


def refresh_log(table: Path, *, own: bool = False) -> None:
    """Bring the commits of a Delta table that are not here, oldest first, and its checkpoints.

    Where one of them says that rows were taken down, every file of before is another one: they go and are brought
    anew, and then, and when a takedown is done, objects and snapshots that the bucket has no longer go too. own: the
    commit is of this machine, which has changed its files already.
    """
    if (mirror := of(table)) is None:
        return
    log = table / LOG
    held = set(os.listdir(log)) if log.is_dir() else set[str]()
    newest = max((name for name in held if _LOGGED.fullmatch(name) and name.endswith(".json")), default=None)
    after = f"{mirror.key(log)}/{newest[:-4]}" if newest else None
    listed = {entry.key.rpartition("/")[2]: entry for entry in mirror.store.list(mirror.key(log), after=after)}
    missing = [entry for name, entry in listed.items() if _LOGGED.fullmatch(name) and name not in held]
    if not missing:
        return
    brought = {entry.key: b"".join(mirror.store.chunks(entry)) for entry in missing}
    taken = newest is not None and not own and any(b'"takedown"' in content for content in brought.values())
    if taken or (newest and table.name == TAKEDOWNS):
        forget_below(mirror.root / "archive", rested_s=SENT_S)
        forget_below(mirror.root / "published", "*/[0-9]*.duckdb", rested_s=SENT_S)
    if taken:
        for path in [*log.glob("*"), *table.glob("*.parquet")]:
            path.unlink(missing_ok=True)
        refresh_log(table)
        return
    for key in sorted(brought, key=lambda key: (key.endswith(".parquet"), key)):
        mirror.write(mirror.root / key, brought[key])
    if any(key.endswith(".parquet") for key in brought):
        refresh(log / "_last_checkpoint")


def tidy(root: Path, *, most_bytes: int) -> int:
    """Remove the files of a mirror that were not used for longest until it holds ``most_bytes``; the bytes freed.

    None that was used within RESTS_S, and none that the bucket does not hold.
    """
    if (mirror := of(root)) is None:
        return 0
    for left in (mirror.root / INCOMING).glob("*"):
        if _rested(left):
            left.unlink(missing_ok=True)
    files = [path for path in mirror.root.rglob("*") if path.is_file() and path.suffix != ".json"]
    held, freed = sum(path.stat().st_size for path in files), 0
    for path in sorted((path for path in files if _rested(path)), key=_used):
        if held - freed <= most_bytes:
            break
        size = path.stat().st_size
        entry = mirror.store.head(mirror.key(path))
        if entry is not None and entry.size == size:
            path.unlink(missing_ok=True)
            freed += size
    return freed


def _used(path: Path) -> float:
    with suppress(FileNotFoundError):
        found = path.stat()
        return max(found.st_atime, found.st_mtime)
    return time()


def _rested(path: Path) -> bool:
    return _used(path) < time() - RESTS_S
