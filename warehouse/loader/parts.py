"""What a manifest says of a split that is streamed: its shards, the form of a sample, and the files beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from warehouse.loader.course import State, unlike
from warehouse.loader.shards import SourceIds, refuse_size
from warehouse.loader.splits import numbered
from warehouse.loader.windows import Runs, Window, Windows
from warehouse.manifest import FileEntry, Manifest


@dataclass(frozen=True, slots=True)
class Parts:
    """What a kind of release says of a split: file and samples of each shard, form of a sample, and of tokens the rest.

    index, sources, masks: the file of each shard beside its data, by the path of these; empty where a release has none.
    numbers: the place in ``source_names`` of each number of a source.
    """

    shards: Sequence[tuple[FileEntry, int]]
    dtype: np.dtype[Any]
    shape: tuple[int, ...] = ()
    index: Mapping[str, FileEntry] = field(default_factory=dict)
    sources: Mapping[str, FileEntry] = field(default_factory=dict)
    masks: Mapping[str, FileEntry] = field(default_factory=dict)
    numbers: SourceIds = field(default_factory=lambda: np.empty(0, np.uint16))

    @property
    def row_bytes(self) -> int:
        """Bytes of a sample."""
        return self.dtype.itemsize * int(np.prod(self.shape, dtype=np.int64))

    @property
    def mask_bytes(self) -> int:
        """Bytes of a sample's mask."""
        return -(-int(np.prod(self.shape, dtype=np.int64)) // 8)

    @property
    def beside(self) -> tuple[FileEntry, ...]:
        """The files beside the data of all shards."""
        return (*self.index.values(), *self.sources.values(), *self.masks.values())


def windows_of(manifest: Manifest, state: State) -> Windows | None:
    """The order of the job whose state this is, where it streams the tokens of a release; None where it does not.

    Raises StateError for what is no window.
    """
    if "window" not in state:
        return None
    try:
        window = Window(*state["window"])
    except TypeError:
        raise unlike(state) from None
    parts = of_tokens(manifest, state["split"])
    runs = Runs(parts.shards, parts.row_bytes, window.run or 1)
    return Windows(f"{manifest.id}/{state['split']}/{state['seed']}", runs, window)


def of_tokens(manifest: Manifest, split: str) -> Parts:
    """A split of tokens. Raises IntegrityError as ``sized``."""
    shards = [shard for shard in manifest.splits[split].shards if shard.samples]
    held = [(manifest.files[shard.data], shard.samples) for shard in shards]
    return sized(
        Parts(
            held,
            np.dtype(manifest.dtype),
            (manifest.sequence_length,),
            index={shard.data: manifest.files[shard.index] for shard in shards},
            sources=_of_all(manifest, {shard.data: shard.sources for shard in shards}),
            masks=_of_all(manifest, {shard.data: shard.mask for shard in shards}),
            numbers=numbered([manifest])[0],
        )
    )


def _of_all(manifest: Manifest, paths: Mapping[str, str]) -> dict[str, FileEntry]:
    """The files of these paths; none where one is not there."""
    return {data: manifest.files[path] for data, path in paths.items()} if all(paths.values()) else {}


def sized(parts: Parts) -> Parts:
    """The same. Raises IntegrityError for a file of samples, or of their masks, that has other bytes than these."""
    for entry, samples in parts.shards:
        refuse_size(entry, samples, parts.row_bytes)
        if entry.path in parts.masks:
            refuse_size(parts.masks[entry.path], samples, parts.mask_bytes)
    return parts
