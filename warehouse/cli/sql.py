"""``warehouse sql``: read-only SQL on the published snapshot, as one query, as a script on stdin, or as a shell."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from warehouse.cli import place
from warehouse.cli.failures import stoppable
from warehouse.errors import UsageError

if TYPE_CHECKING:
    from warehouse import query
    from warehouse.cli.formats import Format

FORMATS = ("table", "csv", "jsonl", "parquet", "arrow")
BINARY = ("parquet", "arrow")


@click.command("sql")
@click.argument("sql", metavar="[QUERY]", required=False)
@click.option(
    "--format", "form", type=click.Choice(FORMATS), help="Form of the result [table, or the ending of --out]."
)
@click.option("--out", metavar="FILE", type=click.Path(path_type=Path), help="Write to FILE instead of stdout.")
@click.option("--limit-less", "every", is_flag=True, help="Every row of a table, not the first 100.")
@place.as_json
@place.placed
def sql_verb(sql: str | None, form: str | None, out: Path | None, every: bool, json_: bool) -> None:
    """Read-only SQL on the published snapshot: a query, or a shell.

    A table cuts its cells to fit; the other formats stream and never cut. arrow is the IPC file format with --out, the
    IPC stream format on stdout. Without a terminal on stdin, QUERY is read from it.

    \b
    Example:
      warehouse sql "SELECT source, count(*) FROM curation.decisions GROUP BY ALL" --format csv
    """
    chosen = chosen_form(form, out, json_)
    project, env = place.project(), place.environment()
    if sql is None and sys.stdin.isatty():
        from warehouse.cli.shell import shell

        return shell(project, env, every=every)
    from warehouse.cli.formats import partial_of
    from warehouse.publish import connect_current

    with connect_current(project.published, env) as con, stoppable("sql", partial_of(out) if out else None):
        _answer(con, sys.stdin.read() if sql is None else sql, chosen, out, every=every)
    return None


def chosen_form(form: str | None, out: Path | None, json_: bool, allowed: Sequence[str] = FORMATS) -> str:
    """The form of a result, table first among those allowed. Raises UsageError where the options do not go together."""
    ending = out.suffix.removeprefix(".") if out else ""
    chosen = "json" if json_ else form or (ending if ending in allowed else "table")
    if json_ and (form or out):
        raise UsageError("--json with --format or --out", do="take --format jsonl for a file of JSON lines")
    if out and chosen == "table":
        raise UsageError(f"--out {out} without a format", allowed=", ".join(allowed[1:]), do="name one with --format")
    if out and not out.parent.is_dir():
        raise UsageError(f"{out.parent} is not a folder", do="make it first, or name another --out")
    if out and out.is_dir():
        raise UsageError(f"{out} is a folder", do="name a file with --out")
    if chosen in BINARY and not out and sys.stdout.isatty():
        raise UsageError(f"{chosen} on a terminal", do="name a file with --out, or redirect stdout")
    return chosen


def _answer(con: query.Connection, text: str, form: str, out: Path | None, *, every: bool) -> None:
    from warehouse.cli import results

    found = results.parsed(text)
    if not found or (len(found) > 1 and form != "table"):
        raise UsageError(f"{len(found)} statements", allowed="one SELECT" + (", or several as tables" if found else ""))
    for sql in found:
        reader = results.result(con, sql)
        if form == "table":
            results.print_table(reader, every=every)
        elif form == "json":
            results.print_json(reader)
        else:
            results.write_result(reader, cast("Format", form), out)
