"""The rows of a feature set, computed on a connection of the published snapshot and audited against the stored ones.

A row of features, once stored, must come out the same for ever: what was known at a moment does not change afterwards.
Where it does, some relation says of a fact that it was known earlier than it was, and a model trained on it would have
seen the future. ``changed`` counts such rows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from warehouse import query
from warehouse.contracts import Batches, Snapshot, digest
from warehouse.features.compile import FEATURE_SET, Compiled, Types, compile_features
from warehouse.features.recipe import FeatureSet, View, refused

COMPUTED = "temp.main._computed"


@dataclass(frozen=True, slots=True)
class Computed:
    """Rows that stand computed on a connection. fingerprint: 16 hexadecimal digits of the definition; untimed: view ->
    rows of its relation without an event time or a known time, which no moment sees.
    """

    fingerprint: str
    rows: int
    compiled: Compiled
    untimed: Mapping[str, int]


def compiled_on(con: query.Connection, features: FeatureSet) -> Compiled:
    """The SELECT of a feature set, by the types that its relations have on this connection. Raises RecipeError."""
    query_types = {view.name: _relation_types(con, view) for view in features.views}
    with query.refusals(features.spine.at):
        statements = query.statements(features.spine.select)
        if len(statements) != 1 or statements[0].kind != "SELECT":
            raise refused(features.spine.at, f"the spine holds {len(statements)} statements", allowed="one SELECT")
        spine = _types(con, f"({statements[0].sql})")
    return compile_features(features, query_types, spine)


def _relation_types(con: query.Connection, view: View) -> Types:
    with query.refusals(view.at):
        return _types(con, ".".join(map(query.quoted, view.relation.split("."))))


def _types(con: query.Connection, relation: str) -> Types:
    return {row[0]: row[1] for row in query.fetch_all(con, f"DESCRIBE SELECT * FROM {relation}")}


def fingerprint(compiled: Compiled, upstream: Mapping[str, str]) -> str:
    """16 hexadecimal digits that change when the features could: with the SELECT, its values, the models it reads."""
    return digest(compiled.sql, json.dumps([dict(compiled.parameters), dict(upstream)], sort_keys=True))[:16]


def compute(con: query.Connection, features: FeatureSet, *, upstream: Mapping[str, str]) -> Computed:
    """Compute every row of a feature set on the connection, which ``rows`` then reads.

    upstream: model -> fingerprint of the models it reads. Raises RecipeError for what a relation or the spine lacks,
    for a spine with a key and time twice or null, and for a sum that no whole number of 64 bits holds.
    """
    compiled = compiled_on(con, features)
    mark = fingerprint(compiled, upstream)
    with query.refusals(features.spine.at):
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE _computed AS {compiled.sql}", {**compiled.parameters, "feature_set": mark}
        )
    return Computed(
        mark, _counted(con, features), compiled, {view.name: _untimed(con, view) for view in features.views}
    )


def _counted(con: query.Connection, features: FeatureSet) -> int:
    """The number of rows, once it is certain that each has a key and time of its own."""
    names = [query.quoted(name) for name in (*features.spine.keys, features.spine.time)]
    null = " OR ".join(f"{name} IS NULL" for name in names)
    sql = f"SELECT count(*), count(DISTINCT ({', '.join(names)})), count(*) FILTER ({null}) FROM {COMPUTED}"
    rows, distinct, nulls = query.fetch_all(con, sql)[0]
    if nulls or distinct != rows:
        said = f"{nulls:,} rows without key or time" if nulls else f"{rows:,} rows but {distinct:,} of key and time"
        raise refused(features.spine.at, f"the spine gives {said}", allowed="each key and time once, none null")
    return int(rows)


def _untimed(con: query.Connection, view: View) -> int:
    times = [f"CAST({query.quoted(name)} AS TIMESTAMP WITH TIME ZONE)" for name in (view.event_time, view.known_at)]
    timed = " AND ".join(f"coalesce(isfinite({time}), false)" for time in times)
    relation = ".".join(map(query.quoted, view.relation.split(".")))
    return int(query.fetch_all(con, f"SELECT count(*) FILTER (NOT ({timed})) FROM {relation}")[0][0])


def changed(con: query.Connection, features: FeatureSet, computed: Computed, stored: Snapshot | None) -> int:
    """How many stored rows of this very definition come out differently today; the stored table must be attached."""
    names = {row[0] for row in query.fetch_all(con, f"DESCRIBE {COMPUTED}")}
    if stored is None or not names <= set(stored.schema.names):
        return 0
    keys = ", ".join(query.quoted(name) for name in (*features.spine.keys, features.spine.time, FEATURE_SET))
    differs = " OR ".join(f"c.{query.quoted(name)} IS DISTINCT FROM s.{query.quoted(name)}" for name in sorted(names))
    table = query.quoted(stored.table)
    sql = f"SELECT count(*) FROM {COMPUTED} AS c JOIN repository.{table} AS s USING ({keys}) WHERE {differs}"
    return int(query.fetch_all(con, sql)[0][0])


def schema(con: query.Connection) -> pa.Schema:
    """The columns of what was computed."""
    return query.arrow(con, f"FROM {COMPUTED} LIMIT 0").schema


def rows(con: query.Connection) -> Batches:
    """What was computed, in batches; read to its end before the connection is used again."""
    return iter(query.stream(con, f"FROM {COMPUTED}"))


def show(con: query.Connection, features: FeatureSet, snapshot: Snapshot, *, mark: str) -> None:
    """``features.<name>`` on a connection: the stored rows of one definition, without its mark."""
    query.attach_memory(con, "features")
    own = f"{FEATURE_SET} = {query.literal(mark)}"
    con.execute(
        f"CREATE OR REPLACE VIEW features.{query.quoted(features.name)} AS "
        f"SELECT * EXCLUDE ({FEATURE_SET}) FROM ({query.relation_sql(con, snapshot)}) WHERE {own}"
    )
