"""What the verb ``takedown`` was asked for, and what it says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from warehouse.cli import table
from warehouse.errors import UsageError

if TYPE_CHECKING:
    from warehouse.answers.takedown import Reach
    from warehouse.project import Project

SHOWN = 20


def one_of(asked: Mapping[str, str | None]) -> tuple[str, str]:
    """The one option that was given. Raises UsageError for none and for several."""
    given = [(key, value) for key, value in asked.items() if value]
    if len(given) != 1:
        came = " and ".join(f"--{key}" for key, _ in given) or "nothing to take down"
        raise UsageError(came, allowed=f"one of {', '.join(f'--{key}' for key in asked)}")
    return given[0]


def environments(project: Project) -> list[str]:
    """Those in which something is published."""
    from warehouse.publish import CURRENT

    return sorted(path.parent.name for path in project.published.glob(f"*/{CURRENT}"))


def revoked(removed: Mapping[str, Any]) -> list[str]:
    """The data sets of which a release was revoked."""
    releases = [each for each in str(removed["releases_revoked"]).split(", ") if each != "none"]
    return sorted({each.partition("@")[0] for each in releases})


def say_reach(found: Reach) -> None:
    """Documents by why they are reached, the first of them, objects and releases."""
    ways = Counter(why for why, _ in {(each.why, each.doc_id) for each in found.documents})
    click.echo(", ".join(f"{count:,} {why.replace('_', ' ')}" for why, count in ways.items()))
    rows = [(each.why, each.doc_id, each.source, each.uri, each.record) for each in found.documents[:SHOWN]]
    for line in table.lines(("why", "document", "source", "uri", "record"), rows, width=table.terminal_width()):
        click.echo(line)
    if len(found.documents) > SHOWN:
        click.echo(f"and {len(found.documents) - SHOWN:,} more; --json lists them")
    for each in found.objects:
        whole = "goes whole" if each.kind == "whole" else f"{each.kind} are cut out"
        click.echo(f"object {each.sha256[:16]} {each.uri}: {whole}, {each.others:,} other documents in it")
    click.echo(f"releases to revoke: {', '.join(found.releases) or 'none'}")


def counts(removed: Mapping[str, Any]) -> dict[str, Any]:
    """What was removed, of the metadata of the asset."""
    names = ("takedown", "documents", "rows_cut_out", "files_written_again", "objects", "releases_revoked")
    return {name: removed[name] for name in names}


def say_done(facts: Mapping[str, Any]) -> None:
    """What was removed and made again, in a few lines."""
    click.echo(f"takedown {facts['takedown']}: {facts['documents']:,} documents, {facts['objects']:,} objects")
    click.echo(f"  {facts['rows_cut_out']:,} rows cut out, {facts['files_written_again']:,} files written again")
    click.echo(f"  revoked {facts['releases_revoked']}, made again {', '.join(facts['releases_made']) or 'none'}")
    click.echo("  proved: no file that is left holds a content hash or 13 words that only they had")
