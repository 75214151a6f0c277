"""Documents that a table knows nothing of, or not all: which things are missing for each, and what measuring them adds.

A table of this kind has a row for each document and thing that it was measured by (a benchmark, a model), so a thing
that is new meets all documents, and a document that is new all things.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import pyarrow as pa

from warehouse.contracts import TEXT_ROWS
from warehouse.curation.measure import Found
from warehouse.query import Connection, fetch_all, stream

COMMIT_BYTES = 512 << 20
"""Text measured between two commits: what a killed run repeats at most."""

_PENDING = """
CREATE OR REPLACE TEMP TABLE pending AS
WITH first AS (
    SELECT doc_id, min(known_at) AS known_at FROM repository.documents GROUP BY doc_id
)
SELECT doc_id, known_at, coalesce(known, []) AS known
FROM first
LEFT JOIN compared USING (doc_id)
WHERE len(coalesce(known, [])) < getvariable('things')
"""

TEXTS = """
SELECT doc_id, text
FROM repository.documents
JOIN pending USING (doc_id, known_at)
WHERE pending.known = CAST($1 AS VARCHAR[])
"""


def pending(
    con: Connection,
    things: Sequence[str],
    measure_by: Callable[[list[str]], Callable[[pa.RecordBatch], pa.RecordBatch]],
    *,
    commit_bytes: int,
    threads: int,
    texts: str = TEXTS,
) -> Iterator[Found]:
    """What measuring each document by the things that it lacks adds, part by part.

    ``con`` has repository.documents and a table ``compared`` of doc_id and ``known``, the sorted things that a document
    has; measure_by: from things to the function from (doc_id, text) to rows; texts: the SELECT of these for documents
    in ``pending`` that have the things $1; threads: how many the functions use.
    """
    con.execute(f"SET VARIABLE things = {len(things)}")
    con.execute(_PENDING)
    for (known,) in fetch_all(con, "SELECT DISTINCT known FROM pending ORDER BY known"):
        measure = measure_by([name for name in things if name not in known])
        yield from _parts(stream(con, texts, [known], batch_rows=threads * TEXT_ROWS), measure, commit_bytes)


def _parts(
    batches: Iterable[pa.RecordBatch], measure: Callable[[pa.RecordBatch], pa.RecordBatch], commit_bytes: int
) -> Iterator[Found]:
    parts, documents, size = list[pa.RecordBatch](), 0, 0
    for batch in batches:
        parts.append(measure(batch))
        documents, size = documents + batch.num_rows, size + batch.nbytes
        if size >= commit_bytes:
            yield Found(pa.concat_batches(parts), documents, size)
            parts, documents, size = [], 0, 0
    if parts:
        yield Found(pa.concat_batches(parts), documents, size)
