"""What every row of an object shares, and what shaping a batch gives; documents and typed tables are the two shapes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import pyarrow as pa

from warehouse.contracts import Reject


@dataclass(frozen=True, slots=True)
class Origin:
    """Where rows come from: the object, when it was known, the receipt that will tell of them, its place in that
    receipt.
    """

    source: str
    uri: str
    sha256: str
    known_at: datetime
    receipt_id: str
    ordinal: int


@dataclass(frozen=True, slots=True)
class Shaped:
    """Rows ready to store, records refused on the way, and rows that the table has already."""

    rows: pa.RecordBatch
    rejects: list[Reject]
    unchanged: int = 0


class Shape(Protocol):
    """Turns a reader's batch into rows of the table; ``met`` is the number of records of the object before it.

    What a batch alone cannot decide comes later, from ``deferred``, under the ordinal of its object; ``waiting`` is its
    size in bytes, ``columns`` the table's schema.
    """

    def shape(self, batch: pa.RecordBatch, origin: Origin, met: int) -> Shaped: ...

    def deferred(self) -> Iterator[tuple[int, Shaped]]: ...

    @property
    def columns(self) -> pa.Schema | None: ...

    @property
    def waiting(self) -> int: ...
