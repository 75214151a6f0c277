"""Reading the current snapshot: a connection that only reads, and which statements are reads.

Two locks, because either alone has a hole. The file is attached read-only, no other file can be read, and no setting
changed; but DuckDB has no read-only paths, so COPY TO one of the repository's own files would succeed. So
``only_reads`` refuses statements that are not reads. Two were found that DuckDB 2.0 calls a SELECT and that overwrite
such a file: ``WITH a AS (COPY ... TO ...) SELECT`` and ``FROM json_execute_serialized_sql(...)``; hence no write in any
common table expression, and only table functions that are known to read.
"""

from __future__ import annotations

import os
import re
import secrets
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from warehouse import mirror, query
from warehouse.contracts import Snapshot
from warehouse.errors import FormatError, NotFound, UsageError
from warehouse.publish.meta import MACROS, snapshots
from warehouse.publish.switching import Published, current, generations

ATTACHED = "wh"
_TRIES = 20
_ALLOWED = "SELECT, FROM, VALUES, WITH, EXPLAIN, DESCRIBE, SHOW, SUMMARIZE, PRAGMA " + ", PRAGMA ".join(
    _PRAGMAS := ("table_info", "show_tables", "database_list", "database_size", "version", "storage_info")
)
_TABLE_FUNCTIONS = frozenset(
    [
        *MACROS,
        "unnest",
        "range",
        "generate_series",
        "repeat",
        "repeat_row",
        "json_each",
        "json_tree",
        "summary",
        "query_table",
        "read_parquet",
        "parquet_scan",
        "parquet_metadata",
        "parquet_schema",
        "parquet_file_metadata",
        "parquet_kv_metadata",
        "pg_timezone_names",
        "icu_calendar_names",
        "pragma_table_info",
        "pragma_database_size",
        "pragma_storage_info",
        "pragma_version",
        "pragma_show",
        "pragma_platform",
    ]
)
"""With duckdb_*(), which list the catalog, and the macros ``<table>_as_of`` of keyed tables. Not ``query``: its text is
SQL that nobody has looked at.
"""
_PRAGMA = re.compile(r"\s*pragma\s+(\w+)", re.IGNORECASE)
_EXPLAIN = re.compile(r"\s*explain\s+(analyze\s+)?(\([^)]*\)\s*)?(?P<sql>.*)\Z", re.IGNORECASE | re.DOTALL)


def connect_current(
    published: Path,
    env: str,
    *,
    threads: int | None = None,
    memory_limit: str | None = None,
    also: Sequence[Snapshot] = (),
) -> query.Connection:
    """A connection that reads the current snapshot: ``marts.x``, ``meta.models``, and ``repository.x`` as pinned.

    also: further snapshots to read, or newer ones than the pinned. It stays on its generation however many follow. The
    file is attached as ``wh``, read-only and the default (a cursor() of the connection must say USE wh again). Raises
    NotFound where nothing is published, FormatError where the file is of another DuckDB.
    """
    return _reading(
        lambda con: _attached(con, published, env),
        published.parent,
        threads=threads,
        memory_limit=memory_limit,
        also=also,
    )


def connect_file(
    path: Path, *, root: Path, memory_limit: str | None = None, also: Sequence[Snapshot] = ()
) -> query.Connection:
    """As ``connect_current``, of one generation that is kept, or of a file that was built and is never switched in.

    root: the data root. Raises NotFound where it is not there, or was deleted meanwhile.
    """
    return _reading(lambda con: _opened(con, path), root, memory_limit=memory_limit, also=also)


def generation_of(
    published: Path,
    env: str,
    inputs: Mapping[str, int],
    fingerprints: Mapping[str, str],
    *,
    beside: Collection[str] = (),
) -> Published | None:
    """The newest generation kept that was made from these versions of tables by these models; None where none is.

    beside: tables of which the version does not count, as they are read beside the snapshot.
    """
    wanted = inputs.keys() - set(beside)
    for each in reversed(generations(published, env)):
        tables, models = _made_of(each.path)
        held = tables.keys() - set(beside)
        if held == wanted and all(tables[name] == inputs[name] for name in wanted) and models == dict(fingerprints):
            return each
    return None


def _made_of(path: Path) -> tuple[dict[str, int], dict[str, str]]:
    """The tables of a published file with their Delta versions, and its models with their fingerprints."""
    with query.connect() as con:
        _opened(con, path)
        tables = dict(query.fetch_all(con, "SELECT table_name, version FROM meta.inputs"))
        models = dict(query.fetch_all(con, "SELECT name, fingerprint FROM meta.models WHERE skipped IS NULL"))
        return tables, models


def _opened(con: query.Connection, path: Path) -> None:
    try:
        query.attach_file(con, mirror.fetch(path), ATTACHED)
    except query.Error:
        raise NotFound(f"{path} is no longer there or cannot be opened") from None


def _reading(
    attached: Callable[[query.Connection], None],
    root: Path,
    *,
    threads: int | None = None,
    memory_limit: str | None = None,
    also: Sequence[Snapshot] = (),
) -> query.Connection:
    con = query.connect(threads=threads, memory_limit=memory_limit)
    try:
        attached(con)
        pinned = [*snapshots(con, root), *also]
        query.attach_repository(con, pinned)
        con.execute(f"SET temp_directory = {query.literal(_spill_folder())}")
        query.lock_down(con, [name for snapshot in pinned for name in snapshot.files])
    except BaseException:
        con.close()
        raise
    return con


def _spill_folder() -> str:
    """A folder of one connection's own, made by DuckDB while it spills and removed then.

    Never the system's own: DuckDB lets a locked connection read and write whatever lies under its temp_directory.
    """
    return f"{tempfile.gettempdir()}/warehouse-spill-{os.getpid()}-{secrets.token_hex(8)}"


def _attached(con: query.Connection, published: Path, env: str) -> None:
    """Attach the current file; again if publishers replaced and deleted it between reading its name and opening it."""
    for _ in range(_TRIES):
        found = current(published, env)
        try:
            query.attach_file(con, found.path, ATTACHED)
            return
        except query.Error as error:
            if found.path.exists():
                said = str(error).partition("\n")[0]
                raise FormatError(
                    f"{found.path} cannot be opened: {said}", do="run 'warehouse run' to publish again"
                ) from None
    raise NotFound(f"{_TRIES} generations of {env!r} were deleted while one was being opened", do="try again")


def only_reads(sql: str) -> list[query.Statement]:
    """The statements of a text, every one of which only reads. Raises UsageError that names the first that does not."""
    try:
        found = query.statements(sql)
    except query.Error as error:
        raise UsageError(f"not SQL: {' '.join(str(error).split())}", do="mend the query") from None
    for statement in found:
        _refuse_writes(statement)
    return found


def _refuse_writes(statement: query.Statement) -> None:
    kind, sql = statement.kind, statement.sql
    if kind == "PRAGMA" and (named := _PRAGMA.match(_bare(sql))) and named[1].lower() in _PRAGMAS:
        return
    if kind == "EXPLAIN" and (explained := _EXPLAIN.match(_bare(sql))):
        kind, sql = "SELECT", explained["sql"]
    came = _writes(sql) if kind == "SELECT" else kind
    if came:
        hint = "PIVOT needs its values with IN (...)" if came == "MULTI" else "the published snapshot can only be read"
        raise UsageError(f"{came} is not a read", allowed=_ALLOWED, do=hint, statement=statement.sql)


def _writes(sql: str) -> str | None:
    """The first thing in a SELECT that is not a read, by DuckDB's own syntax tree."""
    tree = query.syntax_tree(sql)
    if tree["error"]:
        return str(tree["error_message"]) if "position" in tree else "a statement that is not a SELECT"
    return next((came for node in _nodes(tree) if (came := _writing(node))), None)


def _writing(node: dict[str, Any]) -> str | None:
    """What a node of the tree does besides reading."""
    kind = str(node.get("type", ""))
    if kind.endswith("_QUERY_NODE"):
        return f"{kind.removesuffix('_QUERY_NODE')} in WITH"
    if kind != "TABLE_FUNCTION":
        return None
    name = str(node["function"].get("function_name", "")).lower()
    reads = name in _TABLE_FUNCTIONS or name.startswith("duckdb_") or name.endswith(query.AS_OF)
    return None if reads else f"{name}(...)"


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        yield tree
    for value in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from _nodes(value)


def _bare(sql: str) -> str:
    """The statement from its first word on, leading comments removed."""
    return re.sub(r"\A(\s+|--[^\n]*\n|/\*.*?\*/)*", "", sql, flags=re.DOTALL)
