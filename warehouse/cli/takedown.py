"""What the verb ``takedown`` was asked for, and what it says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from warehouse.cli import table
from warehouse.errors import UsageError

if TYPE_CHECKING:
    from warehouse.answers.takedown import Reach, Short
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


def choice(short: str) -> Short:
    """What becomes of rows with a cell that equals a short text, as it was said."""
    return "remove" if short == "remove" else "keep"


def models(removed: Mapping[str, Any]) -> list[str]:
    """The recipes of which a model was removed."""
    named = [each for each in str(removed["models_removed"]).split(", ") if each != "none"]
    return sorted({each.partition("@")[0] for each in named})


def say_reach(found: Reach) -> None:
    """Documents by why they are reached, the first of them, rows of other tables, objects, releases and models."""
    ways = Counter(why for why, _ in {(each.why, each.doc_id) for each in found.documents})
    if ways:
        click.echo(", ".join(f"{count:,} {why.replace('_', ' ')}" for why, count in ways.items()))
    rows = [(each.why, each.doc_id, each.source, each.uri, each.record) for each in found.documents[:SHOWN]]
    for line in table.lines(("why", "document", "source", "uri", "record"), rows, width=table.terminal_width()):
        click.echo(line)
    if len(found.documents) > SHOWN:
        click.echo(f"and {len(found.documents) - SHOWN:,} more; --json lists them")
    for part in found.rows:
        click.echo(f"{part.rows:,} rows of {part.table}: {ROWS[part.why]}")
    for held in found.objects:
        how = "goes whole" if held.whole else "is cut"
        click.echo(f"object {held.sha256[:16]} {held.uri}: {how}, {held.others:,} other records in it")
    click.echo(f"releases to revoke: {', '.join(found.releases) or 'none'}")
    if found.models:
        click.echo(f"models to train again: {', '.join(f'{name}@{version}' for name, version, _ in found.models)}")


ROWS = {
    "asked": "as asked for",
    "text": "they hold a text that goes",
    "synthetic": "made of rows that go",
}
"""Why rows go, in words."""


COUNTED = (
    "takedown",
    "documents",
    "rows",
    "rows_cut_out",
    "files_written_again",
    "objects",
    "objects_by_reason",
    "releases_revoked",
    "models_removed",
)
"""Of the metadata of the asset."""


def counts(removed: Mapping[str, Any]) -> dict[str, Any]:
    """What was removed, of the metadata of the asset."""
    return {name: removed[name] for name in COUNTED}


def say_done(facts: Mapping[str, Any]) -> None:
    """What was removed and made again, in a few lines."""
    click.echo(
        f"takedown {facts['takedown']}: {facts['documents']:,} documents, {facts['rows']:,} rows of other tables,"
        f" {facts['objects']:,} objects"
    )
    click.echo(f"  {facts['rows_cut_out']:,} rows cut out, {facts['files_written_again']:,} files written again")
    if whole := {why: count for why, count in facts["objects_by_reason"].items() if why != "cut"}:
        said = ", ".join(f"{count:,} {why}" for why, count in sorted(whole.items()))
        click.echo(f"  objects that went whole, and why: {said}")
    if facts["models_removed"] != "none":
        click.echo(f"  models that may have learnt it, removed: {facts['models_removed']}")
    click.echo(f"  revoked {facts['releases_revoked']}, made again {', '.join(facts['releases_made']) or 'none'}")
    click.echo("  proved: no file that is left holds a content hash or 13 words that only they had")
