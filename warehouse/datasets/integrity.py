"""Whether a release is what it says: every hash, or made or selected again and compared byte for byte."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from warehouse import mirror, signature
from warehouse.contracts import Snapshot
from warehouse.datasets import shelf
from warehouse.datasets.chat_shards import CONVERSATION
from warehouse.datasets.kinds import load_tokens
from warehouse.datasets.rendering import DOCUMENTS, Progress, render
from warehouse.datasets.row_shards import read_rows
from warehouse.datasets.selection import frozen_schema
from warehouse.datasets.table_recipe import load_table_recipe
from warehouse.datasets.tables import attached_of, render_table
from warehouse.errors import IntegrityError, NotFound
from warehouse.manifest import (
    BLOCK_BYTES,
    CARDS,
    NAME,
    AnyManifest,
    FileEntry,
    TableManifest,
    check_file,
    hash_file,
    read_any,
    refuse_part,
)


@dataclass(frozen=True, slots=True)
class Verified:
    """A release that is sound: its id, and how many files, blocks of 1 MiB and bytes were compared."""

    path: Path
    id: str
    files: int
    blocks: int
    bytes: int


def verify(path: Path, *, key: Path | None = None) -> Verified:
    """Check every hash of the release, and with a PEM file's public key that its owner signed it.

    Raises IntegrityError naming the file, block and byte range that differ; for a missing or wrong signature too.
    """
    manifest = read_any(path)
    if key is not None:
        signed = mirror.fetch(path / signature.SIGNATURE)
        found = signed.read_bytes() if signed.is_file() else None
        signature.check((path / NAME).read_bytes(), found, key, where=str(path / NAME))
    for entry in manifest.files.values():
        check_file(path, entry)
    return _verified(path, manifest.id, list(manifest.files.values()))


def rebuild(
    path: Path,
    documents: Snapshot | None = None,
    *,
    processes: int = 1,
    batch_rows: int = 4096,
    scratch: Path | None = None,
    progress: Progress | None = None,
) -> Verified:
    """Make the release again from its frozen rows, recipe/ and the stored texts, and compare each byte.

    documents: any version of the table that still has the texts (rows and conversations need none); scratch: room for a
    second copy (default: the system's temporary folder). Raises IntegrityError naming the first byte that differs,
    NotFound for missing texts, StorageFull.
    """
    refuse_part(path)
    manifest = read_any(path)
    with (
        shelf.room(scratch or Path(tempfile.gettempdir())),
        tempfile.TemporaryDirectory(prefix="rebuild-", dir=scratch) as folder,
    ):
        if isinstance(manifest, TableManifest):
            _render_rows(path, manifest, Path(folder))
        else:
            _render_tokens(path, documents, Path(folder), processes=processes, batch_rows=batch_rows, progress=progress)
        return _same(path, Path(folder), manifest)


def verify_same(path: Path, again: Path) -> Verified:
    """Compare a release with one that was selected again by the same recipe, each byte of what its id covers.

    Raises IntegrityError that says what is selected otherwise, or names the first byte that differs.
    """
    manifest = read_any(path)
    held, came = _selected(path, manifest), _selected(again, read_any(again))
    if held != came:
        more, fewer = sorted(came - held), sorted(held - came)
        raise IntegrityError(
            f"the select gives {len(more):,} more and {len(fewer):,} fewer than were released, "
            f"such as {', '.join([*more, *fewer][:3])}",
            allowed="the same selection",
            do="look whether it depends on chance or the day (random(), now(), LIMIT without ORDER BY), "
            "or whether the code changed since (manifest.json, code)",
        )
    return _same(path, again, manifest)


def _selected(path: Path, manifest: AnyManifest) -> set[str]:
    """Names of all documents or conversations, or keys of all rows."""
    if not isinstance(manifest, TableManifest):
        return set(pq.read_table(path / DOCUMENTS, columns=["doc_id"])["doc_id"].to_pylist())
    keys = read_rows(path, manifest).select(list(manifest.key)).to_pylist()
    return {" ".join(map(str, key.values())) for key in keys}


def _same(path: Path, folder: Path, manifest: AnyManifest) -> Verified:
    content = [entry for entry in manifest.files.values() if entry.path not in CARDS]
    for entry in content:
        _compare(path, folder, entry)
    return _verified(path, manifest.id, content)


def _render_tokens(
    path: Path, documents: Snapshot | None, folder: Path, *, processes: int, batch_rows: int, progress: Progress | None
) -> None:
    recipe = load_tokens(path / "recipe" / "recipe.yaml")
    if documents is None and not recipe.chat:
        raise NotFound(f"{path} holds tokens, and no documents to make them from", do="run the sources that it is of")
    there = pq.read_schema(path / DOCUMENTS).names  # no masked before there were masks
    names = [name for name in (*frozen_schema(there).names, *CONVERSATION) if name in there]
    frozen = pq.read_table(path / DOCUMENTS, columns=names)
    render(recipe, frozen, documents, folder=folder, processes=processes, batch_rows=batch_rows, progress=progress)


def _render_rows(path: Path, manifest: TableManifest, folder: Path) -> None:
    recipe = load_table_recipe(path / "recipe" / "recipe.yaml")
    render_table(recipe, read_rows(path, manifest), folder=folder, attached=attached_of(path))


def _verified(path: Path, identity: str, files: list[FileEntry]) -> Verified:
    blocks = sum(len(entry.blocks) for entry in files)
    return Verified(path, identity, len(files), blocks, sum(entry.bytes for entry in files))


def _compare(path: Path, folder: Path, entry: FileEntry) -> None:
    if not (folder / entry.path).is_file():
        raise IntegrityError(f"{entry.path} is not made again", allowed="the same files", path=entry.path)
    again = hash_file(folder, entry.path)
    if again.sha256 == entry.sha256:
        return
    at = _first_difference(path / entry.path, folder / entry.path)
    raise IntegrityError(
        f"{entry.path} comes out differently from byte {at} (block {at // BLOCK_BYTES}) on: "
        f"{entry.bytes} bytes released, {again.bytes} made again",
        allowed="the same bytes",
        do="look whether code or tokenizers changed since (manifest.json, code)",
        path=entry.path,
        byte=at,
    )


def _first_difference(left: Path, right: Path) -> int:
    """The first byte at which two files differ; the shorter one's length if it is the other's beginning."""
    at = 0
    with left.open("rb") as one, right.open("rb") as two:
        while True:
            first, second = one.read(BLOCK_BYTES), two.read(BLOCK_BYTES)
            size = min(len(first), len(second))
            differ = np.flatnonzero(np.frombuffer(first[:size], np.uint8) != np.frombuffer(second[:size], np.uint8))
            if differ.size:
                return at + int(differ[0])
            at += size
            if len(first) != len(second) or not first:
                return at
