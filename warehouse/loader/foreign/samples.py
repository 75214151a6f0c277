"""An opened data set of another project: its samples as dictionaries, and as rows where all are so many tokens."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from warehouse.errors import UsageError
from warehouse.loader.course import Numbers, distinct
from warehouse.loader.foreign.places import Bytes, Location, unsound
from warehouse.loader.shards import Mapped, Samples
from warehouse.loader.tokens import PLAIN, Batch, Slots, Wanted, room
from warehouse.manifest import FileEntry

Value = bytes | str | int | float | bool | Decimal | None | npt.NDArray[Any] | Sequence["Value"] | Mapping[str, "Value"]
Record = dict[str, Value]

UNDECODED = (ValueError, IndexError, struct.error, RecursionError, ArithmeticError)
"""What decoding bytes raises that are not what they claim to be."""


class Records(Protocol):
    """Samples as dictionaries."""

    @property
    def total(self) -> int:
        """How many."""

    def read(self, numbers: Numbers) -> list[Record]:
        """Those of these numbers."""


class Rows(Protocol):
    """Samples that are all of one width."""

    @property
    def total(self) -> int:
        """How many."""

    def gather(self, numbers: Numbers, out: npt.NDArray[Any]) -> None:
        """Copy those of these numbers into the rows of ``out``."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """Samples that are ``length`` tokens of ``dtype`` each."""

    rows: Rows
    dtype: np.dtype[Any]
    length: int


@dataclass(frozen=True, slots=True)
class Opened:
    """A data set. identity: for the state; form: what a sample holds, in words; fixed: None unless all are tokens."""

    location: Location
    identity: str
    form: str
    records: Records
    fixed: Fixed | None


class FirstTouch:
    """Checks a shard before it is read for the first time. Two threads that touch one at once both check it."""

    def __init__(self, shards: int, check: Callable[[int], None]) -> None:
        self._fresh, self._check = np.ones(shards, np.bool_), check

    def before(self, shards: Numbers) -> None:
        """Call this before reading ``shards``."""
        for shard in distinct(shards[self._fresh[shards]]):
            self._check(shard)
            self._fresh[shard] = False


class ShardRecords:
    """Records of shards of ``sizes`` samples; record(shard, place) decodes one. names: of the shards, for errors."""

    def __init__(
        self, names: Sequence[str], sizes: Sequence[int], record: Callable[[int, int], Record], touch: FirstTouch
    ) -> None:
        self._names, self._record, self._touch = names, record, touch
        self._firsts = np.cumsum([0, *sizes], dtype=np.int64)

    @property
    def total(self) -> int:
        """Of all shards."""
        return int(self._firsts[-1])

    def read(self, numbers: Numbers) -> list[Record]:
        """Raises IntegrityError for a sample that is not what it claims to be."""
        owner = np.searchsorted(self._firsts, numbers, side="right") - 1
        self._touch.before(owner)
        places = (numbers - self._firsts[owner]).tolist()
        return [self._one(shard, place) for shard, place in zip(owner.tolist(), places, strict=True)]

    def _one(self, shard: int, place: int) -> Record:
        try:
            return self._record(shard, place)
        except UNDECODED as error:
            raise unsound(self._names[shard], f"sample {place} cannot be read: {error}") from None


class ShardRows:
    """Rows that lie one after the other in mapped shards: name and bytes [samples, width] of each."""

    def __init__(self, shards: Sequence[tuple[str, Bytes]], touch: FirstTouch | None = None) -> None:
        # As bytes, for they may begin at odd addresses: numpy would copy a whole mapping to align it.
        held = [Mapped(FileEntry(name, rows.nbytes, "", ()), rows, rows.reshape(-1)) for name, rows in shards]
        self._samples, self._touch = Samples(held, checked=False), touch

    @property
    def total(self) -> int:
        """Of all shards."""
        return self._samples.total

    def gather(self, numbers: Numbers, out: npt.NDArray[Any]) -> None:
        """Raises what the check at first touch does."""
        if self._touch is not None:
            self._touch.before(self._samples.located(numbers)[0])
        self._samples.gather(numbers, out.view(np.uint8))


class FixedReader:
    """Batches of tokens, as ``TokenReader`` makes them of a release."""

    def __init__(self, opened: Opened) -> None:
        if opened.fixed is None:
            raise UsageError(
                f"samples of {opened.location} hold {opened.form}",
                allowed="in a Loader samples that are all the same number of tokens",
                do="open it with RecordLoader",
            )
        self.location, self.identity, self.rows = opened.location, opened.identity, opened.fixed.rows
        self.dtype, self.length, self.sizes = opened.fixed.dtype, opened.fixed.length, (self.rows.total,)
        self.source_names: tuple[str, ...] = ()

    def ready(self, wanted: Wanted) -> Wanted:
        """The same. Raises UsageError for what only a release holds."""
        if wanted != PLAIN:
            raise UsageError(
                f"boundaries, positions, a loss mask or source ids of {self.location}",
                allowed="tokens alone: the format says nothing of documents within a sample",
                do="leave them out, or export a release",
            )
        return wanted

    def read(self, numbers: Numbers, sources: Numbers, *, wanted: Wanted, slots: Slots | None, slot: int) -> Batch:
        """The samples as a batch; slots: its tokens lie in this one of them."""
        tokens = room(slots, slot, (numbers.size, self.length), self.dtype)
        self.rows.gather(numbers, tokens)
        return Batch(numbers, tokens, sources)
