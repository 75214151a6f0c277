"""What every row of an object shares, and what shaping a batch gives; documents, typed and keyed tables are shapes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa

from warehouse.contracts import Reject


@dataclass(frozen=True, slots=True)
class Origin:
    """Where rows come from: the object, when it was known, the receipt that will tell of them, its place in that
    receipt; of what an object grew by, when its first records were known.
    """

    source: str
    uri: str
    sha256: str
    known_at: datetime
    receipt_id: str
    ordinal: int
    grown_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Shaped:
    """Rows ready to store, records refused on the way, and rows that the table has already.

    misfits: column -> how many of its values do not fit it: left out, or rejects.
    """

    rows: pa.RecordBatch
    rejects: list[Reject]
    unchanged: int = 0
    misfits: Mapping[str, int] = field(default_factory=dict)
