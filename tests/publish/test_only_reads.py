"""Analysts read: what is no read is refused before it runs, and what slips through finds nothing to write to."""

from __future__ import annotations

from pathlib import Path

import pytest
from publishing import ENV, Root, make

from warehouse import query
from warehouse.errors import UsageError
from warehouse.publish import connect_current, only_reads

READS = [
    "SELECT 1",
    "FROM x.a",
    "VALUES (1), (2)",
    "TABLE x.a",
    "WITH a AS (SELECT 1 AS b) SELECT * FROM a",
    "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 9) SELECT * FROM r",
    "-- why\nEXPLAIN SELECT 1",
    "EXPLAIN ANALYZE SELECT 1",
    "EXPLAIN (FORMAT json) SELECT 1",
    "DESCRIBE x.a",
    "SHOW TABLES",
    "SHOW ALL TABLES",
    "SUMMARIZE x.a",
    "/* c */ PRAGMA table_info('x.a')",
    "PRAGMA version",
    "PIVOT (SELECT 1 AS a, 'k' AS k) ON k IN ('k') USING sum(a)",
    "SELECT * FROM duckdb_tables(), unnest([1]) AS u, range(2) AS r",
    "SELECT 1 UNION ALL SELECT 2 INTERSECT SELECT 2",
]
WRITES = [
    ("COPY x.a TO 'f.csv'", "COPY"),
    ("SELECT 1; DROP TABLE x.a", "DROP"),
    ("CREATE TABLE t AS SELECT 1", "CREATE"),
    ("INSERT INTO x.a VALUES (1)", "INSERT"),
    ("SET threads = 1", "SET"),
    ("SET VARIABLE a = 1", "SET"),
    ("ATTACH 'f.duckdb'", "ATTACH"),
    ("DETACH wh", "DETACH"),
    ("USE memory", "SET"),
    ("LOAD json", "LOAD"),
    ("CALL pragma_version()", "CALL"),
    ("PRAGMA enable_profiling", "PRAGMA"),
    ("PRAGMA profiling_output='f'", "SET"),
    ("EXPORT DATABASE 'f'", "EXPORT"),
    ("PREPARE p AS SELECT 1", "PREPARE"),
    ("BEGIN", "TRANSACTION"),
    ("WITH a AS (COPY (SELECT 1) TO 'f.csv') SELECT * FROM a", "COPY in WITH"),
    ("WITH a AS (INSERT INTO x.a VALUES (1) RETURNING value) SELECT * FROM a", "INSERT in WITH"),
    ("WITH a AS (DELETE FROM x.a RETURNING value) SELECT * FROM a", "DELETE in WITH"),
    ("SELECT (WITH a AS (COPY (SELECT 1) TO 'f.csv') SELECT count(*) FROM a)", "COPY in WITH"),
    ("EXPLAIN ANALYZE COPY x.a TO 'f.csv'", "not a SELECT"),
    ("EXPLAIN ANALYZE WITH a AS (COPY (SELECT 1) TO 'f.csv') SELECT * FROM a", "COPY in WITH"),
    ("DESCRIBE WITH a AS (COPY (SELECT 1) TO 'f.csv') SELECT * FROM a", "COPY in WITH"),
    ("FROM json_execute_serialized_sql('{}')", "json_execute_serialized_sql"),
    ("SELECT 1 IN (FROM JSON_Execute_Serialized_SQL('{}'))", "json_execute_serialized_sql"),
    ("FROM query('SELECT 1')", "query"),
    ("FROM python_arrow_scan(1, 2, 3)", "python_arrow_scan"),
    ("FROM enable_logging()", "enable_logging"),
    ("PIVOT x.a ON value USING count(*)", "MULTI"),
    ("SELEC 1", "not SQL"),
]


@pytest.mark.parametrize("sql", READS)
def test_a_read_is_let_through(root: Root, sql: str) -> None:
    make(root, 1)
    (statement,) = only_reads(sql)
    with connect_current(root.published, ENV) as con:
        query.fetch_all(con, statement.sql)


@pytest.mark.parametrize(("sql", "came"), WRITES)
def test_what_is_no_read_is_refused_by_name(sql: str, came: str) -> None:
    with pytest.raises(UsageError, match=came) as refused:
        only_reads(sql)
    assert refused.value.exit_status == 2


def test_an_empty_query_has_no_statement() -> None:
    assert only_reads("  -- nothing\n ;") == []


def test_every_select_that_could_overwrite_the_repository_is_refused(root: Root) -> None:
    """What DuckDB would do, were it let: each of these replaces a pinned file on the locked connection."""
    make(root, 1)
    path = root.inputs[0].files[0]
    copy = f"WITH a AS (COPY (SELECT 42 AS a) TO '{path}' (FORMAT parquet, USE_TMP_FILE false)) SELECT * FROM a"
    with query.connect() as con:
        ((serialized,),) = query.fetch_all(con, "SELECT json_serialize_sql(?::VARCHAR)", [copy])
    for sql in (copy, f"FROM json_execute_serialized_sql({query.literal(serialized)})"):
        with pytest.raises(UsageError):
            only_reads(sql)
        before = Path(path).read_bytes()
        with connect_current(root.published, ENV) as con:
            query.fetch_all(con, sql)
        assert Path(path).read_bytes() != before
        Path(path).write_bytes(before)


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO x.a VALUES (1)",
        "CREATE TABLE wh.x.c AS SELECT 1",
        "SELECT * FROM read_text('{etc}')",
        "SELECT * FROM glob('/*')",
        "COPY (SELECT 1) TO '{new}'",
        "ATTACH '{new}.duckdb'",
        "SET threads = 1",
        "SET enable_external_access = true",
        "SET allowed_paths = ['{etc}']",
        "RESET lock_configuration",
        "INSTALL httpfs",
    ],
)
def test_the_connection_itself_writes_nothing_and_reads_no_other_file(root: Root, tmp_path: Path, sql: str) -> None:
    make(root, 1)
    new = tmp_path / "new"
    with connect_current(root.published, ENV) as con, pytest.raises(query.Error):
        query.fetch_all(con, sql.format(etc="/etc/hostname", new=new))
    assert not list(tmp_path.glob("new*"))


def test_a_query_larger_than_memory_spills_and_leaves_nothing(
    root: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(root, 1)
    monkeypatch.chdir(tmp_path)
    with connect_current(root.published, ENV, threads=1, memory_limit="60MB") as con:
        shuffled = "SELECT range AS i, repeat('x', 40) AS s FROM range(1500000) ORDER BY hash(i) LIMIT 1400000"
        assert query.fetch_all(con, f"SELECT count(*) FROM ({shuffled})") == [(1_400_000,)]
    assert [path.name for path in tmp_path.iterdir()] == ["root"]
