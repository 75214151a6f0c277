"""Reading bytes as an object of a source, for tests that look at what comes out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

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


Reading = Callable[..., Outcome]


@pytest.fixture
def reading(tmp_path: Path) -> Reading:
    """reading(bytes or path, uri, **source options): an Outcome. The archived copy's name tells nothing."""

    def run(content: bytes | Path, uri: str, **options: Any) -> Outcome:
        if isinstance(content, Path):
            return outcome(content, uri, **options)
        path = tmp_path / "0badc0de"
        path.write_bytes(content)
        return outcome(path, uri, **options)

    return run
