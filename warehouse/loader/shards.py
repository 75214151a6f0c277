"""The samples of a split over its memory-mapped shards; each 1 MiB block is checked when first touched.

Won: no start-up pass over the data, and no unchecked byte reaches a model. Lost: the first touch of a block reads all
of it (xxh3 takes some 0.1 ms), so the first batches of a cold shuffled epoch read 1 MiB a sample.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from warehouse.errors import FormatError, NotFound
from warehouse.loader.maps import Maps
from warehouse.manifest import (
    BLOCK_BYTES,
    FileEntry,
    Manifest,
    Shard,
    TableManifest,
    TableShard,
    check_block,
    check_file,
    damaged,
)

Array = npt.NDArray[Any]
SourceIds = npt.NDArray[np.uint16]

HEADER = b"MMIDIDX\0\0" + (1).to_bytes(8, "little")


class Gathered(Protocol):
    """Values of a split's samples, all of one width; ``gather`` copies those of ``numbers`` into the rows of out."""

    def gather(self, numbers: npt.NDArray[np.int64], out: Array) -> None: ...


class Rows(Gathered, Protocol):
    """The samples of a split, numbered from 0; ``located`` gives the part that holds each, and its place there."""

    @property
    def total(self) -> int: ...

    def located(self, numbers: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]: ...


@dataclass(frozen=True, slots=True)
class Mapped:
    """One shard: a row a sample, and the same bytes flat."""

    entry: FileEntry
    rows: Array
    flat: npt.NDArray[np.uint8]


class Samples:
    """All shards of a split; ``firsts[i]`` is the number of shard i's first sample, the last entry the total.

    sound: of each block, over the shards one after the other, whether it is known to be as recorded.
    """

    def __init__(self, shards: Sequence[Mapped], *, checked: bool) -> None:
        self.shards = tuple(shards)
        self.firsts = np.cumsum([0, *(len(shard.rows) for shard in shards)], dtype=np.int64)
        self.row_bytes = shards[0].rows.strides[0] if shards else 0
        self._blocks = np.cumsum([0, *(len(shard.entry.blocks) for shard in shards)], dtype=np.int64)
        self.sound = np.zeros(int(self._blocks[-1]), dtype=np.bool_)
        self._settled = not checked

    @cached_property
    def _maps(self) -> Maps:
        return Maps([shard.rows for shard in self.shards])

    @property
    def total(self) -> int:
        """Samples of all shards."""
        return int(self.firsts[-1])

    def gather(self, numbers: npt.NDArray[np.int64], out: Array) -> None:
        """Copy the samples ``numbers``, from 0 to total - 1, into the rows of ``out``.

        Raises IntegrityError for a damaged block. Any thread may; two that touch a block at once hash it twice.
        """
        owner, local = self.located(numbers)
        if not self._settled:
            self._check(owner, local)
        self._maps.gather(owner, local, out)

    def located(self, numbers: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """The shard of each sample and its row there."""
        owner = self.firsts.searchsorted(numbers, side="right") - 1
        return owner, numbers - self.firsts[owner]

    def _check(self, owner: npt.NDArray[np.int64], local: npt.NDArray[np.int64]) -> None:
        """Hash the blocks under the rows that were not touched before."""
        begins = local * self.row_bytes
        heads = begins // BLOCK_BYTES
        tails = (begins + self.row_bytes - 1) // BLOCK_BYTES if BLOCK_BYTES % self.row_bytes else heads
        sound = self.row_bytes <= BLOCK_BYTES and self._are_sound(owner, heads)
        if sound and (tails is heads or self._are_sound(owner, tails)):
            return
        for shard, head, tail in zip(owner.tolist(), heads.tolist(), tails.tolist(), strict=True):
            for number in range(head, tail + 1):
                self._check_block(shard, number)
        self._settled = bool(self.sound.all())

    def _are_sound(self, owner: npt.NDArray[np.int64], blocks: npt.NDArray[np.int64]) -> bool:
        return bool(self.sound[self._blocks[owner] + blocks].all())

    def _check_block(self, shard: int, number: int) -> None:
        if not self.sound[self._blocks[shard] + number]:
            mapped = self.shards[shard]
            check_block(mapped.flat[number * BLOCK_BYTES : (number + 1) * BLOCK_BYTES], mapped.entry, number)
            self.sound[self._blocks[shard] + number] = True


def joined(parts: Sequence[Samples], *, checked: bool) -> Samples:
    """The samples of several splits as one, in order: the first part keeps its numbers."""
    return Samples([shard for part in parts for shard in part.shards], checked=checked)


def open_samples(folder: Path, manifest: Manifest, split: str, *, checked: bool) -> Samples:
    """The samples of ``split``: rows of sequence_length ids.

    Raises NotFound for an unknown split, IntegrityError for a file of another size.
    """
    refuse_unknown_split(folder, manifest, split)
    dtype, length = np.dtype(manifest.dtype), manifest.sequence_length
    return _opened(folder, manifest.files, manifest.splits[split].shards, (dtype, (length,)), checked)


def open_masks(folder: Path, manifest: Manifest, split: str, *, checked: bool) -> Samples | None:
    """Which tokens of ``split`` are learnt, a row of bits a sample (uint8, from the lowest bit of a byte on).

    None where all are. Raises as open_samples.
    """
    shards = [shard for shard in manifest.splits[split].shards if shard.samples]
    if not all(shard.mask for shard in shards):
        return None
    form = (np.dtype("u1"), (-(-manifest.sequence_length // 8),))
    mapped = [_mapped(folder, manifest.files[shard.mask], shard.samples, form) for shard in shards]
    return Samples(mapped, checked=checked)


def open_rows(folder: Path, manifest: TableManifest, split: str, dtype: np.dtype[np.void], *, checked: bool) -> Samples:
    """The rows of ``split``, each one value of ``dtype``; raises as open_samples."""
    refuse_unknown_split(folder, manifest, split)
    return _opened(folder, manifest.files, manifest.splits[split].shards, (dtype, ()), checked)


def refuse_unknown_split(folder: Path | str, manifest: Manifest | TableManifest, split: str) -> None:
    """Raise NotFound for a split that the release has not."""
    if split not in manifest.splits:
        raise NotFound(f"no split {split!r} in {folder}", allowed=", ".join(manifest.splits))


def _opened(
    folder: Path,
    files: Mapping[str, FileEntry],
    shards: Sequence[Shard] | Sequence[TableShard],
    form: tuple[np.dtype[Any], tuple[int, ...]],
    checked: bool,
) -> Samples:
    filled = [shard for shard in shards if shard.samples]
    mapped = [_mapped(folder, files[shard.data], shard.samples, form) for shard in filled]
    return Samples(mapped, checked=checked)


def refuse_size(entry: FileEntry, samples: int, width: int) -> None:
    """Raise IntegrityError for a file that has other bytes than so many samples of ``width`` bytes."""
    if entry.bytes != samples * width:
        raise damaged(entry, f"{entry.bytes} bytes for {samples} samples of {width} bytes")


def _mapped(folder: Path, entry: FileEntry, samples: int, form: tuple[np.dtype[Any], tuple[int, ...]]) -> Mapped:
    refuse_size(entry, samples, form[0].itemsize * int(np.prod(form[1], dtype=np.int64)))
    path = folder / entry.path
    size = path.stat().st_size if path.is_file() else -1
    if size != entry.bytes:
        raise damaged(entry, "the file is missing" if size < 0 else f"{size} bytes where {entry.bytes} were recorded")
    flat = np.asarray(np.memmap(str(path), dtype=np.uint8, mode="r"))  # of a Path numpy resolves every link
    rows = flat.view(form[0]).reshape(samples, *form[1])
    return Mapped(entry, rows, flat)


def open_sources(folder: Path, manifest: Manifest, split: str, numbers: SourceIds) -> tuple[SourceIds, ...]:
    """The source of each piece of each shard that has samples, after checking the whole file (2 bytes a piece).

    numbers: uint16[65,536], what each number of this release is called by. Raises FormatError for a release that was
    made without sources.
    """
    found = []
    for shard in manifest.splits[split].shards:
        if shard.samples:
            if not shard.sources:
                raise sourceless(folder)
            check_file(folder, manifest.files[shard.sources])
            found.append(numbers[np.fromfile(folder / shard.sources, "<u2")])
    return tuple(found)


def sourceless(where: Path | str) -> FormatError:
    """The error for a release that was made without sources."""
    return FormatError(
        f"{where} names no source of its pieces",
        allowed="a release with sources, which releases have since they are written beside the index",
        do="export it again, or go without source_ids",
    )


@dataclass(frozen=True, slots=True)
class Boundaries:
    """Piece lengths (int32) of a shard and the first piece of each sample (int64), from its Megatron index."""

    lengths: npt.NDArray[np.int32]
    firsts: npt.NDArray[np.int64]


def open_boundaries(folder: Path, manifest: Manifest, split: str) -> tuple[Boundaries, ...]:
    """The boundaries of each shard that has samples, after checking the whole index file (12 bytes a piece)."""
    found = []
    for shard in manifest.splits[split].shards:
        if shard.samples:
            check_file(folder, manifest.files[shard.index])
            found.append(read_boundaries(folder / shard.index))
    return tuple(found)


def read_boundaries(path: Path) -> Boundaries:
    """Lengths and document starts of a Megatron index, mapped::

    "MMIDIDX\\0\\0" | u64 1 | u8 dtype | u64 pieces | u64 samples + 1 | i32 lengths | i64 pointers | i64 first pieces
    """
    raw = np.asarray(np.memmap(path, dtype=np.uint8, mode="r"))
    if raw[: len(HEADER)].tobytes() != HEADER:
        raise FormatError(f"{path} does not start as a Megatron index", allowed="MMIDIDX version 1")
    pieces, entries = (int(count) for count in raw[18:34].view("<u8"))
    end = 34 + 4 * pieces
    lengths = np.frombuffer(raw[34:end], dtype="<i4")
    firsts = np.frombuffer(raw[end + 8 * pieces : end + 8 * (pieces + entries)], dtype="<i8")
    return Boundaries(lengths, firsts)
