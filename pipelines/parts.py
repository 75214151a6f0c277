"""Tables that curation fills part by part, each part a commit: a run killed between two is finished by the next."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import pyarrow as pa

from warehouse.contracts import Snapshot
from warehouse.curation import Found
from warehouse.repository import Repository

COMMIT_BYTES = 512 << 20
"""Text measured between two commits: what a killed run repeats at most."""
HELD_BYTES = 32 << 20
"""Rows held until they are committed, for short documents have as many bytes of them as of text. Four times as many
took 480 MB more of memory for 1 GB of text.
"""

Commit = Mapping[str, Sequence[Found]]
"""What is to be committed together, by table."""


@dataclass(slots=True)
class Added:
    """What was appended to a table: rows, made by so many comparisons of so many bytes of text, in so many seconds."""

    rows: int = 0
    compared: int = 0
    bytes: int = 0
    cpu_s: float = 0.0


def held(repository: Repository, table: str, schema: pa.Schema) -> Snapshot:
    """The table as it is; version -1 and no rows where there is none yet."""
    if table in repository.tables():
        return repository.snapshot(table)
    return Snapshot(table, -1, (), schema, rows=0, bytes=0)


def append_parts(
    repository: Repository, before: Sequence[Snapshot], parts: Iterable[Commit], *, run_id: str
) -> dict[str, Added]:
    """By table what was appended; a table is made, and cleared of what a kill left, where nothing was found.

    before: what ``held`` gave. Raises Busy where another run has appended meanwhile.
    """
    at = {snapshot.table: snapshot.version for snapshot in before}
    added = {snapshot.table: Added() for snapshot in before}
    for part in chain(parts, [{snapshot.table: () for snapshot in before}]):
        for snapshot in before:
            if (found := part.get(snapshot.table)) is not None:
                receipt = repository.append(
                    snapshot.table,
                    (each.rows for each in found),
                    schema=found[0].rows.schema if found else snapshot.schema,
                    source="curation",
                    run_id=run_id,
                    after=at[snapshot.table],
                )
                at[snapshot.table] = max(at[snapshot.table], receipt.version)
                _count(added[snapshot.table], receipt.rows_out, found)
    return added


def _count(added: Added, rows: int, found: Sequence[Found]) -> None:
    added.rows += rows
    added.compared += sum(each.compared for each in found)
    added.bytes += sum(each.bytes for each in found)
    added.cpu_s += sum(each.cpu_s for each in found)


def in_parts(found: Iterable[Commit], commit_bytes: int) -> Iterator[Commit]:
    """The same put together in parts of about so many bytes of text, or of HELD_BYTES of rows."""
    part, read, made = dict[str, list[Found]](), 0, 0
    for each in found:
        for table, own in each.items():
            part.setdefault(table, []).extend(own)
        read += max(sum(one.bytes for one in own) for own in each.values())
        made += sum(one.rows.nbytes for own in each.values() for one in own)
        if read >= commit_bytes or made >= HELD_BYTES:
            yield part
            part, read, made = {}, 0, 0
    if part:
        yield part
