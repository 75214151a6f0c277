"""Features by their definition, in plain Python: for each moment, look at every version of every event."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

Row = dict[str, Any]


@dataclass(frozen=True)
class Rules:
    """What a view states. Times in the rows are datetimes; ttl and windows are timedeltas."""

    at_moment: str = "excluded"
    versioned: bool = False
    ttl: timedelta | None = None


def known(rows: list[Row], moment: datetime, rules: Rules) -> list[Row]:
    """Of each event the version known last at the moment; ties by event time, then value, then key."""
    seen = [row for row in rows if row["known"] is not None and row["known"] <= moment]
    if rules.versioned:
        newest: dict[Any, Row] = {}
        for row in sorted(seen, key=order):
            newest[row["id"]] = row
        seen = list(newest.values())
    return [row for row in seen if row["event"] is not None]


def order(row: Row) -> tuple[Any, ...]:
    """Known time, event time, value, key; what is missing is the greatest."""
    return (row["known"], greatest_null(row["event"]), greatest_null(row["value"]), row["key"])


def greatest_null(value: Any) -> tuple[bool, Any]:
    return (value is None, 0 if value is None else value)


def before(rows: list[Row], moment: datetime, rules: Rules) -> list[Row]:
    """Those whose event lies before the moment."""
    if rules.at_moment == "counted":
        return [row for row in rows if row["event"] <= moment]
    return [row for row in rows if row["event"] < moment]


def window(rows: list[Row], key: str, moment: datetime, size: timedelta, rules: Rules) -> dict[str, Any]:
    """count, sum, mean, min, max and rate of a key's events in the window before a moment."""
    mine = [row for row in before(known(rows, moment, rules), moment, rules) if row["key"] == key]
    if rules.at_moment == "counted":
        mine = [row for row in mine if row["event"] > moment - size]
    else:
        mine = [row for row in mine if row["event"] >= moment - size]
    values = [row["value"] for row in mine if row["value"] is not None]
    return {
        "count": len(mine),
        "sum": sum(values),
        "mean": float(Fraction(sum(values), len(values))) if values else None,
        "min": min(values, default=None),
        "max": max(values, default=None),
        "rate": sum(values) / size.total_seconds(),
    }


def latest(rows: list[Row], key: str, moment: datetime, rules: Rules) -> Any:
    """The value of the key's latest event: by event time, then known time, then value."""
    mine = [row for row in before(known(rows, moment, rules), moment, rules) if row["key"] == key]
    if not mine:
        return None
    best = max(mine, key=lambda row: (row["event"], row["known"], greatest_null(row["value"])))
    return best["value"] if rules.ttl is None or moment - best["event"] <= rules.ttl else None
