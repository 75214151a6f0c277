"""Series of observations from the published snapshot: the best of each, or all, as they were known at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import datetime

import pyarrow as pa

from warehouse import query
from warehouse.errors import NotFound, UsageError
from warehouse.project import Project
from warehouse.publish import connect_current
from warehouse.sources.datacommons import NODES, Node, is_date, observation_nodes, spelt_values, statement_nodes

CSV = ("entity", "variable", "date", "value", "unit", "measurement_method", "observation_period", "scaling_factor")
"""Columns of a CSV that a config.json can name; provenance and known_at follow."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Which observations: parameters of the table function ``observations`` (publish/observations.sql says what each
    means, and which series is the best). None: not asked for.
    """

    of_variable: str | None = None
    of_entity: str | None = None
    from_date: str | None = None
    to_date: str | None = None
    as_of: str | None = None
    by_provenance: str | None = None
    every_series: bool = False

    def sql(self) -> str:
        """The call, with values as literals."""
        stated = {item.name: getattr(self, item.name) for item in fields(self)}
        given = [
            f"{name} := {query.literal(value) if isinstance(value, str) else 'true'}"
            for name, value in stated.items()
            if value not in (None, False)
        ]
        return f"SELECT * FROM observations({', '.join(given)})"


@contextmanager
def observed(project: Project, asked: Asked, *, env: str = "prod") -> Iterator[pa.RecordBatchReader]:
    """Observations in order of variable, entity and date, streamed: variable, entity, date, value, unit,
    measurement_method, observation_period, scaling_factor, provenance, source, known_at, value_text, properties.

    Raises NotFound where nothing is published or no source has written the table ``observations``, UsageError for a
    time or date that is none.
    """
    _refuse_no_time(asked)
    with connect_current(project.published, env) as con:
        _require(con)
        with query.stream(con, asked.sql()) as reader:
            yield reader


def _refuse_no_time(asked: Asked) -> None:
    for name, date in (("from", asked.from_date), ("to", asked.to_date)):
        if date is not None and not is_date(date):
            raise UsageError(f"--{name} {date}", allowed="a date such as 2020, 2020-06 or 2020-06-30")
    if asked.as_of is not None:
        try:
            datetime.fromisoformat(asked.as_of)
        except ValueError:
            raise UsageError(f"--as-of {asked.as_of}", allowed="a time such as 2024-12-01") from None


def _require(con: query.Connection) -> None:
    if "observations" not in _tables(con):
        raise NotFound(
            "no observations are published",
            do="bring some in with 'warehouse ingest FOLDER --reader datacommons --table observations'",
        )


def _tables(con: query.Connection) -> set[str]:
    """The repository's tables that the snapshot was made of."""
    return {name for (name,) in query.fetch_all(con, "SELECT table_name FROM meta.inputs")}


def as_csv(reader: pa.RecordBatchReader) -> pa.RecordBatchReader:
    """The same with values as their sources spelt them, in the columns of CSV."""
    kept = [*CSV, "provenance", "known_at"]
    schema = pa.schema([pa.field(name, pa.string()) if name == "value" else reader.schema.field(name) for name in kept])

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in reader:
            arrays = [spelt_values(batch) if name == "value" else batch[name] for name in kept]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    return pa.RecordBatchReader.from_batches(schema, batches())


def as_mcf(reader: pa.RecordBatchReader) -> Iterator[Node]:
    """The same as nodes, one at a time."""
    for batch in reader:
        yield from observation_nodes(batch)


def described(project: Project, *, env: str = "prod") -> Iterator[Node]:
    """The nodes of the table ``nodes``, each as its source stated it last; none where there is no such table."""
    with connect_current(project.published, env) as con:
        if NODES not in _tables(con):
            return
        sql = f"""
            SELECT node, property, value, kind
            FROM repository.{NODES}
            QUALIFY rank() OVER (PARTITION BY node ORDER BY _known_at DESC, _uri, _object_sha256) = 1
            ORDER BY node, len(_record), _record"""
        with query.stream(con, sql) as reader:
            yield from statement_nodes(row for batch in reader for row in batch.to_pylist())
