"""What reading an object of a source gives, as lists."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from warehouse.contracts import Dropped, Reject
from warehouse.sources import Located, Source, read


@dataclass
class Outcome:
    """All batches and Rejects of one object."""

    batches: list[pa.RecordBatch] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    drops: list[Dropped] = field(default_factory=list)

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [row for batch in self.batches for row in batch.to_pylist()]

    @property
    def reasons(self) -> Counter[str]:
        return Counter(reject.reason for reject in self.rejects)

    @property
    def met(self) -> int:
        return sum(batch.num_rows for batch in self.batches) + len(self.rejects) + len(self.drops)

    @property
    def dropped(self) -> Counter[str]:
        return Counter(drop.reason for drop in self.drops)

    def column(self, name: str) -> list[Any]:
        return [row.get(name) for row in self.rows]


def outcome(path: Path, uri: str, **options: Any) -> Outcome:
    """What reading the file at ``path`` under ``uri`` gives."""
    result = Outcome()
    source = Source("test", (uri,), **options)
    for item in read(source, Located(uri, path, path.stat().st_size), path):
        {Reject: result.rejects, Dropped: result.drops}.get(type(item), result.batches).append(item)
    return result
