"""What a release says about itself: the values of manifest.json, and the hashes that hold its bytes to it.

Only deterministic things stand here (times and costs are in run.json), so equal recipes give equal manifests. Each file
has a sha256, for the world, and an xxh3-64 for each block of 1 MiB, so that a reader checks what it touches, at some
10 GB/s, and an error can name the block. Lost: 23 bytes of JSON a MiB of data. The release's id covers its content
files by path and sha256; ``seal`` covers every other field of the manifest. Needs the standard library, numpy and
xxhash only: a training job reads it without the stack.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xxhash

from warehouse.errors import FormatError, IntegrityError, NotFound, Revoked

SCHEMA_VERSION = 1
BLOCK_BYTES = 1 << 20
NAME = "manifest.json"
REVOKED = "revoked.json"
"""Of a release that was taken back: why and when. Only it and the manifest are left."""
PART = "part.json"
"""Beside the manifest of a copy that holds a part of the release alone: which one."""
CARDS = ("README.md", "croissant.json", "ATTRIBUTION.md")
"""What describes a release: hashed as all its files, but no part of its id, for they name it."""
OPTIONAL = ("pii", "contamination", "lines", "sources", "chat", "timing", "mixture", "licences")
NO_SOURCE = 0xFFFF
"""What stands for padding among the numbers of sources."""


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file of a release: path relative to the release, size, sha256 and the xxh3-64 of each 1 MiB block, in hex."""

    path: str
    bytes: int
    sha256: str
    blocks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shard:
    """One shard of a split; ``documents`` rows of documents.parquet from ``first_document`` on are its own.

    data: the .bin; index: the Megatron .idx; segments: the Parquet file that maps samples to documents.
    tokens counts real tokens with the end-of-text ones, not padding. sources: the number of the source of each piece,
    in the order of the index; empty in releases made before there were such files. mask: which tokens of conversations
    are learnt; empty where all are.
    """

    data: str
    index: str
    segments: str
    samples: int
    tokens: int
    first_document: int
    documents: int
    sources: str = ""
    mask: str = ""

    @property
    def loaded(self) -> tuple[str, ...]:
        """The files that a training job reads."""
        return tuple(path for path in (self.data, self.index, self.sources, self.mask) if path)


@dataclass(frozen=True, slots=True)
class Split:
    """A split: its totals (text_bytes: UTF-8 bytes of its documents, for bits per byte) and its shards in order.

    first, last: of its documents' times, ISO 8601 in UTC, where the recipe splits by time.
    """

    samples: int
    tokens: int
    documents: int
    text_bytes: int
    shards: tuple[Shard, ...]
    first: str | None = None
    last: str | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything deterministic about a release.

    id: 32 hexadecimal digits over the content files; composition: source | language | licence -> value -> documents,
    tokens, bytes; inputs: table -> version; model_fingerprints: SQL model -> hash of what it was built by; checks: how
    many expectations of which suites held; synthetic_share: of the text bytes; code: versions that decide the bytes;
    pii: spans masked by kind and the documents that held them, empty where nothing is masked; contamination: spans cut
    or dropped by benchmark, the documents and the items, empty where the recipe leaves it to its select; lines: those
    kept and dropped by rule, what they held, and the documents of which none was left, empty where all go out; sources:
    their names, each at its number in the shards' files of sources; chat: of conversations their template, what of
    them is learnt, and those that do not go out by reason, empty of documents; timing: the time that splits are cut by,
    and the dates, empty where they are shares of clusters; mixture: what was asked of each group of the first split and
    what it holds, empty where each document goes out once. documents, in all places: one that goes out twice counts
    twice.
    """

    schema_version: int
    name: str
    id: str
    dtype: str
    sequence_length: int
    packing: str
    vocab_size: int
    eos_id: int
    pad_id: int
    seed: int
    splits: Mapping[str, Split]
    documents: int
    synthetic_share: float
    composition: Mapping[str, Mapping[str, Mapping[str, int]]]
    inputs: Mapping[str, int]
    model_fingerprints: Mapping[str, str]
    checks: Mapping[str, Any]
    recipe_sha256: str
    tokenizer_sha256: str
    code: Mapping[str, str]
    files: Mapping[str, FileEntry]
    pii: Mapping[str, Any] = field(default_factory=dict)
    contamination: Mapping[str, Any] = field(default_factory=dict)
    lines: Mapping[str, Any] = field(default_factory=dict)
    sources: tuple[str, ...] = ()
    chat: Mapping[str, Any] = field(default_factory=dict)
    timing: Mapping[str, Any] = field(default_factory=dict)
    mixture: Mapping[str, Any] = field(default_factory=dict)
    seal: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table release. type: in the Parquet files, as Arrow names it; dtype: in the rows, numpy's name;
    offset: byte in the row; valid: byte in the row that is 1 for a value and 0 for null, or None where null is NaN
    (floats) or NaT (times). Of samples dtype is the encoding of MDS and offset the column's place in a sample.
    """

    name: str
    type: str
    dtype: str
    offset: int
    valid: int | None


@dataclass(frozen=True, slots=True)
class TableShard:
    """One shard of a table split: data, the .bin of fixed-width rows; parquet: the same rows, in the same order. Of
    samples data is the .mds and parquet empty.
    """

    data: str
    parquet: str
    samples: int


@dataclass(frozen=True, slots=True)
class TableSplit:
    """A split of a table release: its rows, and its shards in order. first, last: of its times, ISO 8601 in UTC."""

    samples: int
    shards: tuple[TableShard, ...]
    first: str | None = None
    last: str | None = None


@dataclass(frozen=True, slots=True)
class TableManifest:
    """Everything deterministic about a release of rows; what has a namesake in Manifest means the same.

    kind: TABLE or SAMPLES; row_bytes: width of a row of a .bin, 0 of samples; columns: in the order of the select; key:
    columns that name a row; entity: those that name what it is about; time: the column of time; split_by:
    entity | time; synthetic_share: of the rows; licences: source -> what its recipe states, of sources whose tables the
    select reads; absent where none is known.
    """

    schema_version: int
    kind: str
    name: str
    id: str
    row_bytes: int
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    entity: tuple[str, ...]
    time: str | None
    split_by: str
    seed: int
    splits: Mapping[str, TableSplit]
    synthetic_share: float
    inputs: Mapping[str, int]
    model_fingerprints: Mapping[str, str]
    checks: Mapping[str, Any]
    recipe_sha256: str
    code: Mapping[str, str]
    files: Mapping[str, FileEntry]
    licences: Mapping[str, str] = field(default_factory=dict)
    seal: str = ""

    @property
    def samples(self) -> int:
        """Rows of all splits."""
        return sum(split.samples for split in self.splits.values())


TABLE, SAMPLES = "table", "samples"
AnyManifest = Manifest | TableManifest


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a release: of each of ``splits`` the ``rank``-th of ``world`` runs of whole shards."""

    splits: tuple[str, ...]
    rank: int = 0
    world: int = 1

    def run(self, shards: int) -> slice:
        """Which of so many shards of a split are of this part; the runs' lengths differ by one at most."""
        return slice(shards * self.rank // self.world, shards * (self.rank + 1) // self.world)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of the token release in ``folder``.

    Raises NotFound where there is none, FormatError for another schema version and for a release of rows,
    IntegrityError if it was altered.
    """
    found = read_any(folder)
    if isinstance(found, TableManifest):
        raise FormatError(f"{folder} holds rows of a table, no tokens", do="read it with TableLoader")
    return found


def read_table_manifest(folder: Path) -> TableManifest:
    """The manifest of the table release in ``folder``; raises as read_manifest, FormatError for tokens and samples."""
    found = read_rows_manifest(folder)
    if found.kind == SAMPLES:
        raise FormatError(
            f"{folder} holds samples of any columns, no rows of one width",
            do="read it with RecordLoader, or with a reader of MDS, such as streaming.StreamingDataset",
        )
    return found


def read_rows_manifest(folder: Path) -> TableManifest:
    """The manifest of the release of rows or samples in ``folder``; raises as read_manifest, FormatError for tokens."""
    found = read_any(folder)
    if isinstance(found, Manifest):
        raise FormatError(f"{folder} holds tokens, no rows of a table", do="read it with Loader")
    return found


def read_any(folder: Path, *, revoked: bool = False) -> AnyManifest:
    """The manifest of the release in ``folder``, of either kind; where the folder holds a part, ``portion`` of it.

    Raises Revoked for one that was taken back, unless ``revoked``.
    """
    path = Path(folder) / NAME
    if not revoked and (why := revocation(Path(folder))) is not None:
        raise taken_back(str(folder), why)
    try:
        raw = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise NotFound(
            f"no {NAME} in {folder}", do="name the folder of a release, <datasets>/<name>/<version>"
        ) from None
    manifest, part = decode(raw, str(path)), read_part(Path(folder))
    return manifest if part is None else portion(manifest, part)


def decode(raw: bytes, where: str) -> AnyManifest:
    """The manifest that these bytes are, of either kind. where: what errors call it.

    Raises FormatError for another schema version, IntegrityError unless every byte is what was sealed and the id is
    that of the files.
    """
    try:
        values = json.loads(raw)
        stated = str(values["seal"])
        sealed = raw.replace(f'\n "seal": "{stated}"'.encode(), b'\n "seal": ""')
        if hashlib.sha256(sealed).hexdigest() != stated:
            raise _unsound(where, "was altered: its seal differs")
        if values["schema_version"] != SCHEMA_VERSION:
            raise FormatError(
                f"{where} has schema version {values['schema_version']!r}",
                allowed=str(SCHEMA_VERSION),
                do="read it with the release of ml-warehouse that wrote it",
            )
        manifest = _parsed(values)
        identity = content_id(entry for entry in manifest.files.values() if entry.path not in CARDS)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _unsound(where, f"is not a manifest: {error}") from None
    if identity != manifest.id:
        raise _unsound(where, f"has the id {manifest.id}, which is not that of its files")
    return manifest


def _unsound(where: str, how: str) -> IntegrityError:
    return IntegrityError(f"{where} {how}", do="fetch or export the release again", path=where)


def refuse_part(folder: Path) -> None:
    """Raise NotFound for a folder that holds a part of a release, where the whole is needed."""
    if read_part(folder) is not None:
        raise NotFound(
            f"{folder} holds a part of a release", allowed="a whole one", do="pull it without rank and split"
        )


def taken_back(where: str, why: str) -> Revoked:
    """The error for a release that was revoked."""
    return Revoked(f"{where} was revoked: {why}", do="delete copies of it and use a later version", why=why)


def portion(manifest: AnyManifest, part: Part) -> AnyManifest:
    """The manifest as one of a part: its shards and their samples alone, ``files`` those that the part holds.

    These are what is loaded of its shards, the cards and recipe/. A run of shards has an id of its own, so that no
    state of a loader is taken for that of another; its ``text_bytes`` is 0, ``first`` and ``last`` are None: not known.
    ``documents``, ``composition`` and shares stay those of the whole. Raises NotFound for a split that it has not.
    """
    for name in part.splits:
        if name not in manifest.splits:
            raise NotFound(f"no split {name!r} in {manifest.name}", allowed=", ".join(manifest.splits))
    if isinstance(manifest, TableManifest):
        rows = {name: _rows(manifest.splits[name], part) for name in part.splits}
        held = {shard.data for split in rows.values() for shard in split.shards}
        return replace(manifest, id=_id(manifest, part), splits=rows, files=_held(manifest, held))
    tokens = {name: _samples(manifest.splits[name], part) for name in part.splits}
    held = {path for split in tokens.values() for shard in split.shards for path in shard.loaded}
    return replace(manifest, id=_id(manifest, part), splits=tokens, files=_held(manifest, held))


def _id(manifest: AnyManifest, part: Part) -> str:
    return manifest.id if part.world == 1 else f"{manifest.id}.{part.rank}of{part.world}"


def _held(manifest: AnyManifest, held: Collection[str]) -> dict[str, FileEntry]:
    return {
        path: entry
        for path, entry in manifest.files.items()
        if path in held or path in CARDS or path.startswith("recipe/")
    }


def _samples(split: Split, part: Part) -> Split:
    shards = split.shards[part.run(len(split.shards))]
    samples, tokens = sum(shard.samples for shard in shards), sum(shard.tokens for shard in shards)
    return split if part.world == 1 else Split(samples, tokens, sum(shard.documents for shard in shards), 0, shards)


def _rows(split: TableSplit, part: Part) -> TableSplit:
    shards = split.shards[part.run(len(split.shards))]
    return split if part.world == 1 else TableSplit(sum(shard.samples for shard in shards), shards)


def read_part(folder: Path) -> Part | None:
    """Which part of a release the folder holds; None where it is the whole."""
    path = folder / PART
    if not path.is_file():
        return None
    try:
        values = json.loads(path.read_bytes())
        return Part(tuple(values["splits"]), int(values["rank"]), int(values["world"]))
    except (ValueError, KeyError, TypeError) as error:
        raise _unsound(str(path), f"names no part: {error!r}") from None


def revocation(folder: Path) -> str | None:
    """Why the release in ``folder`` was taken back; None for one that was not."""
    path = folder / REVOKED
    return str(json.loads(path.read_bytes())["why"]) if path.is_file() else None


def _parsed(values: dict[str, Any]) -> AnyManifest:
    values["files"] = {
        path: FileEntry(**{**entry, "blocks": tuple(entry["blocks"])}) for path, entry in values["files"].items()
    }
    return _table(values) if values.get("kind") in (TABLE, SAMPLES) else _tokens(values)


def _tokens(values: dict[str, Any]) -> Manifest:
    values["splits"] = {
        name: Split(**{**split, "shards": tuple(Shard(**shard) for shard in split["shards"])})
        for name, split in values["splits"].items()
    }
    return Manifest(**{**values, "sources": tuple(values.get("sources", ()))})


def _table(values: dict[str, Any]) -> TableManifest:
    values["splits"] = {
        name: TableSplit(**{**split, "shards": tuple(TableShard(**shard) for shard in split["shards"])})
        for name, split in values["splits"].items()
    }
    values["columns"] = tuple(Column(**column) for column in values["columns"])
    return TableManifest(**{**values, "key": tuple(values["key"]), "entity": tuple(values["entity"])})


def encode(manifest: AnyManifest) -> bytes:
    """The manifest as the bytes of manifest.json, keys in order; without those of OPTIONAL that are empty."""
    values = {key: value for key, value in asdict(manifest).items() if key not in OPTIONAL or value}
    return (json.dumps(values, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def seal(manifest: AnyManifest) -> str:
    """sha256 over every field but the seal itself."""
    return hashlib.sha256(encode(replace(manifest, seal=""))).hexdigest()


def content_id(files: Iterable[FileEntry]) -> str:
    """Identity of a release: the first 32 digits of a sha256 over the paths and sha256 of its content files."""
    state = hashlib.sha256()
    for entry in sorted(files, key=lambda entry: entry.path):
        state.update(f"{entry.sha256}  {entry.path}\n".encode())
    return state.hexdigest()[:32]


def hash_file(folder: Path, path: str) -> FileEntry:
    """The entry of the file ``path`` in ``folder``, from what is on disk; memory of one block."""
    whole, blocks, size = hashlib.sha256(), [], 0
    with (folder / path).open("rb") as stream:
        while block := stream.read(BLOCK_BYTES):
            whole.update(block)
            blocks.append(xxhash.xxh3_64_hexdigest(block))
            size += len(block)
    return FileEntry(path, size, whole.hexdigest(), tuple(blocks))


def check_file(folder: Path, entry: FileEntry) -> None:
    """Raise IntegrityError, with the file, block and byte range, unless the file is what ``entry`` recorded."""
    try:
        found = hash_file(folder, entry.path)
    except FileNotFoundError:
        raise damaged(entry, "the file is missing") from None
    for number, (came, recorded) in enumerate(zip(found.blocks, entry.blocks, strict=False)):
        if came != recorded:
            raise damaged_block(entry, number)
    if found.bytes != entry.bytes:
        raise damaged(entry, f"{found.bytes} bytes where {entry.bytes} were recorded")
    if found.sha256 != entry.sha256:
        raise damaged(entry, "its sha256 differs")


def check_block(block: npt.NDArray[np.uint8], entry: FileEntry, number: int) -> None:
    """Raise IntegrityError unless ``block`` hashes to what was recorded for block ``number`` of the file."""
    if xxhash.xxh3_64_hexdigest(block.data) != entry.blocks[number]:
        raise damaged_block(entry, number)


def damaged_block(entry: FileEntry, number: int) -> IntegrityError:
    """The error for a block whose hash differs: file, block number and byte range."""
    start, end = number * BLOCK_BYTES, min((number + 1) * BLOCK_BYTES, entry.bytes)
    return damaged(
        entry, f"block {number} (bytes {start} to {end}) differs from its hash", block=number, start=start, end=end
    )


def damaged(entry: FileEntry, how: str, **values: Any) -> IntegrityError:
    """The error for a file that is not what was recorded."""
    return IntegrityError(
        f"{entry.path}: {how}", do="fetch the release again, or 'warehouse export' it again", path=entry.path, **values
    )
