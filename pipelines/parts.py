"""Tables that curation fills part by part, each part a commit: a run killed between two is finished by the next."""

from collections.abc import Iterable
from itertools import chain

import pyarrow as pa

from warehouse.contracts import Snapshot
from warehouse.curation import Found
from warehouse.repository import Repository


def held(repository: Repository, table: str, schema: pa.Schema) -> Snapshot:
    """The table as it is; version -1 and no rows where there is none yet."""
    if table in repository.tables():
        return repository.snapshot(table)
    return Snapshot(table, -1, (), schema, rows=0, bytes=0)


def append_parts(
    repository: Repository, before: Snapshot, parts: Iterable[Found], *, run_id: str
) -> tuple[int, int, int]:
    """Rows appended, comparisons and bytes of text read; the table is made where nothing was found.

    before: what ``held`` gave. Raises Busy where another run has appended meanwhile.
    """
    at, rows, compared, size = before.version, 0, 0, 0
    for found in chain(parts, [Found(pa.RecordBatch.from_pylist([], before.schema), 0, 0)]):
        receipt = repository.append(
            before.table, [found.rows], schema=before.schema, source="curation", run_id=run_id, after=at
        )
        at = max(at, receipt.version)
        rows, compared, size = rows + receipt.rows_out, compared + found.compared, size + found.bytes
    return rows, compared, size
