"""Sources of an object store, on a real S3 server: the same tables as from files, and nothing told of credentials."""

from __future__ import annotations

import gzip
import io
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake
from hypothesis import given, settings
from hypothesis import strategies as st
from loopback import Answer, loopback
from stores import SECRET, Buckets, faulty

from examples import dear
from pipelines import ingest as ingest_step
from pipelines.intake import Ingested, ingest
from pipelines.run import run_assets
from warehouse.cli.app import run
from warehouse.errors import InputError, NetworkError
from warehouse.project import Project, load, prepare
from warehouse.repository import Repository, versions
from warehouse.sources import KnownAt, Source

DAY = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "warehouse.toml").write_text('name = "p"\n')
    made = load(tmp_path / "p")
    prepare(made)
    return made


def take(project: Project, source: Source, number: int, **options: Any) -> Ingested:
    return ingest(project, source, run_id=f"r{number}", known_at=DAY.replace(day=number), **options)


def held(project: Project, table: str = "feed") -> list[dict[str, Any]]:
    repository = Repository(project.root)
    if table not in repository.tables():
        return []
    return [row for file in repository.snapshot(table).files for row in pq.read_table(file).to_pylist()]


def facts(project: Project, table: str = "feed") -> dict[str, Any]:
    receipts = Repository(project.root).receipts(table)
    return {fact.uri: fact for receipt in receipts for fact in receipt.objects}


def without(row: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}


ROWS = st.lists(st.tuples(st.integers(0, 99), st.sampled_from(["a", "b c", ""])), max_size=4)
FILES = st.dictionaries(
    st.tuples(
        st.sampled_from(["", "day=1/", "day=2/x y/", "day=%2F/k=/"]), st.sampled_from(["one", "two=2", "drei é"])
    ),
    ROWS,
    min_size=1,
    max_size=4,
)


def contents(drawn: dict[tuple[str, str], list[tuple[int, str]]]) -> dict[str, bytes]:
    """Key -> bytes, in several formats by the number of the file."""
    made = {}
    for at, ((folder, name), rows) in enumerate(sorted(drawn.items())):
        dicts = [{"n": n, "s": s} for n, s in rows]
        lines = "".join(json.dumps(each) + "\n" for each in dicts).encode()
        sink = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(dicts, pa.schema({"n": pa.int64(), "s": pa.string()})), sink)
        formats = {".jsonl": lines, ".jsonl.gz": gzip.compress(lines, mtime=0), ".parquet": sink.getvalue()}
        suffix = sorted(formats)[at % 3]
        made[f"{folder}{name}{suffix}"] = formats[suffix]
    return made


@given(FILES.map(contents))
@settings(max_examples=dear(8))
def test_tables_of_a_store_are_those_of_a_folder_up_to_the_uri(buckets, tmp_path_factory, objects):
    folder = tmp_path_factory.mktemp("law")
    tables = []
    with pytest.MonkeyPatch.context() as patch:
        for name, value in buckets.environ.items():
            patch.setenv(name, value)
        bucket = buckets.made({f"in/{key}": body for key, body in objects.items()})
        for key, body in objects.items():
            path = folder / "in" / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)
        for number, uri in enumerate((f"s3://{bucket}/in", "in")):
            (folder / "warehouse.toml").write_text(f'root = "w{number}"\n')
            project = load(folder)
            prepare(project)
            source = Source("feed", (uri,), table="feed")
            done = take(project, source, 1)
            again = take(project, source, 2)
            assert (again.unchanged_objects, again.total("rows_out")) == (len(objects), 0)
            rows = [without(row, "_uri", "_receipt_id") for row in held(project)]
            found = sorted(json.dumps(row, default=str, sort_keys=True) for row in rows)
            uris = sorted(row["_uri"].removeprefix(uri) for row in held(project))
            tables.append((found, uris, done.total("rows_in"), {fact.sha256 for fact in facts(project).values()}))
    assert tables[0] == tables[1]


@pytest.fixture
def feed(project: Project, s3: Buckets) -> tuple[Source, str]:
    bucket = s3.made({"in/a.csv": b"hall,mw\n1,2\n", "in/b.csv": b"hall,mw\n3,4\n"})
    return Source("feed", (f"s3://{bucket}/in/",), table="feed", max_reject_share=0.5), bucket


def test_only_what_changed_is_fetched_and_a_deleted_object_is_as_a_deleted_file(project, s3, feed):
    source, bucket = feed
    assert take(project, source, 1).total("rows_out") == 2
    again = take(project, source, 2)
    assert (again.unchanged_objects, again.bytes_read) == (2, 0)
    s3.put(bucket, {"in/b.csv": b"hall,mw\n3,5\n"})
    s3.delete(bucket, "in/a.csv")
    third = take(project, source, 3)
    assert (third.objects, third.total("rows_out"), third.bytes_read) == (1, 1, 12)
    assert len(held(project)) == 3, "what was read stays"
    s3.delete(bucket, "in/b.csv")
    with pytest.raises(InputError, match="matches no object"):
        take(project, source, 4)
    assert all(fact.version for fact in facts(project).values())


def test_what_is_read_again_comes_from_the_archive_even_without_the_store(project, s3, feed, monkeypatch):
    source, _ = feed
    take(project, source, 1)
    again = take(project, source, 2, reread=True)
    assert (again.total("rows_out") + again.total("unchanged"), again.bytes_read) == (2, 0)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(NetworkError):
        take(project, source, 3)
    without_it = take(project, source, 4, reread=True)
    assert (without_it.total("rows_out") + without_it.total("unchanged"), without_it.bytes_read) == (2, 0)


def test_the_time_of_an_object_is_when_it_was_known(project, s3, feed):
    source, bucket = feed
    stated = replace(source, known_at=KnownAt(header="Last-Modified"))
    take(project, stated, 1)
    times = {
        f"s3://{bucket}/{each['Key']}": each["LastModified"]
        for each in s3.client.list_objects_v2(Bucket=bucket)["Contents"]
    }
    assert {uri: fact.known_at for uri, fact in facts(project).items()} == times
    assert take(project, stated, 2).unchanged_objects == 2


def test_an_object_that_cannot_be_fetched_is_a_reject_and_the_others_are_committed(project, s3, feed, monkeypatch):
    source, bucket = feed
    with faulty(s3.url) as between:
        monkeypatch.setenv("AWS_ENDPOINT_URL", between.url)
        between.faults = lambda method, target: Answer(403) if (method, target[-5:]) == ("GET", "b.csv") else None
        done = take(project, source, 1)
        assert (done.total("rows_out"), len(done.failed)) == (1, 1)
        assert [(row["uri"], row["reason"]) for row in held(project, "rejects")] == [
            (f"s3://{bucket}/in/b.csv", "not_fetched")
        ]
        between.faults = lambda *_: None
        assert take(project, source, 2).total("rows_out") == 1


class Shown:
    """What commands printed."""

    def __init__(self) -> None:
        self.status, self.text = 0, ""

    def __call__(self, *arguments: str) -> int:
        out = io.StringIO()
        with mock.patch.dict(os.environ), redirect_stdout(out), redirect_stderr(out):
            self.status = run(arguments)
        self.text += out.getvalue()
        return self.status


@pytest.fixture
def warehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shown]:
    monkeypatch.delenv("WAREHOUSE_ROOT", raising=False)
    monkeypatch.delenv("WAREHOUSE_STATE", raising=False)
    monkeypatch.setattr(ingest_step, "RETRIES", 1)
    shown = Shown()
    assert shown("init", str(tmp_path / "made")) == 0
    monkeypatch.chdir(tmp_path / "made")
    yield shown


def everything(folder: Path) -> Sequence[bytes]:
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file()]


def test_a_command_reads_a_store_and_no_secret_is_printed_logged_or_stored(warehouse, s3, tmp_path, monkeypatch):
    bucket = s3.made({"in/a.csv": b"hall,mw\n1,2\n", "in/readme.xyz": b"\x01", "in/sub/b.csv": b"hall,mw\n3,4\n"})
    assert warehouse("ingest", f"s3://{bucket}/in/**/*.csv", "--as", "halls") == 0
    assert "rows: 2 in, 2 written" in warehouse.text
    assert f"uri: s3://{bucket}/in/**/*.csv" in Path("recipes/sources/halls.yaml").read_text()
    s3.put(bucket, {"pages/a.jsonl": b'{"text": "one page", "url": "https://a.example/"}\n'})
    assert warehouse("ingest", f"s3://{bucket}/pages") == 0
    assert "fields" in Path("recipes/sources/pages.yaml").read_text()
    for wrong in (f"s3://{bucket}/none*", "s3://no-such-bucket/x", f"s3://key:word@{bucket}/x"):
        assert warehouse("ingest", wrong, "--as", "wrong") == 2
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert warehouse("run", "sources/halls") == 1
    assert "cannot be reached" in warehouse.text and "Traceback" not in warehouse.text
    stored = everything(tmp_path)
    assert any(bucket.encode() in each for each in stored)
    assert "key:word" not in warehouse.text
    assert SECRET not in warehouse.text and not any(SECRET.encode() in each for each in stored)


def test_a_command_reads_a_url_whose_secret_stays_in_the_environment(warehouse, monkeypatch, tmp_path):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("FEED_KEY", "s3cret")
    with loopback(Answer(body=b"hall,mw\n1,2\n")) as server:
        assert warehouse("ingest", f"{server.url}/a/halls.csv?key=${{FEED_KEY}}", "--as", "halls") == 0
        assert {seen["path"] for seen in server.seen} == {"/a/halls.csv?key=s3cret"}
        assert warehouse("ingest", f"{server.url}/a/halls.csv?key=written", "--as", "other") == 2
        server.always = Answer(404)
        assert warehouse("ingest", f"{server.url}/gone.csv", "--as", "gone") == 2
    assert "rows: 1 in, 1 written" in warehouse.text
    assert "s3cret" not in warehouse.text and not any(b"s3cret" in each for each in everything(tmp_path))


def test_a_server_that_fails_for_now_is_tried_again_by_the_run(warehouse, s3, monkeypatch):
    bucket = s3.made({"a.csv": b"hall,mw\n1,2\n"})
    Path("recipes/sources/feed.yaml").write_text(f"uri: s3://{bucket}/a.csv\ntable: feed\n")
    with faulty(s3.url) as between:
        monkeypatch.setenv("AWS_ENDPOINT_URL", between.url)
        between.faults = lambda *_: Answer(503) if len(between.seen) <= 4 else None
        (done,) = run_assets(load(Path()), ["sources/feed"]).assets
    assert (done.rows, done.metadata["network_retries"]) == (1, 1)


STORE, FEED = {"allow_http": "true"}, {"delta.enableChangeDataFeed": "true"}


def test_a_delta_table_of_a_store_is_read_version_by_version(project, s3):
    bucket = s3.made({"lake/plain.csv": b"a\n1\n"})
    for folder in ("t", "x y/k=v/é"):
        url = f"s3://{bucket}/lake/{quote(folder)}"
        write_deltalake(url, pa.table({"id": [1, 2], "p": ["x/1", "é"]}), partition_by=["p"], storage_options=STORE)
        source = Source(f"s{len(folder)}", (f"s3://{bucket}/lake/{folder}",), table=f"t{len(folder)}")
        assert take(project, source, 1).total("rows_out") == 2
        write_deltalake(url, pa.table({"id": [3], "p": ["x/1"]}), mode="append", storage_options=STORE)
        added = take(project, source, 2)
        assert (added.total("rows_out"), added.total("unchanged")) == (1, 0)
        again = take(project, source, 3)
        assert (again.unchanged_objects, again.bytes_read) == (1, 0)
        assert sorted((row["id"], row["p"]) for row in held(project, source.table)) == [
            (1, "x/1"),
            (2, "é"),
            (3, "x/1"),
        ]
        assert [fact.version[-2:] for fact in facts(project, source.table).values()] == ["@1"]
    DeltaTable(url, storage_options=STORE).delete("id = 1")
    assert take(project, source, 4).total("rows_out") == 2, "read whole"
    feed, fed = f"s3://{bucket}/fed", Source("fed", (f"s3://{bucket}/fed",), table="fed")
    write_deltalake(feed, pa.table({"id": [1, 2]}), configuration=FEED, storage_options=STORE)
    assert take(project, fed, 5).total("rows_out") == 2
    DeltaTable(feed, storage_options=STORE).delete("id = 1")
    assert take(project, fed, 6).total("rows_out") == 1, "the deletion"
    globbed = Source("globbed", (f"s3://{bucket}/lake/*",), table="globbed")
    assert take(project, globbed, 5).objects == 2
    for inside in ("lake/t/p=*/*", "lake", "lake/t/_delta_log/"):
        with pytest.raises(InputError, match="leads into a Delta table"):
            take(project, Source("inside", (f"s3://{bucket}/{inside}",), table="inside"), 6)


def test_a_delta_table_of_a_store_that_fails_is_a_network_error(project, s3, monkeypatch):
    url = f"s3://{s3.made()}/t"
    write_deltalake(url, pa.table({"id": [1, 2]}), storage_options=STORE)
    with faulty(s3.url) as between:
        monkeypatch.setenv("AWS_ENDPOINT_URL", between.url)
        for end, scanned in (("/_delta_log/00000000000000000000.json", False), (".parquet", False), (".parquet", True)):
            between.faults = lambda _, target, end=end: Answer(503) if target.endswith(end) else None
            with monkeypatch.context() as patch, pytest.raises(NetworkError):
                patch.setattr(versions, "_scanned", lambda _, scanned=scanned: scanned)
                take(project, Source("feed", (url,), table="feed"), 1)
        between.faults = lambda *_: None
        assert take(project, Source("feed", (url,), table="feed"), 2).total("rows_out") == 2
