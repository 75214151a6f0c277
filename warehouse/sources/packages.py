"""Frictionless data packages: the datapackage.json beside a CSV types it, says what its columns mean, and checks them.

Of a resource: types, formats and missingValues of its fields, dialect and encoding, constraints (required, enum,
minimum, maximum, minLength, maxLength, pattern) as Rejects ``constraint``, descriptions and units as comments of the
columns. What the source's own recipe declares goes before. The descriptor lies in the folder of the CSV or up to two
above it; as an object of its own it has no rows: it is dropped, and each of its resources that is not there is a
Reject. Source: specs.frictionlessdata.io, Data Package and Table Schema 1.0. Left out: types without a place (time,
duration, geopoint, object, array: text), primary and foreign keys, inline data, URLs.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from warehouse.contracts import Dropped, Readings, Reject
from warehouse.sources import delimited
from warehouse.sources.beside import Beside
from warehouse.sources.columns import cast_text
from warehouse.sources.containers import Member
from warehouse.sources.csv_rows import Cells, rows
from warehouse.sources.recipe import Column, Dialect, Source
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
BOUNDS = {"minimum": (pc.less, "less than"), "maximum": (pc.greater, "more than")}
LENGTHS = {"minLength": (pc.less, "shorter than"), "maxLength": (pc.greater, "longer than")}


@dataclass(frozen=True, slots=True)
class Resource:
    """What a package says of one CSV. fields: by name, as the package has them; missing: texts for no value."""

    fields: dict[str, dict[str, Any]]
    missing: tuple[str, ...]
    dialect: dict[str, Any] = field(default_factory=dict)
    encoding: str | None = None

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
    """The descriptor that types a file of this name, if one does."""
    return [place for place in PLACES if beside.has(place)][:1] if name != PACKAGE else []


def resource(member: Member, source: Source) -> Resource | None:
    """What the package around a CSV says of it; None where none names it."""
    place = next((place for place in PLACES if member.beside and member.beside.has(place)), None)
    data = member.beside.read(place, most=source.limits.max_record_bytes) if member.beside and place else None
    if data is None or place is None:
        return None
    folder = posixpath.basename(posixpath.dirname(member.uri)) if place == PLACES[1] else ""
    for each in _resources(_object(data)):
        paths = each.get("path")
        named = [path for path in (paths if isinstance(paths, list) else [paths]) if isinstance(path, str)]
        if any(_names(path, member.name, folder, place) for path in named):
            return _resource(each)
    return None


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
    return Resource(
        fields,
        tuple(text for text in missing if isinstance(text, str)) if isinstance(missing, list) else (),
        dialect if isinstance(dialect, dict) else {},
        stated.get("encoding") if isinstance(stated.get("encoding"), str) else None,
    )


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


def _is_there(beside: Beside | None, path: Any) -> bool:
    """Whether a resource is a file below the descriptor; what leads out of there, or to a URL, is not."""
    if beside is None or not isinstance(path, str) or path.startswith("/") or ".." in path.split("/"):
        return False
    return beside.has(path)


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
    for cells in rows(member, source):
        if not isinstance(cells, Cells):
            yield cells
            continue
        columns = [_present(values, found.missing) for values in cells.columns]
        bad: dict[int, str] = {}
        for name, values in zip(cells.header, columns, strict=True):
            limits = found.fields.get(name, {}).get("constraints")
            for at, message in _broken(name, values, limits, source) if isinstance(limits, dict) else ():
                bad.setdefault(at, message)
        for at in sorted(bad):
            first = ",".join(values[at].as_py() or "" for values in columns).encode()[:200]
            yield Reject(member.uri, str(cells.numbers[at]), "constraint", bad[at], cells.numbers[at], None, first)
        good = pa.array([at not in bad for at in range(len(cells.numbers))], pa.bool_())
        numbers = [number for at, number in enumerate(cells.numbers) if at not in bad]
        if numbers:
            yield replace(cells, numbers=numbers, columns=[values.filter(good) for values in columns])


def _present(values: pa.Array, missing: tuple[str, ...]) -> pa.Array:
    """Text with null for what stands for no value."""
    absent = pc.is_in(values, pa.array(missing, pa.string()))
    return pc.if_else(absent, pa.scalar(None, pa.string()), values) if pc.any(absent).as_py() else values


def _broken(name: str, values: pa.Array, limits: dict[str, Any], source: Source) -> Iterator[tuple[int, str]]:
    """Index and message of each value that breaks a constraint; a null breaks ``required`` alone."""
    if limits.get("required") is True:
        yield from _said(pc.is_null(values), values, f"{name!r} is required")
    if isinstance(enum := limits.get("enum"), list):
        allowed = pa.array([_text(each) for each in enum], pa.string())
        wrong = pc.and_(pc.is_valid(values), pc.invert(pc.is_in(values, allowed)))
        yield from _said(wrong, values, f"{name!r} is none of {', '.join(map(str, enum))[:200]}")
    if isinstance(pattern := limits.get("pattern"), str):
        expression = re.compile(pattern)
        wrong = [text is not None and not expression.fullmatch(text) for text in values.to_pylist()]
        yield from _said(pa.array(wrong, pa.bool_()), values, f"{name!r} does not match {pattern}")
    column = source.columns.get(name, Column("double"))
    for key, (beyond, words) in BOUNDS.items():
        if key in limits:
            bound = cast_text(pa.array([_text(limits[key])], pa.string()), column)[0]
            yield from _said(beyond(cast_text(values, column), bound), values, f"{name!r} is {words} {limits[key]}")
    for key, (beyond, words) in LENGTHS.items():
        if isinstance(limits.get(key), int):
            yield from _said(beyond(pc.utf8_length(values), limits[key]), values, f"{name!r} is {words} {limits[key]}")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _said(wrong: pa.Array, values: pa.Array, message: str) -> Iterator[tuple[int, str]]:
    for at in pc.indices_nonzero(pc.fill_null(wrong, False)).to_pylist():
        yield at, f"{message}: {values[at].as_py()!r}"
