"""The table function observations() beside its rule in plain Python."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse import query
from warehouse.answers.observations import Asked
from warehouse.publish import only_reads
from warehouse.publish.meta import MACROS

DATES = ("2019", "2020", "2020-06", "2021")
TIMES = tuple(datetime(2024, month, 1, tzinfo=UTC) for month in (1, 2, 3))
FACTS = pa.schema(
    [
        ("variable", pa.string()),
        ("entity", pa.string()),
        ("date", pa.string()),
        ("value", pa.float64()),
        ("unit", pa.string()),
        ("provenance", pa.string()),
        ("_source", pa.string()),
        ("_known_at", pa.timestamp("us", "UTC")),
        ("_object_sha256", pa.string()),
        ("_record", pa.string()),
    ]
)
FACT = st.fixed_dictionaries(
    {
        "variable": st.sampled_from("vw"),
        "entity": st.sampled_from("ab"),
        "date": st.sampled_from(DATES),
        "value": st.integers(0, 3).map(float),
        "unit": st.sampled_from([None, "USD"]),
        "provenance": st.sampled_from([None, "p", "q"]),
        "_source": st.just("s"),
        "_known_at": st.sampled_from(TIMES),
        "_object_sha256": st.just("0"),
    }
)
Facts = list[dict[str, Any]]


@pytest.fixture(scope="module")
def con() -> Iterator[query.Connection]:
    with query.connect() as opened:
        opened.execute("ATTACH ':memory:' AS repository")
        opened.register("facts", FACTS.empty_table())
        opened.execute("CREATE TABLE repository.observations AS FROM facts")
        opened.execute(MACROS["observations"].read_text())
        yield opened


def asked(con: query.Connection, facts: Facts, question: Asked) -> list[tuple[Any, ...]]:
    con.register("facts", pa.Table.from_pylist(facts, schema=FACTS))
    con.execute("DELETE FROM repository.observations; INSERT INTO repository.observations FROM facts")
    columns = "variable, entity, date, value, unit, provenance, known_at"
    return query.fetch_all(con, f"SELECT {columns} FROM ({question.sql()})")


def series_of(fact: dict[str, Any]) -> tuple[str, str]:
    return fact["provenance"] or fact["_source"], fact["unit"] or ""


def twin(facts: Facts, question: Asked) -> list[tuple[Any, ...]]:
    """The same by loops."""
    wanted = [
        fact
        for fact in facts
        if question.of_variable in (None, fact["variable"])
        and question.of_entity in (None, fact["entity"])
        and question.by_provenance in (None, fact["provenance"] or fact["_source"])
        and (question.as_of is None or fact["_known_at"] <= datetime.fromisoformat(question.as_of))
    ]
    held: dict[Any, dict[Any, dict[str, Facts]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for fact in sorted(wanted, key=lambda fact: fact["_record"]):
        held[fact["variable"], fact["entity"]][series_of(fact)][fact["date"]].append(fact)
    found: Facts = []
    for every in held.values():
        for dates in every.values():
            for date, known in dates.items():
                last = max(fact["_known_at"] for fact in known)
                newest = [fact for fact in known if fact["_known_at"] == last]
                dates[date] = newest if question.every_series else newest[:1]
        best = min(
            every, key=lambda name: ([-int(max(every[name]).replace("-", "").ljust(6, "0"))], -len(every[name]), name)
        )
        for name, dates in every.items():
            if question.every_series or name == best:
                found += [fact for known in dates.values() for fact in known]
    shown = [
        tuple(fact[name] for name in ("variable", "entity", "date", "value", "unit", "provenance", "_known_at"))
        for fact in found
        if (question.from_date is None or fact["date"] >= question.from_date)
        and (question.to_date is None or fact["date"][: len(question.to_date)] <= question.to_date)
    ]
    return sorted(shown, key=repr)


@given(
    st.lists(FACT, max_size=14).map(lambda facts: [{**fact, "_record": f"{at:02}"} for at, fact in enumerate(facts)]),
    st.builds(
        Asked,
        of_variable=st.sampled_from([None, "v", "nothing"]),
        of_entity=st.sampled_from([None, "a"]),
        from_date=st.sampled_from([None, "2020", "2020-07"]),
        to_date=st.sampled_from([None, "2020", "2020-06"]),
        as_of=st.sampled_from([None, "2024-02-01", "2023-01-01"]).map(lambda day: day and f"{day}T00:00:00+00:00"),
        by_provenance=st.sampled_from([None, "p", "s"]),
        every_series=st.booleans(),
    ),
)
def test_the_best_series_of_each_is_given_as_it_was_known(con: query.Connection, facts: Facts, question: Asked) -> None:
    assert sorted(asked(con, facts, question), key=repr) == twin(facts, question)


def test_a_series_is_in_order_of_date_and_its_call_is_a_read(con: query.Connection) -> None:
    fact = {"variable": "v", "entity": "it's", "value": 1.0, "_source": "s", "_known_at": TIMES[0], "_record": "0"}
    facts = [{**fact, "date": date, "unit": None, "provenance": None, "_object_sha256": "0"} for date in DATES[::-1]]
    question = Asked(of_entity="it's")
    assert [row[2] for row in asked(con, facts, question)] == list(DATES)
    assert only_reads("FROM observations('v', \"from_date\" := '2020')")
