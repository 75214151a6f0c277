"""Frictionless data packages: the datapackage.json beside a CSV types it, says what its columns mean, and checks them.

Of a resource: types, formats and missingValues of its fields, dialect and encoding, constraints (required, enum,
minimum, maximum, minLength, maxLength, pattern, unique), primaryKey and foreignKeys as Rejects ``constraint``,
descriptions and units as comments of the columns. What the source's own recipe declares goes before. The descriptor
lies in the folder of the CSV or up to two above it; as an object of its own it has no rows: it is dropped, and each of
its resources that is not there, and each foreign key that cannot be checked, is a Reject. Values that are unique or
refer are compared as they are written, within a file; of each that is held 128 bits are kept, some 70 bytes.
Source: specs.frictionlessdata.io, Data Package and Table Schema 1.0. Left out: types without a place (time, duration,
geopoint, object, array: text), inline data, URLs.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from warehouse.contracts import Dropped, Readings, Reject
from warehouse.sources import delimited
from warehouse.sources.beside import Beside
from warehouse.sources.constraints import Rules, numbers
from warehouse.sources.containers import Member
from warehouse.sources.csv_rows import Cells, rows
from warehouse.sources.recipe import Column, Dialect, Limits, Source
from warehouse.sources.records import Documents

PACKAGE = "datapackage.json"
PLACES = (PACKAGE, f"../{PACKAGE}", f"../../{PACKAGE}")
TYPES = {
    "string": "string",
    "integer": "int64",
    "number": "double",
    "boolean": "bool",
    "date": "date",
    "datetime": "timestamp",
    "year": "int64",
    "time": "string",
    "duration": "string",
    "yearmonth": "string",
    "geopoint": "string",
    "geojson": "string",
    "object": "string",
    "array": "string",
}
"""Type of a field -> of a column; any other, as ``any``, is found from the values."""


@dataclass(frozen=True, slots=True)
class Foreign:
    """A foreign key: columns whose values stand in other columns, of the resource of that name ("": the same one)."""

    columns: tuple[str, ...]
    resource: str
    others: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Resource:
    """What a package says of one CSV. fields: by name, as the package has them; missing: texts for no value; key: the
    columns of its primary key; unique: those of which no two rows have the same values, its key among them.
    """

    fields: dict[str, dict[str, Any]]
    missing: tuple[str, ...]
    dialect: dict[str, Any] = field(default_factory=dict)
    encoding: str | None = None
    key: tuple[str, ...] = ()
    unique: tuple[tuple[str, ...], ...] = ()
    foreign: tuple[Foreign, ...] = ()

    def stated(self, source: Source) -> Source:
        """The source with the types and the dialect of the package where its recipe has none."""
        columns = {name: Column(kind, _format(each)) for name, each in self.fields.items() if (kind := _type(each))}
        own = source.dialect
        written = Dialect(
            delimiter=own.delimiter or self.dialect.get("delimiter"),
            quote=own.quote if own.quote != '"' else self.dialect.get("quoteChar", '"'),
            escape=own.escape,
            encoding=own.encoding or self.encoding,
            header=own.header if own.header is not None else self.dialect.get("header"),
        )
        return replace(source, columns={**columns, **source.columns}, dialect=written)


def licence(data: bytes) -> str | None:
    """The licence of a descriptor: the name of the first, where it states one."""
    listed = _object(data).get("licenses")
    first = listed[0] if isinstance(listed, list) and listed and isinstance(listed[0], dict) else {}
    name = first.get("name") or first.get("path")
    return str(name) if name else None


def companions(beside: Beside, name: str) -> list[str]:
    """The descriptor that types a file of this name, if one does, and the files that its foreign keys lead to."""
    place = next((place for place in PLACES if beside.has(place)), None)
    data = beside.read(place, most=Limits().max_record_bytes) if place and name != PACKAGE else None
    if place is None or data is None:
        return []
    package = _object(data)
    keys = [key for each in _resources(package) for key in _resource(each).foreign]
    led = {path for key in keys for path in _paths_of(package, key.resource, place) or () if beside.has(path)}
    return [place, *sorted(led)]


def resource(member: Member, source: Source) -> Resource | None:
    """What the package around a CSV says of it; None where none names it."""
    place, package = _around(member, source)
    folder = posixpath.basename(posixpath.dirname(member.uri)) if place == PLACES[1] else ""
    for each in _resources(package):
        if any(_names(path, member.name, folder, place) for path in _paths(each)):
            return _resource(each)
    return None


def _around(member: Member, source: Source) -> tuple[str, dict[str, Any]]:
    """Where the descriptor around a CSV lies, and what it holds; "" and nothing where there is none."""
    place = next((place for place in PLACES if member.beside and member.beside.has(place)), None)
    data = member.beside.read(place, most=source.limits.max_record_bytes) if member.beside and place else None
    return (place, _object(data)) if place is not None and data is not None else ("", {})


def _paths(resource: dict[str, Any]) -> list[str]:
    stated = resource.get("path")
    return [path for path in (stated if isinstance(stated, list) else [stated]) if isinstance(path, str)]


def _paths_of(package: dict[str, Any], name: str, place: str) -> list[str] | None:
    """The files of the resource of that name, from the folder of the CSV; None where there is none, or not below the
    descriptor.
    """
    found = next((each for each in _resources(package) if name and each.get("name") == name), None)
    paths = _paths(found) if found else []
    return [posixpath.join(posixpath.dirname(place), path) for path in paths] if all(map(_is_below, paths)) else None


def _names(path: str, name: str, folder: str, place: str) -> bool:
    """Whether a resource's path, relative to its descriptor at ``place``, is the file's."""
    depth = PLACES.index(place)
    parts = posixpath.normpath(path).split("/")
    return len(parts) == depth + 1 and parts[-1] in (name, f"{name}.gz") and (not folder or parts[0] == folder)


def _object(data: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _resources(package: dict[str, Any]) -> list[dict[str, Any]]:
    listed = package.get("resources")
    return [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []


def _resource(stated: dict[str, Any]) -> Resource:
    schema = stated.get("schema") if isinstance(stated.get("schema"), dict) else {}
    listed = schema.get("fields") if schema else []
    fields = {
        each["name"]: each for each in listed or [] if isinstance(each, dict) and isinstance(each.get("name"), str)
    }
    missing = (schema or {}).get("missingValues", [""])
    dialect = stated.get("dialect")
    key = _columns((schema or {}).get("primaryKey"))
    single = [(name,) for name, each in fields.items() if _settings(each.get("constraints")).get("unique") is True]
    return Resource(
        fields,
        tuple(text for text in missing if isinstance(text, str)) if isinstance(missing, list) else (),
        dialect if isinstance(dialect, dict) else {},
        stated.get("encoding") if isinstance(stated.get("encoding"), str) else None,
        key,
        tuple(dict.fromkeys([*([key] if key else []), *single])),
        tuple(_foreign((schema or {}).get("foreignKeys"))),
    )


def _columns(stated: Any) -> tuple[str, ...]:
    """The names of a key: one, or a list of them."""
    listed = stated if isinstance(stated, list) else [stated]
    return tuple(listed) if all(isinstance(name, str) for name in listed) else ()


def _foreign(stated: Any) -> Iterator[Foreign]:
    for each in stated if isinstance(stated, list) else ():
        led = _settings(each.get("reference")) if isinstance(each, dict) else {}
        columns, others = (_columns(each.get("fields")), _columns(led.get("fields"))) if led else ((), ())
        if columns and len(columns) == len(others):
            yield Foreign(columns, str(led.get("resource") or ""), others)


def _type(stated: dict[str, Any]) -> str | None:
    return TYPES.get(str(stated.get("type")))


def _format(stated: dict[str, Any]) -> str | None:
    """A strptime pattern, where the package gives one."""
    text = stated.get("format")
    timed = stated.get("type") in ("date", "datetime")
    return text.removeprefix("fmt:") if timed and isinstance(text, str) and "%" in text else None


def comment(name: str, stated: dict[str, Any]) -> str:
    """The name as it came and, on a line of its own, what the package says of it, with its unit."""
    said = " ".join(str(stated.get("description") or stated.get("title") or "").split())
    unit = stated.get("unit") or _settings(stated.get("owidDisplaySettings")).get("unit")
    text = f"{said} [{unit}]".strip() if unit else said
    return f"{name}\n{text}" if text else name


def _settings(value: Any) -> dict[str, Any]:
    return _object(value.encode()) if isinstance(value, str) else value if isinstance(value, dict) else {}


def read_descriptor(member: Member, source: Source) -> Readings:
    """No rows of a datapackage.json: a Dropped, and a Reject for each resource that is not there."""
    with closing(member.open()) as stream:
        data = stream.read(source.limits.max_record_bytes + 1)
    resources = _resources(_object(data))
    if not resources:
        message = f"{PACKAGE} is no JSON object with resources"
        yield Reject(member.uri, "", "invalid_package", message, first_bytes=data[:200])
        return
    yield Dropped(member.uri, "", "package")
    for each in resources:
        for path in each["path"] if isinstance(each.get("path"), list) else [each.get("path")]:
            if "data" not in each and not _is_there(member.beside, path):
                message = f"no file {path!r} beside {PACKAGE}"
                yield Reject(member.uri, str(path), "missing_resource", message)
    for each in resources:
        for key in _resource(each).foreign:
            paths = _paths_of(_object(data), key.resource, PACKAGE) if key.resource else _paths(each)
            if not paths or not all(_is_there(member.beside, path) for path in paths):
                columns = ", ".join(key.columns)
                message = f"foreign key {columns} leads to {key.resource!r}, which is not there: it is not checked"
                yield Reject(member.uri, columns, "missing_resource", message)


def _is_there(beside: Beside | None, path: Any) -> bool:
    """Whether a resource is a file below the descriptor; what leads out of there, or to a URL, is not."""
    return beside is not None and isinstance(path, str) and _is_below(path) and beside.has(path)


def _is_below(path: str) -> bool:
    return not path.startswith("/") and ".." not in path.split("/")


def read_no_documents(member: Member, documents: Documents) -> Readings:
    """The same for a source of documents."""
    yield from read_descriptor(member, documents.source)


def read_table(member: Member, source: Source) -> Readings:
    """Rows of a CSV, as the package around it says where one names it."""
    found = resource(member, source)
    if found is None:
        yield from delimited.read_table(member, source)
        return
    comments = {name: comment(name, stated).encode("utf-8", "replace") for name, stated in found.fields.items()}
    for each in delimited.read_table(member, found.stated(source), lambda one, stated: _checked(one, stated, found)):
        yield _commented(each, comments) if isinstance(each, pa.RecordBatch) else each


def _commented(batch: pa.RecordBatch, comments: dict[str, bytes]) -> pa.RecordBatch:
    fields = []
    for each in batch.schema:
        name = (each.metadata or {}).get(b"comment", b"").decode()
        fields.append(each.with_metadata({b"comment": comments[name]}) if name in comments else each)
    return pa.RecordBatch.from_arrays(batch.columns, schema=pa.schema(fields))


def _checked(member: Member, source: Source, found: Resource) -> Iterator[delimited.Item]:
    """The rows with missing values null, and a Reject for each that breaks a constraint."""
    foreign = [(key, _held(member, source, found, key)) for key in found.foreign]
    rules = Rules(
        {name: _limits(found, name) for name in found.fields},
        found.unique,
        [(key.columns, key.resource or "the same file", held) for key, held in foreign if held is not None],
    )
    for cells in rows(member, source):
        if not isinstance(cells, Cells):
            yield cells
            continue
        columns = [_present(values, found.missing) for values in cells.columns]
        bad = rules.broken(dict(zip(cells.header, columns, strict=True)), source)
        for at in sorted(bad):
            first = ",".join(values[at].as_py() or "" for values in columns).encode()[:200]
            yield Reject(member.uri, str(cells.numbers[at]), "constraint", bad[at], cells.numbers[at], None, first)
        good = pa.array([at not in bad for at in range(len(cells.numbers))], pa.bool_())
        numbers = [number for at, number in enumerate(cells.numbers) if at not in bad]
        if numbers:
            yield replace(cells, numbers=numbers, columns=[values.filter(good) for values in columns])


def _limits(found: Resource, name: str) -> dict[str, Any]:
    """The constraints of a column; one of the primary key is required."""
    return _settings(found.fields[name].get("constraints")) | ({"required": True} if name in found.key else {})


def _held(member: Member, source: Source, found: Resource, key: Foreign) -> set[int] | None:
    """The values that a foreign key may lead to; None where its resource is not there whole (``read_descriptor``)."""
    place, package = _around(member, source)
    paths = _paths_of(package, key.resource, place) if key.resource else None
    if not key.resource:
        return _values(member, source, found, key.others)
    beside = member.beside
    if beside is None or not paths or not all(map(beside.has, paths)):
        return None
    other = _resource(next(each for each in _resources(package) if each.get("name") == key.resource))
    plain = replace(source, columns={}, dialect=Dialect())
    led = [Member(path, posixpath.basename(path), partial(beside.open, path)) for path in paths]
    return set().union(*(_values(each, other.stated(plain), other, key.others) for each in led))


def _values(member: Member, source: Source, found: Resource, names: tuple[str, ...]) -> set[int]:
    met = set[int]()
    for cells in rows(member, source):
        if isinstance(cells, Cells):
            columns = [_present(each, found.missing) for each in cells.columns]
            met.update(n for n in numbers(dict(zip(cells.header, columns, strict=True)), names) if n is not None)
    return met


def _present(values: pa.Array, missing: tuple[str, ...]) -> pa.Array:
    """Text with null for what stands for no value."""
    absent = pc.is_in(values, pa.array(missing, pa.string()))
    return pc.if_else(absent, pa.scalar(None, pa.string()), values) if pc.any(absent).as_py() else values
