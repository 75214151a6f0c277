"""The verbs that look at the whole: what is here, and what was refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from warehouse.cli import place, table
from warehouse.errors import UsageError

if TYPE_CHECKING:
    from warehouse.answers.rejects import Example, Rejects
    from warehouse.answers.status import (
        AssetStatus,
        Costs,
        FreshnessStatus,
        ReleaseStatus,
        SchemaChange,
        ScoreStatus,
        SnapshotStatus,
        Status,
    )
    from warehouse.repository import Statistics


@click.command("status")
@click.option("--costs", is_flag=True, help="What each asset's last run and all its runs used, energy and carbon too.")
@place.as_json
@place.placed
def status_verb(costs: bool, json_: bool) -> None:
    """Tables, published snapshot, releases, the last run of each asset, what is overdue.

    \b
    Example:
      warehouse status --costs
    """
    from warehouse.answers import status

    if costs:
        spent = status.costs(place.project())
        return place.print_json(spent) if json_ else _say_costs(spent)
    found = status.status(place.project(), env=place.environment())
    return place.print_json(found) if json_ else _say_status(found)


TABLES = ("table", "rows", "bytes", "version", "files", "small", "kept on disk")
RELEASES = ("release", "id", "state", "documents", "shards", "tokens", "bytes")
RUNS = ("asset", "last run (UTC)", "rows", "CPU s")
COSTS = ("asset", "CPU s", "Wh", "g CO2e", "wall s", "peak memory", "read", "written")
OF_ALL = ("runs", "CPU s of all", "Wh of all", "g CO2e of all")
SCORES = ("score", "model", "of release", "on held-out texts", "state")
CHANGES = ("table", "column", "change", "was", "became", "source", "times", "last (UTC)")
FRESHNESS = ("asset", "state", "last run (UTC)", "overdue from (UTC)")


def _say_status(found: Status) -> None:
    click.echo(f"{found.project}: {found.root}")
    _section("Tables", TABLES, [_table(item) for item in found.tables], "none yet; 'warehouse run' makes them")
    _section("Published", ("snapshot", "facts"), _snapshot(found.published), "nothing yet; 'warehouse run' publishes")
    _section("Releases", RELEASES, [_release(item) for item in found.releases], "none yet; 'warehouse export DATASET'")
    _section("Assets", RUNS, [_run(item) for item in found.assets], "no run yet")
    if found.takedowns:
        rows = [(item.id, f"--{item.asked} {item.value}", table.moment(item.at)) for item in found.takedowns]
        _section("Takedowns to complete, by saying the same again", ("takedown", "asked for", "since (UTC)"), rows, "")
    if found.changes:
        _section("Schema changes", CHANGES, [_change(item) for item in found.changes], "")
    if found.scores:
        _section("Scores", SCORES, [_score(item) for item in found.scores], "")
    if found.freshness:
        _section("Freshness", FRESHNESS, [_fresh(item) for item in found.freshness], "")


def _section(title: str, names: tuple[str, ...], rows: list[tuple[Any, ...]], empty: str) -> None:
    click.echo(f"\n{title}" + ("" if rows else f": {empty}"))
    for line in table.lines(names, rows, width=table.terminal_width()) if rows else ():
        click.echo(line)


def _table(item: Statistics) -> tuple[Any, ...]:
    files = table.count(item.files), table.count(item.small_files), table.size(item.stored_bytes)
    return item.name, table.count(item.rows), table.size(item.bytes), item.version, *files


def _snapshot(item: SnapshotStatus | None) -> list[tuple[Any, ...]]:
    if item is None:
        return []
    skipped = f", {item.skipped} skipped" if item.skipped else ""
    return [
        ("number", f"{item.n} of {item.env}"),
        ("published", f"{table.moment(item.created_at)} UTC by run {item.run_id}"),
        ("holds", f"{item.models} models{skipped}, {table.size(item.bytes)}"),
        ("checks", f"{item.checks} passed"),
    ]


def _release(item: ReleaseStatus) -> tuple[Any, ...]:
    named = [table.count(item.documents), table.count(item.shards), table.count(item.tokens)]
    counts = [f"{table.count(item.rows)} rows", named[1], ""] if item.rows else named
    return item.release, item.id[:16], item.state, *counts, table.size(item.bytes)


def _run(item: AssetStatus) -> tuple[Any, ...]:
    return item.asset, table.moment(item.started_at), table.count(item.rows), f"{item.cpu_s:.2f}"


def _score(item: ScoreStatus) -> tuple[Any, ...]:
    if not item.version:
        return item.name, "none", "", "", "not trained: 'warehouse run' trains, or says what is missing"
    state = "of its recipe" if item.current else "of an earlier recipe: 'warehouse run' trains, or says what is missing"
    return item.name, item.version, item.release or "", f"{item.measure} {item.value:.4g}", state


def _change(item: SchemaChange) -> tuple[Any, ...]:
    types = item.was or "", item.became or ""
    return item.table, item.column, item.change, *types, item.source, item.times, table.moment(item.last_at)


def _say_costs(found: Costs) -> None:
    _section("Costs", (*COSTS, *OF_ALL), [_cost(asset) for asset in found.assets], "no run yet")
    if not found.runs:
        return
    spent = f"{found.cpu_s:.1f} CPU s, {table.small(found.watt_hours)} Wh, {table.small(found.grams_co2e)} g CO2e"
    click.echo(f"\nAll {found.runs:,} runs of assets: {spent}")
    if found.runs_without_energy:
        click.echo(f"  energy of {found.runs_without_energy:,} of them is not known: they ran before it was counted")
    for name, said in (("power", found.power_models), ("grid", found.grids)):
        click.echo("\n".join(f"  {name}: {each}" for each in said), nl=bool(said))


def _fresh(item: FreshnessStatus) -> tuple[Any, ...]:
    times = [table.moment(at) if at else "" for at in (item.last_run_at, item.overdue_at)]
    return item.asset, item.state, *times


def _cost(item: AssetStatus) -> tuple[Any, ...]:
    last = f"{item.cpu_s:.2f}", table.small(item.watt_hours), table.small(item.grams_co2e), f"{item.wall_s:.2f}"
    sizes = table.size(item.peak_rss), table.size(item.bytes_read), table.size(item.bytes_written)
    of_all = f"{item.cpu_s_of_all:.2f}", table.small(item.watt_hours_of_all), table.small(item.grams_co2e_of_all)
    return item.asset, *last, *sizes, item.runs, *of_all


@click.command("rejects")
@click.argument("source", required=False)
@click.option("--limit", type=click.IntRange(0, 100_000), default=20, show_default=True, help="Examples to show.")
@click.option("--retry", is_flag=True, help="Read the objects of SOURCE that had rejects again, from the archive.")
@place.as_json
@place.placed
def rejects_verb(source: str | None, limit: int, retry: bool, json_: bool) -> None:
    """What could not be read and why: counts by reason, then examples.

    \b
    Example:
      warehouse rejects example --limit 5
      warehouse rejects example --retry      after its YAML was mended
    """
    from warehouse.answers.rejects import refuse_unknown, rejects

    if retry:
        if source is None or json_:
            raise UsageError("--retry without a source, or with --json", allowed="warehouse rejects SOURCE --retry")
        from warehouse.cli.runs import retry_rejects

        refuse_unknown(place.project(), source)
        return retry_rejects(place.project(), source)
    found = rejects(place.project(), source=source, limit=limit)
    if json_:
        return place.print_json(found)
    return _say_rejects(found, source)


def _say_rejects(found: Rejects, source: str | None) -> None:
    if not found.total:
        return click.echo(f"nothing was rejected{f' of {source}' if source else ''}")
    names = ("source", "reason", "exception", "rejects", "objects", "last met (UTC)")
    rows = [
        (item.source, item.reason, item.exception or "", item.rejects, item.objects, table.moment(item.last_at))
        for item in found.reasons
    ]
    _section(f"{found.total:,} rejected records", names, rows, "")
    for example in found.examples:
        _say_example(example)
    return None


def _say_example(item: Example) -> None:
    where = f" at {item.position}" if item.position >= 0 else ""
    click.echo(f"\n{item.source}: {item.uri} record {item.record}{where}: {item.reason}")
    click.echo(f"  {table.cell(item.message)}")
    if item.first_bytes:
        click.echo(f"  {table.cut(table.cell(item.first_bytes.decode('utf-8', 'backslashreplace')), 110)}")
