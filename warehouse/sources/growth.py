"""Where what is new of a JSON Lines object begins, of which earlier bytes were read before; None where it must be read
whole.

That its first bytes are the earlier object their hash tells. Read on are objects of
lines that are not packed and begin with ``{``, at the last line that the earlier one ended: a last line without its
line feed is read again where it goes on now and was no JSON, and the object is read whole where it was. Whether the
layout is lines is asked of both, as a reader does (``json_values.layout``). Hashing and counting 200 MB takes 0.15 CPU
s, reading them 1.6.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

import orjson
import pyarrow as pa

from warehouse.contracts import Readings, Reject, digest
from warehouse.sources import jsonl
from warehouse.sources.containers import Member
from warehouse.sources.guard import guarded
from warehouse.sources.json_values import layout
from warehouse.sources.lines import BLOCK, BOM
from warehouse.sources.locate import Located
from warehouse.sources.names import Names
from warehouse.sources.recipe import Source, file_name
from warehouse.sources.records import Documents
from warehouse.sources.rows import Rows

SNIFFED = 512
DEPENDENT = ("type_mismatch", "column_clash", "unknown_column")
"""Reasons of rejects that depend on records before."""


@dataclass(frozen=True, slots=True)
class Rest:
    """What is to be read of an object: from byte ``start``, whose record is number ``record``.

    met: how often records before stated each uri; types: of the columns that records before had, by original name.
    """

    start: int
    record: int
    met: Mapping[str, int] = field(default_factory=dict)
    types: Mapping[str, pa.DataType] = field(default_factory=dict)


def recipe_digest(source: Source, located: Located, reader: str) -> str | None:
    """16 hexadecimal digits of all that the YAML says of how the object is read, where it can be read on."""
    name = file_name(located.uri).lower()
    if not reader.startswith("jsonl/") or name.endswith(".json") or source.keyed or source.benchmark or located.folders:
        return None
    if not source.typed and (source.known_at.column or "known_at" in source.fields):
        return None
    said = (
        source.reader,
        source.table,
        source.licence,
        located.licence,
        located.title,
        located.headers,
        source.fields,
        source.columns,
    )
    return digest(*map(repr, (*said, source.known_at.column, source.limits, source.contract)))[:16]


def rest(now: Path, size: int, sha256: str, *, max_bytes: int) -> Rest | None:
    """Where to read on an object that began as the earlier one of this size and hash; max_bytes: of a line."""
    with now.open("rb") as file:
        head = file.read(BLOCK)
        if not (_is_lines(head[:size]) and _is_lines(head)) or now.stat().st_size <= size:
            return None
        file.seek(0)
        lines, end, found = _counted(file, size)
        if not end or found != sha256:
            return None
        file.seek(end)
        last = file.read(size - end) if size - end < max_bytes else None
        return None if last is None else _behind(last, file.read(2), end, lines)


def _behind(last: bytes, following: bytes, end: int, lines: int) -> Rest | None:
    """Where to read on behind ``last``, what the earlier object had after its last line feed."""
    if not last:
        return Rest(end, lines)
    if following.startswith(b"\n"):
        return Rest(end + len(last) + 1, lines + 1)
    record = _is_record(last)
    if record is False:
        return Rest(end, lines)
    return Rest(end + len(last) + 2, lines + 1) if record and following == b"\r\n" else None


def _is_record(line: bytes) -> bool | None:
    """Whether the line is JSON; None where that is not known, of a blank one and of half a surrogate pair, which may be
    mended.
    """
    try:
        orjson.loads(line)
    except orjson.JSONDecodeError:
        return None if line.isspace() or b"\\ud" in line.lower() else False
    return True


def _is_lines(head: bytes) -> bool:
    """Whether these first bytes are those of JSON Lines: neither packed nor UTF-16, an object first."""
    plain = head.removeprefix(BOM).lstrip().startswith(b"{") and b"\0" not in head[:SNIFFED]
    return plain and layout(head) == "lines"


def _counted(file: BinaryIO, size: int) -> tuple[int, int, str]:
    """How many line feeds the first bytes of a file have, where the last one ends (0: there is none), their sha256."""
    state, lines, end, at = hashlib.sha256(), 0, 0, 0
    while chunk := file.read(min(BLOCK, size - at)):
        state.update(chunk)
        lines += chunk.count(b"\n")
        end = at + found + 1 if (found := chunk.rfind(b"\n")) >= 0 else end
        at += len(chunk)
    return lines, end, state.hexdigest()


def read_rest(source: Source, located: Located, path: Path, rest: Rest, names: Names) -> Readings:
    """The object's records from there on, as ``reading.read`` gives those of the whole object."""
    whole = Member(located.uri, file_name(located.uri), lambda: path.open("rb", buffering=0))
    if refusal := names.refused(whole, source, "jsonl"):
        yield refusal
        return
    member = replace(whole, start=rest.start, start_record=rest.record)
    items = (
        jsonl.read_table(member, Rows(source, member.uri, types=dict(rest.types)))
        if source.typed
        else jsonl.read_documents(
            member,
            Documents(source, member.uri, located.licence, located.title, located.headers, met=Counter(rest.met)),
        )
    )
    yield from guarded(items, uri=member.uri, reason="not_jsonl")


def fits(source: Source, located: Located, path: Path, rest: Rest) -> bool:
    """Whether the records from there on are rows of the types that those before had, as far as can be told from them
    alone: each is an object, and none is refused for a type.
    """
    with path.open("rb") as file:
        file.seek(rest.start)
        if any(line.lstrip()[:1] not in (b"{", b"") for line in file):
            return False
    refused = (item for item in read_rest(source, located, path, rest, Names()) if isinstance(item, Reject))
    return not any(reject.reason in DEPENDENT for reject in refused)
