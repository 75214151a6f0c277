"""The names that a recipe states of its records, held against the columns that its objects have.

Looked at before an object is read, and only where the recipe names more than the text: the header of a CSV, the schema
of Parquet and Arrow, the keys in the first MiB of JSON. Costs that much again (1 MiB of JSON: some 5 ms).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import orjson

from warehouse.contracts import Reject
from warehouse.sources import arrow, delimited, jsonl, parquet
from warehouse.sources.columns import clashing
from warehouse.sources.containers import Member
from warehouse.sources.guard import guarded
from warehouse.sources.recipe import Source, hint

SHOWN = 20


@dataclass(slots=True)
class Names:
    """What the objects of a run have been called so far: ``met`` in order, of objects whose columns are known."""

    met: dict[str, None] = field(default_factory=dict)
    objects: int = 0

    def unmatched(self, source: Source) -> list[str]:
        """A sentence for each name of the recipe that no object has; none where no object's columns are known."""
        if not self.objects:
            return []
        there = tuple(self.met)
        return [
            f"{place} of source {source.name} names {name!r}{hint(name, there)}, which none of {self.objects} objects"
            f" read has; they have {shown(there)}"
            for place, name in stated(source)
            if name not in self.met
        ]

    def refused(self, member: Member, source: Source, reader: str) -> Reject | None:
        """Why the member cannot be read as the recipe states; its names are remembered.

        ``unknown_column``: it has no column of that name for known_at, so that the moment of the run would silently be
        its rows'. ``column_clash``: a rename leads to the name of another of its columns.
        """
        columns = COLUMNS.get(reader)
        if columns is None or not (_time(source) or stated(source)):
            return None
        there = next((each for each in guarded(_once(columns, member, source), uri="") if type(each) is tuple), ())
        if not there:
            return None
        self.objects += 1
        self.met |= dict.fromkeys(there)
        name = _time(source)
        if name is not None and name not in there and not _later(member, source, reader, name):
            message = f"no column {name!r}{hint(name, there)}, which is known_at; there are {shown(there)}"
            return Reject(member.uri, "", "unknown_column", message)
        clash = clashing(there, source.columns)
        return Reject(member.uri, "", "column_clash", clash) if clash else None


def stated(source: Source) -> list[tuple[str, str]]:
    """Key of the recipe and the name it gives, of those that an object may lack: the text's lack is a Reject anyway."""
    if source.typed:
        return [(f"columns.{name}", name) for name in source.columns]
    return [(f"fields.{key}", name) for key, name in source.fields.items() if key not in ("text", "known_at")]


def shown(names: tuple[str, ...]) -> str:
    """The first of the names, and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _time(source: Source) -> str | None:
    return source.known_at.column or (None if source.typed else source.fields.get("known_at"))


def _once(
    columns: Callable[[Member, Source], tuple[str, ...]], member: Member, source: Source
) -> Iterator[tuple[str, ...]]:
    yield columns(member, source)


def _json(member: Member, source: Source) -> tuple[str, ...]:
    return next(_keys(member, source), ())


def _keys(member: Member, source: Source) -> Iterator[tuple[str, ...]]:
    """Keys of the records, a MiB of them at a time."""
    for each in jsonl.parse(member, orjson.loads, max_bytes=source.limits.max_record_bytes):
        if isinstance(each, jsonl.Parsed) and each.rows:
            yield tuple(dict.fromkeys(key for row in each.rows for key in row))


def _later(member: Member, source: Source, reader: str, name: str) -> bool:
    """Whether JSON has the key after its first MiB; the whole object is looked through."""
    return reader == "jsonl" and any(name in keys for keys in _keys(member, source))


COLUMNS: dict[str, Callable[[Member, Source], tuple[str, ...]]] = {
    "csv": delimited.header,
    "parquet": parquet.header,
    "arrow": arrow.header,
    "jsonl": _json,
}
"""Reader -> the names of a member's columns, () where it has no records or cannot be read."""
