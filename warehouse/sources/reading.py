"""From an object's bytes to record batches and Rejects: containers opened, the reader chosen, everything guarded.

Adding a reader is a module with ``read_documents(member, documents)`` or ``read_table(member, source)`` and a line in
READERS. Won: bounded memory and one law for all readers, rows met = rows out + Rejects. Measured figures stand in
each reader.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from warehouse.contracts import Dropped, Readings, Reject
from warehouse.errors import InputError
from warehouse.sources import (
    arrow,
    benchmarks,
    code,
    datacommons,
    delimited,
    files,
    folders,
    html,
    jsonl,
    mail,
    packages,
    parquet,
    pdf,
    python_env,
    tables,
    text,
    warc,
    warc_table,
    xml,
)
from warehouse.sources.beside import Beside, around
from warehouse.sources.columns import snake_case
from warehouse.sources.containers import Member, members
from warehouse.sources.guard import guarded
from warehouse.sources.locate import Located
from warehouse.sources.names import Names
from warehouse.sources.recipe import Column, Limits, Source, file_name
from warehouse.sources.records import Documents
from warehouse.sources.rows import Rows
from warehouse.sources.unpacking import SUFFIXES, stripped
from warehouse.sources.warc_records import STARTS

HEAD_BYTES = 1 << 12
UNSTRUCTURED = ("html", "xml", "pdf", "warc", "mail", "code")


@dataclass(frozen=True, slots=True)
class Reader:
    """A format. ``version`` changes when the same bytes give other rows, so that objects are read again."""

    version: int
    reads: str
    suffixes: tuple[str, ...]
    documents: Callable[[Member, Documents], Readings]
    table: Callable[[Member, Source], Readings] | None = None


def _json_table(member: Member, source: Source) -> Readings:
    return jsonl.read_table(member, Rows(source, member.uri, member.prefix))


READERS: dict[str, Reader] = {
    "jsonl": Reader(
        2, "JSON Lines, and JSON in other layouts", (".jsonl", ".ndjson", ".json"), jsonl.read_documents, _json_table
    ),
    "csv": Reader(4, "CSV and TSV", (".csv", ".tsv", ".tab"), delimited.read_documents, packages.read_table),
    "parquet": Reader(2, "Parquet", (".parquet", ".pq"), parquet.read_documents, parquet.read_table),
    "arrow": Reader(
        2,
        "Arrow IPC, file and stream",
        (".arrow", ".arrows", ".feather", ".ipc"),
        arrow.read_documents,
        arrow.read_table,
    ),
    "html": Reader(3, "HTML pages", (".html", ".htm", ".xhtml"), html.read_documents),
    "xml": Reader(1, "XML", (".xml", ".rss", ".atom", ".tei"), xml.read_documents),
    "pdf": Reader(1, "PDF, with the extra pdf", (".pdf",), pdf.read_documents),
    "warc": Reader(
        4,
        "web archives: WARC, WET, WAT, ARC",
        (".warc", ".wet", ".wat", ".arc"),
        warc.read_documents,
        warc_table.read_table,
    ),
    "mail": Reader(1, "e-mail: a message, an mbox", (".eml", ".mbox", ".mbx"), mail.read_documents),
    "text": Reader(2, "plain text, Markdown, reStructuredText", (".txt", ".md", ".rst", ".text"), text.read_documents),
    "code": Reader(1, "source code", (*code.SUFFIXES, *code.NAMES), code.read_documents),
    "datacommons": Reader(
        1,
        "Data Commons: MCF, and CSV with a TMCF or config.json beside it",
        (".mcf", ".tmcf"),
        datacommons.read_no_documents,
        datacommons.read_table,
    ),
    "files": Reader(1, "files of any kind, as bytes", (), files.read_no_documents, files.read_table),
    "datapackage": Reader(1, "descriptors of data packages", (), packages.read_no_documents, packages.read_descriptor),
    "python_env": Reader(1, "the installed Python packages and the standard library", (), python_env.read_documents),
}


def reader_id(source: Source, located: Located, path: Path) -> str:
    """Name and version of what reads the object at ``path``, such as ``jsonl/1``; ``mixed/<n>`` where members tell,
    ``link/1`` for a link that is not followed. Where files beside it say how it is read, a digest of them follows.
    """
    if located.link is not None:
        return "link/1"
    if located.table:
        return f"delta/{tables.VERSIONS['delta']}"
    if located.database:
        return f"arrow/{READERS['arrow'].version}"
    file = _plain(file_name(located.uri))
    name = source.reader or _whole_object(source, located, path)
    if name is None or file.endswith(".zip"):
        return f"mixed/{sum(reader.version for reader in READERS.values())}"
    beside = _beside(source, located)
    named = COMPANIONS[name](beside, file) if beside and source.typed and name in COMPANIONS else []
    return f"{name}/{READERS[name].version}" + (f"+{beside.digest(named)}" if beside and named else "")


COMPANIONS: dict[str, Callable[[Beside, str], list[str]]] = {
    "datacommons": datacommons.companions,
    "csv": packages.companions,
}
"""Reader -> the files beside an object of that name that say how it is read."""


def _beside(source: Source, located: Located) -> Beside | None:
    """The files around an object on disk."""
    return around(located.path) if located.url is None and source.reader != "python_env" else None


def _whole_object(source: Source, located: Located, path: Path) -> str | None:
    """The reader of an object that is one member; by its suffix alone where it cannot be opened."""
    first = next(members(located.uri, path, limits=source.limits), None)
    if isinstance(first, Member):
        return None if first.prefix else _told(first)
    return _by_suffix(_plain(file_name(located.uri)))


def read(source: Source, located: Located, path: Path, names: Names | None = None) -> Readings:
    """The object's records from its bytes at ``path``, whose own name says nothing.

    Sources of documents yield batches of contracts.RECORDS; typed tables yield their own columns, ``_record`` and
    ``_known_at``; benchmarks yield benchmarks.PASSAGES. Batches are about BATCH_BYTES or less. Bad records are Rejects
    among them; an object that cannot be read (further) is one Reject whose ``record`` is empty. Nothing that the bytes
    hold raises. names: takes up what the object's columns are called.
    """
    names = names or Names()
    if located.link is not None:
        message = f"a link to {located.link!r}, which is out of the folder or not there, and is not followed"
        yield Reject(located.uri, "", "link_outside", message)
        return
    if source.reader == "python_env":
        whole = Member(located.uri, Path(located.uri).name, lambda: path.open("rb"))
        yield from _read_member(whole, source, located, names)
        return
    inside: dict[str, Column] | None = None
    empty = True
    for member in members(located.uri, path, limits=source.limits, beside=_beside(source, located)):
        empty = False
        if not isinstance(member, Member):
            yield member
            continue
        if inside is None and "=" in member.prefix:
            inside = _inside(source, located, path)
        yield from _read_member(member, source, replace(located, folders={**located.folders, **(inside or {})}), names)
    if empty:
        yield Dropped(located.uri, "", "no_members")


def _inside(source: Source, located: Located, path: Path) -> dict[str, Column]:
    """The types of the columns that the folders in a zip state."""
    found = members(located.uri, path, limits=source.limits)
    return folders.kinds((item.uri for item in found if isinstance(item, Member)), source)


def _read_member(member: Member, source: Source, located: Located, names: Names) -> Readings:
    name = reader_of(member, source)
    if name is None:
        yield Reject(member.uri, "", "unknown_format", f"no reader for {member.name!r}; known: {', '.join(READERS)}")
        return
    reader = READERS[name]
    if refusal := names.refused(member, source, name):
        yield refusal
        return
    if source.benchmark and reader.table is not None:
        items = benchmarks.passages(reader.table(member, source), located.uri)
    elif source.benchmark:
        documents = reader.documents(
            member, Documents(source, member.uri, located.licence, located.title, located.headers)
        )
        items = benchmarks.passages(documents, located.uri)
    elif not source.typed:
        items = reader.documents(member, Documents(source, member.uri, located.licence, located.title, located.headers))
    elif reader.table is not None:
        names.met |= dict.fromkeys(folders.stated(member.uri))
        items = folders.added(reader.table(member, source), member.uri, located.folders)
    else:
        yield Reject(member.uri, "", "not_a_table", f"reader {name} reads documents, not rows of table {source.table}")
        return
    yield from _or_dropped(guarded(items, uri=member.uri, reason=f"not_{name}"), member.uri)


def _or_dropped(items: Readings, uri: str) -> Readings:
    """The items; a Dropped where there is none, such as of a CSV that is a header alone."""
    met = False
    for item in items:
        met = met or not isinstance(item, pa.RecordBatch) or item.num_rows > 0
        yield item
    if not met:
        yield Dropped(uri, "", "no_rows")


def reader_of(member: Member, source: Source) -> str | None:
    """The reader of a member: the one that its source states, else the one that it tells itself; None for neither."""
    stated = source.reader if not member.prefix or source.reader == "datacommons" else None
    return stated or _told(member) or source.reader


def guess_reader(path: Path) -> str:
    """The reader for a file, by its content and name. Raises InputError where no reader knows it."""
    found = next((name for _, name in _known_members(path)), None) or _by_suffix(_plain(path.name))
    if found is None:
        raise _refused(path)
    return found


def _refused(path: Path) -> InputError:
    """Why no reader takes the file: its container is broken, or nothing in it is of a known format."""
    broken = next((item for item in members(path.name, path, limits=Limits()) if isinstance(item, Reject)), None)
    if broken is not None:
        return InputError(f"{path} cannot be opened: {broken.reason}, {broken.message}", do="get a whole copy of it")
    known = ", ".join(suffix for reader in READERS.values() for suffix in reader.suffixes)
    around = f"{', '.join(SUFFIXES)}, .zip, .tar around them"
    return InputError(f"{path} is of no known format", allowed=f"{known}; {around}")


def sniff_table(path: Path, *, reader: str | None = None) -> str:
    """``documents`` where a member is a page, a crawl or mail, or the first that has rows has a text column; else a
    table name made of the file's.
    """
    for member, guessed in _known_members(path):
        name = reader or guessed
        if name in UNSTRUCTURED:
            return "documents"
        if READERS[name].table is not None:
            source = Source("sniffed", (path.name,), reader=name, table="sniffed")
            items = _read_member(member, source, Located(path.name, path, 0), Names())
            batch = next((item for item in items if isinstance(item, pa.RecordBatch)), None)
            if batch is None or "text" not in batch.schema.names or not _is_text(batch["text"]):
                return snake_case(_plain(path.name).split(".")[0]) or "table"
            return "documents"
    return "documents"


def _known_members(path: Path) -> Iterator[tuple[Member, str]]:
    """The object, or the members that it holds, that a reader knows; each to be used before the next."""
    for item in members(path.name, path, limits=Limits()):
        if isinstance(item, Member) and (name := _told(item)):
            yield item, name


def _is_text(array: pa.Array) -> bool:
    return bool(pa.types.is_string(array.type)) and array.null_count < len(array)


def _plain(name: str) -> str:
    return stripped(name.lower())


def _by_suffix(name: str) -> str | None:
    return next(
        (key for key, reader in READERS.items() if reader.suffixes and name.lower().endswith(reader.suffixes)), None
    )


def _told(member: Member) -> str | None:
    """The reader that the first bytes name, else the one that the name does, else JSON Lines for a first brace."""
    head = b"".join(item for item in guarded(_head(member), uri=member.uri) if isinstance(item, bytes))
    if member.name == packages.PACKAGE:
        return "datapackage"
    weak = "jsonl" if head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"{" else None
    return _by_bytes(head) or _by_suffix(member.name) or weak


def _head(member: Member) -> Iterator[bytes]:
    with closing(member.open()) as stream:
        yield stream.read(HEAD_BYTES)


def _by_bytes(head: bytes) -> str | None:
    """The format that these bytes can only be, whatever the file is called."""
    return next((name for name, signs in SIGNS if signs(head)), None)


SIGNS: tuple[tuple[str, Callable[[bytes], bool]], ...] = (
    ("parquet", lambda head: head.startswith(b"PAR1")),
    ("arrow", arrow.begins),
    ("warc", lambda head: head.startswith(STARTS)),
    ("mail", mail.begins),
    ("html", lambda head: warc.HTML_START.match(head) is not None),
    ("xml", lambda head: head.removeprefix(b"\xef\xbb\xbf").startswith(b"<?xml")),
    ("pdf", lambda head: head.startswith(b"%PDF-")),
    ("code", lambda head: re.match(rb"#![ \t]*/", head) is not None),
)
