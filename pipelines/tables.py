"""Tables of other systems as objects of a source: which parts of one are to be read, and how far it was read before.

A part's version stands in the fact of its object, in the receipt of the commit that took its rows; the next run goes
on from there.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pyarrow as pa

from warehouse.contracts import ObjectFact
from warehouse.repository import ToRead, to_read
from warehouse.sources import Located, Source, reader_id, told


@dataclass(frozen=True, slots=True)
class Part:
    """What is to be read at once. reader: name and version of what reads it; version: of the table, once it is read.

    state: what was read, as bytes for the archive; size: bytes that are read for it; batches: its rows, each with what
    its record begins with.
    """

    reader: str
    version: str
    state: bytes
    size: int
    batches: Callable[[], Iterator[tuple[str, pa.RecordBatch]]]


def table_parts(source: Source, located: Located, held: ObjectFact | None, *, reread: bool) -> list[Part]:
    """What is to be read of a Delta table: nothing where it is at the version held, all of it where nothing is held.

    A source that states where to begin is read there first, then what came after. Raises FormatError, NetworkError.
    """
    with told(located.uri):
        return _parts(source, located, held, reread=reread)


def _parts(source: Source, located: Located, held: ObjectFact | None, *, reread: bool) -> list[Part]:
    reader, where = reader_id(source, located, located.path), located.url or located.path
    before = held.version if held and held.reader == reader and not reread else None
    parts = []
    if before is None and source.delta.start is not None:
        first = to_read(where, start=source.delta.start)
        parts.append(_part(reader, located, first))
        before = first.version
    last = to_read(where, held=before)
    if last.version != before:
        parts.append(_part(reader, located, last))
    return parts


def _part(reader: str, located: Located, found: ToRead) -> Part:
    def batches() -> Iterator[tuple[str, pa.RecordBatch]]:
        with told(located.uri):
            yield from found.batches()

    return Part(reader, found.version, found.state, found.size, batches)
