"""A Delta table as a source: what of it is read, version by version, beside delta-rs's own reading."""

from __future__ import annotations

import tempfile
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from hypothesis import given
from hypothesis import strategies as st

from pipelines.intake import Ingested, ingest
from warehouse.errors import FormatError, InputError, NotFound
from warehouse.project import load, prepare
from warehouse.repository import Repository, read_delta, to_read
from warehouse.sources import DeltaStart, Source, locate

FEED = {"delta.enableChangeDataFeed": "true"}


def table(*ids: int) -> pa.Table:
    return pa.table({"id": pa.array(ids, pa.int64()), "part": [f"p{each % 2}" for each in ids]})


def rows_of(found: Any) -> list[dict[str, Any]]:
    return [row for _, batch in found.batches() for row in batch.to_pylist()]


def ids(found: Any) -> list[int]:
    return sorted(row["id"] for row in rows_of(found))


class Place:
    """A project with a Delta table in it, and what its source has taken in."""

    def __init__(self, folder: Path, **options: Any) -> None:
        (folder / "warehouse.toml").write_text("")
        self.project = load(folder)
        prepare(self.project)
        self.table = folder / "lake"
        self.source = Source("lake", ("lake",), **{"table": "lake", **options})
        self.run_number = 0

    def run(self, *, reread: bool = False) -> Ingested:
        self.run_number += 1
        moment = datetime(2026, 1, self.run_number, tzinfo=UTC)
        return ingest(self.project, self.source, run_id=f"r{self.run_number}", known_at=moment, reread=reread)

    def held(self) -> list[dict[str, Any]]:
        snapshot = Repository(self.project.root).snapshot(self.source.table)
        return [row for file in snapshot.files for row in pa.parquet.read_table(file).to_pylist()]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_of_a_table_that_grows_only_what_came_is_read(place: Place) -> None:
    write_deltalake(place.table, table(1, 2), partition_by=["part"])
    assert place.run().total("rows_out") == 2
    assert place.run().unchanged_objects == 1
    write_deltalake(place.table, table(3), mode="append")
    write_deltalake(place.table, table(4, 5), mode="append")
    done = place.run()
    assert (done.total("rows_in"), done.total("rows_out")) == (3, 3)
    held = place.held()
    assert sorted((row["id"], row["part"], row["_known_at"].day) for row in held) == [
        (1, "p1", 1),
        (2, "p0", 1),
        (3, "p1", 3),
        (4, "p0", 3),
        (5, "p1", 3),
    ]
    assert len({(row["_record"], row["_known_at"]) for row in held}) == 5
    (fact,) = Repository(place.project.root).current_objects("lake", "lake").values()
    assert (fact.reader, fact.version) == ("delta/1", f"{DeltaTable(place.table).metadata().id}@2")
    said = Repository(place.project.root).object_path(fact.sha256).read_text()
    assert '"mode": "appended"' in said
    assert '"since": 0' in said


def test_a_table_whose_rows_were_removed_is_read_whole_again(place: Place) -> None:
    write_deltalake(place.table, table(1, 2, 3))
    place.run()
    DeltaTable(place.table).delete("id = 2")
    done = place.run()
    assert done.total("rows_out") == 2
    assert sorted(row["id"] for row in place.held() if row["_known_at"].day == 2) == [1, 3]


def test_with_a_change_data_feed_removed_and_updated_rows_come_as_changes(place: Place) -> None:
    write_deltalake(place.table, table(1, 2, 3), configuration=FEED)
    place.run()
    DeltaTable(place.table).delete("id = 2")
    DeltaTable(place.table).update({"part": "'new'"}, predicate="id = 3")
    place.run()
    fresh = sorted((row["change_type"], row["id"], row["part"]) for row in place.held() if row["_known_at"].day == 2)
    assert fresh == [("delete", 2, "p0"), ("update_postimage", 3, "new"), ("update_preimage", 3, "p1")]


def test_files_rewritten_without_a_change_of_rows_give_none(place: Place) -> None:
    for each in range(3):
        write_deltalake(place.table, table(each), mode="append")
    place.run()
    DeltaTable(place.table).optimize.compact()
    assert place.run().total("rows_in") == 0
    assert place.run().unchanged_objects == 1


def test_another_table_in_the_same_place_is_read_whole(place: Place) -> None:
    write_deltalake(place.table, table(1))
    place.run()
    for path in sorted(place.table.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    for each in range(4):
        write_deltalake(place.table, table(7 + each), mode="append")
    assert place.run().total("rows_out") == 4


def test_reread_reads_all_of_it(place: Place) -> None:
    write_deltalake(place.table, table(1, 2))
    place.run()
    assert place.run(reread=True).total("rows_out") == 2


def test_reading_may_begin_at_an_old_version(tmp_path: Path) -> None:
    place = Place(tmp_path, delta=DeltaStart("1"))
    for each in range(4):
        write_deltalake(place.table, table(each), mode="append")
    assert place.run().total("rows_out") == 4
    facts = [fact for receipt in Repository(place.project.root).receipts("lake") for fact in receipt.objects]
    assert [(fact.rows_out, fact.version.rpartition("@")[2]) for fact in facts if fact.version] == [(2, "1"), (2, "3")]


def test_texts_of_a_table_are_documents_that_stay_the_same(tmp_path: Path) -> None:
    place = Place(tmp_path, table="documents", fields={"text": "body"})
    write_deltalake(place.table, pa.table({"body": ["one", "two"]}))
    place.run()
    write_deltalake(place.table, pa.table({"body": ["three"]}), mode="append")
    place.run()
    before = {row["doc_id"] for row in place.held()}
    place.run(reread=True)
    assert len(before) == 3
    assert {row["doc_id"] for row in place.held()} == before


@given(st.lists(st.lists(st.integers(0, 99), min_size=1, max_size=3), min_size=1, max_size=4), st.data())
def test_the_parts_of_a_growing_table_are_the_whole_of_it(appends: list[list[int]], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        held, read = None, list[int]()
        for each in appends:
            write_deltalake(folder, table(*each), mode="append")
            if data.draw(st.booleans()):
                found = to_read(Path(folder), held=held)
                read, held = read + ids(found), found.version
        read += ids(to_read(Path(folder), held=held)) if held is None or to_read(Path(folder)).version != held else []
        assert sorted(read) == sorted(number for each in appends for number in each)


def test_files_of_a_table_are_refused_with_what_to_state(tmp_path: Path) -> None:
    write_deltalake(tmp_path / "lake" / "one", table(1))
    with pytest.raises(InputError, match="state the folder that holds _delta_log"):
        list(locate(Source("s", ("lake",)), tmp_path))
    (found,) = locate(Source("s", ("lake/*",)), tmp_path)
    assert (found.uri, found.table) == ("lake/one", True)
    with pytest.raises(InputError, match="states reader csv"):
        list(locate(Source("s", ("lake/one",), reader="csv"), tmp_path))
    (tmp_path / "a.csv").write_text("a\n1\n")
    with pytest.raises(InputError, match="is no Delta table"):
        list(locate(Source("s", ("a.csv",), reader="delta"), tmp_path))


def test_a_mode_other_than_append_is_refused_with_what_is_allowed(tmp_path: Path) -> None:
    place = Place(tmp_path, mode="snapshot", keys=("id",))
    write_deltalake(place.table, table(1))
    with pytest.raises(InputError, match=r"lake is a Delta table, in mode snapshot\. Allowed: mode: append"):
        place.run()
    assert "lake" not in Repository(place.project.root).tables()


def test_every_third_golden_table_has_the_rows_of_the_protocol_or_is_refused(shared_data: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(shared_data / "delta_golden.zip") as archive:
        archive.extractall(tmp_path)
    right, refused = 0, []
    for log in sorted(tmp_path.rglob("_delta_log"))[::3]:
        try:
            rows = rows_of(to_read(log.parent))
        except (FormatError, NotFound) as error:
            with pytest.raises((FormatError, NotFound)):
                read_delta(log.parent).read_all()
            refused.append(f"{log.parent.name}: {error}")
            continue
        theirs = read_delta(log.parent).read_all().to_pylist()
        own = [
            {name: value for name, value in row.items() if name not in ("_change_type", "_commit_version")}
            for row in rows
        ]
        assert sorted(map(repr, own)) == sorted(map(repr, theirs)), log.parent.name
        right += 1
    assert right > 4 * len(refused) > 0
