"""Document records (contracts.RECORDS) from columns of any reader, with a Reject for every row that is none.

Rules: text must be a string that is not blank (``missing_text``, ``empty_text``); a title, uri or licence that is not
a string, or a time that is not one, is ``type_mismatch``. A record that states its own uri is located by the
occurrence of that uri in the object, any other by its row number. U+0000 is kept as it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from warehouse.contracts import RECORDS, TIMESTAMP, Reject
from warehouse.sources.columns import CASTS, cast_where_possible, microseconds, opening, shown, within_years
from warehouse.sources.recipe import Source
from warehouse.sources.rights import with_lines

TIMES = ("published_at", "known_at")


@dataclass(slots=True)
class Documents:
    """Builds the record batches of one object or member; remembers each uri that a record stated, in 100 bytes.

    headers: lines of the response that brought it, see ``rights``.
    """

    source: Source
    uri: str
    licence: str | None = None
    title: str | None = None
    headers: str | None = None
    met: Counter[str] = field(default_factory=Counter)

    @property
    def names(self) -> dict[str, str]:
        """Column of RECORDS -> field of the record."""
        names = dict(self.source.fields)
        if self.source.known_at.column:
            names["known_at"] = self.source.known_at.column
        return names

    def batch(self, numbers: Sequence[int], values: dict[str, pa.Array]) -> Iterator[pa.RecordBatch | Reject]:
        """The rows, ``values`` under the names of RECORDS, as one batch, and a Reject for each that is no document."""
        columns = {name: _typed(name, array) for name, array in values.items()}
        reasons = self._reasons(columns, values)
        if reasons.null_count == len(reasons):
            yield self._records(pa.array(numbers, pa.int64()), columns)
            return
        for at in pc.indices_nonzero(pc.is_valid(reasons)).to_pylist():
            yield self._reject(numbers[at], reasons[at].as_py(), values, at)
        good = pc.is_null(reasons)
        kept = {name: array.filter(good) for name, array in columns.items()}
        if len(kept["text"]):
            yield self._records(pa.array(numbers, pa.int64()).filter(good), kept)

    def _reasons(self, columns: dict[str, pa.Array], values: dict[str, pa.Array]) -> pa.Array:
        """For each row the reason that it is no document, or null."""
        text = columns["text"]
        reasons = pc.if_else(pc.is_null(text), "missing_text", pa.scalar(None, pa.string()))
        blank = pc.fill_null(pc.or_(pc.utf8_is_space(text), pc.equal(pc.binary_length(text), 0)), False)
        reasons = pc.if_else(blank, "empty_text", reasons)
        for name, array in columns.items():
            lost = pc.and_(pc.is_null(array), pc.is_valid(values[name]))
            reasons = pc.if_else(lost, "type_mismatch", reasons)
        return reasons

    def _reject(self, number: int, reason: str, values: dict[str, pa.Array], at: int) -> Reject:
        field_name = self.names.get("text", "text")
        record = {name: shown(array[at]) for name, array in values.items()}
        message = f"a document needs text in field {field_name!r}"
        return Reject(self.uri, str(number), reason, message, number, None, opening(record))

    def _records(self, numbers: pa.Array, kept: dict[str, pa.Array]) -> pa.RecordBatch:
        size = len(numbers)
        uri, record = self._located(numbers, kept.get("uri"))
        defaults: dict[str, Any] = {"title": self.title, "licence": self.licence or self.source.licence}
        columns = {"uri": uri, "record": record} | {name: kept[name] for name in kept if name != "uri"}
        for name, default in defaults.items():
            given = columns.get(name, pa.nulls(size, pa.string()))
            columns[name] = given if default is None else pc.fill_null(given, default)
        if self.headers:
            columns = with_lines(columns, size, self.headers, self.uri)
        arrays = [columns[item.name] if item.name in columns else pa.nulls(size, item.type) for item in RECORDS]
        return pa.RecordBatch.from_arrays(arrays, schema=RECORDS)

    def _located(self, numbers: pa.Array, stated: pa.Array | None) -> tuple[pa.Array, pa.Array]:
        record = pc.cast(numbers, pa.string())
        if stated is None:
            return pa.repeat(pa.scalar(self.uri, pa.string()), len(numbers)), record
        occurrence = [self._occurrence(uri) for uri in stated.to_pylist()]
        return pc.fill_null(stated, self.uri), pc.coalesce(pa.array(occurrence, pa.string()), record)

    def _occurrence(self, uri: str | None) -> str | None:
        if uri is None:
            return None
        self.met[uri] += 1
        return str(self.met[uri] - 1)


def _typed(name: str, array: pa.Array) -> pa.Array:
    """The array in its column's type; null where a value cannot be that."""
    kind = RECORDS.field(name).type
    if array.type == kind:
        return within_years(array)
    if name in TIMES:
        return moments(array)
    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        return pc.cast(array, kind)
    return pa.nulls(len(array), kind)


def moments(array: pa.Array) -> pa.Array:
    """Times from ISO text (UTC if without zone), Arrow times, or seconds since 1970 (milliseconds above 10^11); null
    for what is none, and outside the years 1 to 9999.
    """
    return within_years(_moments(array))


def _moments(array: pa.Array) -> pa.Array:
    kind = array.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return cast_where_possible(pc.utf8_trim_whitespace(pc.cast(array, pa.string())), CASTS["timestamp"])
    if pa.types.is_date(kind):
        return microseconds(pc.cast(pc.cast(array, pa.date64()), pa.timestamp("ms")))
    if pa.types.is_timestamp(kind):
        return microseconds(array)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        seconds = pc.cast(array, pa.float64(), safe=False)
        scaled = pc.if_else(pc.greater(pc.abs(seconds), 1e11), pc.divide(seconds, 1000.0), seconds)
        possible = pc.if_else(pc.less(pc.abs(scaled), 1e12), scaled, pa.scalar(None, pa.float64()))
        micros = pc.cast(pc.round(pc.multiply(possible, 1e6)), pa.int64())
        return pc.cast(micros, TIMESTAMP)
    return pa.nulls(len(array), TIMESTAMP)
