"""NUL, halves of surrogate pairs and signs of paths in names and values: stored, and read back by others."""

from __future__ import annotations

import zipfile
from pathlib import Path

import polars as pl
from commanding import warehouse
from deltalake import DeltaTable

from warehouse.project import load
from warehouse.query import attach_repository, connect, fetch_all
from warehouse.repository import Repository

LINES = b'{"\\ud800": 1, "a": "x\\u0000y"}\n{"a\\u0000b": 2, "a": "\\ud83dz"}\n{"": 3, "a=b%2F": 4, "a\\nb": "c\\nd"}\n'
NAMES = ("a=b/c%2Fd.csv", "new\nline.csv", "\x1b[31m.csv", "k=v%2Fw/k2=%00.csv")


def test_names_and_values_of_any_characters_are_read_back_by_deltalake_polars_and_duckdb(here: Path) -> None:
    (here / "data" / "lines.jsonl").write_bytes(LINES)
    (here / "data" / "cells.csv").write_bytes(b"a,b\n1,x\0y\n2,z\n3\0\n")
    with zipfile.ZipFile(here / "data" / "names.zip", "w") as packed:
        for name in NAMES:
            packed.writestr(name, "x\n1\n")
    for table, name in {"lines": "lines.jsonl", "cells": "cells.csv", "names": "names.zip"}.items():
        recipe = here / "recipes" / "sources" / f"{table}.yaml"
        recipe.write_text(f"uri: data/{name}\ntable: {table}\nmax_reject_share: 0.5\n")
    ended = warehouse("run", "sources/lines", "sources/cells", "sources/names")
    assert (ended.status, ended.err) == (0, "")
    repository = Repository(load(here).root)
    with connect() as con:
        attach_repository(con, [repository.snapshot(name) for name in repository.tables()])
        assert fetch_all(con, "SELECT a FROM repository.lines ORDER BY _record") == [("x\0y",), ("\ufffdz",), (None,)]
        assert fetch_all(con, "SELECT a, b FROM repository.cells ORDER BY a") == [(1, "x\0y"), (2, "z")]
        assert fetch_all(con, "SELECT DISTINCT reason, record FROM repository.rejects") == [("wrong_field_count", "2")]
        records = fetch_all(con, "SELECT _record, a, k FROM repository.names")
    assert {record.rpartition("!")[0]: (a, k) for record, a, k in records} == {
        NAMES[0]: ("b", None),
        NAMES[1]: (None, None),
        NAMES[2]: (None, None),
        NAMES[3]: (None, "v/w"),
    }
    for table in ("lines", "cells", "names"):
        folder = str(repository.root / "repository" / table)
        held = repository.snapshot(table).rows
        assert len(pl.read_delta(folder)) == DeltaTable(folder).to_pyarrow_table().num_rows == held
    shown = warehouse("rejects")
    assert shown.status == 0 and "\0" not in shown.out and "\x1b" not in shown.out
