"""Features equal their definition and Polars, on events with ties, gaps, late facts and corrections."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import oracle
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from examples import dear
from warehouse import query
from warehouse.errors import RecipeError
from warehouse.features import Aggregate, FeatureSet, Span, Spine, View, compute

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
WINDOWS = (Span("2s", 2_000_000), Span("5s", 5_000_000))
EVENTS = pa.schema(
    [
        ("key", pa.string()),
        ("id", pa.int64()),
        ("event", pa.timestamp("us", tz="UTC")),
        ("known", pa.timestamp("us", tz="UTC")),
        ("value", pa.int32()),
    ]
)
VIEW = View(
    name="past",
    relation="world.events",
    keys=("key",),
    event_time="event",
    known_at="known",
    at_moment="excluded",
    windows=WINDOWS,
    aggregates=(
        Aggregate("count", "count", None),
        *(Aggregate(name, name, "value") for name in ("sum", "mean", "min", "max", "rate")),  # type: ignore[arg-type]
    ),
    latest=(("last", "value"),),
)
SET = FeatureSet("traffic", Spine("SELECT * FROM world.spine", ("key",), "moment"), (VIEW,))


def made(features: FeatureSet, events: list[dict[str, Any]], spine: list[tuple[str, datetime]]) -> list[dict[str, Any]]:
    """The rows that DuckDB computes."""
    with query.connect() as con:
        con.execute("CREATE SCHEMA world")
        con.register("given", pa.Table.from_pylist(events, schema=EVENTS))
        con.execute("CREATE TABLE world.events AS FROM given")
        moments = [{"key": key, "moment": moment} for key, moment in spine]
        types = pa.schema([("key", pa.string()), ("moment", pa.timestamp("us", tz="UTC"))])
        con.register("moments", pa.Table.from_pylist(moments, schema=types))
        con.execute("CREATE TABLE world.spine AS FROM moments")
        compute(con, features, upstream={})
        return query.arrow(con, "FROM temp.main._computed ORDER BY key, moment").to_pylist()


def after(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def times(*, missing: bool = False) -> st.SearchStrategy[Any]:
    """Few instants, so that ties of every kind are drawn; half seconds and single microseconds beside them."""
    drawn = st.builds(
        lambda half, micro: BEGAN + timedelta(seconds=half / 2, microseconds=micro),
        st.integers(0, 24),
        st.sampled_from([0, 0, 0, 1, -1]),
    )
    return st.one_of(st.none(), drawn, drawn, drawn, drawn) if missing else drawn


events = st.lists(
    st.fixed_dictionaries(
        {
            "key": st.sampled_from(["a", "b"]),
            "id": st.integers(0, 4),
            "event": times(missing=True),
            "known": times(missing=True),
            "value": st.one_of(st.none(), st.integers(-3, 3)),
        }
    ),
    max_size=14,
)
spines = st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), times()), min_size=1, max_size=8, unique=True)
rules = st.builds(
    oracle.Rules,
    st.sampled_from(["counted", "excluded"]),
    st.booleans(),
    st.sampled_from([None, timedelta(seconds=1), timedelta(seconds=4)]),
)


def stated(one: oracle.Rules) -> FeatureSet:
    """The feature set with these rules."""
    ttl = Span("ttl", int(one.ttl.total_seconds() * 1e6)) if one.ttl else None
    versions = ("id",) if one.versioned else ()
    return replace(SET, views=(replace(VIEW, at_moment=one.at_moment, version_of=versions, ttl=ttl),))


def expected(rows: list[dict[str, Any]], spine: list[tuple[str, datetime]], one: oracle.Rules) -> list[dict[str, Any]]:
    return [
        {
            "key": key,
            "moment": moment,
            **{
                f"{name}_{span.text}": value
                for span in WINDOWS
                for name, value in oracle.window(rows, key, moment, timedelta(microseconds=span.us), one).items()
            },
            "last": oracle.latest(rows, key, moment, one),
        }
        for key, moment in sorted(spine)
    ]


def without_mark(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "_feature_set"} for row in rows]


@settings(max_examples=dear(60), deadline=None)
@given(rows=events, spine=spines, one=rules)
def test_features_equal_their_definition(
    rows: list[dict[str, Any]], spine: list[tuple[str, datetime]], one: oracle.Rules
) -> None:
    assert without_mark(made(stated(one), rows, spine)) == expected(rows, spine, one)


@settings(max_examples=dear(25), deadline=None)
@given(rows=events, spine=spines, one=rules, more=events, cut=times())
def test_no_row_is_made_of_what_is_known_or_happens_later(
    rows: list[dict[str, Any]],
    spine: list[tuple[str, datetime]],
    one: oracle.Rules,
    more: list[dict[str, Any]],
    cut: datetime,
) -> None:
    early = [(key, moment) for key, moment in spine if moment < cut]
    later = [row | {"known": max(row["known"] or cut, cut)} for row in more]
    if not one.versioned:
        later += [row | {"event": max(row["event"] or cut, cut), "known": BEGAN - timedelta(1)} for row in more]
    assert made(stated(one), rows, early) == made(stated(one), rows + later, early)


@pytest.mark.parametrize("at_moment", ["counted", "excluded"])
def test_the_event_at_the_very_moment_counts_only_where_it_is_said(at_moment: Any) -> None:
    row = {"key": "a", "id": 1, "event": after(2), "known": after(2), "value": 5}
    one = replace(VIEW, at_moment=at_moment)
    at, edge = made(replace(SET, views=(one,)), [row], [("a", after(2)), ("a", after(4))])
    counted = at_moment == "counted"
    assert (at["count_2s"], at["last"]) == ((1, 5) if counted else (0, None))
    assert edge["count_2s"] == (0 if counted else 1), "windows tile: the event leaves as its own moment's rule says"


def test_a_corrected_event_counts_as_it_was_known_at_each_moment() -> None:
    first = {"key": "a", "id": 1, "event": after(1), "known": after(1), "value": 10}
    rows = [first, first | {"known": after(3), "value": 20}, first | {"known": after(4), "event": after(9)}]
    one = replace(SET, views=(replace(VIEW, version_of=("id",)),))
    found = made(one, rows, [("a", after(second)) for second in (2, 3, 4, 10)])
    assert [row["sum_5s"] for row in found] == [10, 20, 0, 10]
    assert [row["last"] for row in found] == [10, 20, None, 10]


@pytest.mark.parametrize("seed", [1, 2])
def test_features_equal_polars_rolling_and_asof_join(seed: int) -> None:
    """3,000 events of 5 keys and 700 moments; in Polars every event is known as it happens."""
    chance = random.Random(seed)
    rows = [
        {"key": chance.choice("abcde"), "id": n, "event": (at := after(chance.randrange(600))), "known": at, "value": n}
        for n in range(3000)
    ]
    spine = sorted({(chance.choice("abcdef"), after(chance.randrange(700) / 2)) for _ in range(700)})
    one = replace(VIEW, at_moment="counted", ttl=Span("3s", 3_000_000))
    found = pl.DataFrame(without_mark(made(replace(SET, views=(one,)), rows, spine)))
    events = pl.DataFrame(rows, schema={"key": pl.String, "id": pl.Int64, "event": pl.Datetime("us", "UTC")} | VALUES)
    moments = pl.DataFrame(spine, schema={"key": pl.String, "moment": pl.Datetime("us", "UTC")}, orient="row")
    for span in WINDOWS:
        assert found[f"count_{span.text}"].to_list() == rolled(events, moments, span.text, pl.len())
        assert found[f"sum_{span.text}"].to_list() == rolled(events, moments, span.text, pl.col("value").sum())
    last = events.sort("event", "value").unique(["key", "event"], keep="last").sort("event")
    joined = moments.sort("moment").join_asof(
        last, left_on="moment", right_on="event", by="key", tolerance="3s", check_sortedness=False
    )
    assert found["last"].to_list() == joined.sort("key", "moment")["value"].to_list()


VALUES = {"known": pl.Datetime("us", "UTC"), "value": pl.Int64}


def rolled(events: pl.DataFrame, moments: pl.DataFrame, size: str, what: pl.Expr) -> list[int]:
    """An aggregate over (moment - size, moment], by Polars' rolling over events and moments together."""
    both = pl.concat(
        [
            events.select("key", pl.col("event").alias("moment"), "value"),
            moments.with_columns(pl.lit(None, pl.Int64).alias("value")),
        ]
    ).sort("moment")
    counted = pl.col("value").is_not_null().sum().cast(pl.Int64) if what.meta.output_name() == "len" else what
    found = both.rolling("moment", period=size, group_by="key", closed="right").agg(counted.alias("out"))
    return (
        moments.join(found.unique(["key", "moment"]), on=["key", "moment"], how="left")
        .sort("key", "moment")["out"]
        .to_list()
    )


def test_sums_are_exact_where_floats_are_not() -> None:
    with query.connect() as con:
        con.execute("CREATE SCHEMA world")
        con.execute(
            "CREATE TABLE world.events AS SELECT 'a' AS key, range AS id, "
            "TIMESTAMP '2026-01-01' + to_seconds(range) AS event, event AS known, "
            "(CASE WHEN range % 2 = 0 THEN 0.1 ELSE 9000000000000.3 END)::DECIMAL(18, 2) AS value FROM range(99)"
        )
        con.execute("CREATE TABLE world.spine AS SELECT 'a' AS key, TIMESTAMP '2026-01-01 00:01:39' AS moment")
        compute(con, SET, upstream={})
        assert query.fetch_all(con, "SELECT sum_2s, sum_5s FROM temp.main._computed") == [
            (9000000000000.4, 18000000000000.9)
        ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("ALTER TABLE world.events ALTER value TYPE DOUBLE", r"sum of value, which is DOUBLE.*DECIMAL"),
        ("ALTER TABLE world.events DROP value", r"world\.events has no column value"),
        ("ALTER TABLE world.events ALTER event TYPE VARCHAR", r"event of world\.events is VARCHAR"),
        ("DROP TABLE world.events", r"events"),
        ("INSERT INTO world.spine VALUES ('a', TIMESTAMPTZ '2026-01-01')", r"2 rows but 1 of key and time"),
        ("INSERT INTO world.spine VALUES (NULL, TIMESTAMPTZ '2026-01-01')", r"1 rows without key or time"),
        ("ALTER TABLE world.spine RENAME moment TO sum_2s", r"the spine gives no moment"),
        ("ALTER TABLE world.spine ADD COLUMN sum_2s INT", r"the spine gives sum_2s"),
        ("UPDATE world.events SET value = 9223372036854775807", r"out of range|Overflow|cast"),
    ],
)
def test_what_a_relation_or_the_spine_cannot_give_is_refused(change: str, message: str) -> None:
    with query.connect() as con:
        con.execute("CREATE SCHEMA world")
        con.execute(
            "CREATE TABLE world.events AS SELECT 'a' AS key, range AS id, TIMESTAMPTZ '2025-12-31 23:59:59' AS event, "
            "event AS known, range AS value FROM range(3)"
        )
        con.execute("CREATE TABLE world.spine AS SELECT 'a' AS key, TIMESTAMPTZ '2026-01-01' AS moment")
        con.execute(change)
        with pytest.raises(RecipeError, match=message):
            compute(con, SET, upstream={})
