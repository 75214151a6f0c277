"""The objects of a source, in an order that does not depend on the file system, and when each became known."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from warehouse.errors import InputError
from warehouse.sources import buckets, folders, inbox, python_env
from warehouse.sources.patterns import expanded, into_delta
from warehouse.sources.recipe import DELTA_LOG, MAGIC, Column, Source, is_bookkeeping, is_database, is_url
from warehouse.stores import Entry, is_store

NOT_UTF8 = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Located:
    """One object: its uri (relative to the project in POSIX form, else ``file:///``), its place and size in bytes.

    url: where it is fetched from (secrets expanded, never shown; path and size then say nothing), under the uri as the
    source states it. link: of a link that leads out of its folder or nowhere, and is not followed, where it leads.
    folders: the types of the columns that its folders state, among all objects of the source.
    table: whether it is a Delta table, whose folder ``path`` is, or ``url``. database: whether url is a database's
    address. entry: what a store's listing says of it. headers: lines of the response that brought it, see ``rights``.
    """

    uri: str
    path: Path
    size: int
    licence: str | None = None
    title: str | None = None
    url: str | None = None
    link: str | None = None
    folders: Mapping[str, Column] = field(default_factory=dict)
    table: bool = False
    database: bool = False
    entry: Entry | None = None
    headers: str | None = None


def locate(source: Source, folder: Path) -> Iterator[Located]:
    """Every object of ``source`` once, in order of uri.

    A folder stands for all files below it. Hidden files and what programs keep for themselves (``is_bookkeeping``) are
    left out; symlinks that lead out of a folder come as links. What lies complete in the source's inbox is
    among them. A folder that is a Delta table is one object.
    Raises InputError for a pattern that matches nothing, for files of a Delta table, and for what a store refuses;
    NetworkError for a store that cannot be reached.
    """
    if source.reader == "python_env":
        for item in python_env.candidates(max_bytes=source.environment.max_bytes):
            yield Located(item.uri, item.path, item.size, item.licence)
        return
    patterns = [uri for uri in source.uri if not (is_url(uri) or is_store(uri) or is_database(uri))]
    links = {path: link for pattern in patterns for path, link in _matches(pattern, folder).items()}
    dropped = dict(inbox.complete(source, folder))
    _refuse_delta([path for path, link in dropped.items() if link is None], folder, f"the inbox of {source.name}")
    links |= dropped
    found = {uri_of(path, folder): path for path in links}
    located = {uri: _located(uri, path, links[path]) for uri, path in found.items()}
    for pattern in filter(is_store, source.uri):
        located |= {each.uri: _of_store(each) for each in buckets.found(pattern)}
    kinds = folders.kinds(located, source)
    located = {uri: replace(each, folders=kinds) for uri, each in located.items()}
    _refuse_other_reader(source, located.values())
    located |= {uri: Located(uri, Path(), 0, url=expanded(uri)) for uri in source.uri if is_url(uri)}
    located |= {
        uri: Located(uri, Path(), 0, url=expanded(uri), database=True) for uri in source.uri if is_database(uri)
    }
    yield from (located[uri] for uri in sorted(located))


def _located(uri: str, path: Path, link: str | None) -> Located:
    size = path.stat().st_size if link is None else 0
    return Located(uri, path, size, link=link, table=link is None and path.is_dir())


def _of_store(found: buckets.Found) -> Located:
    size = found.entry.size if found.entry else 0
    return Located(found.uri, Path(), size, url=found.url, table=found.entry is None, entry=found.entry)


def _refuse_other_reader(source: Source, objects: Iterable[Located]) -> None:
    """Raises InputError for a Delta table that another reader is stated for, and for a file that delta is."""
    for each in objects:
        if each.table and source.reader not in (None, "delta"):
            raise InputError(
                f"{each.uri} is a Delta table, and source {source.name} states reader {source.reader}",
                allowed="reader: delta, or none",
                do="leave the reader out",
            )
        if not each.table and source.reader == "delta":
            raise InputError(f"{each.uri} is no Delta table", allowed=f"a folder with {DELTA_LOG}", do="check uri")


def plan_known_at(source: Source, located: Located, *, modified: datetime | None = None) -> datetime | None:
    """The object's knowledge time by the source's pattern or header, in UTC; None where the source states neither.

    modified: what the server says. Raises InputError where the uri or the answer lacks it.
    """
    rule = source.known_at
    if rule.header is not None and located.url is not None:
        if modified is None:
            raise InputError(f"{located.uri} came without {rule.header}, which is known_at of source {source.name}")
        return modified
    if rule.path is None:
        return None
    match = re.search(rule.path, located.uri)
    if match is None:
        raise InputError(f"{located.uri} does not match known_at path {rule.path!r} of source {source.name}")
    try:
        moment = datetime.strptime(match["date"], rule.format)
    except ValueError as error:
        raise InputError(f"{located.uri}: {error}, as known_at of source {source.name} states") from None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _matches(pattern: str, folder: Path) -> dict[Path, str | None]:
    """The files of one path, folder or glob, and the Delta tables that it names by their folder, never none; with each
    link that leads out of there where it leads.
    """
    path = Path(expanded(pattern))
    if (folder / path / DELTA_LOG).is_dir():
        return {folder / path: None}
    if (folder / path).is_file():
        _refuse_delta([folder / path], folder / path.parent, pattern)
        return {folder / path: None}
    start, rest = (path, "**/*") if (folder / path).is_dir() else _split(path)
    base = folder / start
    named = [] if rest is None else list(base.glob(rest))
    tables = [item for item in named if (item / DELTA_LOG).is_dir()] if rest != "**/*" else []
    outside = [item for item in named if not any(item.is_relative_to(each) for each in tables)]
    led = {item: inbox.led_out(item, base) for item in outside if item.is_file() or item.is_symlink()}
    met = {item: link for item, link in led.items() if link is not None or item.is_file()}
    _refuse_delta([item for item, link in met.items() if link is None], base, pattern)
    files = {item: link for item, link in met.items() if not is_bookkeeping(item.relative_to(base).as_posix())}
    files |= dict.fromkeys(tables)
    if not files:
        raise InputError(f"{pattern} matches no file", do=f"check uri, which is relative to {folder}")
    return files


def _split(path: Path) -> tuple[Path, str | None]:
    """The part before the first wildcard, and the rest as a pattern (None: there is no wildcard)."""
    parts = path.parts
    first = next((at for at, part in enumerate(parts) if MAGIC.search(part)), None)
    if first is None:
        return path, None
    return Path(*parts[:first]), "/".join(parts[first:])


def _refuse_delta(files: Iterable[Path], base: Path, pattern: str) -> None:
    """Raises InputError for a file of a Delta table: its folder holds files whose rows were removed, and their log.

    Names the table below ``base``, the part of the path that may hold a secret.
    """
    folders = {Path(os.path.abspath(above)) for above in {path.parent for path in files}}
    tables = [above for each in folders for above in (each, *each.parents) if (above / DELTA_LOG).is_dir()]
    if tables:
        below = os.path.relpath(min(tables), base)
        raise into_delta(pattern, "" if below.startswith(".") else below)


def uri_of(path: Path, folder: Path) -> str:
    """Relative to the project where the file lies inside and its name is UTF-8; else ``file:///``, which spells any."""
    whole = Path(os.path.abspath(path))
    base = Path(os.path.abspath(folder))
    inside = whole.relative_to(base).as_posix() if whole.is_relative_to(base) else None
    return whole.as_uri() if inside is None or NOT_UTF8.search(inside) else inside
