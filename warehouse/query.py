"""DuckDB's one door: connect, fetch (always drained), and a repository snapshot as a relation.

DuckDB 2.0 results own their connection until drained, so nothing outside this module holds one: ``fetch_all`` and
``arrow`` drain, ``stream`` lends a reader that must be read to its end or closed before the connection is used again.
Tables of the repository appear as ``repository.<table>``: views in an attached in-memory catalog over the live files of
a pinned version, so a stored view that names them binds again wherever the same snapshots are attached.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from warehouse import mirror
from warehouse.contracts import Snapshot
from warehouse.errors import RecipeError

Connection = duckdb.DuckDBPyConnection
Error = duckdb.Error
CatalogError = duckdb.CatalogException


def connect(
    path: Path | None = None, *, read_only: bool = False, threads: int | None = None, memory_limit: str | None = None
) -> Connection:
    """A connection that never reaches for the network, speaks UTC, and spills beside its database, else to /tmp."""
    config: dict[str, Any] = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}
    if path is None:
        config["temp_directory"] = str(Path(tempfile.gettempdir()) / f"ml-warehouse-{os.getpid()}")
    if threads:
        config["threads"] = threads
    if memory_limit:
        config["memory_limit"] = memory_limit
    con = duckdb.connect(str(path) if path else ":memory:", read_only=read_only, config=config)
    con.execute("SET TimeZone = 'UTC'")
    con.execute("SET enable_progress_bar = false")
    return con


@cache
def shared(memory_limit: str) -> Connection:
    """One empty database for what a process asks of the repository, one question after the other.

    To open one takes 30 ms of CPU, and a run asks 20 times. Nothing is to be made in it.
    """
    return connect(memory_limit=memory_limit)


def fetch_all(con: Connection, sql: str, parameters: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
    """Every row of a query, drained."""
    with interruptible():
        return con.execute(sql, parameters).fetchall()


def fetch_one(con: Connection, sql: str, parameters: Sequence[Any] | None = None) -> tuple[Any, ...] | None:
    """The first row of a query, or None; the rest is drained."""
    rows = fetch_all(con, sql, parameters)
    return rows[0] if rows else None


def arrow(con: Connection, sql: str, parameters: Sequence[Any] | None = None) -> pa.Table:
    """A query's result as one Arrow table; for results known to be small."""
    with interruptible():
        return con.sql(sql, params=parameters).to_arrow_table() if parameters else con.sql(sql).to_arrow_table()


def stream(
    con: Connection, sql: str, parameters: Sequence[Any] | None = None, *, batch_rows: int = 8192
) -> pa.RecordBatchReader:
    """A query's result in batches of ``batch_rows``; read it to its end before the connection is used again."""
    with interruptible():
        relation = con.sql(sql, params=parameters) if parameters else con.sql(sql)
        return relation.to_arrow_reader(batch_rows)


@contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C in a running query, which DuckDB 2.0 gives as a RuntimeError of this text, as KeyboardInterrupt."""
    try:
        yield
    except RuntimeError as error:
        if str(error) != "Query interrupted":
            raise
        raise KeyboardInterrupt from None


@contextmanager
def refusals(at: str) -> Iterator[None]:
    """DuckDB's refusal of a recipe's SELECT as a RecipeError with its place, ``file:line``."""
    try:
        yield
    except Error as error:
        first = " ".join(str(error).partition("\n\n")[0].split())
        raise RecipeError(f"{at}: {first}", do="try the SELECT in 'warehouse sql'") from None


def quoted(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str) -> str:
    """A string as an SQL literal; for the few statements that take no parameters (ATTACH, CREATE VIEW)."""
    return "'" + value.replace("'", "''") + "'"


def relations(con: Connection) -> set[str]:
    """Tables and views as ``schema.name``. DuckDB's list of columns, which has them too, binds every view: 10 ms."""
    sql = """
        SELECT schema_name || '.' || table_name FROM duckdb_tables()
        UNION ALL
        SELECT schema_name || '.' || view_name FROM duckdb_views()"""
    return {name for (name,) in fetch_all(con, sql)}


def attach_repository(con: Connection, snapshots: Iterable[Snapshot]) -> None:
    """Make every snapshot visible as ``repository.<table>`` on this connection; of a keyed one its times too."""
    attach_memory(con, "repository")
    snapshots = list(snapshots)
    for snapshot in snapshots:
        view = f"CREATE OR REPLACE VIEW repository.{quoted(snapshot.table)} AS "
        try:
            con.execute(view + relation_sql(con, snapshot))
        except duckdb.BinderException:  # a column that no file has yet: its rows are still to come
            con.execute(view + relation_sql(con, snapshot, complete=True))
        con.execute(f"COMMENT ON VIEW repository.{quoted(snapshot.table)} IS {literal(f'version {snapshot.version}')}")
        _describe(con, snapshot)
    for snapshot in snapshots:
        if KEY in snapshot.schema.names:
            _attach_times(con, snapshot)


def _describe(con: Connection, snapshot: Snapshot) -> None:
    """What its sources say of the table's columns, after the name as it came, into the catalog."""
    for column in snapshot.schema:
        name, _, said = (column.metadata or {}).get(b"comment", b"").decode().partition("\n")
        if said:
            where = f"repository.{quoted(snapshot.table)}.{quoted(column.name)}"
            con.execute(f"COMMENT ON COLUMN {where} IS {literal(f'{name}: {said}')}")


KEY = "_key"
"""The column that a table has whose rows are facts of keys."""
DERIVED = ("_current", "_history")
"""Views of such a table, by what their name has after the table's."""
AS_OF = "_as_of"
"""The same of the macro that says what was known at a moment: ``<table>_as_of(moment)``."""

_FACTS = """
SELECT * FROM {table}
QUALIFY row_number() OVER (PARTITION BY _key, _known_at ORDER BY _sequence DESC, _record DESC) = 1"""

_HISTORY = """
SELECT * EXCLUDE (_row_hash, _deleted, _sequence, _same),
       _known_at AS valid_from, lead(_known_at) OVER (PARTITION BY _key ORDER BY _known_at) AS valid_to
FROM (
    SELECT *, lag((_row_hash, _deleted)) OVER (PARTITION BY _key ORDER BY _known_at) AS _same
    FROM ({facts})
)
WHERE _same IS DISTINCT FROM (_row_hash, _deleted)
QUALIFY NOT _deleted"""

_AS_OF = """
SELECT * EXCLUDE (valid_from, valid_to) FROM {history}
WHERE valid_from <= moment::TIMESTAMPTZ AND (valid_to IS NULL OR valid_to > moment::TIMESTAMPTZ)"""


def _attach_times(con: Connection, snapshot: Snapshot) -> None:
    """The intervals of a keyed table, what is known now, and what was known at a moment, as views beside it."""
    table = f"repository.{quoted(snapshot.table)}"
    history, current, as_of = (f"repository.{quoted(snapshot.table + end)}" for end in (*DERIVED[::-1], AS_OF))
    facts = _FACTS.format(table=table)
    con.execute(f"CREATE OR REPLACE VIEW {history} AS {_HISTORY.format(facts=facts)}")
    now = f"SELECT * EXCLUDE (valid_from, valid_to) FROM {history} WHERE valid_to IS NULL"
    con.execute(f"CREATE OR REPLACE VIEW {current} AS {now}")
    con.execute(f"CREATE OR REPLACE MACRO {as_of}(moment) AS TABLE {_AS_OF.format(history=history)}")


def attach_memory(con: Connection, name: str) -> None:
    """An empty catalog in memory under this name, unless it is there."""
    if not fetch_all(con, "SELECT 1 FROM duckdb_databases() WHERE database_name = ?", [name]):
        con.execute(f"ATTACH ':memory:' AS {quoted(name)}")


def relation_sql(con: Connection, snapshot: Snapshot, *, complete: bool = False) -> str:
    """The SELECT that reads a snapshot: its live files by name, or an empty relation of its schema.

    complete: also where no file has some of its columns, which are null then.
    """
    mirror.fetch_all(map(Path, snapshot.files))
    names = ", ".join(literal(name) for name in snapshot.files)
    columns = ", ".join(quoted(name) for name in snapshot.schema.names)
    files = f"FROM read_parquet([{names}], union_by_name = true)"
    if snapshot.files and not complete:
        return f"SELECT {columns} {files}"
    nulls = ", ".join(f"CAST(NULL AS {kind}) AS {quoted(name)}" for name, kind in _types(con, snapshot.schema))
    empty = f"SELECT {nulls} WHERE false"
    return f"SELECT {columns} FROM ({empty} UNION ALL BY NAME {files})" if snapshot.files else empty


def _types(con: Connection, schema: pa.Schema) -> list[tuple[str, str]]:
    con.register("_schema_probe", schema.empty_table())
    try:
        return [(row[0], row[1]) for row in fetch_all(con, "DESCRIBE SELECT * FROM _schema_probe")]
    finally:
        con.unregister("_schema_probe")


@cache
def _parser() -> Connection:
    """One empty database for all parsing: to open one costs more than to parse a model."""
    return duckdb.connect()


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a text: its kind as DuckDB's parser names it (SELECT, COPY, PRAGMA...), and its own text."""

    kind: str
    sql: str


def statements(sql: str) -> list[Statement]:
    """The statements of a text, parsed but not run. Raises Error where the text is not SQL."""
    with _parser().cursor() as con:
        return [Statement(found.type.name, found.query) for found in con.extract_statements(sql)]


@lru_cache(maxsize=512)
def syntax_tree(sql: str) -> Mapping[str, Any]:
    """DuckDB's syntax tree of SELECTs: {"error": False, "statements": [...]}, or the error and its byte position.

    A common table expression may hold COPY, INSERT, UPDATE or DELETE: a node whose type ends in _QUERY_NODE. The next
    who asks for the same text gets the same object.
    """
    with _parser().cursor() as con:
        row = con.execute("SELECT json_serialize_sql(?::VARCHAR)", [sql]).fetchall()[0]
    tree: dict[str, Any] = json.loads(row[0])
    return tree


def select_text(statement: Mapping[str, Any]) -> str:
    """The SQL of a statement of such a tree, on one line and without comments."""
    with _parser().cursor() as con:
        given = json.dumps({"error": False, "statements": [statement]})
        text: str = con.execute("SELECT json_deserialize_sql(?::JSON)", [given]).fetchall()[0][0]
    return text


def attach_file(con: Connection, path: Path, name: str) -> None:
    """Attach a database file for reading only and make it the default, so that its tables need no prefix."""
    con.execute(f"ATTACH {literal(str(path))} AS {quoted(name)} (READ_ONLY)")
    con.execute(f"USE {quoted(name)}")


def lock_down(con: Connection, files: Iterable[str]) -> None:
    """From here on the connection reads no file but ``files``, and no setting can be changed.

    DuckDB has no read-only form of this: COPY TO one of ``files`` would still succeed, so let no statement in that is
    not a read (publish.only_reads).
    """
    con.execute(f"SET allowed_paths = [{', '.join(literal(name) for name in files)}]")
    con.execute("SET enable_external_access = false")
    con.execute("SET lock_configuration = true")
