"""Identity and time: which facts a table holds, whatever the order in which they came."""

from __future__ import annotations

from datetime import datetime
from itertools import permutations
from pathlib import Path

import pytest
from scenes import day, documents, facts, ingest, leftovers, reject, rows, stored

from warehouse.contracts import DOCUMENTS, content_hash, doc_id
from warehouse.errors import UsageError
from warehouse.repository import Repository

A, B = ["alpha"], ["beta", "gamma"]


def test_a_then_b_then_a_again_is_three_facts_and_the_last_is_current(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    for when, sha, texts in [(1, "a", A), (2, "b", B), (3, "a", A)]:
        ingest(repository, [("u", sha, day(when), [documents(texts)])])
    assert [(f.sha256, f.known_at) for f in facts(repository, "documents")] == [
        ("a", day(1)),
        ("b", day(2)),
        ("a", day(3)),
    ]
    current = repository.current_objects("documents", "src")["u"]
    assert (current.sha256, current.known_at, current.rows_out) == ("a", day(3), 1)
    alphas = [row for row in stored(repository, "documents") if row["text"] == "alpha"]
    assert [row["known_at"] for row in alphas] == [day(1), day(3)]
    assert len({row["doc_id"] for row in alphas}) == 1


@pytest.mark.parametrize("table", ["documents", "typed"])
def test_a_second_run_over_the_same_objects_commits_nothing(tmp_path: Path, table: str) -> None:
    repository = Repository(tmp_path)
    make = documents if table == "documents" else (lambda texts: rows(name=list(texts)))
    objects = [("u", "a", day(1), [make(A), reject("9")]), ("empty", "e", day(1), [])]
    ingest(repository, objects, table=table)
    versions = {name: repository.snapshot(name).version for name in repository.tables()}
    assert ingest(repository, objects, table=table) == []
    assert {name: repository.snapshot(name).version for name in repository.tables()} == versions


def test_an_object_without_rows_is_in_the_receipt_so_that_it_is_skipped_next_time(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    (receipt,) = ingest(repository, [("empty", "e", day(1), [])])
    assert [(f.uri, f.rows_in) for f in receipt.objects] == [("empty", 0)]
    assert repository.snapshot("documents").rows == 0


def test_another_reader_reads_the_object_again(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    ingest(repository, [("u", "a", day(1), [documents(A)])])
    with repository.ingestion(table="documents", source="src", run_id="r") as ingestion:
        assert ingestion.is_current("u", "a", "reader@1")
        assert not ingestion.is_current("u", "a", "reader@2")
        assert not ingestion.is_current("u", "b", "reader@1")


@pytest.mark.parametrize("table", ["documents", "typed"])
def test_vintages_in_every_order_give_the_same_rows_and_the_same_current_object(tmp_path: Path, table: str) -> None:
    def vintage(when: int, values: list[str]) -> tuple[str, str, datetime, list[object]]:
        made = documents(values) if table == "documents" else rows(name=values)
        return ("u", f"sha{when}", day(when), [made])

    vintages = [vintage(1, ["one"]), vintage(2, ["one", "two"]), vintage(3, ["three"])]
    seen = []
    for number, order in enumerate(permutations(vintages)):
        repository = Repository(tmp_path / str(number))
        for item in order:
            ingest(repository, [item], table=table)
        seen.append((stored(repository, table), repository.current_objects(table, "src")["u"].sha256))
    assert all(one == seen[0] for one in seen)
    assert seen[0][1] == "sha3"


def test_a_vintage_that_came_before_is_not_read_twice_though_a_later_one_is_current(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    old, new = ("u", "old", day(1), [rows(x=[1])]), ("u", "new", day(2), [rows(x=[2])])
    ingest(repository, [old, new], table="typed")
    assert ingest(repository, [old, new], table="typed") == []
    with repository.ingestion(table="typed", source="src", run_id="r") as ingestion:
        assert ingestion.is_current("u", "old", "reader@1", known_at=day(1))
        assert not ingestion.is_current("u", "old", "reader@1", known_at=day(3))
    assert repository.snapshot("typed").rows == 2


def test_a_record_that_states_its_own_time_keeps_it(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    stated, unstated = documents(["x"], known_at=day(2)), documents(["y"], uri="other")
    ingest(repository, [("u", "a", day(9), [stated, unstated])])
    assert {row["text"]: row["known_at"] for row in stored(repository, "documents")} == {"x": day(2), "y": day(9)}


def test_documents_carry_the_identity_that_contracts_define_and_the_sources_licence(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    with repository.ingestion(table="documents", source="s é", run_id="r", licence="MIT", generation=1) as ingestion:
        ingestion.add("u", "a", 1, day(1), "x@1", [documents(["größe \U0001f600", ""], uri="ü").slice(0)])
        ingestion.add("v", "b", 1, day(1), "x@1", [documents(["cut", "kept", "cut"]).slice(1, 1)])
    made = stored(repository, "documents")
    assert len(made) == 3
    for row in made:
        assert row["content_hash"] == content_hash(row["text"])
        assert row["doc_id"] == doc_id("s é", row["uri"], row["record"], row["content_hash"])
        assert (row["licence"], row["generation"], row["synthetic"]) == ("MIT", 1, False)
    assert repository.snapshot("documents").schema.names == DOCUMENTS.names


def test_a_time_without_a_zone_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(UsageError, match="no time zone"),
        Repository(tmp_path).ingestion(table="documents", source="s", run_id="r") as ingestion,
    ):
        ingestion.add("u", "a", 1, datetime(2024, 1, 1), "x@1", [])
    assert leftovers(tmp_path) == []
