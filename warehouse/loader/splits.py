"""What a reader of tokens takes from: the samples of splits, and what lies beside them in files of their own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np

from warehouse.loader.shards import (
    Boundaries,
    Gathered,
    Rows,
    SourceIds,
    joined,
    open_boundaries,
    open_masks,
    open_samples,
    open_sources,
)
from warehouse.manifest import NO_SOURCE, Manifest

Value_co = TypeVar("Value_co", covariant=True)


class ByPart(Protocol[Value_co]):
    """A value of each part of the samples that ``Rows.located`` names."""

    def __getitem__(self, part: int, /) -> Value_co: ...


class Splits(Protocol):
    """The samples of one or several splits, one after the other, and what lies beside them once it is ``ready``.

    sizes: samples of each split; sources: of each piece of a part, its place in ``source_names``; masks: of each split
    the bits of its samples that are learnt (uint8, from the lowest bit of a byte on), None where all are.
    """

    @property
    def samples(self) -> Rows: ...

    @property
    def sizes(self) -> tuple[int, ...]: ...

    @property
    def boundaries(self) -> ByPart[Boundaries]: ...

    @property
    def sources(self) -> ByPart[SourceIds]: ...

    @property
    def masks(self) -> Sequence[Gathered | None]: ...

    def ready(self, *, pieces: bool, sources: bool, mask: bool) -> None:
        """Have boundaries, sources or masks at hand. Raises FormatError for sources of a release without."""


class MappedSplits:
    """Splits of releases in folders, mapped; boundaries and sources are read and hashed when they are first needed.

    Raises as open_samples.
    """

    def __init__(self, parts: Sequence[tuple[Path, Manifest, str]], *, checked: bool) -> None:
        self._parts = tuple(parts)
        opened = [open_samples(*part, checked=checked) for part in parts]
        self.samples, self.sizes = joined(opened, checked=checked), tuple(each.total for each in opened)
        self.masks = [open_masks(*part, checked=checked) for part in parts]
        self.boundaries: Sequence[Boundaries] = ()
        self.sources: Sequence[SourceIds] = ()

    def ready(self, *, pieces: bool, sources: bool, mask: bool) -> None:
        """Read what is needed and was not yet; masks are mapped already."""
        if pieces and not self.boundaries:
            self.boundaries = [bounds for part in self._parts for bounds in open_boundaries(*part)]
        if sources and not self.sources:
            numbers = numbered([manifest for _, manifest, _ in self._parts])
            opened = (open_sources(*part, own) for part, own in zip(self._parts, numbers, strict=True))
            self.sources = [ids for each in opened for ids in each]


def source_names(manifests: Sequence[Manifest]) -> tuple[str, ...]:
    """The sources of all releases, each once, in the order in which the releases name them."""
    return tuple(dict.fromkeys(name for manifest in manifests for name in manifest.sources))


def numbered(manifests: Sequence[Manifest]) -> list[SourceIds]:
    """Of each release, the place in ``source_names`` of each of its numbers: uint16[65,536]."""
    places = {name: place for place, name in enumerate(source_names(manifests))}
    found = [np.full(NO_SOURCE + 1, NO_SOURCE, np.uint16) for _ in manifests]
    for numbers, manifest in zip(found, manifests, strict=True):
        numbers[: len(manifest.sources)] = [places[name] for name in manifest.sources]
    return found
