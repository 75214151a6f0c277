"""How much real text a rule set keeps of each source, and since when it is known: read from a published snapshot.

A text counts from the first time at which its place, or a copy of it in the same source, was known; so a correction
that comes later is no growth, and neither is a copy. A time at which nothing new was kept is a time all the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate, groupby

from warehouse.errors import NotFound, UsageError
from warehouse.query import Connection, fetch_all, relations


@dataclass(frozen=True, slots=True)
class Source:
    """One source of documents. known_at: its distinct times, ascending; kept_bytes: UTF-8 bytes that were kept of what
    was known by each; documents, bytes: of all its current documents, kept or not.
    """

    name: str
    known_at: tuple[datetime, ...]
    kept_bytes: tuple[int, ...]
    kept_documents: int
    documents: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Corpus:
    """The sources under one rule set; synthetic documents count as held, never as kept."""

    rule_set: str
    sources: tuple[Source, ...]

    @property
    def known_at(self) -> datetime:
        """When the last of it became known."""
        return max(time for source in self.sources for time in source.known_at)

    @property
    def kept_bytes(self) -> int:
        """UTF-8 bytes of unique real text that is kept."""
        return sum(source.kept_bytes[-1] for source in self.sources)


_READS = ("staging.current_documents", "staging.current_signals", "curation.decisions")
_SOURCES = """
WITH places AS (
    SELECT source, uri, record, min(known_at) AS known_at FROM repository.documents GROUP BY ALL
),
measured AS (
    SELECT
        current.source,
        min(places.known_at) OVER (
            PARTITION BY current.source, coalesce(CAST(signals.text_hash AS VARCHAR), current.doc_id)
        ) AS known_at,
        coalesce(decisions.kept AND NOT coalesce(current.synthetic, false), false) AS kept,
        coalesce(signals.bytes, 0) AS bytes
    FROM staging.current_documents AS current
    JOIN places USING (source, uri, record)
    LEFT JOIN staging.current_signals AS signals ON signals.doc_id = current.doc_id
    LEFT JOIN curation.decisions AS decisions ON decisions.doc_id = current.doc_id AND decisions.rule_set = $1
),
times AS (SELECT DISTINCT source, known_at FROM repository.documents)
SELECT
    times.source,
    times.known_at,
    coalesce(sum(bytes) FILTER (WHERE kept), 0)::BIGINT,
    count(*) FILTER (WHERE kept),
    count(measured.known_at),
    coalesce(sum(bytes), 0)::BIGINT
FROM times
LEFT JOIN measured ON measured.source = times.source AND measured.known_at = times.known_at
GROUP BY ALL
ORDER BY ALL"""


def corpus(con: Connection, *, rule_set: str) -> Corpus:
    """The documents of the snapshot on this connection under a rule set.

    Raises NotFound where it holds none that is kept, or lacks a model to tell by; UsageError for another rule set.
    """
    _refuse_lacking(con, rule_set)
    rows = fetch_all(con, _SOURCES, [rule_set])
    found = tuple(_source(name, list(own)) for name, own in groupby(rows, key=lambda row: str(row[0])))
    if not sum(source.kept_documents for source in found):
        raise NotFound(f"rule set {rule_set} keeps no document", do="bring a source of documents, then 'warehouse run'")
    return Corpus(rule_set, found)


def _refuse_lacking(con: Connection, rule_set: str) -> None:
    missing = sorted(set(_READS) - relations(con))
    if missing:
        raise NotFound(f"the published snapshot has no {' and no '.join(missing)}", do="'warehouse run' publishes anew")
    known = [row[0] for row in fetch_all(con, "SELECT DISTINCT rule_set FROM curation.decisions ORDER BY rule_set")]
    if known and rule_set not in known:
        raise UsageError(f"no rule set {rule_set!r}", allowed=", ".join(known))


def _source(name: str, rows: list[tuple[str, datetime, int, int, int, int]]) -> Source:
    _, times, kept, *counts = zip(*rows, strict=True)
    return Source(name, times, tuple(accumulate(kept)), *(sum(count) for count in counts))
