"""The keys that a table holds, read only as far as a batch could meet them: files whose known_at or source is another
are never opened, so an ingestion of today reads nothing of yesterday.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from warehouse import mirror
from warehouse.repository.delta import LiveFile
from warehouse.repository.keys import Keys, Mask, pack


class StoredKeys:
    """Keys of a table's live files and of the rows that passed here. The caller holds the table's lock meanwhile."""

    def __init__(self, files: Sequence[LiveFile], names: Sequence[str], *, source: str | None = None) -> None:
        self._names = tuple(names)
        self._keys = Keys()
        self._unread = [file for file in files if source is None or _holds(file.source, source, source)]

    def fresh(self, rows: pa.RecordBatch) -> Mask:
        """bool (rows,): true for rows whose key is neither in the table nor earlier here."""
        for file in self._meeting(rows):
            self._unread.remove(file)
            self._keys.load(mirror.fetch(file.path), self._names)
        return self._keys.fresh(*pack([rows[name] for name in self._names]))

    def _meeting(self, rows: pa.RecordBatch) -> list[LiveFile]:
        if not self._unread or not rows.num_rows or "known_at" not in self._names:
            return list(self._unread) if rows.num_rows else []
        ends = pc.min_max(rows["known_at"]).as_py()
        return [file for file in self._unread if _holds(file.known_at, ends["min"], ends["max"])]


def stated_uris(files: Sequence[LiveFile], source: str, objects: Collection[str]) -> tuple[Counter[str], int]:
    """How many rows the files have of each uri from these objects of a source, and how many in all."""
    found: Counter[str] = Counter()
    for file in files:
        if _holds(file.source, source, source):
            table = pq.read_table(
                mirror.fetch(file.path),
                columns=["uri"],
                filters=[("object_sha256", "in", list(objects)), ("source", "=", source)],
            )
            for each in pc.value_counts(table["uri"]).to_pylist():
                found[each["values"]] += each["counts"]
    return found, found.total()


def _holds(span: tuple[object, object] | None, low: object, high: object) -> bool:
    """Whether a file may hold a value from low to high; one without statistics may."""
    return span is None or not (span[1] < low or high < span[0])  # type: ignore[operator]
