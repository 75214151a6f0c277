"""Laws of taking down: what goes is in no version of no table, no line of no object, and comes in no more."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from deltalake import DeltaTable
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import day, documents, ingest, leftovers
from test_upkeep import LATER, empty_root

from examples import dear
from pipelines.cutters import cutter, unknown
from warehouse.contracts import REJECTS, Cutter, ObjectFact, Wanted, content_hash, doc_id
from warehouse.errors import Busy, InputError
from warehouse.query import attach_repository, connect, fetch_all
from warehouse.repository import Barred, Gone, Repository, keyed_hash, takedown
from warehouse.sources import Source

SCHEMA = pa.schema([("doc_id", pa.string()), ("value", pa.int64())])
PAIRS = pa.schema([("a", pa.string()), ("b", pa.string())])


def name(number: int) -> str:
    return f"{number:032x}"


def gone(*numbers: int) -> Gone:
    return Gone(frozenset(map(name, numbers)), frozenset(), frozenset())


def append(repository: Repository, table: str, columns: dict[str, list[object]], schema: pa.Schema) -> None:
    batch = pa.RecordBatch.from_pydict(columns, schema=schema)
    repository.append(table, [batch], schema=schema, source="s", run_id="r")


def values(repository: Repository, version: int | None = None) -> Counter[tuple[str, int]]:
    with connect() as con:
        attach_repository(con, [repository.snapshot("t", version=version)])
        return Counter(fetch_all(con, "FROM repository.t"))


@settings(max_examples=dear(10))
@given(
    st.lists(st.lists(st.integers(0, 9), max_size=8), min_size=1, max_size=12),
    st.sets(st.integers(0, 9)),
    st.booleans(),
)
def test_rows_go_out_of_every_version_and_no_other_row_does(
    memory_folder: Path, commits: list[list[int]], wanted: set[int], compacted: bool
) -> None:
    with empty_root(memory_folder) as root:
        repository = Repository(root)
        for at, numbers in enumerate(commits):
            rows = {"doc_id": [*map(name, numbers)], "value": [at * 100 + n for n in range(len(numbers))]}
            append(repository, "t", rows, SCHEMA)
            if compacted and at == len(commits) // 2:
                repository.compact("t")
        receipts = repository.receipts("t")
        before = {v: values(repository, v) for v in range(repository.snapshot("t").version + 1)}
        done = repository.erase("t", gone(*wanted))
        kept = {
            v: Counter(row for row in rows.elements() if int(row[0], 16) not in wanted) for v, rows in before.items()
        }
        assert {v: values(repository, v) for v in before} == kept
        assert values(repository) == kept[max(kept)]
        assert repository.receipts("t") == receipts
        assert (done.rows == 0) == all(rows == kept[v] for v, rows in before.items())
        path = root / "repository/t"
        held = [pl.read_delta(str(path)), pl.from_arrow(DeltaTable(path).to_pyarrow_table())]
        assert [Counter(frame.rows()) for frame in held] == 2 * [kept[max(kept)]]
        assert repository.snapshot("t").rows == kept[max(kept)].total()
        raw = b"".join(each.read_bytes() for each in path.rglob("*") if each.suffix == ".json")
        assert not any(name(number).encode() in raw for number in wanted), "no minimum or maximum of the log"
        for file in path.rglob("*.parquet"):
            assert not {*map(name, wanted)} & {*flat(pq.read_table(file).to_pylist())}
        assert repository.erase("t", gone(*wanted)).rows == 0
        repository.compact("t")
        repository.vacuum("t", pins=(), since=LATER)
        assert values(repository) == kept[max(kept)]


def flat(value: object) -> list[object]:
    if isinstance(value, dict):
        return [item for each in value.values() for item in flat(each)]
    if isinstance(value, (list, tuple)):
        return [item for each in value for item in flat(each)]
    return [value]


def test_either_side_of_a_pair_and_the_rejects_of_a_record_go(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    append(repository, "pairs", {"a": [name(1), name(2), name(3)], "b": [name(2), name(4), None]}, PAIRS)
    rows = [dict.fromkeys(REJECTS.names) | {"source": "s", "uri": "u", "record": str(n)} for n in range(3)]
    repository.append("rejects", [pa.RecordBatch.from_pylist(rows, REJECTS)], schema=REJECTS, source="s", run_id="r")
    reached = Gone(frozenset([name(2)]), frozenset(), frozenset([("s", "u", "1"), ("other", "u", "2")]))
    assert [repository.erase(table, reached).rows for table in ("pairs", "rejects")] == [2, 1]
    with connect() as con:
        attach_repository(con, [repository.snapshot("pairs"), repository.snapshot("rejects")])
        assert fetch_all(con, "FROM repository.pairs") == [(name(3), None)]
        assert fetch_all(con, "SELECT record FROM repository.rejects ORDER BY ALL") == [("0",), ("2",)]


def test_rows_that_were_made_of_a_text_before_it_went_are_refused_after(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    append(repository, "t", {"doc_id": [name(1)], "value": [1]}, SCHEMA)
    repository.erase("t", gone(7))
    batch = pa.RecordBatch.from_pydict({"doc_id": [name(7)], "value": [1]}, schema=SCHEMA)
    with pytest.raises(Busy, match="was at version 0 when its new rows were looked for and is at 1 now"):
        repository.append("t", [batch], schema=SCHEMA, source="s", run_id="r", after=0)


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "a.jsonl": bytes,
    "a.jsonl.gz": gzip.compress,
    "a.jsonl.zst": lambda raw: zstandard.ZstdCompressor().compress(raw),
}
UNPACKED: dict[str, Callable[[bytes], bytes]] = {
    "a.jsonl": bytes,
    "a.jsonl.gz": gzip.decompress,
    "a.jsonl.zst": lambda raw: zstandard.ZstdDecompressor().decompressobj().decompress(raw),
}
TEXTS = ["one\nline \u2028 é", "two \ud800 halves", "three"]


@pytest.mark.parametrize("uri", PACKED)
def test_a_line_is_cut_out_of_an_object_and_every_other_keeps_its_bytes_and_number(tmp_path: Path, uri: str) -> None:
    repository = Repository(tmp_path / "root")
    lines = [json.dumps({"text": text, "n": [{"x": str(n)}]}).encode() for n, text in enumerate(TEXTS)]
    raw = b"\r\n".join(lines)
    path = tmp_path / uri
    path.write_bytes(PACKED[uri](raw))
    old, _ = repository.archive(path)
    taken = without(uri, *(text.replace("\ud800", "\ufffd") for text in TEXTS[:2]))
    new = repository.redact(old, taken, takedown_id="t", run_id="r").sha256
    found = repository.object_path(old)
    assert found == repository.object_path(new)
    assert UNPACKED[uri](found.read_bytes()) == b"\r\n\r\n" + lines[2]
    assert not repository.is_closed(old), "lines keep their numbers: it is read again"
    with connect() as con:
        attach_repository(con, [repository.snapshot("redactions")])
        cut = fetch_all(con, 'SELECT old_sha256, new_sha256, "offset", length FROM repository.redactions ORDER BY 3')
    assert cut == [(old, new, 0, len(lines[0])), (old, new, len(lines[0]) + 2, len(lines[1]))]
    assert repository.archive(path) == (old, path.stat().st_size)
    assert repository.object_path(old) == found, "the old bytes do not come back"
    assert repository.redact(old, taken, takedown_id="t", run_id="r").sha256 == new
    assert leftovers(tmp_path / "root") == [f"archive/{old[:2]}/{old}.redacted"]
    again = repository.redact(old, without(uri, "three"), takedown_id="u", run_id="r")
    assert (repository.object_path(old).read_bytes(), again.reason) == (b"", "single")
    assert repository.object_path(new).name == again.sha256
    assert repository.is_closed(old)


def without(uri: str, *texts: str, uris: tuple[str, ...] = ()) -> Cutter:
    """Cuts texts, and records of a uri, out of an object."""
    fact = ObjectFact(uri, "", 0, day(1), "mixed/1")
    return cutter(unknown(fact), fact, Wanted(frozenset(map(content_hash, texts)), frozenset(uris)))


def test_an_object_without_a_cutter_goes_whole(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "root")
    (tmp_path / "a.html").write_text("<p>text</p>")
    old, size = repository.archive(tmp_path / "a.html")
    assert repository.redact(old, None, takedown_id="t", run_id="r").reason == "asked"
    assert repository.object_path(old).read_bytes() == b""
    with connect() as con:
        attach_repository(con, [repository.snapshot("redactions")])
        assert fetch_all(con, 'SELECT "offset", length, reason FROM repository.redactions') == [(0, size, "asked")]
    assert repository.is_closed(old)


def record(kind: str, target: str, block: bytes) -> bytes:
    head = f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: <{target}>\r\nContent-Length: {len(block)}\r\n\r\n"
    return head.encode() + block + b"\r\n\r\n"


ARCHIVED = [
    record("warcinfo", "", b"software: x"),
    record("request", "http://a.org/x y", b"GET /x"),
    record(
        "response", "http://a.org/x y", b"HTTP/1.1 200 OK\r\n\r\nWARC/1.0\r\nWARC-Target-URI: http://b.org/\r\n\r\nbad"
    ),
    record("response", "http://b.org/", b"HTTP/1.1 200 OK\r\n\r\ngood"),
]


@pytest.mark.parametrize("packed", [False, True])
def test_records_of_a_web_archive_go_by_their_target_and_the_others_keep_their_bytes(
    tmp_path: Path, packed: bool
) -> None:
    repository = Repository(tmp_path / "root")
    path = tmp_path / "a.warc"
    path.write_bytes(b"".join(gzip.compress(each) if packed else each for each in ARCHIVED))
    old, _ = repository.archive(path)
    repository.redact(old, without("a.warc", "bad", uris=("http://a.org/x%20y",)), takedown_id="t", run_id="r")
    raw = repository.object_path(old).read_bytes()
    assert (gzip.decompress(raw) if packed else raw) == ARCHIVED[0] + ARCHIVED[3]
    assert raw.count(b"\x1f\x8b\x08") == 2 * packed, "a member for each record"
    gone = repository.redact(old, without("a.warc", "not there", uris=("http://c.org/",)), takedown_id="u", run_id="r")
    assert (repository.object_path(old).read_bytes(), gone.reason) == (b"", "unverified"), (
        "what is not found goes with all"
    )


def bar(repository: Repository, *texts: str, kind: Barred = "content") -> None:
    values = [content_hash(text) if kind == "content" else text for text in texts]
    rows = [
        dict.fromkeys(takedown.TAKEDOWNS.names)
        | {"takedown_id": "t", "step": "taken", "barred": kind}
        | {"keyed_hash": keyed_hash(repository.takedown_key(), value, kind)}
        for value in values
    ]
    batch = pa.RecordBatch.from_pylist(rows, schema=takedown.TAKEDOWNS)
    repository.append("takedowns", [batch], schema=takedown.TAKEDOWNS, source="takedown", run_id="r")


def test_a_barred_content_is_a_reject_from_any_source_and_leaves_the_archive(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "root")
    bar(repository, "bad", "worse")
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"".join(json.dumps({"text": text}).encode() + b"\n" for text in ("good", "bad")))
    sha256, size = repository.archive(path)
    reading = partial(cutter, Source("other", ("a.jsonl",)))
    with repository.ingestion(
        table="documents", source="other", run_id="r", max_reject_share=0.0, cutting=reading
    ) as taking:
        fact = taking.add("a.jsonl", sha256, size, day(1), "jsonl/1", [documents(["good", "bad"], uri="a.jsonl")])
    assert (fact.rows_in, fact.rows_out, fact.rejected) == (2, 1, 1)
    with connect() as con:
        attach_repository(con, [repository.snapshot(table) for table in ("documents", "rejects")])
        assert fetch_all(con, "SELECT text FROM repository.documents") == [("good",)]
        [row] = fetch_all(con, "SELECT reason, uri, record, first_bytes, message FROM repository.rejects")
    assert row == ("taken_down", "a.jsonl", "1", b"", "this was taken down")
    assert repository.object_path(sha256).read_bytes() == json.dumps({"text": "good"}).encode() + b"\n\n"
    assert not (tmp_path / "root/archive" / sha256[:2] / sha256).exists()


def test_other_rejects_are_judged_as_ever_beside_those_taken_down(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    bar(repository, "bad")
    with pytest.raises(InputError, match=r"1 of 3 records were rejected .*most as missing_value"):
        ingest(repository, [("u", "s", day(1), [documents(["bad", None, "good"])])], share=0.2)


def test_a_key_is_made_once_and_read_by_its_owner_alone(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    first = repository.takedown_key()
    assert (len(first), repository.takedown_key()) == (32, first)
    assert (tmp_path / "takedown.key").stat().st_mode & 0o777 == 0o600
    assert keyed_hash(first, "x") != keyed_hash(b"another", "x")
    assert doc_id("s", "u", "0", "h") not in keyed_hash(first, "h")
