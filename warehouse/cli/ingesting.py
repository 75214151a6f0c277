"""What ``warehouse ingest`` states: a source's YAML in recipes/sources, written or extended."""

from __future__ import annotations

import dataclasses
import glob
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from warehouse.cli import first_objects
from warehouse.cli.failures import close_match
from warehouse.errors import InputError, RecipeError, UsageError

if TYPE_CHECKING:
    from warehouse.project import Project
    from warehouse.sources import Source

BENCHMARK = "benchmark:"
USUAL = {"title": ("title",), "uri": ("uri", "url"), "licence": ("licence", "license")}
"""Fields of a document, and what records usually call them."""
DELTA_LOG = "_delta_log"
"""The folder that makes the one around it a Delta table, as in warehouse.sources.recipe."""
LOOKED_AT = 1000  # files of a folder, before one says what it holds


@dataclass(frozen=True, slots=True)
class Stated:
    """A source that now has its YAML, and the line that says what became of it."""

    name: str
    said: str


def stated_source(
    project: Project,
    uris: Sequence[str],
    *,
    name: str | None,
    reader: str | None,
    table: str | None,
    licence: str | None,
) -> Stated:
    """The source of these files, with its YAML written, extended or left as it is.

    A name ``benchmark:NAME`` is an evaluation set: NAME, of the table that no document comes from.
    Raises UsageError for a path that matches nothing, a file that no reader takes, and a name that is not snake_case;
    NetworkError for a URL that cannot be reached.
    """
    with tempfile.TemporaryDirectory() as folder:
        return _stated(project, uris, Path(folder), name=name, reader=reader, table=table, licence=licence)


def _stated(
    project: Project,
    uris: Sequence[str],
    copied: Path,
    *,
    name: str | None,
    reader: str | None,
    table: str | None,
    licence: str | None,
) -> Stated:
    """copied: where copies of what lies behind URLs may lie."""
    from warehouse.project import write_whole
    from warehouse.sources import dump_source, load_source

    _refuse_reader(reader)
    name, table = _registered(name, table)
    files = [found for uri in uris for found in _files(uri, copied)]
    name = _snake(name, _namesake(uris[0], files[0]))
    path = project.folder / "recipes" / "sources" / f"{name}.yaml"
    before = load_source(path) if path.exists() else None
    options = {key: value for key, value in {"reader": reader, "table": table, "licence": licence}.items() if value}
    stored = [_stored(uri, project.folder) for uri in uris]
    if before:
        _refuse_contradiction(path, before, options)
        if reader is None:
            _refuse_other_format(path, before, files[0])
    after = _extended(before, stored, options) if before else _new(name, stored, _first_known(files, reader), options)
    if after == before:
        return Stated(name, f"{_shown(path)} states this already")
    text = dump_source(after)
    _refuse_text(path.name, text)
    _refuse_place(dataclasses.replace(after, uri=tuple(stored)), project.folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, text)
    return Stated(name, f"{'extended' if before else 'wrote'} {_shown(path)}")


def _registered(name: str | None, table: str | None) -> tuple[str | None, str | None]:
    """The source's name and table."""
    from warehouse.sources import BENCHMARKS

    if name is None or not name.startswith(BENCHMARK):
        return name, table
    if table not in (None, BENCHMARKS):
        raise UsageError(f"--table {table} of a benchmark", allowed=BENCHMARKS, do="leave --table out")
    return name.removeprefix(BENCHMARK), BENCHMARKS


def _refuse_contradiction(path: Path, before: Source, options: dict[str, str]) -> None:
    for key, value in options.items():
        stated = getattr(before, key)
        if stated is not None and stated != value:
            raise UsageError(
                f"{_shown(path)} states {key} {stated}, not {value}", do="take another --as, or edit that file"
            )


def _refuse_other_format(path: Path, before: Source, first: Path) -> None:
    """Raises UsageError where the source states a reader, and the file's own bytes and name ask for another."""
    from warehouse.sources import guess_reader

    with suppress(InputError):
        found = guess_reader(first)
        if before.reader not in (None, found):
            raise UsageError(
                f"{first} is {found}, and {_shown(path)} states reader {before.reader}",
                do=f"take another --as, or --reader {before.reader} to read it so",
            )


def _refuse_text(name: str, text: str) -> None:
    """Raises UsageError where the YAML would be refused, before it takes its place."""
    from warehouse.sources import load_source

    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / name
        draft.write_text(text, "utf-8")
        try:
            load_source(draft)
        except RecipeError as error:
            raise UsageError(error.came.split(": ", 1)[-1], allowed=error.allowed) from None


def _refuse_place(source: Source, folder: Path) -> None:
    """Raises UsageError where the objects could not be located: files of a Delta table."""
    from warehouse.sources import locate

    try:
        list(locate(source, folder))
    except InputError as error:
        raise UsageError(error.came, allowed=error.allowed, do=error.do) from None


def _files(uri: str, copied: Path) -> list[Path]:
    if first_objects.is_remote(uri):
        from warehouse.sources import Source, dump_source

        _refuse_text("first.yaml", dump_source(Source("first", (uri,))))
        return first_objects.copies(uri, copied)
    if re.match(r"[a-z][a-z0-9+.-]+://", uri):
        raise UsageError(
            "a URL that no file is fetched from",
            allowed="paths, folders and globs; http://, https://, s3://, gs://, az://",
            do="state a database as the uri of recipes/sources/NAME.yaml, then 'warehouse run sources/NAME'",
        )
    if not re.fullmatch(r"(?!.*\$\{)[^\0\ud800-\udfff]+", uri, re.DOTALL):
        raise UsageError(
            f"the path {uri!r} cannot stand in a source's YAML",
            allowed="a path in UTF-8, not empty, without ${",
            do="name its folder or a glob that matches it",
        )
    path = Path(uri)
    if path.is_file() or (path / DELTA_LOG).is_dir():
        return [path]
    pattern = os.path.join(uri, "**", "*") if path.is_dir() else uri
    found = [Path(item) for item in sorted(glob.glob(pattern, recursive=True)) if os.path.isfile(item)]
    if not found:
        raise UsageError(
            f"{uri} matches no file", allowed="a file, a folder with files, or a glob", do="check the path"
        )
    return found


def _namesake(uri: str, first: Path) -> Path:
    """What a source is called after: a folder, else its first file."""
    if first_objects.is_remote(uri):
        return first_objects.name_of(uri, first)
    return Path(uri) if Path(uri).is_dir() else first


def _snake(name: str | None, first: Path) -> str:
    stem = first.name.partition(".")[0] if name is None else name
    made = re.sub(r"[^a-z0-9]+", "_", stem.lower()).strip("_") if name is None else stem
    if not re.fullmatch(r"[a-z][a-z0-9_]*", made):
        raise UsageError(
            f"the name {made!r}", allowed="lower-case letters, digits and _, a letter first", do="--as NAME"
        )
    return made


def _refuse_reader(reader: str | None) -> None:
    from warehouse.sources.recipe import READER_NAMES

    allowed = [name for name in READER_NAMES if name != "python_env"]
    if reader is not None and reader not in allowed:
        raise UsageError(f"no reader {reader!r}", allowed=", ".join(allowed), do=close_match(reader, allowed))


def _stored(uri: str, folder: Path) -> str:
    """A uri as the YAML states it: a URL as it is, a path relative to the project if it lies inside, else absolute."""
    if first_objects.is_remote(uri):
        return uri
    whole = os.path.abspath(uri)
    inside = os.path.relpath(whole, folder)
    return whole if inside.startswith("..") else Path(inside).as_posix()


def _extended(before: Source, uris: Sequence[str], options: Mapping[str, Any]) -> Source:
    added = tuple(uri for uri in uris if uri not in before.uri)
    return dataclasses.replace(before, uri=(*before.uri, *added), **options)


def _new(name: str, uris: Sequence[str], first: Path, options: Mapping[str, Any]) -> Source:
    """A source of a table of its own where its records have no text, else of documents."""
    from warehouse.sources import Source, sniff_table

    if (first / DELTA_LOG).is_dir():
        return Source(name, tuple(uris), **{"table": name, **options})
    reader = _reader_of(first, options.get("reader"))
    options = {**_licensed(first), **options}
    table = options.get("table") or (name if sniff_table(first, reader=reader) != "documents" else "documents")
    fields = _fields(first, reader) if table == "documents" else {}
    return Source(name, tuple(uris), fields={"text": "text"} | fields, **{**options, "table": table})


def _licensed(first: Path) -> dict[str, str]:
    """The licence that a data package beside the first file states."""
    from warehouse.sources import PACKAGE, package_licence

    descriptor = first.parent / PACKAGE
    found = package_licence(descriptor.read_bytes()) if descriptor.is_file() else None
    return {"licence": found} if found else {}


def _first_known(files: Sequence[Path], reader: str | None) -> Path:
    """Of the first LOOKED_AT files the first that is a page, a crawl or mail, else the first that a reader takes; where
    none does the first of all, which is then refused.
    """
    from warehouse.sources import UNSTRUCTURED, guess_reader

    known: dict[str, Path] = {}
    for path in files[:LOOKED_AT] if reader is None and not files[0].is_dir() else ():
        with suppress(InputError):
            known.setdefault(guess_reader(path), path)
    first = next(iter(known.values()), files[0])
    return next((known[name] for name in UNSTRUCTURED if name in known), first)


def _reader_of(path: Path, reader: str | None) -> str:
    """The reader named, or the one that the file asks for. Raises UsageError where none does."""
    from warehouse.sources import guess_reader

    try:
        return reader or guess_reader(path)
    except InputError as error:
        raise UsageError(error.came, allowed=error.allowed, do=error.do or "name one with --reader") from None


def _fields(path: Path, reader: str) -> dict[str, str]:
    """The fields of a document that the first records state as text under a usual name."""
    import pyarrow as pa

    from warehouse.sources import READERS, Located, Source, read

    if READERS[reader].table is None:
        return {}
    probe = Source("probe", (path.name,), reader=reader, table="probe")
    items = read(probe, Located(path.name, path, path.stat().st_size), path)
    batch = next((item for item in items if isinstance(item, pa.RecordBatch)), None)
    columns = {field.name for field in batch.schema if pa.types.is_string(field.type)} if batch else set()
    found = {field: next((word for word in words if word in columns), None) for field, words in USUAL.items()}
    return {field: word for field, word in found.items() if word}


def _shown(path: Path) -> str:
    shown = os.path.relpath(path)
    return str(path) if shown.startswith("../..") else shown
