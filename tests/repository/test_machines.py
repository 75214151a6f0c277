"""A repository in a bucket: other machines write and see the same one, and what is here may be thrown away."""

from __future__ import annotations

import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable
from scenes import Readings, day, documents, ingest, leftovers, rows, stored

from warehouse import mirror
from warehouse.errors import Busy, InputError, NetworkError, UsageError
from warehouse.repository import Gone, Repository

SCHEMA = pa.schema([("x", pa.int64())])


@pytest.fixture
def machines(tmp_path_factory: pytest.TempPathFactory, s3: Any) -> list[Repository]:
    """Three machines with a mirror each of one bucket."""
    url, home = f"s3://{s3.made()}/a/b", tmp_path_factory.mktemp("machines")
    for number in range(3):
        mirror.make(home / str(number), url)
    return [Repository(home / str(number)) for number in range(3)]


def appended(repository: Repository, values: list[int], **options: Any) -> None:
    repository.append("t", [rows(x=values)], schema=SCHEMA, source="s", run_id="r", **options)


def held(repository: Repository, table: str) -> list[dict[str, Any]]:
    mirror.fetch_all(map(Path, repository.snapshot(table).files))
    return stored(repository, table)


def values(repository: Repository) -> list[int]:
    return sorted(row["x"] for row in held(repository, "t"))


def test_machines_that_append_at_once_lose_and_double_no_row(machines: list[Repository]) -> None:
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda n: appended(machines[n % 3], [n]), range(24)))
    assert [values(each) for each in machines] == [list(range(24))] * 3
    assert len(machines[0].receipts("t")) == 24
    assert leftovers(machines[0].root) == []


def test_of_two_machines_that_bring_the_same_keys_one_is_refused_and_then_finds_them_there(machines) -> None:
    appended(machines[0], [1], keys=("x",))

    def meanwhile() -> Any:
        yield rows(x=[2])
        appended(machines[1], [2, 3], keys=("x",))

    with pytest.raises(Busy, match="was at version 0 when its new rows were made and is at 1 now"):
        machines[0].append("t", meanwhile(), schema=SCHEMA, source="s", run_id="r", keys=("x",))
    appended(machines[0], [2, 4], keys=("x",))
    assert [values(each) for each in machines] == [[1, 2, 3, 4]] * 3
    assert leftovers(machines[0].root) == []


def test_objects_that_one_machine_took_in_are_current_for_the_other(machines: list[Repository]) -> None:
    first: list[tuple[str, str, Any, Readings]] = [("a", "1" * 64, day(1), [documents(["x", "y"])])]
    assert ingest(machines[0], first)[0].rows_out == 2
    with machines[1].ingestion(table="documents", source="src", run_id="run") as ingestion:
        assert ingestion.is_current("a", "1" * 64, "reader@1")
    assert ingest(machines[1], [("b", "2" * 64, day(2), [documents(["x", "z"], uri="b")])])[0].rows_out == 2
    assert held(machines[0], "documents") == held(machines[1], "documents") != []


def test_archived_bytes_come_back_from_the_bucket(machines: list[Repository]) -> None:
    content = os.urandom(100_000)
    sha256, _ = machines[0].archive_chunks([content[:7], content[7:]], name="object")
    assert machines[1].object_path(sha256).read_bytes() == content
    shutil.rmtree(machines[0].root / "archive")
    assert machines[0].object_path(sha256).read_bytes() == content


def test_a_mirror_that_holds_too_much_lets_go_of_what_was_not_used_for_longest(machines: list[Repository]) -> None:
    for n in range(5):
        appended(machines[0], [n])
    files = sorted((machines[0].root / "repository/t").glob("*.parquet"))
    for age, path in enumerate(files[1:]):
        os.utime(path, (time.time() - 7200 - age,) * 2)
    size = files[0].stat().st_size
    assert mirror.tidy(machines[0].root, most_bytes=2 * size + 200) == 3 * size
    assert [path.exists() for path in files] == [True, True, False, False, False]
    machines[1].compact("t")
    assert values(machines[0]) == [*range(5)]


def test_what_lies_in_the_bucket_is_a_delta_table_to_anyone(machines: list[Repository], s3: Any) -> None:
    for n in range(12):
        appended(machines[n % 2], [n])
    url = mirror.address(machines[0].root / "repository" / "t")
    options = {"allow_http": "true"}
    assert sorted(pl.read_delta(url, storage_options=options)["x"].to_list()) == [*range(12)]
    assert DeltaTable(url, storage_options=options).version() == 11


def test_a_bucket_that_is_not_there_or_does_not_answer_is_one_clear_error(
    tmp_path_factory: pytest.TempPathFactory, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path_factory.mktemp("home")
    mirror.make(home / "none", "s3://no-such-bucket/x")
    with pytest.raises(InputError, match=r"s3://no-such-bucket/x cannot be reached: no such bucket"):
        appended(Repository(home / "none"), [1])
    mirror.make(home / "dead", f"s3://{s3.made()}")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(NetworkError, match="cannot be reached"):
        appended(Repository(home / "dead"), [1])
    with pytest.raises(UsageError, match="holds credentials") as refused:
        mirror.make(home / "secret", "s3://key:hush@bucket")
    assert "hush" not in str(refused.value)


def test_what_a_dead_machine_left_before_its_commit_goes_with_maintenance(
    machines: list[Repository], monkeypatch: pytest.MonkeyPatch
) -> None:
    appended(machines[0], [1, 2])
    stray = machines[0].root / "repository/t/part-dead-00000.parquet"
    stray.write_bytes(b"half")
    mirror.send(stray)
    vacuum = partial(machines[1].vacuum, "t", pins=(), since=day(1))
    vacuum()
    assert stray.name in mirror.names(stray.parent)
    monkeypatch.setattr(mirror, "STRAY_S", -60)
    vacuum()
    assert stray.name not in mirror.names(stray.parent)
    assert values(machines[2]) == [1, 2]


def test_what_one_machine_takes_down_goes_from_the_others_when_they_look(machines: list[Repository]) -> None:
    table = rows(doc_id=["a", "b"], text=["kept", "gone"])
    machines[0].append("t", [table], schema=table.schema, source="s", run_id="r")
    sha256, _ = machines[0].archive_chunks([b"gone"], name="object")
    assert len(held(machines[1], "t")) == 2 and machines[1].object_path(sha256).read_bytes() == b"gone"
    for path in machines[1].root.rglob("*"):
        os.utime(path, (time.time() - 3600,) * 2)
    machines[0].erase("t", Gone(frozenset(["b"]), frozenset(), frozenset()))
    mirror.remove(machines[0].object_path(sha256))
    assert [row["text"] for row in held(machines[1], "t")] == ["kept"]
    assert not any(b"gone" in path.read_bytes() for path in machines[1].root.rglob("*") if path.is_file())


def test_a_folder_of_the_markers_name_above_a_root_says_nothing(tmp_path_factory: pytest.TempPathFactory) -> None:
    home = tmp_path_factory.mktemp("home")
    (home / mirror.MARKER).mkdir()
    appended(Repository(home / "root"), [1])
    assert mirror.of(home / "root") is None and values(Repository(home / "root")) == [1]
