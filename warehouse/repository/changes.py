"""How the objects of a commit differed from the columns of their table: rows of ``schema_changes``, one for each
difference of a commit, with the first object that had it and how many did.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from warehouse.contracts import digest
from warehouse.repository.origin import Origin

CHANGES_TABLE = "schema_changes"


@dataclass(slots=True)
class _Noted:
    first: Origin
    last: int
    objects: int = 1
    rows: int = 0


class Changes:
    """What was noted since the last ``taken``."""

    def __init__(self, table: str) -> None:
        self.table = table
        self._noted: dict[tuple[str, str, str | None, str | None], _Noted] = {}

    def note(
        self, column: str, change: str, was: str | None, became: str | None, origin: Origin, *, rows: int = 0
    ) -> None:
        """One more object, or batch of the same, with this difference; rows: how many it cost."""
        noted = self._noted.setdefault((column, change, was, became), _Noted(origin, origin.ordinal))
        noted.objects += origin.ordinal != noted.last
        noted.last = origin.ordinal
        noted.rows += rows

    def taken(self) -> list[dict[str, Any]]:
        """Rows of the table; the commit fills in their receipt_id."""
        rows = [self._row(*key, noted) for key, noted in self._noted.items()]
        self._noted = {}
        return rows

    def _row(self, column: str, change: str, was: str | None, became: str | None, noted: _Noted) -> dict[str, Any]:
        first = noted.first
        said = (first.source, self.table, column, change, was or "", became or "", first.sha256)
        return {
            "change_id": digest(*said),
            "source": first.source,
            "table_name": self.table,
            "column_name": column,
            "change": change,
            "was": was,
            "became": became,
            "rows": noted.rows,
            "objects": noted.objects,
            "uri": first.uri,
            "object_sha256": first.sha256,
            "known_at": first.known_at,
        }
