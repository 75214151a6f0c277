"""Keyed tables: the same history whatever the order in which its vintages came."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import day, leftovers, rows, stored

from examples import dear
from warehouse.contracts import Keyed, ObjectFact, Receipt
from warehouse.errors import InputError
from warehouse.query import attach_repository, connect, fetch_all
from warehouse.repository import Reading, Repository

Vintage = dict[str, Any]
"""Key -> value, of one time."""


def ingest(
    repository: Repository,
    objects: Sequence[tuple[str, datetime, Vintage]],
    keyed: Keyed,
    *,
    archive: dict[str, Vintage],
) -> list[Receipt]:
    """One run over objects (uri, known_at, rows), each of which is a vintage; archive: every object by its uri."""

    def reading(uri: str) -> Reading:
        made = archive[uri]
        return Reading(uri, f"sha-{uri}", 1, "r/1", [rows(k=list(made), v=list(made.values()))] if made else [])

    def reopen(fact: ObjectFact) -> Reading:
        return reading(fact.uri)

    archive |= {uri: made for uri, _, made in objects}
    with repository.ingestion(table="t", source="s", run_id="r", keyed=keyed, reopen=reopen) as ingestion:
        for uri, known_at, _ in objects:
            if keyed.whole:
                ingestion.add_vintage(known_at, [reading(uri)])
            else:
                found = reading(uri)
                ingestion.add(uri, found.sha256, 1, known_at, "r/1", found.records)
        return ingestion.finish()


def asked(repository: Repository, sql: str) -> list[tuple[Any, ...]]:
    with connect() as con:
        attach_repository(con, [repository.snapshot("t")])
        return fetch_all(con, sql)


def history(repository: Repository) -> list[tuple[Any, ...]]:
    return asked(repository, "SELECT k, v, _uri, valid_from, valid_to FROM repository.t_history ORDER BY k, valid_from")


def known(vintages: Sequence[Vintage], mode: str) -> list[Vintage]:
    """After each vintage what is known, by plain Python."""
    states: list[Vintage] = []
    for vintage in vintages:
        before = states[-1] if states else {}
        states.append(dict(vintage) if mode != "upsert" else before | vintage)
    return states


VINTAGES = st.lists(st.dictionaries(st.sampled_from("abc"), st.integers(1, 2), max_size=3), min_size=2, max_size=5)


@settings(max_examples=dear(8), deadline=None)
@given(VINTAGES, st.sampled_from(["upsert", "snapshot"]), st.randoms(use_true_random=False), st.booleans())
def test_vintages_in_any_order_give_the_history_that_plain_python_gives(
    tmp_path_factory: pytest.TempPathFactory, vintages: list[Vintage], mode: Any, dice: random.Random, at_once: bool
) -> None:
    keyed = Keyed(mode, ("k",))
    objects = [(f"u{at}", day(at), vintage) for at, vintage in enumerate(vintages, 1)]
    orders = [objects, objects[::-1], dice.sample(objects, len(objects))]
    seen = []
    for order in orders:
        repository = Repository(tmp_path_factory.mktemp("keyed"))
        archive: dict[str, Vintage] = {}
        for part in [order] if at_once else [[each] for each in order]:
            ingest(repository, part, keyed, archive=archive)
        if not any(vintages):
            continue
        for at, state in enumerate(known(vintages, mode), 1):
            found = dict(asked(repository, f"SELECT k, v FROM repository.t_as_of('2024-01-{at:02} 12:00')"))
            assert found == state
        assert dict(asked(repository, "SELECT k, v FROM repository.t_current")) == known(vintages, mode)[-1]
        assert asked(repository, "SELECT k FROM repository.t_as_of('2023-12-31')") == []
        assert leftovers(repository.root) == []
        seen.append(history(repository))
    assert all(each == seen[0] for each in seen)


OBJECTS = st.lists(
    st.tuples(st.integers(1, 4), st.dictionaries(st.sampled_from("abcd"), st.integers(1, 2), min_size=1, max_size=3)),
    min_size=2,
    max_size=7,
)


@settings(max_examples=dear(8), deadline=None)
@given(OBJECTS, st.randoms(use_true_random=False))
def test_objects_of_several_times_in_any_order_give_what_plain_python_gives_of_each_in_turn(
    tmp_path_factory: pytest.TempPathFactory, made: list[tuple[int, Vintage]], dice: random.Random
) -> None:
    objects = [(f"u{number}", day(at), vintage) for number, (at, vintage) in enumerate(made)]
    waiting = {at: [each for each in objects if each[1] == at] for _, at, _ in objects}
    order = [waiting[at].pop(0) for _, at, _ in dice.sample(objects, len(objects))]  # of one time as they stand
    repository, archive, state = Repository(tmp_path_factory.mktemp("keyed")), dict[str, Vintage](), Vintage()
    for each in order:
        ingest(repository, [each], Keyed("upsert", ("k",)), archive=archive)
    for _, at, vintage in sorted(objects, key=lambda each: each[1]):
        state |= vintage
        if vintage is [each for each in objects if each[1] == at][-1][2]:
            found = asked(repository, f"SELECT k, v FROM repository.t_as_of('{at.isoformat()}')")
            assert dict(found) == state


@pytest.mark.disk
def test_every_order_of_four_vintages_gives_the_same_views(tmp_path: Path) -> None:
    vintages = [{"a": 1, "b": 1}, {"a": 2, "c": 1}, {"a": 1, "b": 1, "c": 1}, {"b": 1}]
    objects = [(f"u{at}", day(at), vintage) for at, vintage in enumerate(vintages, 1)]
    for keyed in (Keyed("upsert", ("k",)), Keyed("snapshot", ("k",))):
        seen = []
        for number, order in enumerate(permutations(objects)):
            repository = Repository(tmp_path / keyed.mode / str(number))
            archive: dict[str, Vintage] = {}
            for each in order:
                ingest(repository, [each], keyed, archive=archive)
            seen.append(history(repository))
        assert all(each == seen[0] for each in seen)


def test_a_then_b_then_a_again_is_three_facts_and_what_did_not_change_is_counted_and_not_stored(tmp_path: Path) -> None:
    repository, archive = Repository(tmp_path), dict[str, Vintage]()
    receipts = [
        ingest(repository, [(f"u{at}", day(at), vintage)], Keyed("upsert", ("k",)), archive=archive)[0]
        for at, vintage in enumerate([{"a": 1, "b": 7}, {"a": 2, "b": 7}, {"a": 1, "b": 7}, {"a": 1}], 1)
    ]
    assert [(each.rows_in, each.rows_out, each.unchanged) for each in receipts] == [
        (2, 2, 0),
        (2, 1, 1),
        (2, 1, 1),
        (1, 0, 1),
    ]
    assert [row[1:] for row in history(repository) if row[0] == "a"] == [
        (1, "u1", day(1), day(2)),
        (2, "u2", day(2), day(3)),
        (1, "u3", day(3), None),
    ]


def test_an_absent_key_of_a_whole_vintage_is_deleted_from_then_on_and_counted(tmp_path: Path) -> None:
    repository, archive = Repository(tmp_path), dict[str, Vintage]()
    for at, vintage in enumerate([{"a": 1, "b": 1}, {"a": 1}, {"a": 1, "b": 1}], 1):
        receipt = ingest(repository, [(f"u{at}", day(at), vintage)], Keyed("scd2", ("k",)), archive=archive)[0]
        assert (receipt.deleted, receipt.balanced) == (int(at == 2), True)
    assert history(repository) == [
        ("a", 1, "u1", day(1), None),
        ("b", 1, "u1", day(1), day(2)),
        ("b", 1, "u3", day(3), None),
    ]
    assert sum(row["_deleted"] for row in stored(repository, "t")) == 1


def test_a_key_twice_in_a_vintage_and_a_row_without_one_are_rejects(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    batch = rows(k=["a", "a", "a", None, "b"], v=[1, 1, 2, 3, 4])
    with repository.ingestion(
        table="t", source="s", run_id="r", max_reject_share=1, keyed=Keyed("upsert", ("k",))
    ) as ingestion:
        fact = ingestion.add("u", "s1", 1, day(1), "r/1", [batch])
    assert (fact.rows_in, fact.rows_out, fact.unchanged, fact.rejected) == (5, 2, 1, 2)
    assert sorted(row["reason"] for row in stored(repository, "rejects")) == ["duplicate_key", "missing_key"]


def test_a_wider_type_or_a_new_column_makes_no_row_another(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    batches = [
        rows(k=[1, 2], v=[1, 2]),
        rows(k=[1, 2], v=[1.0, 2.5]),
        rows(k=["1", "x"], v=["1", "n/a"], new=[None, 5]),
    ]
    for at, batch in enumerate(batches, 1):
        with repository.ingestion(table="t", source="s", run_id="r", keyed=Keyed("upsert", ("k",))) as ingestion:
            fact = ingestion.add(f"u{at}", f"s{at}", 1, day(at), "r/1", [batch])
        assert fact.unchanged == (at > 1)
    found = asked(repository, "SELECT k, v FROM repository.t_current ORDER BY k")
    assert found == [("1", "1"), ("2", "2.5"), ("x", "n/a")]


def test_rows_that_state_their_time_are_facts_of_that_time_in_any_order(tmp_path: Path) -> None:
    keyed = Keyed("upsert", ("k",), row_times=True)
    batch = rows(k=["a", "a", "a"], v=[1, 2, 1], _known_at=[day(1), day(2), day(3)])
    for number, order in enumerate(permutations(range(3))):
        repository = Repository(tmp_path / str(number))
        for at in (*order, *order):
            with repository.ingestion(table="t", source="s", run_id="r", keyed=keyed) as ingestion:
                ingestion.add(f"u{at}", f"s{at}", 1, day(9), "r/1", [batch.slice(at, 1)])
        assert [row[1:2] + row[3:] for row in history(repository)] == [
            (1, day(1), day(2)),
            (2, day(2), day(3)),
            (1, day(3), None),
        ]
        assert repository.snapshot("t").rows == 3


def test_objects_of_one_vintage_in_two_runs_are_one_vintage(tmp_path: Path) -> None:
    repository, archive, keyed = Repository(tmp_path), dict[str, Vintage](), Keyed("snapshot", ("k",))
    ingest(repository, [("u0", day(1), {"n": 1, "s": 1, "x": 1})], keyed, archive=archive)
    ingest(repository, [("north", day(2), {"n": 1})], keyed, archive=archive)
    assert asked(repository, "SELECT k FROM repository.t_current") == [("n",)]
    ingest(repository, [("south", day(2), {"s": 1})], keyed, archive=archive)
    assert asked(repository, "SELECT k FROM repository.t_current ORDER BY k") == [("n",), ("s",)]


@pytest.mark.parametrize("mode", ["upsert", "snapshot"])
def test_a_late_vintage_is_not_there_without_the_later_one_read_again(tmp_path: Path, mode: Any) -> None:
    repository, archive, keyed = Repository(tmp_path), dict[str, Vintage](), Keyed(mode, ("k",))
    for at in (1, 3):
        ingest(repository, [(f"u{at}", day(at), {"a": 1})], keyed, archive=archive)
    before = history(repository)
    del archive["u3"]
    with pytest.raises(KeyError):
        ingest(repository, [("u2", day(2), {"a": 2})], keyed, archive=archive)
    assert history(repository) == before
    assert leftovers(repository.root) == []
    archive["u3"] = {"a": 1}
    ingest(repository, [("u2", day(2), {"a": 2})], keyed, archive=archive)
    assert [row[1] for row in history(repository)] == [1, 2, 1]


def test_a_late_vintage_leaves_objects_of_one_time_in_the_order_in_which_they_came(tmp_path: Path) -> None:
    repository, archive, keyed = Repository(tmp_path), dict[str, Vintage](), Keyed("upsert", ("k",))
    for uri, at, value in (("u1", 1, 1), ("u2", 3, 1), ("u3", 3, 2), ("late", 2, 9)):
        ingest(repository, [(uri, day(at), {"a": value})], keyed, archive=archive)
    assert [row[1:4] for row in history(repository)] == [(1, "u1", day(1)), (9, "late", day(2)), (2, "u3", day(3))]


def test_an_object_that_came_back_is_read_again_at_each_of_its_times(tmp_path: Path) -> None:
    repository, keyed = Repository(tmp_path), Keyed("upsert", ("k",))

    def reading(uri: str, sha256: str, value: int) -> Reading:
        return Reading(uri, sha256, 1, "r/1", [rows(k=["a"], v=[value])])

    for uri, sha256, at, value in (("x", "sX", 1, 1), ("u", "sA", 3, 1), ("u", "sB", 4, 1), ("u", "sA", 5, 1)):
        with repository.ingestion(table="t", source="s", run_id="r", keyed=keyed) as ingestion:
            ingestion.add(uri, sha256, 1, day(at), "r/1", reading(uri, sha256, value).records)
    with repository.ingestion(
        table="t", source="s", run_id="r", keyed=keyed, reopen=lambda fact: reading(fact.uri, fact.sha256, 1)
    ) as ingestion:
        ingestion.add("y", "sY", 1, day(2), "r/1", reading("y", "sY", 5).records)
    assert [(row[1], row[3]) for row in history(repository)] == [(1, day(1)), (5, day(2)), (1, day(3))]


def test_vintages_that_come_backwards_cost_one_reading_more_each_where_the_next_has_their_keys(tmp_path: Path) -> None:
    repository, keyed, again = Repository(tmp_path), Keyed("upsert", ("k",)), list[str]()
    vintages = {f"u{at}": {"a": at // 2, "b": at, "c": 1} for at in range(1, 13)}

    def reading(uri: str) -> Reading:
        made = vintages[uri]
        return Reading(uri, uri, 1, "r/1", [rows(k=list(made), v=list(made.values()))])

    def reopen(fact: ObjectFact) -> Reading:
        again.append(fact.uri)
        return reading(fact.uri)

    for at in (1, *range(12, 1, -1)):
        with repository.ingestion(table="t", source="s", run_id="r", keyed=keyed, reopen=reopen) as ingestion:
            ingestion.add(f"u{at}", f"u{at}", 1, day(at), "r/1", reading(f"u{at}").records)
    assert len(again) <= len(vintages)
    assert history(repository) == [
        *(
            ("a", at // 2, f"u{at}", day(at), day(at + 2 - at % 2) if at < 12 else None)
            for at in (1, 2, 4, 6, 8, 10, 12)
        ),
        *(("b", at, f"u{at}", day(at), day(at + 1) if at < 12 else None) for at in range(1, 13)),
        ("c", 1, "u1", day(1), None),
    ]


def test_sources_that_share_a_table_do_not_delete_each_others_keys(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    for source in ("one", "other"):
        with repository.ingestion(table="t", source=source, run_id="r", keyed=Keyed("snapshot", ("k",))) as ingestion:
            ingestion.add_vintage(day(1), [Reading("u", source, 1, "r/1", [rows(k=[source])])])
    assert asked(repository, "SELECT k FROM repository.t_current ORDER BY k") == [("one",), ("other",)]


def test_keyed_rows_and_others_do_not_share_a_table(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    with repository.ingestion(table="t", source="s", run_id="r") as ingestion:
        ingestion.add("u", "s1", 1, day(1), "r/1", [rows(k=[1])])
    with (
        pytest.raises(InputError, match="table t is there already and has no keys"),
        repository.ingestion(table="t", source="s", run_id="r", keyed=Keyed("upsert", ("k",))),
    ):
        pass
