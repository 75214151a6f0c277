"""Documents that a table knows nothing of, or not all: which things are missing for each, and what measuring them adds.

A table of this kind has a row for each document and thing that it was measured by (a benchmark, a model), so a thing
that is new meets all documents, and a document that is new all things.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

import pyarrow as pa

from warehouse.contracts import TEXT_ROWS
from warehouse.curation.measure import Found
from warehouse.engine import run_threads
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
    in ``pending`` that have the things $1; threads: how many measure, a batch each.
    """
    con.execute(f"SET VARIABLE things = {len(things)}")
    con.execute(_PENDING)
    for (known,) in fetch_all(con, "SELECT DISTINCT known FROM pending ORDER BY known"):
        measured = partial(_found, measure=measure_by([name for name in things if name not in known]))
        batches = stream(con, texts, [known], batch_rows=TEXT_ROWS)
        yield from _parts(run_threads(measured, batches, threads=threads), commit_bytes)


def _found(batch: pa.RecordBatch, measure: Callable[[pa.RecordBatch], pa.RecordBatch]) -> Found:
    return Found(measure(batch), batch.num_rows, batch.nbytes)


def _parts(found: Iterable[Found], commit_bytes: int) -> Iterator[Found]:
    """The same put together in parts of about so many bytes of text."""
    part, size = list[Found](), 0
    for each in found:
        part.append(each)
        size += each.bytes
        if size >= commit_bytes:
            yield _together(part)
            part, size = [], 0
    if part:
        yield _together(part)


def _together(part: Sequence[Found]) -> Found:
    rows = pa.concat_batches([each.rows for each in part])
    return Found(rows, sum(each.compared for each in part), sum(each.bytes for each in part))
