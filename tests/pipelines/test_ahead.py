"""Laws of reading several objects at once: the same tables, bounded memory, and no process is left over."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipelines import intake
from pipelines.intake import Ingested, ingest
from warehouse.contracts import Dropped, Reject
from warehouse.project import Project, load, prepare
from warehouse.query import attach_repository, fetch_all, shared
from warehouse.repository import Repository
from warehouse.sources import Located, Names, Readers, Source, load_source, read
from warehouse.sources.ahead import _received
from warehouse.sources.ahead_served import HELD_BYTES

KNOWN_AT = datetime(2026, 1, 1, tzinfo=UTC)
PAGE = "<html><head><title>{0}</title></head><body><p>Page {0} says that the heat goes into the pool.</p></body></html>"


def lines(count: int, text: str = "a text") -> bytes:
    return b"".join(json.dumps({"text": f"{text} {at}"}).encode() + b"\n" for at in range(count))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Objects of several formats, good, damaged and empty."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "a.jsonl").write_bytes(lines(50) + b'{"text": 5}\n{"broken\n' + lines(20))
    (folder / "b.csv").write_text("text,title\none,A\ntwo,B\n,C\n")
    (folder / "c.jsonl").write_bytes(b"")
    (folder / "d.html").write_text(PAGE.format("d"))
    (folder / "e.unknown").write_bytes(b"\x00\x01")
    (folder / "f.jsonl").write_bytes(lines(30, "f"))
    (folder / "g.html").write_text(PAGE.format("g"))
    return folder


def made(folder: Path, data: Path, processes: int) -> Project:
    (folder / "recipes" / "sources").mkdir(parents=True)
    (folder / "warehouse.toml").write_text(f'name = "made"\nthreads = {processes}\n')
    recipe = f"uri: {data}\nmax_reject_share: 1\nfields: {{text: text, title: title}}\n"
    (folder / "recipes" / "sources" / "s.yaml").write_text(recipe)
    project = load(folder)
    prepare(project)
    return project


def run(project: Project) -> Ingested:
    source = load_source(project.folder / "recipes" / "sources" / "s.yaml")
    return ingest(project, source, run_id="r", known_at=KNOWN_AT)


def held(project: Project) -> list[Any]:
    """Rows in their order, rejects, and what the receipts say."""
    repository = Repository(project.root)
    con = shared("500MB")
    attach_repository(con, [repository.snapshot(name) for name in repository.tables()])
    facts = [receipt.objects for receipt in repository.receipts("documents")]
    drops = [receipt.drops for receipt in repository.receipts("documents")]
    return [
        fetch_all(con, f"SELECT * EXCLUDE (receipt_id) FROM repository.{table}") for table in ("documents", "rejects")
    ] + [facts, drops]


def test_any_number_of_processes_gives_the_same_rows_in_the_same_order(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "AHEAD_BYTES", 0)
    begun: list[str] = []
    begin = Readers.begin

    def counted(readers: Readers, located: Located, *given: Any) -> Any:
        begun.append(located.uri)
        return begin(readers, located, *given)

    monkeypatch.setattr(Readers, "begin", counted)
    one, three = (made(tmp_path / str(count), data, count) for count in (1, 3))
    first, second = run(one), run(three)
    assert held(one) == held(three)
    assert [Path(uri).suffix for uri in begun] == [".csv", ".html", ".unknown", ".html"]
    assert (first.objects, first.unmatched, first.drops()) == (second.objects, second.unmatched, second.drops())
    assert run(three).unchanged_objects == 7


def test_one_new_object_is_read_by_the_process_itself(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "AHEAD_BYTES", 0)
    project = made(tmp_path / "p", data / "b.csv", 2)
    monkeypatch.setattr(Readers, "begin", lambda *_: pytest.fail("a process was asked"))
    assert run(project).total("rows_out") == 2


@pytest.fixture
def readers() -> Iterator[Readers]:
    with closing(Readers(Source("s", ("*",)))) as made:
        yield made


def located(path: Path) -> Located:
    return Located(path.name, path, path.stat().st_size)


def counted(items: Any) -> tuple[int, list[Reject | Dropped]]:
    found = list(items)
    rows = sum(item.num_rows for item in found if isinstance(item, pa.RecordBatch))
    return rows, [item for item in found if not isinstance(item, pa.RecordBatch)]


def test_a_process_that_is_killed_costs_its_object_and_the_next_gets_another(tmp_path: Path, readers: Readers) -> None:
    large, small = tmp_path / "large.jsonl", tmp_path / "small.jsonl"
    large.write_bytes(lines(6_000, "x" * 10_000))
    small.write_bytes(lines(3))
    items = readers.begin(located(large), large, Names())
    first = next(items)
    assert isinstance(first, pa.RecordBatch)
    readers._at_work[0]._process.kill()
    rows, others = counted(items)
    assert rows < 6_000
    assert [(each.reason, each.record) for each in others] == [("parser_died", "")]
    assert counted(readers.begin(located(small), small, Names())) == (3, [])


def test_what_waits_is_bounded_and_the_rest_comes_when_it_is_asked_for(tmp_path: Path, readers: Readers) -> None:
    large = tmp_path / "large.jsonl"
    large.write_bytes(lines(8_000, "x" * 10_000))
    items = readers.begin(located(large), large, Names())
    process = readers._at_work[0]._process.pid
    before = -1
    while (spent := cpu_ticks(process)) != before or not spent:
        before = spent
        time.sleep(0.5)
    resident = int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    assert resident < 400 << 20
    os.kill(process, signal.SIGSTOP)
    waiting = []
    while readers._at_work[0].line.poll(0.5):
        waiting.append(_received(readers._at_work[0].line))
    os.kill(process, signal.SIGCONT)
    assert all(isinstance(batch, pa.RecordBatch) for batch in waiting)
    assert 0 < sum(batch.nbytes for batch in waiting) <= HELD_BYTES
    rows, others = counted(items)
    assert (rows + sum(batch.num_rows for batch in waiting), others) == (8_000, [])


def cpu_ticks(process: int) -> int:
    return sum(map(int, Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]))


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_no_process_outlives_the_one_that_began_it(tmp_path: Path, how: signal.Signals) -> None:
    large = tmp_path / "large.jsonl"
    large.write_bytes(lines(6_000, "x" * 10_000))
    code = f"""
        import time
        from contextlib import closing
        from pathlib import Path
        from warehouse.sources import Located, Names, Readers, Source
        path = Path({str(large)!r})
        with closing(Readers(Source("s", ("*",)))) as readers:
            given = [readers.begin(Located(path.name, path, 1), path, Names()) for _ in range(2)]
            next(given[0])
            print(*(each._process.pid for each in readers._at_work), flush=True)
            time.sleep(60)
    """
    argv = [sys.executable, "-c", textwrap.dedent(code)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        children = [int(each) for each in process.stdout.readline().split()]
        assert len(children) == 2
        process.send_signal(how)
    until = time.monotonic() + 20
    while (left := [each for each in children if running(each)]) and time.monotonic() < until:
        time.sleep(0.05)
    assert not left


def running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_records_and_names_are_those_of_this_process(tmp_path: Path) -> None:
    source = Source("s", ("*",), table="t", columns={})
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n1,x\n2,y,z\n3,\n")
    with closing(Readers(source)) as readers:
        given = list(readers.begin(located(path), path, Names()))
    own = list(read(source, located(path), path, Names()))
    assert [each.schema if isinstance(each, pa.RecordBatch) else each for each in given] == [
        each.schema if isinstance(each, pa.RecordBatch) else each for each in own
    ]
    assert all(one.equals(other) for one, other in zip(given, own, strict=True) if isinstance(one, pa.RecordBatch))
