"""The verb about feature sets: which there are, and the SQL that computes one."""

from __future__ import annotations

import click

from warehouse.cli import place, table
from warehouse.cli.failures import close_match
from warehouse.errors import UsageError


@click.command("features")
@click.argument("name", required=False)
@place.as_json
@place.placed
def features_verb(name: str | None, json_: bool) -> None:
    """Feature sets and their rows; with NAME the SQL that computes one.

    \b
    Example:
      warehouse features inference_traffic
    """
    from warehouse.answers.features import feature_sets, feature_sql

    found = feature_sets(place.project())
    if name is not None:
        known = [each.name for each in found]
        if name not in known:
            do = close_match(name, known) or "write recipes/features/NAME.yaml"
            raise UsageError(f"no feature set {name!r}", allowed=", ".join(known) or "none yet", do=do)
        said = feature_sql(place.project(), name, env=place.environment())
        return place.print_json(said) if json_ else click.echo(said.sql, nl=False)
    if json_:
        return place.print_json(found)
    if not found:
        return click.echo("no feature set yet; write recipes/features/NAME.yaml")
    rows = [(each.name, each.table, table.count(each.rows), ", ".join(each.features)) for each in found]
    for line in table.lines(("features", "table", "rows", "columns"), rows, width=table.terminal_width()):
        click.echo(line)
    return None
