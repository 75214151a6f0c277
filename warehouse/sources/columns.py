"""Names and types of a typed table's columns.

Names: a capital after a small letter or digit, or before the last capital of a run, starts a word; what is neither
letter nor digit is a space between words; words are joined by ``_`` in lower case (``providerName`` ->
``provider_name``). A name that begins with a digit gets ``c`` before it, an empty one is ``column_<n>``, counted from
1; a second of the same name gets ``_2``. The name as it came is kept in the field's metadata under ``comment``.

Types of text, where nothing is declared, over the whole object and ignoring blank cells (a blank cell is null in
every type): bool (true, false), int64, double, ISO date, ISO timestamp, else string. A value that is not exactly one of
these, say for a blank around it, makes its column a string. Timestamps without a zone are UTC; digits beyond the
microsecond are cut off, so that no event moves to a later day.

Numbers are what reads back as it was written, so that no code becomes one: int64 has at most 18 digits, no plus and no
zero before them. A double is written without a plus, zeros before it or after its point (``.0`` may stand), and to no
more digits than a double tells apart, with an exponent only beside a point or a sign (``1.5e9``, ``9e-04``; ``1e5`` is
a code); or all values of the column have equally many digits after the point (``1.10`` beside ``2.25``). ``007``,
``+49``, ``1.10`` beside ``1.9``, ``.5`` make their column a string.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from warehouse.contracts import TIMESTAMP
from warehouse.sources.recipe import Column

ARROW: dict[str, pa.DataType] = {
    "string": pa.string(),
    "int64": pa.int64(),
    "double": pa.float64(),
    "bool": pa.bool_(),
    "date": pa.date32(),
    "timestamp": TIMESTAMP,
    "decimal": pa.decimal128(38, 9),
}

YEARS = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
_DIGITS, _SHORT = r"-?(0|[1-9][0-9]{0,17})", r"(\.[0-9]*[1-9]|\.0)"
FIXED = "fixed"
"""The type of text that is a double with equally many digits after the point in the whole column: their number after
it (``fixed2``) once a value was seen.
"""
PATTERNS: dict[str, str] = {
    "bool": r"^(?i:true|false)$",
    "int64": r"^(0|-?[1-9][0-9]{0,17})$",
    "double": rf"^{_DIGITS}({_SHORT}?|{_SHORT}[eE][+-]?[0-9]{{1,3}}|[eE][+-][0-9]{{1,3}})$",
    FIXED: rf"^{_DIGITS}\.[0-9]+$",
    "date": r"^\d{4}-\d{2}-\d{2}$",
    "timestamp": r"^\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}(:?\d{2})?)?$",
}

EXACT_DIGITS = 15
"""Significant decimal digits that every double keeps (IEEE 754, binary64)."""
WORD_STARTS = re.compile(r"(?<=[^\W_A-Z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


class ColumnClash(ValueError):
    """A declared ``rename`` leads to a name that another column of the object has."""


def within_years(array: pa.Array) -> pa.Array:
    """The array; dates and times outside the years 1 to 9999, which Python and a table's log cannot spell, null."""
    ends = {pa.date32(): (date.min, date.max), TIMESTAMP: YEARS}.get(array.type)
    if ends is None:
        return array
    low, high = (pa.scalar(end, array.type) for end in ends)
    inside = pc.and_(pc.greater_equal(array, low), pc.less_equal(array, high))
    return pc.if_else(inside, array, pa.scalar(None, array.type))


def microseconds(array: pa.Array) -> pa.Array:
    """Timestamps of any unit as TIMESTAMP: nanoseconds cut toward the past, null outside the years 1 to 9999."""
    unit = array.type.unit
    counts = pc.fill_null(pc.cast(array, pa.int64()), 0).to_numpy()
    low, high = (pa.scalar(end, TIMESTAMP).value for end in YEARS)
    if unit == "ns":
        inside, counts = np.ones(len(counts), bool), counts // 1_000
    else:
        size = {"s": 1_000_000, "ms": 1_000, "us": 1}[unit]
        inside = (counts >= -(-low // size)) & (counts <= high // size)
        counts = np.where(inside, counts, 0) * size
    lost = pc.or_(pc.is_null(array), pa.array(~inside))
    return pc.if_else(lost, pa.scalar(None, TIMESTAMP), pc.cast(pa.array(counts, pa.int64()), TIMESTAMP))


def shown(value: pa.Scalar) -> Any:
    """The value in Python, for a message; the bare number of a time that Python cannot spell."""
    try:
        return value.as_py()
    except (OverflowError, ValueError, RecursionError):
        return getattr(value, "value", None)


def opening(value: Any) -> bytes:
    """The first 200 bytes of the value as Python spells it; the upper levels alone of one too deep for Python."""
    try:
        text = str(value)
    except RecursionError:
        text = reprlib.repr(value)
    return text.encode("utf-8", "replace")[:200]


def snake_case(name: str) -> str:
    """The name as a column of a table; empty if it has no letter or digit."""
    words = re.sub(r"[\W_]+", "_", WORD_STARTS.sub("_", name)).strip("_").lower()
    return f"c{words}" if words[:1].isdigit() else words


def named(originals: Sequence[str], declared: dict[str, Column] | Any) -> list[str]:
    """One column name for each original, all different; a declared ``rename`` wins, or raises ColumnClash."""
    if clash := clashing(originals, declared):
        raise ColumnClash(clash)
    numbers: dict[str, int] = {}  # of each name taken, the one that its last namesake got
    names = []
    for at, original in enumerate(originals, 1):
        column = declared.get(original)
        base = (column.rename if column and column.rename else snake_case(original)) or f"column_{at}"
        name = base
        while name in numbers:
            numbers[base] += 1
            name = f"{base}_{numbers[base]}"
        numbers[name] = 1
        names.append(name)
    return names


def clashing(originals: Sequence[str], declared: Mapping[str, Column]) -> str:
    """Which ``rename`` leads to the name of another column, in a sentence; empty where none does.

    Two columns may declare one rename as long as no object has both.
    """
    named_by: dict[str, str] = {}
    renamed = {name for name in originals if name in declared and declared[name].rename}
    for original in originals:
        name = declared[original].rename if original in renamed else snake_case(original)
        other = named_by.setdefault(name or "", original)
        if other != original and renamed & {other, original}:
            return f"columns {other!r} and {original!r} both lead to {name!r}; rename one of them otherwise"
    return ""


def record_names(prefix: str, numbers: Sequence[int]) -> pa.Array:
    """``_record`` of rows of a member: its prefix and the number of each row."""
    at = np.arange(numbers.start, numbers.stop) if isinstance(numbers, range) and numbers.step == 1 else numbers
    texts = pc.cast(pa.array(at, pa.int64()), pa.string())
    return pc.binary_join_element_wise(prefix, texts, "") if prefix else texts


def commented(name: str, kind: pa.DataType, original: str) -> pa.Field:
    """The field of a column, which remembers its original name."""
    return pa.field(name, kind, metadata={b"comment": original.encode("utf-8", "replace")})


def possible_types(values: pa.Array, among: Iterable[str]) -> list[str]:
    """Those of the types that every value (nulls aside) can have; FIXED with its number of digits."""
    found: list[str] = []
    for kind in (_narrowed(values, each) for each in among):
        if _read_back(values, fixed=False) if kind == "double" and "int64" in found else _all_are(values, kind):
            found.append(kind)  # what is spelt as an int64 is spelt as a double too
    return found


def _narrowed(values: pa.Array, kind: str) -> str:
    """FIXED with the digits that the first value has after its point; any other type as it is."""
    if kind != FIXED:
        return kind
    first = values.drop_null()
    return f"{FIXED}{len(first[0].as_py().partition('.')[2]) or ''}" if len(first) else FIXED


def found_type(possible: Sequence[str]) -> str:
    """The type of a column whose values can have all of these."""
    return next(("double" if kind.startswith(FIXED) else kind for kind in possible), "string")


def _all_are(values: pa.Array, kind: str) -> bool:
    fixed = kind.startswith(FIXED)
    pattern = rf"^{_DIGITS}\.[0-9]{{{kind.removeprefix(FIXED)}}}$" if kind not in PATTERNS else PATTERNS[kind]
    if pc.all(pc.match_substring_regex(values, pattern)).as_py() is False:
        return False
    if kind in ("date", "timestamp"):
        return bool(cast_text(values, Column(kind)).null_count == values.null_count)
    return _read_back(values, fixed=fixed) if fixed or kind == "double" else True


def _read_back(values: pa.Array, *, fixed: bool) -> bool:
    """Whether each number, written as a double again, has the digits that it came with. All of 15 digits have."""
    long = values.filter(pc.greater(pc.binary_length(values), EXACT_DIGITS + 1))
    doubles = pc.cast(long, pa.float64())
    other = pc.not_equal(pc.cast(doubles, pa.string()), long)
    pairs = zip(long.filter(other).to_pylist(), doubles.filter(other).to_pylist(), strict=True)
    return all(Decimal(text) == Decimal(_written(number, text, fixed=fixed)) for text, number in pairs)


def _written(number: float, text: str, *, fixed: bool) -> str:
    return f"{number:.{len(text.partition('.')[2])}f}" if fixed else repr(number)


def cast_text(values: pa.Array, column: Column) -> pa.Array:
    """Text as the column's type; null where it was null and where it cannot be that type (the caller counts those)."""
    if column.type == "string":
        return values
    if column.format is not None:
        return _by_format(values, column)
    trimmed = pc.utf8_trim_whitespace(values)
    return within_years(cast_where_possible(trimmed, CASTS[column.type]))


def cast_where_possible(values: pa.Array, cast: Callable[[pa.Array], pa.Array]) -> pa.Array:
    """``cast(values)``, with null for each value that makes it fail; halves are tried, so n bad ones cost n log n."""
    try:
        return cast(values)
    except pa.ArrowInvalid:
        if len(values) == 1:
            return pa.nulls(1, cast(values.slice(0, 0)).type)
        half = len(values) // 2
        return pa.concat_arrays(
            [cast_where_possible(values.slice(0, half), cast), cast_where_possible(values.slice(half), cast)]
        )


def _without_plus(values: pa.Array) -> pa.Array:
    plus = pc.any(pc.starts_with(values, "+")).as_py()
    return pc.replace_substring_regex(values, r"^\+", "") if plus else values


def _cast_timestamp(values: pa.Array) -> pa.Array:
    cut = pc.replace_substring_regex(values, r"(\.\d{6})\d+", r"\1")
    zoned = pc.replace_substring_regex(cut, r"^(\d{4}-\d{2}-\d{2}[ T][0-9:]{5,8}(\.\d+)?)$", r"\1Z")
    return pc.cast(pc.replace_substring_regex(zoned, r"^(\d{4}-\d{2}-\d{2})$", r"\1 00:00Z"), TIMESTAMP)


def _cast_decimal(values: pa.Array) -> pa.Array:
    return pc.cast(values, ARROW["decimal"])


def _cast_bool(values: pa.Array) -> pa.Array:
    return pc.cast(pc.utf8_lower(values), pa.bool_())


CASTS: dict[str, Callable[[pa.Array], pa.Array]] = {
    "int64": lambda values: pc.cast(_without_plus(values), pa.int64()),
    "double": lambda values: pc.cast(_without_plus(values), pa.float64()),
    "bool": _cast_bool,
    "date": lambda values: pc.cast(values, pa.date32()),
    "timestamp": _cast_timestamp,
    "decimal": _cast_decimal,
}


def _by_format(values: pa.Array, column: Column) -> pa.Array:
    """Dates and times by Python's strptime, once for each different text (5 us each)."""
    coded = pc.dictionary_encode(values)
    parsed = [_parsed(text, column.format or "") for text in coded.dictionary.to_pylist()]
    moments = pa.array(parsed, TIMESTAMP)
    if column.type == "date":
        moments = pc.cast(moments, pa.date32(), safe=False)
    return pc.take(moments, coded.indices)


def _parsed(text: str, pattern: str) -> datetime | None:
    try:
        moment = datetime.strptime(text.strip(), pattern)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
