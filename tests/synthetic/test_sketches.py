"""A sketch is exact counts that add up: the laws of a commutative monoid, against plain Python."""

from __future__ import annotations

import functools
import itertools
import math
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse.errors import FormatError, UsageError
from warehouse.sketches import Column, TableSketch, arrow_type, empty, encoded, from_bytes, sets, sketch, to_bytes

COLUMNS = (
    Column("shop", "string", levels=("a", "b")),
    Column("open", "bool", levels=("false", "true")),
    Column("sold", "int64", bins=((0, 0), (1, 9), (20, 99))),
    Column("price", "double", bins=((0.0, 1.5), (2.5, 2.5)), decimals=1),
)
PARENTS = ((), (0,), (0, 1), (0, 1, 2))
ROW = st.tuples(
    st.sampled_from(["a", "b", "rare", None]),
    st.sampled_from([True, False, None]),
    st.one_of(st.none(), st.integers(-50, 200)),
    st.one_of(st.none(), st.floats(-1e9, 1e9), st.just(float("nan"))),
)
ROWS = st.lists(ROW, max_size=20)
Row = tuple[str | None, bool | None, int | None, float | None]


def batch(rows: Sequence[Row]) -> pa.RecordBatch:
    types = [arrow_type(column.type) for column in COLUMNS]
    arrays = [pa.array([row[at] for row in rows], kind) for at, kind in enumerate(types)]
    return pa.RecordBatch.from_arrays(arrays, names=[column.name for column in COLUMNS])


def counted(rows: Sequence[Row]) -> TableSketch:
    return sketch([batch(rows)], COLUMNS, PARENTS)


def code(column: Column, value: object) -> int:
    """The twin of ``encoded``: one value at a time, by distance."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return column.size - 1
    if column.levels:
        text = str(value).lower() if isinstance(value, bool) else str(value)
        return column.levels.index(text) if text in column.levels else len(column.levels)
    apart = [max(low - value, value - high, 0) for low, high in column.bins]  # type: ignore[operator]
    return apart.index(min(apart))


@given(ROWS)
@settings(max_examples=40, deadline=None)
def test_every_table_holds_what_plain_python_counts(rows: list[Row]) -> None:
    made = counted(rows)
    assert made.n == len(rows) and len(sets(COLUMNS, PARENTS)) == 4 + 6 + 2
    for members, table in zip(sets(COLUMNS, PARENTS), made.counts, strict=True):
        expected = Counter(tuple(code(COLUMNS[at], row[at]) for at in members) for row in rows)
        found = {tuple(map(int, cell)): int(table[tuple(cell)]) for cell in np.argwhere(table)}
        assert found == expected


@given(ROWS, ROWS, ROWS)
@settings(max_examples=20, deadline=None)
def test_merging_is_adding_rows_in_any_order_to_the_same_bytes(
    one: list[Row], two: list[Row], three: list[Row]
) -> None:
    whole = to_bytes(counted([*one, *two, *three]))
    for parts in itertools.permutations([counted(one), counted(two), counted(three)]):
        assert to_bytes(functools.reduce(TableSketch.__add__, parts)) == whole
    a, b = counted(one), counted(two)
    assert (a + b) - b == a and a + empty(COLUMNS, PARENTS) == a


@given(ROWS)
@settings(max_examples=20, deadline=None)
def test_bytes_read_back_are_the_sketch(rows: list[Row]) -> None:
    made = counted(rows)
    again = from_bytes(to_bytes(made))
    assert again == made and again.fingerprint == made.fingerprint and again.columns == COLUMNS


def test_any_changed_or_missing_byte_is_refused() -> None:
    raw = to_bytes(counted([("a", True, 3, 1.0)]))
    for at in range(0, len(raw), 7):
        with pytest.raises(FormatError):
            from_bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
        with pytest.raises(FormatError):
            from_bytes(raw[:at])


def test_sketches_of_other_bins_or_another_network_do_not_add_up() -> None:
    other = (*COLUMNS[:3], Column("price", "double", bins=((0.0, 2.0), (2.5, 2.5)), decimals=1))
    with pytest.raises(UsageError, match="its bins or levels of 'price'"):
        counted([]) + empty(other, PARENTS)
    with pytest.raises(UsageError, match="one is of round one"):
        counted([]) + empty(COLUMNS)
    with pytest.raises(UsageError, match="4 and 3 columns"):
        empty(COLUMNS) + empty(COLUMNS[:3])


def test_rows_that_are_not_in_a_sketch_cannot_be_taken_out() -> None:
    with pytest.raises(UsageError, match="not in this one"):
        counted([("a", True, 3, 1.0)]) - counted([("b", True, 3, 1.0)])


def test_a_table_of_some_columns_is_a_marginal_with_its_axes_in_the_order_asked() -> None:
    made = counted([("a", True, 3, 1.0), ("b", None, 30, 2.5)])
    assert np.array_equal(made.table(2, 0), made.table(0, 2).T)
    assert np.array_equal(made.table(0, 1, 2).sum(axis=2), made.table(0, 1))
    with pytest.raises(UsageError, match="no counts of shop, open, sold together"):
        sketch([], COLUMNS).table(0, 1, 2)


def test_a_family_of_too_many_cells_is_refused_with_its_columns() -> None:
    wide = tuple(Column(name, "int64", bins=tuple((n, n) for n in range(100))) for name in "abc")
    with pytest.raises(UsageError, match=r"1,030,301 cells: a, b, c"):
        empty(wide, [(), (0,), (0, 1)])


def test_times_and_dictionaries_are_counted_as_what_they_stand_for() -> None:
    day = Column("day", "date32[day]", bins=((0, 10), (20, 30)))
    moment = Column("at", "timestamp[us, tz=UTC]", bins=((0, 10**6), (10**7, 10**7)))
    days = pa.array([date(1970, 1, 6), date(1970, 1, 25), None], pa.date32())
    times = pa.array([datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC), None], arrow_type(moment.type))
    assert encoded(day, days).tolist() == [0, 1, 2] and encoded(moment, times).tolist() == [0, 2]
    texts = pa.array(["a", None, "x", "b"])
    assert (
        encoded(COLUMNS[0], texts.dictionary_encode()).tolist() == encoded(COLUMNS[0], texts).tolist() == [0, 3, 2, 1]
    )


def test_a_column_of_another_type_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="column 'sold' is string, counted as int64"):
        sketch([pa.RecordBatch.from_pydict({"sold": ["x"]})], COLUMNS[2:3])
    with pytest.raises(UsageError, match="no column 'shop'"):
        sketch([pa.RecordBatch.from_pydict({"sold": [1]})], COLUMNS)
