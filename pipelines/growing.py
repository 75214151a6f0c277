"""Objects that grew: where what was read of them before need not be read again, their rest alone is.

It is not where an object's records depend on those before in a way that the table does not tell (``read_on``); then the
object is read whole, as one that changed in its middle is.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from warehouse.contracts import ObjectFact
from warehouse.repository import Grown, Ingestion, Reading, Repository
from warehouse.sources import Located, Names, Rest, Source, fits, read_rest, rest

STATED_URIS_BYTES = 1 << 20
"""From this size on an object whose records state their uris is read on: how often each was stated is asked of the
table, which costs a look at the uris of the source.
"""


def read_on(
    ingestion: Ingestion,
    repository: Repository,
    source: Source,
    located: Located,
    reading: Reading,
    *,
    known_at: datetime,
    names: Names,
) -> Reading:
    """The reading of what is new of the object alone, where it begins with the one that the table has last of its uri,
    which was read by the same reader and recipe; else ``reading``.
    """
    held = ingestion.current(reading.uri)
    if (
        held is None
        or reading.recipe is None
        or (held.reader, held.recipe) != (reading.reader, reading.recipe)
        or held.known_at > known_at
        or held.dropped
        or repository.is_cut(held.sha256)
        or repository.is_cut(reading.sha256)
    ):
        return reading
    now = repository.object_path(reading.sha256)
    begun = rest(now, held.size, held.sha256, max_bytes=source.limits.max_record_bytes)
    begun = _with_state(ingestion, source, held, begun) if begun else None
    if begun is None or (source.typed and not fits(source, located, now, begun)):
        return reading
    records = read_rest(source, located, now, begun, names)
    return replace(reading, records=records, grown=Grown(held, begun.start, begun.record))


def read_rest_again(
    ingestion: Ingestion,
    repository: Repository,
    source: Source,
    fact: ObjectFact,
    reading: Reading,
    *,
    names: Names,
) -> Reading:
    """The reading of what an object grew by, as ``fact`` says; ``reading`` itself, where it is of a whole object."""
    base = ingestion.grown_from(fact)
    if base is None:
        return reading
    begun = Rest(fact.start, fact.start_record)
    begun = _with_state(ingestion, source, base, begun) or begun
    path = repository.object_path(fact.sha256)
    records = read_rest(source, Located(fact.uri, path, fact.size), path, begun, names)
    return replace(reading, records=records, recipe=fact.recipe, grown=Grown(base, fact.start, fact.start_record))


def _with_state(ingestion: Ingestion, source: Source, base: ObjectFact, begun: Rest) -> Rest | None:
    """With what the records before were: the types of columns, and how often each uri was stated; None where that is
    not known.
    """
    if source.typed:
        return replace(begun, types=ingestion.types)
    if "uri" not in source.fields:
        return begun
    met = ingestion.stated_uris(base) if base.size >= STATED_URIS_BYTES else None
    return None if met is None else replace(begun, met=met)
