"""How the repository has records cut out of an object: by the formats that the sources know."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from warehouse.contracts import Cut, Cutter, Cutting, ObjectFact, Wanted
from warehouse.sources import Located, Source, cut

NO_RECORDS = ("delta", "link")
"""Readers of objects that hold no record: what a Delta table is, where a link leads."""


def cutter(source: Source, fact: ObjectFact, wanted: Wanted) -> Cutter:
    """Cuts what is wanted out of an object of the source."""

    def made(path: Path, folder: Path) -> Cutting:
        size = path.stat().st_size
        if fact.reader.partition("/")[0] in NO_RECORDS:
            return Cutting(None, (Cut("", 0, size),), "single")
        return cut(source, Located(fact.uri, path, size), path, wanted, folder)

    return made


def unknown(fact: ObjectFact) -> Source:
    """A source for an object whose recipe is there no more: its reader, and what it states nothing of."""
    name = fact.reader.partition("/")[0]
    return replace(Source("unknown", (fact.uri,)), reader=None if name == "mixed" else name)
