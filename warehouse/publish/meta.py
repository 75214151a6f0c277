"""The schema ``meta`` of a published file: what it was made of, what was checked, and where its input lies.

meta.snapshot (n, env, created_at, run_id), meta.inputs (table_name, version, rows, bytes, files, arrow_schema),
meta.models (name, kind, fingerprint, rows, description, ...), meta.checks (suite, table_name, expectation, ...). Beside
it the table functions of MACROS. Files
are stored relative to the data root where they lie under it, so that a root can be moved or copied whole.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from warehouse import query
from warehouse.contracts import Check, Snapshot

_TABLES = """
CREATE SCHEMA meta;
CREATE TABLE meta.snapshot (n BIGINT, env VARCHAR, created_at TIMESTAMPTZ, run_id VARCHAR);
CREATE TABLE meta.inputs
    (table_name VARCHAR, version BIGINT, rows BIGINT, bytes BIGINT, files VARCHAR[], arrow_schema BLOB);
CREATE TABLE meta.models
    (name VARCHAR, kind VARCHAR, fingerprint VARCHAR, rows BIGINT, description VARCHAR, grain VARCHAR[], owner VARCHAR,
     depends_on VARCHAR[], reads VARCHAR[], cpu_s DOUBLE, wall_s DOUBLE, skipped VARCHAR);
CREATE TABLE meta.checks
    (suite VARCHAR, table_name VARCHAR, expectation VARCHAR, column_name VARCHAR, kwargs JSON, success BOOLEAN,
     element_count BIGINT, unexpected_count BIGINT, observed JSON, samples JSON);
"""


MACROS = {"observations": Path(__file__).parent / "observations.sql"}
"""Table functions of a published file, by the repository table that they read and whose name they have."""


class Described(Protocol):
    """What a model says of itself, as far as a snapshot records it."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def grain(self) -> tuple[str, ...]: ...
    @property
    def owner(self) -> str: ...
    @property
    def depends_on(self) -> tuple[str, ...]: ...
    @property
    def reads(self) -> tuple[str, ...]: ...


class BuiltModel(Protocol):
    """What became of a model; ``skipped`` says why there is none."""

    @property
    def model(self) -> Described: ...
    @property
    def rows(self) -> int | None: ...
    @property
    def cpu_s(self) -> float: ...
    @property
    def wall_s(self) -> float: ...
    @property
    def skipped(self) -> str | None: ...


def write_meta(
    path: Path,
    *,
    root: Path,
    n: int,
    env: str,
    inputs: Sequence[Snapshot],
    checks: Sequence[Check],
    models: Sequence[BuiltModel],
    created_at: datetime,
    run_id: str,
) -> None:
    """Write the schema ``meta`` into a closed database file, in one transaction, and leave it closed, with no log."""
    with query.connect(path) as con:
        con.execute("BEGIN")
        con.execute("DROP SCHEMA IF EXISTS meta CASCADE")
        con.execute(_TABLES)
        _insert(con, "meta.snapshot", [(n, env, created_at, run_id)])
        _insert(con, "meta.inputs", [_input(snapshot, root) for snapshot in inputs])
        _insert(con, "meta.models", [_model(built) for built in models])
        _insert(con, "meta.checks", [_check(check) for check in checks])
        con.execute("COMMIT")
        _add_macros(con, [snapshot for snapshot in inputs if snapshot.table in MACROS])
        con.execute("CHECKPOINT")


def _add_macros(con: query.Connection, inputs: Sequence[Snapshot]) -> None:
    """The table functions of these tables, which bind to whatever version is attached when they are called."""
    if inputs:
        query.attach_repository(con, inputs)
        for snapshot in inputs:
            con.execute(MACROS[snapshot.table].read_text("utf-8"))
        con.execute("DETACH repository")


def _insert(con: query.Connection, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """All rows in one statement: DuckDB plans each anew."""
    if rows:
        row = f"({', '.join('?' * len(rows[0]))})"
        con.execute(f"INSERT INTO {table} VALUES {', '.join([row] * len(rows))}", [*chain.from_iterable(rows)])


def _input(snapshot: Snapshot, root: Path) -> tuple[Any, ...]:
    files = [_relative(name, root) for name in snapshot.files]
    schema = snapshot.schema.serialize().to_pybytes()
    return snapshot.table, snapshot.version, snapshot.rows, snapshot.bytes, files, schema


def _relative(name: str, root: Path) -> str:
    path = Path(name)
    return os.path.relpath(path, root) if path.is_relative_to(root) else name


def _model(built: BuiltModel) -> tuple[Any, ...]:
    said = built.model
    return (
        said.name, said.kind, said.fingerprint, built.rows, said.description, list(said.grain), said.owner,
        list(said.depends_on), list(said.reads), built.cpu_s, built.wall_s, built.skipped,
    )  # fmt: skip


def _check(check: Check) -> tuple[Any, ...]:
    return (
        check.suite, check.table, check.expectation, check.column, _json(dict(check.kwargs)), check.success,
        check.element_count, check.unexpected_count, _json(check.observed), _json(list(check.samples)),
    )  # fmt: skip


def _json(value: Any) -> str:
    """JSON text; what JSON has no form for (times, bytes, decimals) as text."""
    return json.dumps(value, default=str, ensure_ascii=False)


def snapshots(con: query.Connection, root: Path, *, schema: str = "meta") -> list[Snapshot]:
    """The repository tables that a published file was made from, as they were; ``root`` is the data root."""
    listed = "SELECT table_name, version, rows, bytes, files, arrow_schema FROM "
    rows = query.fetch_all(con, listed + f"{schema}.inputs ORDER BY table_name")
    return [
        Snapshot(table, version, tuple(str(root / name) for name in files), _schema(raw), count, size)
        for table, version, count, size, files, raw in rows
    ]


def _schema(raw: bytes) -> pa.Schema:
    return pa.ipc.read_schema(pa.py_buffer(raw))


def checks(con: query.Connection) -> list[Check]:
    """The verdicts that a published file passed (the connection is connect_current's)."""
    return [_read_check(row) for row in query.fetch_all(con, "SELECT * FROM meta.checks")]


def _read_check(row: tuple[Any, ...]) -> Check:
    suite, table, expectation, column, kwargs, success, elements, unexpected, observed, samples = row
    said = (suite, table, expectation, column, json.loads(kwargs), success, elements, unexpected)
    return Check(*said, observed=json.loads(observed), samples=tuple(json.loads(samples)))
