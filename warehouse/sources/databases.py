"""A query's answer from a SQL database, through ADBC: Arrow batches streamed into the archive as an IPC stream.

The archived stream is the object, which the reader ``arrow`` reads like any other, so an answer of the same bytes is
not read twice. With a cursor column only rows beyond the highest value read last come: the highest one there is is
asked for first, so what comes while the answer streams is the next run's. Drivers: adbc-driver-postgresql and
adbc-driver-sqlite (extra ``adbc``). Memory is that of a batch. Neither the address as expanded nor any value that it is
expanded with is in a message.
"""

from __future__ import annotations

import hashlib
import importlib
import io
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from warehouse.contracts import ObjectFact
from warehouse.errors import InputError, MissingExtra, NetworkError
from warehouse.sources.locate import Located
from warehouse.sources.patterns import as_stated
from warehouse.sources.recipe import DATABASES, SCHEME, Source


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer's bytes, an Arrow IPC stream, to be taken before the block ends; version: query and highest cursor."""

    chunks: Iterator[bytes]
    version: str


@contextmanager
def answered(source: Source, located: Located, held: ObjectFact | None, *, folder: Path) -> Iterator[Answer | None]:
    """What a database answers; None where no row is beyond the cursor of ``held``. folder: of the project.

    Raises MissingExtra without the driver, NetworkError where the database cannot be reached, InputError for a query
    that it refuses.
    """
    driver, address = _driver(located, folder)
    query = _query(source)
    name = hashlib.sha256(f"{query}\0{source.database.cursor}".encode()).hexdigest()[:12]
    known, _, low = (held.version or "").partition("@") if held else ("", "", "")
    with _opened(driver, address, located) as cursor:
        if source.database.cursor is None:
            yield Answer(_chunks(_asked(cursor, query, None, located)), name)
            return
        high = _highest(cursor, query, source.database.cursor, located)
        if known == name and (high is None or str(high.as_py()) == low):
            yield None
            return
        parameters = None if high is None else {"high": high}
        if parameters is not None and known == name and low:
            parameters["low"] = pa.array([low]).cast(high.type)[0] if high is not None else pa.scalar(low)
        statement = _statement(query, source.database.cursor, list(parameters or ()), driver.paramstyle)
        batches = _asked(cursor, statement, parameters, located)
        yield Answer(_chunks(batches), f"{name}@{'' if high is None else high.as_py()}")


@dataclass(frozen=True, slots=True)
class _Driver:
    connect: Any
    error: type[Exception]
    paramstyle: str


def _driver(located: Located, folder: Path) -> tuple[_Driver, str]:
    """The driver of an address, and the address as the driver wants it."""
    address = located.url or ""
    scheme = SCHEME.match(address)
    kind = DATABASES[scheme[1].lower()] if scheme else "sqlite"
    try:
        made = importlib.import_module(f"adbc_driver_{kind}.dbapi")
    except ModuleNotFoundError:
        raise MissingExtra(f"{located.uri} needs adbc-driver-{kind}", do="pip install 'ml-warehouse[adbc]'") from None
    style = "$" if kind == "postgresql" else "?"
    if kind == "sqlite":
        path = folder / address.partition("://")[2]
        if not path.is_file():
            raise InputError(f"{located.uri}: no such database", do="check uri, which is relative to the project")
        address = path.absolute().as_uri() + "?mode=ro"
    return _Driver(made.connect, made.Error, style), address


@contextmanager
def _opened(driver: _Driver, address: str, located: Located) -> Iterator[Any]:
    try:
        connection = driver.connect(address)
    except driver.error as error:
        said = _said(error, located)
        raise NetworkError(f"{located.uri} cannot be reached: {said}", do="check uri and that it answers") from None
    with closing(connection), closing(connection.cursor()) as cursor:
        try:
            yield cursor
        except driver.error as error:
            said = _said(error, located)
            raise InputError(f"{located.uri}: {said}", do="mend database.query, table or cursor") from None


def _said(error: Exception, located: Located) -> str:
    """The first line of a driver's error, without the values that the address was expanded with."""
    return as_stated(str(error).partition("\n")[0], located.uri)[:300]


def _query(source: Source) -> str:
    if source.database.query is not None:
        return source.database.query.strip().rstrip(";")
    return f"SELECT * FROM {'.'.join(map(_quoted, (source.database.table or '').split('.')))}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _column(name: str) -> str:
    """A column of the query; with its table before it, since SQLite takes a quoted name that is none for a text."""
    return f"warehouse_rows.{_quoted(name)}"


def _highest(cursor: Any, query: str, column: str, located: Located) -> pa.Scalar | None:
    """The highest value of the cursor column; None where there is no row with one."""
    cursor.execute(f"SELECT max({_column(column)}) AS high FROM ({query}) AS warehouse_rows")
    found = cursor.fetch_arrow_table()["high"]
    return found[0] if len(found) and found[0].is_valid else None


def _statement(query: str, column: str, bounds: list[str], style: str) -> str:
    """The query with its rows beyond the cursor's last value, in its order; bounds: those of high and low given."""
    places = ["?" if style == "?" else f"${at}" for at in range(1, len(bounds) + 1)]
    name = _column(column)
    if not bounds:
        where = "1 = 1"
    elif "low" in bounds:
        where = f"{name} <= {places[0]} AND {name} > {places[1]}"
    else:
        where = f"({name} <= {places[0]} OR {name} IS NULL)"
    return f"SELECT * FROM ({query}) AS warehouse_rows WHERE {where} ORDER BY {name}"


def _asked(
    cursor: Any, statement: str, parameters: dict[str, pa.Scalar] | None, located: Located
) -> pa.RecordBatchReader:
    bound = None
    if parameters:
        arrays = [pa.array([value.as_py()], value.type) for value in parameters.values()]
        bound = pa.RecordBatch.from_arrays(arrays, names=list(parameters))
    cursor.execute(statement, bound)
    return cursor.fetch_record_batch()


def _chunks(reader: pa.RecordBatchReader) -> Iterator[bytes]:
    """An IPC stream, batch by batch; what stands where a value is null, which a driver leaves to chance, is zero."""
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, reader.schema) as writer:
        for batch in reader:
            writer.write_batch(batch.take(pa.array(range(batch.num_rows), pa.int64())))
            yield sink.getvalue()
            sink.seek(0)
            sink.truncate()
    yield sink.getvalue()
