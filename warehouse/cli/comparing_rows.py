"""``warehouse diff`` of releases of rows and of samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from warehouse.cli import place, table
from warehouse.cli.alike import Line, notes, otherwise, print_table, shards, short

if TYPE_CHECKING:
    from warehouse.answers.row_comparison import RowBalance, RowComparison, Rows

REASONS = ("change", "reason", "rows")
BALANCES = ("added", "removed", "changed")
SIGNS = {"added": "+", "removed": "-", "changed": "~"}
NEW = {"not_there": "new", "not_selected": "before: not selected", "selected": "before: selected"}
GONE = {"not_there": "no longer there", "not_selected": "not selected", "selected": "selected now"}
NOT_KNOWN = "not known"


def diff_rows(before: Path, after: Path, *, by: Sequence[str], limit: int, json_: bool) -> None:
    """Print what the second release holds otherwise than the first."""
    from warehouse.answers.row_comparison import compare_rows

    found = compare_rows(place.project(), before, after, by=by, env=place.environment())
    return place.print_json(found.as_json()) if json_ else _say(found, limit)


def _say(found: RowComparison, limit: int) -> None:
    click.echo(f"{found.before.path} -> {found.after.path}")
    for label, value in _head(found):
        click.echo(f"{label:<10}{value}")
    kinds = {"added": found.added, "removed": found.removed, "changed": found.changed}
    if any(rows.keys.num_rows for rows in kinds.values()):
        click.echo("")
        print_table(REASONS, list(_reasons(found)))
        for name, values in found.by.items():
            click.echo("")
            _say_balances(name, values, limit)
    for kind, rows in kinds.items():
        _say_rows(kind, rows, limit)


def _head(found: RowComparison) -> Iterator[Line]:
    yield "rows", f"{found.before.rows:,} -> {found.after.rows:,}"
    for name, (was, now) in found.columns.items():
        yield "column", f"{name}: {short(was)} -> {short(now)}{', values not compared' if was and now else ''}"
    yield from otherwise(found)
    yield from shards(found.shards)
    added, removed = (bool(rows.keys.num_rows) for rows in (found.added, found.removed))
    answered = found.removed.counted().keys() != {"not_known"}
    yield from notes(found, added=added, removed=removed, answered=answered)
    yield from (("note", said) for said in found.notes)


def _reasons(found: RowComparison) -> Iterator[tuple[object, ...]]:
    """Rows by reason, of changed ones by column; one that changed in two columns counts for both."""
    for kind, rows, words in (("added", found.added, NEW), ("removed", found.removed, GONE)):
        for why, count in sorted(rows.counted().items(), key=lambda item: -item[1]):
            yield kind, words.get(why, NOT_KNOWN), table.count(count)
    for name, count in found.values.items():
        yield "changed", name, table.count(count)
    if found.moved:
        yield "changed", "split", table.count(found.moved)


def _say_balances(name: str, values: Mapping[str, RowBalance], limit: int) -> None:
    """A row a value, those with most changes first."""
    rows = sorted(((value, *_balance(balance)) for value, balance in values.items()), key=lambda row: -sum(row[1:]))
    shown = rows[:limit] if len(rows) > limit else rows
    print_table((name, *BALANCES), [(value, *map(table.count, counts)) for value, *counts in shown])
    if len(rows) > len(shown):
        click.echo(f"and {len(rows) - len(shown):,} more; --limit shows them, --json all")


def _balance(balance: RowBalance) -> tuple[int, int, int]:
    return balance.added, balance.removed, max(balance.changed_before, balance.changed_after)


def _say_rows(kind: str, rows: Rows, limit: int) -> None:
    for number, row in enumerate(rows.listed(limit)):
        click.echo(f"{'' if number else chr(10)}{SIGNS[kind]} {_row(kind, row)}")
    if (more := rows.keys.num_rows - limit) > 0:
        click.echo(f"{SIGNS[kind]} and {more:,} more; --limit shows them, --json all")


def _row(kind: str, row: Mapping[str, Any]) -> str:
    key = ", ".join(f"{name} {short(value)}" for name, value in row["key"].items())
    if kind != "changed":
        words = NEW if kind == "added" else GONE
        return f"{key}, {row['before'] or row['after']}: {words.get(row['why'], NOT_KNOWN)}"
    moved = [f"split {row['before']} -> {row['after']}"] if row["before"] != row["after"] else []
    return f"{key}, {row['after']}: {', '.join([*row['columns'], *moved])}"
