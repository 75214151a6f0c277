"""A feature set as one SELECT: point-in-time joins on both clocks, exact, in time linear in the rows but for sorting.

A version of an event is seen at the moment t from ``a = max(event_time, known_at)`` on (one microsecond later where an
event at the very moment is excluded) until ``b``, when it leaves the window or a later version of it is known. So it
is there for one interval [a, b) of t whatever the two clocks say, and a window's count and sums are running sums of +v
at a and -v at b, read off by an ASOF JOIN: no row is paired with every moment whose window it is in. The latest value
is a running maximum of (event_time, known_at), read off the same way; only versions whose event was moved later, in
time or to another key, and minima and maxima are joined by range. Times are whole microseconds, sums whole numbers or
decimals: doubles are refused in sums, for their last digits depend on the order.

2 million events of 10,000 keys and 100,000 moments, three windows with sums and the latest value: 20 CPU s in 590 MB
(one window with minima and maxima, or with versions of events: 10), on two cores at a DuckDB limit of 400 MB.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from warehouse.features.recipe import Aggregate, FeatureSet, Span, View, refused
from warehouse.query import quoted

Types = Mapping[str, str]
WHOLE = (
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "HUGEINT",
    "UTINYINT",
    "USMALLINT",
    "UINTEGER",
    "UBIGINT",
    "UHUGEINT",
)
TIMES = ("TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "DATE")
FEATURE_SET = "_feature_set"
SUMMED = ("sum", "mean", "rate")
NEVER = 9223372036854775807
"""The end of a version that no later one takes the place of."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """One SELECT with named parameters, and their values."""

    sql: str
    parameters: Mapping[str, int | str]


def compile_features(features: FeatureSet, types: Mapping[str, Types], spine: Types) -> Compiled:
    """The SELECT that gives keys, time, labels, features and ``_feature_set`` for each row of the spine.

    types: view -> column of its relation -> DuckDB type; spine: the same of the spine. The parameter ``feature_set`` is
    left open. Raises RecipeError for a column that is not there or of a type that its use does not allow.
    """
    _check_spine(features, spine)
    for view in features.views:
        _check_view(view, types[view.name])
    parts = [_spine(features), *(part for view in features.views for part in _parts(view, types[view.name]))]
    sql = "WITH\n" + ",\n".join(parts) + "\n" + _select(features, spine, types)
    parameters: dict[str, int | str] = {}
    for view in features.views:
        parameters[f"{view.name}_from_us"] = int(view.at_moment == "excluded")
        parameters |= {f"{view.name}_{window.text}_us": window.us for window in view.windows}
        if view.ttl:
            parameters[f"{view.name}_ttl_us"] = view.ttl.us
    return Compiled(sql, parameters)


def printed(compiled: Compiled) -> str:
    """The SELECT with the values of its parameters before it, as a DuckDB shell takes them."""
    given = [f"-- ${name} = {value}" for name, value in compiled.parameters.items()]
    return "\n".join([*given, compiled.sql]) + "\n"


def _check_spine(features: FeatureSet, spine: Types) -> None:
    made = features.spine
    for name in (*made.keys, made.time):
        if name not in spine:
            raise refused(made.at, f"the spine gives no {name}", allowed=", ".join(spine))
    if spine[made.time] not in TIMES:
        raise refused(made.at, f"time {made.time} is {spine[made.time]}", allowed=", ".join(TIMES))
    for name in spine:
        if name.startswith("_") or name in features.features:
            raise refused(made.at, f"the spine gives {name}", allowed="names without _ before them, none of a feature")


def _check_view(view: View, types: Types) -> None:
    named = (*view.keys, view.event_time, view.known_at, *view.version_of, *(column for _, column in view.latest))
    for name in (*named, *(each.column for each in view.aggregates if each.column)):
        if name not in types:
            raise refused(view.at, f"{view.relation} has no column {name}", allowed=", ".join(types))
    for name in (view.event_time, view.known_at):
        if types[name] not in TIMES:
            raise refused(view.at, f"{name} of {view.relation} is {types[name]}", allowed=", ".join(TIMES))
    for each in view.aggregates:
        if each.function in SUMMED and each.column and not _exact(types[each.column]):
            raise refused(
                view.at,
                f"{each.function} of {each.column}, which is {types[each.column]}",
                allowed="whole numbers and DECIMAL, whose sums are exact",
                do="CAST it AS DECIMAL(18, 6) in a SQL model and name that as the relation",
            )


def _exact(kind: str) -> bool:
    return kind in WHOLE or kind.startswith("DECIMAL")


def _us(column: str) -> str:
    """A time as microseconds; null where it has none."""
    time = f"CAST({quoted(column)} AS TIMESTAMP WITH TIME ZONE)"
    return f"CASE WHEN isfinite({time}) THEN epoch_us({time}) END"


def _spine(features: FeatureSet) -> str:
    keys = "".join(f"{quoted(name)} AS _k{at}, " for at, name in enumerate(features.spine.keys))
    return f"""_spine AS (
    SELECT {keys}{_us(features.spine.time)} AS _t, *
    FROM (
{features.spine.select.rstrip().rstrip(";")}
    )
)"""


def _keys(count: int) -> str:
    return ", ".join(f"_k{at}" for at in range(count))


def _columns(view: View) -> list[str]:
    """The relation's columns that its features are made of, each once; the n-th is called _v<n> inside."""
    used = [*(each.column for each in view.aggregates if each.column), *(column for _, column in view.latest)]
    return list(dict.fromkeys(used))


def _parts(view: View, types: Types) -> Iterator[str]:
    """The common table expressions of a view."""
    yield _rows(view)
    for window in view.windows:
        yield _sweep(view, window, types)
        if any(each.function in ("min", "max") for each in view.aggregates):
            yield _extremes(view, window)
    if view.latest:
        yield _running(view)
        if view.version_of:
            yield _moved(view)


def _rows(view: View) -> str:
    """Every version of every event, the moment from which it is seen, and when the next version takes its place."""
    columns = _columns(view)
    keys = [f"{quoted(name)} AS _k{at}" for at, name in enumerate(view.keys)]
    values = [f"{quoted(name)} AS _v{at}" for at, name in enumerate(columns)]
    names = [f"{quoted(name)} AS _i{at}" for at, name in enumerate(view.version_of)]
    listed = ", ".join([*keys, f"{_us(view.event_time)} AS _event", f"{_us(view.known_at)} AS _known", *values, *names])
    given = ", ".join([_keys(len(view.keys)), "_event", "_known", *(f"_v{at}" for at in range(len(columns)))])
    return f"""{quoted(view.name)} AS (
    SELECT {given}, greatest(_event + ${view.name}_from_us, _known) AS _from{_versions(view, columns)}
    FROM (SELECT {listed} FROM {".".join(map(quoted, view.relation.split(".")))})
    WHERE _known IS NOT NULL
    {"QUALIFY" if view.version_of else "AND"} _event IS NOT NULL
)"""


def _versions(view: View, columns: list[str]) -> str:
    """Columns _until and _moved: when the next version is known, and whether any later one is of another place."""
    if not view.version_of:
        return f", {NEVER} AS _until"
    by = ", ".join(f"_i{at}" for at in range(len(view.version_of)))
    order = ", ".join(["_known", "_event", *(f"_v{at}" for at in range(len(columns))), _keys(len(view.keys))])
    over = f"OVER (PARTITION BY {by} ORDER BY {order}"
    found = f",\n        coalesce(lead(_known) {over}), {NEVER}) AS _until"
    if not view.latest:
        return found
    place, later = f"row({_keys(len(view.keys))}, _event)", f"{over} ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING)"
    moved = " OR ".join(f"coalesce({end}({place}) {later}, {place}) IS DISTINCT FROM {place}" for end in ("min", "max"))
    return f"{found},\n        {moved} AS _moved"


def _window(view: View, window: Span) -> str:
    """Name of the running sums of a window."""
    return quoted(f"{view.name} {window.text}")


def _summed(view: View, types: Types) -> list[tuple[str, str]]:
    """(name, expression) of each running sum: events, and of each column the values that are there and their sum."""
    columns, found = _columns(view), [("_n", "1")]
    for name in dict.fromkeys(each.column for each in view.aggregates if each.column):
        at = columns.index(name)
        found.append((f"_n{at}", f"CAST(_v{at} IS NOT NULL AS INTEGER)"))
        if any(each.column == name and each.function in SUMMED for each in view.aggregates):
            kind = types[name] if types[name] in WHOLE else f"DECIMAL(38, {_scale(types[name])})"
            wide = "HUGEINT" if kind in WHOLE else kind
            found.append((f"_s{at}", f"coalesce(CAST(_v{at} AS {wide}), 0)"))
    return found


def _scale(kind: str) -> int:
    return int(kind.partition(",")[2].rstrip(")") or 0)


def _sweep(view: View, window: Span, types: Types) -> str:
    """Running sums that hold from _at on: a version comes in at _from and goes out at the end of its interval."""
    keys, summed = _keys(len(view.keys)), _summed(view, types)
    comes = ", ".join(f"{expression} AS {name}" for name, expression in summed)
    goes = ", ".join(f"-({expression})" for _, expression in summed)
    totals = ", ".join(f"sum({name}) AS {name}" for name, _ in summed)
    running = ", ".join(f"sum({name}) OVER (PARTITION BY {keys} ORDER BY _at) AS {name}" for name, _ in summed)
    return f"""{_window(view, window)} AS (
    WITH _seen AS ({_seen(view, window)})
    SELECT {keys}, _at, {running}
    FROM (
        SELECT {keys}, _at, {totals}
        FROM (SELECT {keys}, _from AS _at, {comes} FROM _seen UNION ALL SELECT {keys}, _end, {goes} FROM _seen)
        GROUP BY {keys}, _at
    )
)"""


def _seen(view: View, window: Span) -> str:
    """Versions with the interval [_from, _end) of moments whose window holds them."""
    end = f"least(_event + ${view.name}_from_us + ${view.name}_{window.text}_us, _until)"
    return f"SELECT *, {end} AS _end FROM {quoted(view.name)} WHERE _from < {end}"


def _extremes(view: View, window: Span) -> str:
    """Least and greatest of a window at each moment of the spine, by a range join."""
    columns, keys = _columns(view), len(view.keys)
    picked = ", ".join(
        f"{each.function}(_v{columns.index(str(each.column))}) AS {quoted(each.name)}"
        for each in view.aggregates
        if each.function in ("min", "max")
    )
    on = " AND ".join([*(f"s._k{at} = r._k{at}" for at in range(keys)), "s._t >= r._from", "s._t < r._end"])
    given = ", ".join(f"s._k{at}" for at in range(keys))
    return f"""{quoted(f"{view.name} {window.text} extremes")} AS (
    SELECT {given}, s._t, {picked}
    FROM (SELECT DISTINCT {_keys(keys)}, _t FROM _spine) AS s
    JOIN ({_seen(view, window)}) AS r ON {on}
    GROUP BY {given}, s._t
)"""


def _best(view: View) -> str:
    """A version with its rank: the later event, of these the one known later, then the greater values."""
    values = "".join(f", v{at} := _v{at}" for at in range(len(_columns(view))))
    return f"struct_pack(event := _event, known := _known{values})"


def _running(view: View) -> str:
    """The latest version seen from _at on, of those whose event stays where it is."""
    keys = _keys(len(view.keys))
    stays = " WHERE NOT _moved" if view.version_of else ""
    return f"""{quoted(f"{view.name} latest")} AS (
    SELECT {keys}, _at, max(_best) OVER (PARTITION BY {keys} ORDER BY _at) AS _best
    FROM (
        SELECT {keys}, _from AS _at, max({_best(view)}) AS _best
        FROM {quoted(view.name)}{stays}
        GROUP BY {keys}, _at
    )
)"""


def _moved(view: View) -> str:
    """The latest at each moment of the spine, of versions whose event is moved later: a range join over these few."""
    count = len(view.keys)
    on = " AND ".join([*(f"s._k{at} = r._k{at}" for at in range(count)), "s._t >= r._from", "s._t < r._until"])
    given = ", ".join(f"s._k{at}" for at in range(count))
    return f"""{quoted(f"{view.name} moved")} AS (
    SELECT {given}, s._t, max(r._best) AS _best
    FROM (SELECT DISTINCT {_keys(count)}, _t FROM _spine) AS s
    JOIN (SELECT *, {_best(view)} AS _best FROM {quoted(view.name)} WHERE _moved) AS r ON {on}
    GROUP BY {given}, s._t
)"""


def _select(features: FeatureSet, spine: Types, types: Mapping[str, Types]) -> str:
    """The outer SELECT and its joins."""
    time = features.spine.time
    listed = [
        f"CAST(s.{quoted(name)} AS TIMESTAMP WITH TIME ZONE) AS {quoted(name)}" if name == time else f"s.{quoted(name)}"
        for name in spine
    ]
    joins: list[str] = []
    for view in features.views:
        for window in view.windows:
            listed += [_feature(view, window, each, types[view.name]) for each in view.aggregates]
        listed += [_latest(view, name, column) for name, column in view.latest]
        joins += _joins(view)
    listed.append(f"CAST($feature_set AS VARCHAR) AS {FEATURE_SET}")
    return "SELECT\n    " + ",\n    ".join(listed) + "\nFROM _spine AS s" + "".join(f"\n{join}" for join in joins)


def _joins(view: View) -> Iterator[str]:
    def on(name: str) -> str:
        return " AND ".join(f"s._k{at} = {name}._k{at}" for at in range(len(view.keys)))

    for window in view.windows:
        name = _window(view, window)
        yield f"ASOF LEFT JOIN {name} ON {on(name)} AND s._t >= {name}._at"
        if any(each.function in ("min", "max") for each in view.aggregates):
            name = quoted(f"{view.name} {window.text} extremes")
            yield f"LEFT JOIN {name} ON {on(name)} AND s._t = {name}._t"
    if view.latest:
        name = quoted(f"{view.name} latest")
        yield f"ASOF LEFT JOIN {name} ON {on(name)} AND s._t >= {name}._at"
        if view.version_of:
            name = quoted(f"{view.name} moved")
            yield f"LEFT JOIN {name} ON {on(name)} AND s._t = {name}._t"


def _feature(view: View, window: Span, each: Aggregate, types: Types) -> str:
    """One aggregate of a window, under its name and the window's."""
    name, columns = _window(view, window), _columns(view)
    at = columns.index(each.column) if each.column else ""
    count, total = f"coalesce({name}._n{at}, 0)", f"coalesce({name}._s{at}, 0)"
    if each.function in ("min", "max"):
        value = f"{quoted(f'{view.name} {window.text} extremes')}.{quoted(each.name)}"
    elif each.function == "count":
        value = f"CAST({count} AS BIGINT)"
    elif each.function == "sum":
        value = f"CAST({total} AS {'BIGINT' if types[str(each.column)] in WHOLE else 'DOUBLE'})"
    elif each.function == "mean":
        value = f"CAST({total} AS DOUBLE) / nullif({count}, 0)"
    else:
        seconds = f"(CAST(${view.name}_{window.text}_us AS DOUBLE) / 1000000)"
        value = f"CAST({total if each.column else count} AS DOUBLE) / {seconds}"
    return f"{value} AS {quoted(f'{each.name}_{window.text}')}"


def _latest(view: View, name: str, column: str) -> str:
    """A value of the latest version, null where it is older than the ttl."""
    best = f"{quoted(f'{view.name} latest')}._best"
    if view.version_of:
        best = f"greatest({best}, {quoted(f'{view.name} moved')}._best)"
    value = f"struct_extract({best}, 'v{_columns(view).index(column)}')"
    if view.ttl:
        fresh = f"s._t - struct_extract({best}, 'event') <= ${view.name}_ttl_us"
        value = f"CASE WHEN {fresh} THEN {value} END"
    return f"{value} AS {quoted(name)}"
