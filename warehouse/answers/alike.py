"""What two releases of any kind have in common: shards, and what their recipes, inputs and models say otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from warehouse.manifest import AnyManifest, Shard, TableShard
from warehouse.recipes import plain, root_of

Changes = Mapping[str, tuple[Any, Any]]
"""name -> before, after, of those that differ (None: not there)."""


@dataclass(frozen=True, slots=True)
class Shards:
    """Shards of the second release, by their file of data. same: all files with the same bytes in the first (index,
    segments and mask too, or Parquet); one_copy_bytes: of these what lies on the disk once for both.
    """

    same: tuple[str, ...]
    changed: tuple[str, ...]
    one_copy_bytes: int


def stated(path: Path) -> Mapping[str, Any]:
    """What the recipe of a release states, every default written out."""
    values: dict[str, Any] = plain(root_of((path / "recipe" / "recipe.yaml").read_text("utf-8")))
    return values


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Changes:
    """What differs, in the order of both."""
    keys = [*before, *(key for key in after if key not in before)]
    return {key: (before.get(key), after.get(key)) for key in keys if before.get(key) != after.get(key)}


def shards(one: Path, before: AnyManifest, other: Path, after: AnyManifest) -> Shards:
    """Which shards have all their files with the same sha256 in the first release, under whatever name; those of
    sources apart, whose numbers any new name may change.
    """
    there = {
        tuple(before.files[name].sha256 for name in files_of(shard)): shard
        for split in before.splits.values()
        for shard in split.shards
    }
    same, changed, once = list[str](), list[str](), 0
    for shard in (shard for split in after.splits.values() for shard in split.shards):
        names = files_of(shard)
        twin = there.get(tuple(after.files[name].sha256 for name in names))
        (changed if twin is None else same).append(shard.data)
        if twin is not None:
            pairs = zip(names, files_of(twin), strict=True)
            once += sum(_once(other / name, one / old) for name, old in pairs)
    return Shards(tuple(same), tuple(changed), once)


def files_of(shard: Shard | TableShard) -> tuple[str, ...]:
    """The files that hold a shard, but for that of sources."""
    if isinstance(shard, TableShard):
        return tuple(path for path in (shard.data, shard.parquet) if path)
    return tuple(path for path in (shard.data, shard.index, shard.segments, shard.mask) if path)


def _once(path: Path, other: Path) -> int:
    """Bytes of a file that is the other one too."""
    return path.stat().st_size if path.exists() and other.exists() and path.samefile(other) else 0
