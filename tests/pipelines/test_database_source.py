"""A database as a source: SQLite everywhere, and a PostgreSQL server of the test's own where there is one."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipelines.intake import Ingested, ingest
from warehouse.errors import InputError, NetworkError, RecipeError
from warehouse.project import load, prepare
from warehouse.repository import Repository
from warehouse.sources import Database, Source, dump_source, load_source

pytest.importorskip("adbc_driver_sqlite", reason="needs the extra adbc")

ROWS = [(1, "north", 1.5, "2026-01-01"), (2, "south", None, "2026-01-02")]


class Place:
    """A project that reads a database."""

    def __init__(self, folder: Path, uri: str, **database: Any) -> None:
        (folder / "warehouse.toml").write_text("")
        self.project = load(folder)
        prepare(self.project)
        self.source = Source("sites", (uri,), table="sites", database=Database(**database))
        self.run_number = 0

    def run(self, *, reread: bool = False) -> Ingested:
        self.run_number += 1
        moment = datetime(2026, 1, self.run_number, tzinfo=UTC)
        return ingest(self.project, self.source, run_id=f"r{self.run_number}", known_at=moment, reread=reread)

    def held(self) -> list[dict[str, Any]]:
        snapshot = Repository(self.project.root).snapshot("sites")
        return [row for file in snapshot.files for row in pq.read_table(file).to_pylist()]

    def ids(self) -> list[int]:
        return sorted(row["id"] for row in self.held())


def sqlite(path: Path, *statements: str) -> None:
    with sqlite3.connect(path) as con:
        for statement in statements:
            con.execute(statement)
    con.close()


@pytest.fixture
def base(tmp_path: Path) -> Path:
    path = tmp_path / "sites.db"
    sqlite(path, "CREATE TABLE sites (id INTEGER, name TEXT, mw REAL, updated_at TEXT)")
    with sqlite3.connect(path) as con:
        con.executemany("INSERT INTO sites VALUES (?, ?, ?, ?)", ROWS)
    con.close()
    return path


def test_a_table_comes_in_with_its_types_and_an_equal_answer_is_not_read_twice(base: Path) -> None:
    place = Place(base.parent, "sqlite://sites.db", table="sites")
    assert place.run().total("rows_out") == 2
    rows = [(row["id"], row["name"], row["mw"], row["updated_at"]) for row in place.held()]
    assert sorted(rows) == ROWS
    done = place.run()
    assert (done.unchanged_objects, done.total("rows_in")) == (1, 0)
    assert place.run(reread=True).total("rows_out") == 2


def test_with_a_cursor_only_rows_beyond_it_come(base: Path) -> None:
    place = Place(base.parent, "sqlite://sites.db", query="SELECT * FROM sites;", cursor="updated_at")
    place.run()
    assert place.run().unchanged_objects == 1
    sqlite(base, "INSERT INTO sites VALUES (3, 'west', 2, '2026-01-03'), (4, 'old', 2, '2025-01-03')")
    assert place.run().total("rows_out") == 1
    assert place.ids() == [1, 2, 3]
    (fact,) = Repository(place.project.root).current_objects("sites", "sites").values()
    assert fact.version is not None
    assert fact.version.endswith("@2026-01-03")
    assert place.run(reread=True).total("rows_out") == 4


def test_another_query_is_read_from_its_beginning(base: Path) -> None:
    place = Place(base.parent, "sqlite://sites.db", table="sites", cursor="id")
    place.run()
    other = Place(base.parent, "sqlite://sites.db", query="SELECT id FROM sites", cursor="id")
    other.run_number = 1
    assert other.run().total("rows_out") == 2


def test_what_a_database_refuses_is_said_in_one_line(base: Path) -> None:
    with pytest.raises(InputError, match=r"sqlite://sites.db: .*no such column.*mend database.query"):
        Place(base.parent, "sqlite://sites.db", query="SELECT gone FROM sites").run()
    with pytest.raises(InputError, match=r"no such column"):
        Place(base.parent, "sqlite://sites.db", query="SELECT [gone] FROM sites", cursor="id").run()
    with pytest.raises(InputError, match=r"no such column: warehouse_rows\.changed_at"):
        Place(base.parent, "sqlite://sites.db", table="sites", cursor="changed_at").run()
    with pytest.raises(InputError, match="no such database"):
        Place(base.parent, "sqlite://gone.db", table="sites").run()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("uri: postgresql://me:word@h/d\ntable: t\ndatabase: {table: t}", ":1: a password in the address"),
        ("uri: sqlite://a.db\ntable: t", ":1: a database without its query"),
        ("uri: a.csv\ntable: t\ndatabase: {table: t}", ":3: a database without its query"),
        ("uri: sqlite://a.db\ntable: t\ndatabase: {table: t, query: q}", ":3: database with none, or both"),
        ("uri: sqlite://a.db\ntable: t\ndatabase: {tabel: t}", ":3: unknown key 'tabel' (did you mean 'table'?)"),
    ],
)
def test_a_wrong_recipe_is_refused_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "s.yaml").write_text(text)
    with pytest.raises(RecipeError, match=r"s\.yaml") as caught:
        load_source(tmp_path / "s.yaml")
    assert said in str(caught.value)


def test_a_database_of_a_recipe_is_written_and_read_again(tmp_path: Path) -> None:
    source = Source("s", ("postgresql://me:${WORD}@h/d",), table="t", database=Database(query="SELECT 1", cursor="id"))
    (tmp_path / "s.yaml").write_text(dump_source(source))
    assert load_source(tmp_path / "s.yaml") == source


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A PostgreSQL server of its own on a socket: its address without a password."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found or not shutil.which("runuser"):
        pytest.skip("needs PostgreSQL's server (Debian: postgresql) and runuser")
    place = Path(tempfile.mkdtemp(prefix="pg-"))  # not below tmp_path: the path of a socket has at most 107 bytes
    word, data = place / "word", place / "data"
    word.write_text("s3cret\n")
    as_user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    if as_user:
        shutil.chown(place, "postgres")
    made = [found[-1], "-D", data, "-A", "scram-sha-256", "-U", "me", "--pwfile", word]
    subprocess.run([*as_user, *made], check=True, capture_output=True, cwd="/")
    word.unlink()
    control = [*as_user, found[-1].parent / "pg_ctl", "-D", data]
    options = f"-k {place} -c listen_addresses='' -c fsync=off"
    subprocess.run(
        [*control, "-w", "-l", place / "log", "-o", options, "start"], check=True, stdout=subprocess.DEVNULL, cwd="/"
    )
    try:
        yield f"postgresql://me:${{WORD}}@/postgres?host={place}"
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], check=True, stdout=subprocess.DEVNULL, cwd="/")
        shutil.rmtree(place, ignore_errors=True)


def test_postgresql_is_read_by_its_cursor_and_tells_no_password(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dbapi = pytest.importorskip("adbc_driver_postgresql.dbapi")
    monkeypatch.setenv("WORD", "s3cret")
    with dbapi.connect(server.replace("${WORD}", "s3cret")) as con, con.cursor() as cursor:
        cursor.execute("CREATE TABLE sites (id bigint, mw double precision, at timestamptz, tags text[])")
        cursor.execute(
            "INSERT INTO sites VALUES (1, 1.5, '2026-01-01T00:00:00Z', '{a,b}'), (2, null, '2026-01-02', null)"
        )
        con.commit()
        place = Place(tmp_path, server, table="public.sites", cursor="at")
        assert place.run().total("rows_out") == 2
        assert place.run().unchanged_objects == 1
        cursor.execute("INSERT INTO sites VALUES (3, 3, '2026-01-03T00:00:00.000001Z', null)")
        con.commit()
        assert place.run().total("rows_out") == 1
    assert place.ids() == [1, 2, 3]
    assert next(row for row in place.held() if row["id"] == 1)["tags"] == ["a", "b"]
    monkeypatch.setenv("WORD", "wr0ng")
    with pytest.raises(NetworkError) as caught:
        place.run()
    assert "password authentication failed" in str(caught.value)
    assert "wr0ng" not in str(caught.value)
    stored = [path.read_bytes() for path in place.project.root.rglob("*") if path.is_file()]
    assert not any(b"s3cret" in each for each in stored)
