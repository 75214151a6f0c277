"""Publishing in a test: a generation whose every table says its own number; also run as a process of its own.

``python publishing.py publish ROOT COUNT`` publishes COUNT generations; ``read ROOT LAST`` reads the current one
again and again until that is LAST and prints how many times and which it saw.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from warehouse import query
from warehouse.contracts import Check, Snapshot
from warehouse.models import Built, Model
from warehouse.publish import Published, building, connect_current, generations, publish, switching
from warehouse.stores import Store

ENV = "prod"
ROWS = 20_000


@dataclass(frozen=True, slots=True)
class Root:
    """A data root and the snapshots it pins."""

    folder: Path
    inputs: tuple[Snapshot, ...] = ()

    @property
    def published(self) -> Path:
        return self.folder / "published"


def make(root: Root, value: int, *, checks: Sequence[Check] = (), run_id: str = "run") -> Published:
    """A generation in which ``x.a`` and ``x.b`` hold nothing but ``value``, and ``x.v`` reads the repository."""
    path = building(root.published, ENV)
    with query.connect(path) as con:
        query.attach_repository(con, root.inputs)
        con.execute("CREATE SCHEMA x")
        con.execute(f"CREATE TABLE x.a AS SELECT {value} AS value FROM range({ROWS})")
        con.execute(f"CREATE TABLE x.b AS SELECT {value} AS value FROM range({ROWS})")
        if root.inputs:
            con.execute("CREATE VIEW x.v AS SELECT a FROM repository.t WHERE a >= coalesce(getvariable('least'), 2)")
    return publish(
        root.published,
        ENV,
        path,
        inputs=root.inputs,
        checks=checks,
        models=[model()],
        created_at=moment(),
        run_id=run_id,
    )


def model() -> Built:
    said = Model("x.a", Path("a.sql"), "SELECT 1", 1, "values", "table", ("value",), "team:x", fingerprint="f" * 16)
    return Built(said, rows=ROWS, cpu_s=0.5)


def moment() -> datetime:
    return datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def seen(con: query.Connection) -> tuple[Any, ...]:
    """(lowest, highest, rows) over both tables of a snapshot: lowest and highest are equal unless it is torn."""
    sql = "SELECT min(value), max(value), count(*) FROM (SELECT * FROM x.a UNION ALL SELECT * FROM x.b)"
    return query.fetch_all(con, sql)[0]


def read(root: Root, last: int) -> None:
    """Read until the ``last`` snapshot was seen, and more than 20 times."""
    values, times = set[int](), 0
    held = connect_current(root.published, ENV)
    first = seen(held)
    while last not in values or times <= 20:
        with connect_current(root.published, ENV) as con:
            low, high, rows = seen(con)
            ((n,),) = query.fetch_all(con, "SELECT n FROM meta.snapshot")
        assert (low, high, rows) == (n, n, 2 * ROWS), (low, high, rows, n)
        assert seen(held) == first
        values.add(low)
        times += 1
    print(times, *sorted(values))


def die(root: Root, step: int, environ: Mapping[str, str]) -> None:
    """Publish, but be killed before the ``step``-th call that changes the folder or the bucket."""
    calls = 0
    os.environ.update(environ)

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **options)

        return call

    path = building(root.published, ENV)
    with query.connect(path) as con:
        con.execute("CREATE SCHEMA x; CREATE TABLE x.a AS SELECT 2 AS value; CREATE TABLE x.b AS SELECT 2 AS value")
    steps = ((switching, "write_meta"), (switching, "_synced"), (os, "replace"), (Path, "unlink"), (Store, "put"))
    for owner, name in (*steps, (Store, "delete")):
        setattr(owner, name, counted(getattr(owner, name)))
    publish(root.published, ENV, path, inputs=(), checks=(), models=(), created_at=moment(), run_id="killed")


def main(verb: str, folder: str, number: str) -> None:
    root = Root(Path(folder))
    if verb == "publish":
        for _ in range(int(number)):
            last = max((each.n for each in generations(root.published, ENV)), default=0)
            print(make(root, last + 1).n, flush=True)
    else:
        read(root, int(number))


if __name__ == "__main__":
    main(*sys.argv[1:])
