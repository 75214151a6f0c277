"""What reads the tokens of several sources: releases, in one gather, or other projects' data sets too, one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from warehouse.errors import FormatError, UsageError
from warehouse.loader.course import Numbers, distinct
from warehouse.loader.foreign import is_foreign, open_foreign
from warehouse.loader.foreign.samples import FixedReader
from warehouse.loader.splits import MappedSplits
from warehouse.loader.tokens import Batch, Slots, TokenReader, Wanted, room
from warehouse.manifest import Manifest, read_manifest

Part = tuple[Path, Manifest, str]


@dataclass(frozen=True, slots=True)
class Source:
    """A release, by path, or another project's data set (``mds:FOLDER``), and the split that is taken of it."""

    path: Path | str
    split: str = "train"


class Several:
    """Batches of sources of which some are other projects' data sets: of tokens alone, as ``FixedReader``."""

    def __init__(self, readers: Sequence[TokenReader | FixedReader]) -> None:
        self._readers = tuple(readers)
        self.sizes = tuple(reader.sizes[0] for reader in readers)
        self.dtype, self.length = readers[0].dtype, readers[0].length
        self.source_names: tuple[str, ...] = ()

    def ready(self, wanted: Wanted) -> Wanted:
        """The same. Raises UsageError for what only a release holds."""
        for reader in self._readers:
            reader.ready(wanted)
        return wanted

    def read(self, numbers: Numbers, sources: Numbers, *, wanted: Wanted, slots: Slots | None, slot: int) -> Batch:
        """The samples of their sources as a batch; slots: its tokens lie in this one of them."""
        tokens = room(slots, slot, (numbers.size, self.length), self.dtype)
        for source in distinct(sources):
            rows = np.flatnonzero(sources == source)
            own = numbers[rows]
            alone = self._readers[source].read(own, np.zeros_like(own), wanted=wanted, slots=None, slot=0)
            tokens[rows] = alone.tokens
        return Batch(numbers, tokens, sources)


def open_several(
    sources: Sequence[Source], *, checked: bool
) -> tuple[TokenReader | Several, tuple[tuple[str, str], ...]]:
    """What reads them, and data set and split of each, as a loader's state names them.

    Raises UsageError if one is there twice, FormatError for unlike tokens, and as Loader.
    """
    opened = [_opened(source, checked=checked) for source in sources]
    orders = tuple((_dataset(each), source.split) for each, source in zip(opened, sources, strict=True))
    if not orders or len(set(orders)) < len(orders):
        raise UsageError(
            f"{len(set(orders))} different data sets and splits in {len(orders)} sources", allowed="each once"
        )
    _refuse_unlike([_form(each) for each in opened])
    releases = [each for each in opened if not isinstance(each, FixedReader)]
    if len(releases) == len(opened):
        return _of_releases(releases, checked=checked), orders
    readers = [each if isinstance(each, FixedReader) else _of_releases([each], checked=checked) for each in opened]
    return Several(readers), orders


def _opened(source: Source, *, checked: bool) -> Part | FixedReader:
    if is_foreign(source.path):
        return FixedReader(open_foreign(source.path, source.split, checked=checked))
    return Path(source.path), read_manifest(Path(source.path)), source.split


def _of_releases(parts: Sequence[Part], *, checked: bool) -> TokenReader:
    return TokenReader([manifest for _, manifest, _ in parts], MappedSplits(parts, checked=checked))


def _dataset(opened: Part | FixedReader) -> str:
    return opened.identity if isinstance(opened, FixedReader) else opened[1].id


@dataclass(frozen=True, slots=True)
class Form:
    """Of a source's samples. tokenizer: its sha256, empty where a format does not say."""

    name: str
    dtype: str
    length: int
    tokenizer: str

    def __str__(self) -> str:
        return f"{self.dtype}[{self.length}]" + (f" of tokenizer {self.tokenizer:.8}" if self.tokenizer else "")

    def unlike(self, other: Form) -> bool:
        """Whether both cannot be in one batch, as far as is known."""
        tokenizers = {self.tokenizer, other.tokenizer} - {""}
        return (self.dtype, self.length) != (other.dtype, other.length) or len(tokenizers) > 1


def _form(opened: Part | FixedReader) -> Form:
    if isinstance(opened, FixedReader):
        return Form(str(opened.location), opened.dtype.str, opened.length, "")
    manifest = opened[1]
    return Form(manifest.name, np.dtype(manifest.dtype).str, manifest.sequence_length, manifest.tokenizer_sha256)


def _refuse_unlike(forms: Sequence[Form]) -> None:
    """Raise FormatError for forms of which one is unlike the first that says its tokenizer, else the first."""
    first = next((form for form in forms if form.tokenizer), forms[0])
    for form in forms:
        if form.unlike(first):
            raise FormatError(
                f"{form.name} has {form}",
                allowed=f"{first}, as {first.name}",
                do="export both with one tokenizer and sequence_length",
            )
