"""What is on disk: other readers see equal rows, sizes stay near their targets, statistics are true."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import day, documents, ingest, rows, stored

from warehouse import query
from warehouse.errors import FormatError, NotFound, UsageError
from warehouse.repository import Repository, parts
from warehouse.repository.keys import Keys, pack
from warehouse.repository.parts import Stage


def test_deltalake_polars_and_duckdb_read_equal_rows(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    ingest(repository, [("u", "1", day(1), [rows(x=[1, 2], s=["ä", None])])], table="t")
    ingest(repository, [("v", "2", day(2), [rows(x=[3], new=[0.5])])], table="t")
    folder = str(tmp_path / "repository" / "t")
    con = query.connect()
    query.attach_repository(con, [repository.snapshot("t")])
    columns = "x, s, new, _uri, _record, _known_at"
    duck = query.arrow(con, f"SELECT {columns} FROM repository.t ORDER BY x").to_pylist()
    polars = pl.read_delta(folder).sort("x").select(columns.split(", ")).to_dicts()
    delta = pa.table(DeltaTable(folder).to_pyarrow_table()).sort_by("x").select(columns.split(", ")).to_pylist()
    assert duck == polars == delta
    assert [row["x"] for row in duck] == [1, 2, 3]


def test_row_groups_and_files_are_sized_by_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "BATCH_BYTES", 1 << 16)
    stage = Stage(tmp_path, "r", file_bytes=1 << 18)
    wide = pa.RecordBatch.from_pydict({"x": [os.urandom(500) for _ in range(2000)]})
    for batch in (wide, *(wide.slice(at, 10) for at in range(0, 2000, 10))):
        stage.write(batch)
    closed = stage.close()
    assert sum(part.rows for part in closed) == 4000
    assert all(part.size < (1 << 18) + (1 << 17) for part in closed)
    assert len(closed) > 4
    for part in closed:
        footer = pq.read_metadata(tmp_path / part.name)
        sizes = [footer.row_group(at).total_byte_size for at in range(footer.num_row_groups)]
        assert max(sizes) < 1.5 * (1 << 16)


def test_statistics_in_the_log_are_those_of_the_rows(tmp_path: Path) -> None:
    schema = pa.schema([("i", pa.int64()), ("s", pa.string()), ("t", pa.timestamp("us", "UTC")), ("f", pa.float64())])
    batch = pa.RecordBatch.from_pydict(
        {"i": [3, None, -1], "s": ["b", "a", "x" * 300], "t": [day(2), day(1), None], "f": [1.0, float("nan"), 2.0]},
        schema=schema,
    )
    Repository(tmp_path).append("t", [batch], schema=schema, source="s", run_id="r")
    log = (tmp_path / "repository/t/_delta_log/00000000000000000000.json").read_text().splitlines()
    (stats,) = [json.loads(json.loads(line)["add"]["stats"]) for line in log if '"add"' in line]
    assert stats["numRecords"] == 3
    assert stats["minValues"] == {"i": -1, "t": "2024-01-01T00:00:00.000000Z"}
    assert stats["maxValues"] == {"i": 3, "t": "2024-01-02T00:00:00.000000Z"}
    assert stats["nullCount"] == {"i": 1, "s": 0, "t": 1}


def test_history_is_never_cleaned_away(tmp_path: Path) -> None:
    Repository(tmp_path).append("t", [], schema=pa.schema([("x", pa.int64())]), source="s", run_id="r")
    kept = DeltaTable(str(tmp_path / "repository" / "t")).metadata().configuration
    assert kept.pop("delta.checkpointInterval") == "10"
    assert set(kept.values()) == {"interval 36500 days"}
    assert set(kept) == {"delta.logRetentionDuration", "delta.deletedFileRetentionDuration"}


def test_files_whose_time_or_source_is_another_are_not_read_for_duplicates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = Repository(tmp_path)
    ingest(repository, [("u", "1", day(1), [documents(["x"])])])
    ingest(repository, [("u", "2", day(2), [documents(["x"])])])
    ingest(repository, [("u", "3", day(2), [documents(["x"])])], source="other")
    read: list[Path] = []
    real = Keys.load
    monkeypatch.setattr(Keys, "load", lambda self, path, names: (read.append(path), real(self, path, names)))
    (receipt,) = ingest(repository, [("v", "4", day(2), [documents(["x", "new"])])])
    assert (receipt.rows_out, receipt.unchanged, len(read)) == (1, 1, 1)
    ingest(repository, [("w", "5", day(5), [documents(["x"])])])
    assert len(read) == 1


DELETIONS = {"minReaderVersion": 3, "minWriterVersion": 7}
DELETIONS |= {"readerFeatures": ["deletionVectors"], "writerFeatures": ["deletionVectors"]}
MAPPING = {"minReaderVersion": 2, "minWriterVersion": 5}


@pytest.mark.parametrize(
    ("protocol", "configuration", "partition", "named"),
    [
        (DELETIONS, {}, None, "deletionVectors"),
        (MAPPING, {"delta.columnMapping.mode": "name"}, None, "columnMapping"),
        (None, {}, "x", "partitioning"),
    ],
)
def test_a_foreign_table_whose_files_do_not_say_all_is_refused(
    tmp_path: Path, protocol: dict[str, object] | None, configuration: dict[str, str], partition: str | None, named: str
) -> None:
    folder = tmp_path / "repository" / "t"
    write_deltalake(str(folder), pa.table({"x": [1], "y": [2]}), partition_by=partition)
    log = folder / "_delta_log" / "00000000000000000000.json"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    for line in lines:
        if "protocol" in line and protocol:
            line["protocol"] = protocol
        if "metaData" in line:
            line["metaData"]["configuration"] = configuration
            schema = json.loads(line["metaData"]["schemaString"])
            for number, field in enumerate(schema["fields"] if "Mapping" in named else ()):
                field["metadata"] = {
                    "delta.columnMapping.id": number,
                    "delta.columnMapping.physicalName": field["name"],
                }
            line["metaData"]["schemaString"] = json.dumps(schema)
    log.write_text("\n".join(map(json.dumps, lines)))
    with pytest.raises(FormatError, match=f"table t uses the Delta features {named}"):
        Repository(tmp_path).snapshot("t")


def test_a_plain_table_of_another_writer_is_read_though_its_log_has_no_statistics(tmp_path: Path) -> None:
    folder = tmp_path / "repository" / "t"
    write_deltalake(str(folder), pa.table({"x": [1, 2]}))
    log = folder / "_delta_log" / "00000000000000000000.json"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    for line in lines:
        line.get("add", {}).pop("stats", None)
    log.write_text("\n".join(map(json.dumps, lines)))
    assert (Repository(tmp_path).snapshot("t").rows, Repository(tmp_path).receipts("t")) == (2, [])


@pytest.mark.disk(only=True)
def test_a_damaged_log_is_one_clear_error(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    repository.append("t", [rows(x=[1])], schema=rows(x=[1]).schema, source="s", run_id="r")
    log = tmp_path / "repository" / "t" / "_delta_log" / "00000000000000000000.json"
    log.write_bytes(log.read_bytes()[:700])
    with pytest.raises(FormatError, match=r"^table t cannot be opened: [^\n]*\. Do: restore the files of [^\n]*$"):
        repository.snapshot("t")


def test_the_archive_keeps_each_content_once_and_gives_back_its_bytes(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "root")
    raw = os.urandom(3 << 20)
    for name in ("one", "two"):
        (tmp_path / name).write_bytes(raw)
        assert repository.archive(tmp_path / name) == (hashlib.sha256(raw).hexdigest(), len(raw))
    sha256 = hashlib.sha256(raw).hexdigest()
    place = repository.object_path(sha256)
    assert place == tmp_path / "root" / "archive" / sha256[:2] / sha256
    assert place.read_bytes() == raw
    assert [p for p in (tmp_path / "root" / "archive").rglob("*") if p.is_file()] == [place]
    place.write_bytes(b"torn")
    repository.archive(tmp_path / "one")
    assert place.read_bytes() == raw


def test_what_the_archive_does_not_hold_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no object 'abc' in the archive"):
        Repository(tmp_path).object_path("abc")
    with pytest.raises(NotFound, match="no file"):
        Repository(tmp_path).archive(tmp_path / "absent")


@pytest.mark.parametrize("name", ["Documents", "../x", "a b", "", "1a", "_x", "a" * 64])
def test_a_table_name_that_is_no_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="table name"):
        Repository(tmp_path).snapshot(name)


def test_a_root_with_spaces_and_accents_works_and_one_that_the_delta_library_misreads_is_refused(
    tmp_path: Path,
) -> None:
    repository = Repository(tmp_path / "sp ace é 5% [*]")
    ingest(repository, [("u", "1", day(1), [documents(["x"])])])
    snapshot = repository.snapshot("documents")
    assert pq.read_table(snapshot.files[0])["text"].to_pylist() == ["x"]
    assert repository.current_objects("documents", "src")["u"].rows_out == 1
    for name in ("a%20b", "a#b", "a?b"):
        with pytest.raises(UsageError, match="takes it for a URL"):
            Repository(tmp_path / name).snapshot("documents")


IDS = st.sampled_from(["0" * 32, "f" * 32, "0" * 31 + "1", "F" * 32, "plain", "", None])
KEY = st.tuples(IDS, st.none() | st.integers(-2, 2))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(KEY, min_size=1, max_size=20), max_size=8))
def test_keys_agree_with_a_python_set(batches: list[list[tuple[str | None, int | None]]]) -> None:
    keys, seen = Keys(), set()
    for batch in batches:
        wanted = []
        for key in batch:
            wanted.append(key not in seen)
            seen.add(key)
        ids, numbers = zip(*batch, strict=True)
        assert keys.fresh(*pack([pa.array(ids, pa.string()), pa.array(numbers, pa.int64())])).tolist() == wanted


def test_keys_whose_high_words_meet_are_told_apart_by_the_low_ones() -> None:
    keys = Keys()
    high = np.zeros(1000, np.uint64)
    low = np.arange(1000, dtype=np.uint64)
    assert keys.fresh(high[::2].copy(), low[::2].copy()).all()
    assert np.array_equal(keys.fresh(high, low), low % 2 == 1)


def test_rows_come_back_as_they_were_written_whatever_the_batches(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    texts = [f"text {at}" * (at % 7) for at in range(100)]
    ingest(repository, [("u", "1", day(1), [documents(texts).slice(at, 9) for at in range(0, 100, 9)])])
    assert sorted(row["text"] for row in stored(repository, "documents")) == sorted(texts)
