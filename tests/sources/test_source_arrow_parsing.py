"""Parquet and Arrow are read by a process of its own: whatever becomes of it, the run goes on and nothing is lost."""

from __future__ import annotations

import io
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from warehouse.contracts import Reject
from warehouse.sources import Located, Source, arrow_parsing, arrow_served, read
from warehouse.sources.parsing import closing_parser

TABLE = pa.table({"n": range(200_000), "text": [f"text {at}" for at in range(200_000)]})


@pytest.fixture(autouse=True)
def _none_left():
    """No process from the test before, none for the one after."""
    with closing_parser():
        pass
    with closing_parser():
        yield


def children() -> list[int]:
    return [process._process.pid for process in arrow_parsing._idle]


def parquet(table: pa.Table, **options) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def ipc(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=50_000)
    return sink.getvalue()


FORMS = {"a.parquet": parquet(TABLE), "a.arrow": ipc(TABLE)}


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("table", ["documents", "t"])
def test_a_process_that_is_killed_at_a_file_costs_what_had_not_come_and_the_next_file_gets_another(
    reading, tmp_path: Path, monkeypatch, name, table
):
    path = tmp_path / name
    path.write_bytes(FORMS[name])
    started = []
    begin = arrow_parsing._Process.__init__
    monkeypatch.setattr(arrow_parsing._Process, "__init__", lambda self: (begin(self), started.append(self))[0])
    items = read(Source("s", (name,), table=table), Located(name, path, path.stat().st_size), path)
    got = next(items).num_rows
    os.kill(started[0]._process.pid, signal.SIGKILL)
    *rest, last = items
    got += sum(item.num_rows for item in rest)
    assert isinstance(last, Reject)
    assert (last.reason, last.record, last.exception) == ("parser_died", "", "ParserDied")
    assert "SIGKILL" in last.message
    assert got < 200_000
    whole = reading(FORMS[name], name, table=table)
    assert (len(whole.rows), whole.rejects, len(started)) == (200_000, [], 2)


def test_one_process_serves_many_files_and_ends_with_the_run(reading):
    held = bytearray(b"x") * (1200 << 20)  # of which no process that is begun now may think it its own
    with closing_parser():
        reading(FORMS["a.arrow"], "a.arrow", table="t")
        (first,) = children()
        del held
        for _ in range(3):
            for name, raw in FORMS.items():
                assert reading(raw, name, table="t").met == 200_000
                assert reading(raw[:-9], name, table="t").rejects
        (pid,) = children()
        assert pid == first
    assert children() == []
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_reading_that_is_given_up_leaves_no_process_at_work(tmp_path: Path):
    path = tmp_path / "a.parquet"
    path.write_bytes(FORMS["a.parquet"])
    with closing_parser():
        items = read(Source("s", ("a",), table="t"), Located("a.parquet", path, 1), path)
        next(items)
        items.close()
        assert children() == []


@pytest.mark.parametrize("name", FORMS)
def test_what_is_held_of_a_batch_keeps_its_values_whatever_is_read_after_it(tmp_path: Path, name):
    """Whole batches, more of them than there are slots; then a slice of each batch, of which nothing else is held."""
    path = tmp_path / name
    path.write_bytes(FORMS[name])
    located = Located(name, path, path.stat().st_size)
    held = list(read(Source("s", (name,), table="t"), located, path))
    assert len(held) > arrow_served.SLOTS
    assert pa.Table.from_batches(held).select(["n", "text"]).equals(TABLE)
    del held
    tails = [batch["text"].slice(batch.num_rows - 9) for batch in read(Source("s", (name,), table="t"), located, path)]
    ends = [TABLE["n"][row].as_py() for row in (65_535, 131_071, 196_607, 199_999)]
    if name == "a.arrow":
        ends = [49_999, 99_999, 149_999, 199_999]
    assert [tail.to_pylist() for tail in tails] == [[f"text {at - 8 + more}" for more in range(9)] for at in ends]


ASKED = {
    "kind": "parquet",
    "names": False,
    "columns": None,
    "batch_bytes": 1 << 24,
    "max_rows": 65_536,
    "allowed": 1 << 40,
}


def test_a_slot_is_free_once_its_batch_is_gone_but_not_by_a_process_that_was_forked(tmp_path: Path):
    path = tmp_path / "a.parquet"
    path.write_bytes(parquet(TABLE.slice(0, 9)))
    process = arrow_parsing._Process()
    with path.open("rb") as file:
        process.ask(ASKED, file.fileno())
        batch = process.answer()
        assert process.answer()["end"]
    if (forked := os.fork()) == 0:
        del batch
        os._exit(0)
    os.waitpid(forked, 0)
    assert process._arena[: arrow_served.SLOTS] == b"\1\0\0"
    text = batch["text"]
    del batch
    assert (process._arena[0], text.to_pylist()) == (1, TABLE["text"].slice(0, 9).to_pylist())
    del text
    assert process._arena[: arrow_served.SLOTS] == b"\0\0\0"
    process.ended()


def test_a_batch_that_no_slot_holds_comes_all_the_same(tmp_path: Path):
    table = pa.table({"x": pa.array([bytes(arrow_served.SLOT_BYTES // 2 + 1)] * 2, pa.binary())})
    assert pa.Table.from_batches(batches(tmp_path, parquet(table))).select(["x"]).equals(table)


def batches(folder: Path, raw: bytes) -> Iterator[pa.RecordBatch]:
    path = folder / "a.parquet"
    path.write_bytes(raw)
    return read(Source("s", ("a",), table="t"), Located("a.parquet", path, len(raw)), path)


def test_memory_does_not_grow_with_the_file(tmp_path: Path):
    table = pa.table({"x": pa.array([bytes(16_384)] * 16_384, pa.binary())})
    raw = parquet(table, row_group_size=256, compression="none", use_dictionary=False)
    assert sum(batch.num_rows for batch in batches(tmp_path, raw)) == 16_384
    (process,) = children()
    status = Path(f"/proc/{process}/status").read_text("ascii")
    peak = next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmHWM:"))
    assert peak < len(raw)


KILLED = """
import os, signal, sys, time
from pathlib import Path
from warehouse.sources import Located, Source, read
path = Path(sys.argv[1])
items = read(Source("s", ("a",), table="t"), Located("a.parquet", path, 1), path)
next(items)
time.sleep(0.5)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_process_whose_run_is_killed_ends_without_a_word(tmp_path: Path):
    path = tmp_path / "a.parquet"
    path.write_bytes(parquet(TABLE.slice(0, 9)))  # one batch: what is left unread is that it was the last
    ended = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False, capture_output=True, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (-signal.SIGKILL, b"", b"")


def test_a_batch_that_takes_more_memory_than_there_is_costs_its_object(reading, monkeypatch):
    monkeypatch.setattr(arrow_parsing, "MAX_MEMORY", 2 << 30)
    values = pa.DictionaryArray.from_arrays(pa.array([0] * 60_000, pa.int32()), pa.array(["x" * (1 << 20)]))
    bomb = parquet(
        pa.table({"x": values}).cast(pa.schema([("x", pa.dictionary(pa.int32(), pa.string()))])), store_schema=False
    )
    result = reading(bomb, "a.parquet", table="t")
    assert not result.rows
    assert set(result.reasons) <= {"too_large", "parser_died"}
    assert reading(FORMS["a.parquet"], "a.parquet", table="t").met == 200_000


def test_a_file_of_rows_that_take_no_bytes_is_too_large(reading):
    bomb = parquet(pa.table({"n": pa.nulls(20_000_000, pa.int8())}), row_group_size=20_000_000)
    assert len(bomb) < 40_000
    assert reading(bomb, "a.parquet", table="t").reasons == {"too_large": 1}


def test_text_that_is_not_utf8_is_refused_before_it_is_touched(reading):
    raw = pa.array([b"good", b"\xff\xfe"], pa.binary())
    text = pa.Array.from_buffers(pa.string(), 2, raw.buffers())
    for name, data in (("a.parquet", parquet(pa.table({"x": text}))), ("a.arrow", ipc(pa.table({"x": text})))):
        result = reading(data, name, table="t")
        assert (result.rows, len(result.rejects)) == ([], 1)


@pytest.mark.parametrize("seed", range(4))
def test_bytes_flipped_at_random_give_rows_and_one_reject(reading, shared_data: Path, seed):
    numbers = random.Random(seed)
    paths = [
        *(shared_data / "parquet_testing/data").glob("*.parquet"),
        *(shared_data / "arrow_testing").rglob("*.parquet"),
    ]
    small = [path for path in sorted(paths) if 0 < path.stat().st_size < 20_000]
    for path in numbers.sample(small, 30):
        broken = bytearray(path.read_bytes())
        for _ in range(numbers.choice([1, 2, 8])):
            broken[numbers.randrange(len(broken))] = numbers.randrange(256)
        result = reading(bytes(broken), "a.parquet", reader="parquet", table="t")
        assert sum(reject.record == "" for reject in result.rejects) <= 1
