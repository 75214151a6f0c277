"""The partition of an object, read from its uri by the source's pattern; an object without one is refused."""

from __future__ import annotations

import re
from datetime import datetime

from warehouse.errors import InputError
from warehouse.sources.locate import Located
from warehouse.sources.recipe import PERIODS, Partitions, Source, is_partition_key


def partition_of(source: Source, located: Located, *, now: datetime) -> str | None:
    """The key, None where the source has no partitions. A day is ``2026-01-31``, a month ``2026-01-01``, in UTC.

    Raises InputError for an object whose uri has no key, or one that is no partition: before the start, after ``now``,
    not among the keys. So a run of every partition reads every object.
    """
    rule = source.partitions
    if rule is None:
        return None
    match = re.search(rule.path, located.uri)
    if match is None or match["key"] is None:
        raise _refused(
            source, located, f"has no partition: it does not match {rule.path!r}", "(?P<key>...) in its path"
        )
    if rule.kind in PERIODS:
        return _period(source, rule, located, match["key"], now)
    if rule.kind == "static" and match["key"] not in rule.keys:
        raise _refused(source, located, f"has partition {match['key']!r}", ", ".join(rule.keys))
    if not is_partition_key(match["key"]):
        raise _refused(source, located, f"has partition {match['key']!r}", "keys without '...' and commas")
    return match["key"]


def _period(source: Source, rule: Partitions, located: Located, key: str, now: datetime) -> str:
    try:
        day = datetime.strptime(key, rule.format or PERIODS[rule.kind]).date()
    except ValueError as error:
        raise _refused(source, located, f"has partition {key!r}: {error}", rule.format or PERIODS[rule.kind]) from None
    first = day.replace(day=1) if rule.kind == "monthly" else day
    if not first_day(rule) <= first.isoformat() <= now.date().isoformat():
        raise _refused(source, located, f"has partition {first}", f"{rule.kind}, {first_day(rule)} to {now.date()}")
    return first.isoformat()


def first_day(rule: Partitions) -> str:
    """The key of the first partition of time."""
    start = rule.start or ""
    return f"{start[:8]}01" if rule.kind == "monthly" else start


def _refused(source: Source, located: Located, came: str, allowed: str) -> InputError:
    return InputError(
        f"{located.uri} of source {source.name} {came}",
        allowed=allowed,
        do="mend partitions or uri in the source's YAML, or move the object away",
    )
