"""``warehouse whatif``: what another threshold would change, before anything runs."""

from __future__ import annotations

from dataclasses import astuple
from typing import TYPE_CHECKING

import click

from warehouse.cli import place, table
from warehouse.cli.documents import measured, near, number
from warehouse.errors import UsageError

if TYPE_CHECKING:
    from warehouse.answers.whatif import Change, Example, SourceChange, WhatIf

SOURCES = ("source", "documents", "kept now", "kept then", "newly kept", "newly dropped", "bytes now", "bytes then")
REASONS = ("source", "would be", "reason", "documents", "bytes")


@click.command("whatif")
@click.argument("rules", metavar="RULES")
@click.option("--set", "values", multiple=True, metavar="NAME=VALUE", help="A threshold; several may be set.")
@click.option("--sample", type=click.IntRange(0, 1000), default=0, help="Show so many documents that would change.")
@place.as_json
@place.placed
def whatif_verb(rules: str, values: tuple[str, ...], sample: int, json_: bool) -> None:
    """What another threshold would keep and drop; nothing is written.

    RULES is a rule set or its file. Copies and near duplicates are told apart anew. Without --set: what the files as
    they are now would change.

    \b
    Example:
      warehouse whatif house --set min_words=60 --sample 3
    """
    from warehouse.answers.whatif import whatif

    answer = whatif(place.project(), rules, _given(values), sample=sample, env=place.environment())
    return place.print_json(answer) if json_ else _say(answer)


def _given(values: tuple[str, ...]) -> dict[str, str]:
    found = dict[str, str]()
    for name, value in map(_pair, values):
        if name in found:
            raise UsageError(f"{name} is set twice", allowed="one value a variable")
        found[name] = value
    return found


def _pair(given: str) -> tuple[str, str]:
    name, equals, value = given.partition("=")
    if not (name and equals and value):
        raise UsageError(f"--set came as {given!r}", allowed="NAME=VALUE, such as min_words=60")
    return name.strip(), value.strip()


def _say(answer: WhatIf) -> None:
    click.echo(f"{answer.rule_set}: {', '.join(map(_changed, answer.changes)) or 'the files as they are now'}")
    if answer.edited:
        click.echo(f"  changed since the snapshot was built, and counted in: {', '.join(answer.edited)}")
    rows = [_source(item) for item in [*answer.sources, *_total(answer.sources)]]
    _table(SOURCES, rows)
    if answer.reasons:
        click.echo("")
        sides = {True: "kept, was", False: "dropped,"}
        _table(REASONS, [(i.source, sides[i.kept], i.reason, i.documents, table.size(i.bytes)) for i in answer.reasons])
    for line in ("", *map(_example, answer.examples)) if answer.examples else ():
        click.echo(line)


def _table(names: tuple[str, ...], rows: list[tuple[object, ...]]) -> None:
    for line in table.lines(names, rows, width=table.terminal_width()):
        click.echo(line)


def _changed(change: Change) -> str:
    before = f" instead of {change.default}" if change.default else ""
    return f"{change.name} {number(change.value)}{before}"


def _total(sources: tuple[SourceChange, ...]) -> list[SourceChange]:
    """The sum of several sources; nothing for one."""
    if len(sources) < 2:
        return []
    columns = zip(*(astuple(item)[1:] for item in sources), strict=True)
    return [type(sources[0])("all", *(sum(column) for column in columns))]


def _source(item: SourceChange) -> tuple[object, ...]:
    counts = (item.documents, item.kept_now, item.kept_then, item.newly_kept, item.newly_dropped)
    return item.source, *map(table.count, counts), table.size(item.bytes_kept_now), table.size(item.bytes_kept_then)


def _example(item: Example) -> str:
    if item.twin:
        why = f"{item.reason}, {near(table.cell(item.twin_uri or ''), item.twin, item.value, item.threshold)}"
    else:
        why = item.reason + ("" if item.value is None else f", as {measured(item.value, item.threshold)}")
    side = "would be kept; was dropped" if item.kept else "would be dropped"
    return f"{item.doc_id[:8]} {table.cut(table.cell(item.uri), 40)} {side}: {why}"
