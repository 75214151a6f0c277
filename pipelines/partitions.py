"""Partitions of sources as Dagster has them, and which of them a run is to read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import dagster as dg

from warehouse.errors import UsageError
from warehouse.sources import Partitions, Source, first_day

Definition = dg.PartitionsDefinition[str]
RANGE = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
"""Tags of a run that reads a range of partitions."""


def definition(source: Source) -> Definition | None:
    """Dagster's partitions of a source, None for one without; of time they run to the present day or month, in UTC."""
    rule = source.partitions
    return None if rule is None else _definition(source.name, rule)


def _definition(name: str, rule: Partitions) -> Definition:
    if rule.kind == "daily":
        return dg.DailyPartitionsDefinition(start_date=first_day(rule), end_offset=1)
    if rule.kind == "monthly":
        return dg.MonthlyPartitionsDefinition(start_date=first_day(rule), end_offset=1)
    if rule.kind == "static":
        return dg.StaticPartitionsDefinition(list(rule.keys))
    return dg.DynamicPartitionsDefinition(name=f"sources/{name}")


def asked_for(context: dg.AssetExecutionContext, source: Source) -> list[str] | None:
    """The partitions that a run is to read; None for all, where it names none or the source has none."""
    named = context.has_partition_key or context.has_partition_key_range
    return list(context.partition_keys) if source.partitions and named else None


def add_dynamic(instance: dg.DagsterInstance, source: Source, keys: Sequence[str]) -> None:
    """Make the keys of a source with dynamic partitions known to Dagster."""
    if source.partitions and source.partitions.kind == "dynamic":
        instance.add_dynamic_partitions(f"sources/{source.name}", sorted(keys))


def run_tags(instance: dg.DagsterInstance, source: Source, asked: str) -> dict[str, str]:
    """Tags of a run that reads the partition, or the range ``A...B``, that was asked for.

    Raises UsageError for a key that is no partition of the source, and for a range of partitions without an order.
    """
    found = definition(source)
    if found is None:
        raise UsageError(f"sources/{source.name} has no partitions", do="leave --partition out")
    known = found.get_partition_keys(current_time=datetime.now(UTC), dynamic_partitions_store=instance)
    first, dots, last = asked.partition("...")
    for key in (first, last) if dots else (first,):
        if key not in known:
            raise UsageError(f"{key!r} is no partition of sources/{source.name}", allowed=_said(known))
    if not dots:
        return {"dagster/partition": first}
    if isinstance(found, dg.DynamicPartitionsDefinition) or known.index(first) > known.index(last):
        raise UsageError(
            f"{asked} is no range", allowed="FIRST...LAST of daily, monthly or static partitions, in order"
        )
    return dict(zip(RANGE, (first, last), strict=True))


def _said(keys: Sequence[str]) -> str:
    shown = keys if len(keys) <= 12 else [*keys[:3], "...", *keys[-3:]]
    return ", ".join(shown) or "none yet; run the source without --partition first"
