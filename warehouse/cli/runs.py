"""The verbs that write, and the UI: each hands assets to Dagster through ``pipelines`` and prints what came out.

Dagster is imported when such a verb runs (2 CPU seconds), never before.
"""

from __future__ import annotations

import atexit
import gc
import logging
import os
import signal
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from warehouse.cli import place, table
from warehouse.cli.failures import close_match
from warehouse.cli.interrupts import uninterrupted
from warehouse.errors import CheckFailed, UsageError, WarehouseError

if TYPE_CHECKING:
    from pipelines.reselect import Reselected
    from pipelines.run import Materialised, Outcome
    from warehouse.project import Project


@click.command("ingest")
@click.argument("uris", nargs=-1, required=True, metavar="URI...")
@click.option(
    "--as",
    "name",
    metavar="NAME",
    help="Name of the source [from the first file's name]; benchmark:NAME for an evaluation set, kept out of training.",
)
@click.option(
    "--reader",
    metavar="READER",
    help="jsonl, csv, parquet, arrow, text, html, xml, pdf, warc, mail, code, datacommons, files [guessed from each].",
)
@click.option(
    "--table", "table_", metavar="TABLE", help="Typed table to write [documents, or NAME for columns without text]."
)
@click.option("--licence", metavar="SPDX", help="Licence of the records, such as CC-BY-4.0.")
@place.placed
def ingest_verb(
    uris: tuple[str, ...], name: str | None, reader: str | None, table_: str | None, licence: str | None
) -> None:
    """Files, folders or URLs into the repository, as a named source.

    \b
    Example:
      warehouse ingest pages/*.jsonl.gz --as pages --licence CC-BY-4.0
      warehouse ingest gsm8k_test.jsonl --as benchmark:gsm8k
    """
    from warehouse.cli.ingesting import stated_source

    project = place.project()
    source = stated_source(project, uris, name=name, reader=reader, table=table_, licence=licence)
    click.echo(source.said)
    outcome = _run(project, [f"sources/{source.name}"])
    _say_ingested(source.name, outcome)


def _say_ingested(name: str, outcome: Outcome) -> None:
    counts = next(asset.metadata for asset in outcome.assets if asset.name == f"sources/{name}")
    words = {"rows_in": "in", "rows_out": "written", "unchanged": "unchanged", "rejected": "rejected"}
    click.echo("rows: " + ", ".join(f"{counts[key]:,} {word}" for key, word in words.items()))
    if counts["dropped"]:
        reasons = [f"{key.partition('/')[2]} {count:,}" for key, count in counts.items() if key.startswith("dropped/")]
        click.echo(f"dropped, as no documents: {', '.join(reasons)}")
    if counts.get("deleted"):
        click.echo(f"deleted, as the vintage lacks their keys: {counts['deleted']:,}")
    if counts.get("schema_changes"):
        click.echo(f"columns that differ from the table's: {counts['schema_changes']:,} (repository.schema_changes)")
    if counts["objects_unchanged"]:
        click.echo(f"objects: {counts['objects_unchanged']:,} of {counts['objects']:,} had not changed")
    click.echo(f"why records were rejected: warehouse rejects {name}" if counts["rejected"] else "Next: warehouse run")


def retry_rejects(project: Project, source: str) -> None:
    """Read the objects of a source again that had rejects, and say what came of it."""
    outcome = _run(project, [f"sources/{source}"], retry=True)
    _say_ingested(source, outcome)
    counts = next(asset.metadata for asset in outcome.assets if asset.name == f"sources/{source}")
    click.echo(f"rejects that were read now: {counts.get('rejects_read_now', 0):,}")


def reselected(release: Path) -> Reselected:
    """Select again what the release in a folder was selected from, and compare every byte."""
    from pipelines.reselect import reselect

    return reselect(place.project(), release, env=place.environment())


@click.command("run")
@click.argument("assets", nargs=-1, metavar="[ASSETS]...")
@click.option("--reread", is_flag=True, help="Read every object again from the archive, unchanged and gone ones too.")
@click.option("--partition", metavar="KEY", help="Of a source with partitions: one, or FIRST...LAST [all that is new].")
@place.placed
def run_verb(assets: tuple[str, ...], reread: bool, partition: str | None) -> None:
    """Make assets: everything up to the published snapshot, or those named.

    NAME+ is the asset and everything after it, but for the report.

    \b
    Example:
      warehouse run                      everything
      warehouse run sources/pages+       one source and all that is made from it
      warehouse run sources/meters --partition 2026-01-01...2026-01-31
    """
    outcome = _run(place.project(), list(assets) or None, reread=reread, partition=partition)
    rows = [(asset.name, _rows(asset), *_seconds(asset)) for asset in outcome.assets]
    for line in table.lines(["asset", "rows", "CPU s", "peak memory"], rows, width=table.terminal_width()):
        click.echo(line)
    cpu = sum(asset.cost.cpu_s for asset in outcome.assets if asset.cost)
    for warning in outcome.warnings:
        click.echo(f"warning: {warning}")
    click.echo(f"{len(rows)} assets, {outcome.checks} checks passed, {cpu:.1f} CPU s, run {outcome.run_id}")


def _rows(asset: Materialised) -> str:
    return "" if asset.rows is None else table.count(asset.rows)


def _seconds(asset: Materialised) -> tuple[str, str]:
    return (f"{asset.cost.cpu_s:.2f}", table.size(asset.cost.peak_rss)) if asset.cost else ("", "")


@click.command("export")
@click.argument("dataset", metavar="DATASET")
@click.option(
    "--processes", type=click.IntRange(1, 256), default=1, show_default=True, help="Workers that write shards."
)
@place.placed
def export_verb(dataset: str, processes: int) -> None:
    """A new release of a data set, from the published snapshot.

    \b
    Example:
      warehouse export example
    """
    project = place.project()
    name = _known_dataset(project, dataset)
    outcome = _run(project, [f"datasets/{name}"], processes=processes)
    _say_release(outcome.assets[-1].metadata)


def _known_dataset(project: Project, name: str) -> str:
    known = [path.stem for path in project.files("recipes/datasets", "*.yaml")]
    if name in known:
        return name
    raise UsageError(
        f"no data set {name!r}",
        allowed=", ".join(known) or "none yet",
        do=close_match(name, known) or "write recipes/datasets/NAME.yaml",
    )


def _say_release(facts: Mapping[str, Any]) -> None:
    made_of = "conversations" if "learnt_tokens" in facts else "documents"
    keys = ("rows", "columns", "shards") if "columns" in facts else (made_of, "shards", "samples", "tokens")
    counted = [(key, "dagster/row_count" if key == made_of else key) for key in keys]
    click.echo(f"{facts['release']}  {facts['id']}")
    click.echo("  " + ", ".join(f"{facts[key]:,} {word}" for word, key in counted))
    if made_of == "conversations":
        click.echo("  " + _learnt(facts))
    if "ran_out" in facts:
        click.echo(f"  fewer tokens than asked, for the epochs ran out of {facts['ran_out']}")
    click.echo(f"  in {facts['path']}")
    for warning in facts.get("warnings", ()):
        click.echo(f"warning: {warning}", err=True)
    click.echo(f"Next: warehouse verify {facts['release']} --rebuild")


def _learnt(facts: Mapping[str, Any]) -> str:
    """What a release of conversations learns, and what it leaves out and why."""
    reasons = {"too_long": "longer than a sample", "nothing_learnt": "nothing of which would be learnt"}
    left_out = [f"{facts[f'left_out_{reason}']:,} {why}" for reason, why in reasons.items()]
    return f"{facts['learnt_tokens']:,} tokens are learnt; conversations left out: {', '.join(left_out)}"


@click.command("report")
@place.placed
def report_verb() -> None:
    """A page of pictures, releases and verdicts of what is published.

    \b
    Example:
      warehouse report
    """
    outcome = _run(place.project(), ["report/page"])
    facts = outcome.assets[-1].metadata
    click.echo(f"{facts['path']}: {facts['checks_passed']:,} of {facts['checks']:,} checks passed")


@click.command("maintain")
@click.argument("tables", nargs=-1, metavar="[TABLE]...")
@place.as_json
@place.placed
def maintain_verb(tables: tuple[str, ...], json_: bool) -> None:
    """Small files put together, files of old versions removed.

    No row changes. Versions that a published snapshot or a live release pins stay readable, and those of the last
    days, as [maintenance] of warehouse.toml says [7d].

    \b
    Example:
      warehouse maintain runs
    """
    outcome = _run(place.project(), ["maintenance/tables"], tables=tables)
    kept: list[dict[str, Any]] = outcome.assets[-1].metadata["tables"]
    if json_:
        return place.print_json(kept)
    rows = [
        (
            each["table"],
            each["busy"] or f"{each['files_before']:,} -> {each['files']:,}",
            table.size(each["bytes_rewritten"]),
            f"{each['files_removed']:,}",
            table.size(each["bytes_removed"]),
            each["versions"],
        )
        for each in kept
    ]
    names = ["table", "files", "rewritten", "old files removed", "freed", "versions kept"]
    for line in table.lines(names, rows, width=table.terminal_width()):
        click.echo(line)
    return None


@click.command("takedown")
@click.option("--uri", metavar="URI", help="Documents and rows of this uri.")
@click.option("--domain", metavar="HOST", help="Those whose uri is of this host, or of one below it.")
@click.option("--source", metavar="NAME", help="All documents and rows of a source.")
@click.option("--doc", metavar="DOC_ID", help="One document.")
@click.option("--licence", metavar="SPDX", help="Documents under this licence, and rows of sources that state it.")
@click.option("--why", default="taken down", show_default=True, help="The reason that revoked releases give.")
@click.option(
    "--short-texts",
    "short",
    type=click.Choice(["keep", "remove"]),
    help="Rows of other tables, a cell of which equals a text of fewer than 13 words [refused until it is said].",
)
@click.option("--dry-run", is_flag=True, help="Only list what it reaches.")
@place.as_json
@place.placed
def takedown_verb(why: str, short: str | None, dry_run: bool, json_: bool, **asked: str | None) -> None:
    """Documents and rows out of all that was made of them, with proof.

    With documents go their other versions, copies and near duplicates, and rows that hold their text. They are barred
    from coming in again; releases that hold them are revoked and made again, models that may have learnt them trained
    again; rows, shards, snapshots and the bytes in the archive are removed, old versions too. Where it is cut short,
    the same again completes it.

    \b
    Example:
      warehouse takedown --domain example.org --why "request of 2026-11-29" --dry-run
    """
    from warehouse.cli import takedown

    project = place.project()
    key, value = takedown.one_of(asked)
    if dry_run:
        from pipelines.takedown import reached

        found = reached(project, key, value, short=takedown.choice(short) if short else "keep")
        return place.print_json(found) if json_ else takedown.say_reach(found)
    config = {"asked": key, "value": value, "why": why, "short": short or "refuse"}
    removed = _run(project, ["takedown/removed"], takedown=config).assets[-1].metadata
    _train_again(project, takedown.models(removed))
    for env in takedown.environments(project):
        _run(project, ["published/snapshot"], env=env)
    made = [_made_again(project, name) for name in takedown.revoked(removed)]
    _run(project, ["takedown/proved"], takedown={"takedown": removed["takedown"]})
    facts = {**takedown.counts(removed), "releases_made": [each for each in made if each]}
    return place.print_json(facts) if json_ else takedown.say_done(facts)


def _train_again(project: Project, names: Sequence[str]) -> None:
    """New models of the recipes that are there, of which one was removed; why there is none is said."""
    recipes = {path.stem for path in project.files("recipes/scores", "*.yaml")}
    if known := [name for name in names if name in recipes]:
        try:
            _run(project, [*(f"scores/{name}" for name in known), "repository/scores"])
        except WarehouseError as error:
            click.echo(f"warning: no new model of {', '.join(known)}: {error}", err=True)


def _made_again(project: Project, name: str) -> str | None:
    """The new release of a data set of which one was revoked; None where it cannot be made, which is said."""
    try:
        known = _known_dataset(project, name)
        return str(_run(project, [f"datasets/{known}"]).assets[-1].metadata["release"])
    except WarehouseError as error:
        click.echo(f"warning: no new release of {name}: {error}", err=True)
        return None


@click.command("ui")
@click.option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True, help="Port to listen on.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@place.placed
def ui_verb(port: int, host: str) -> None:
    """Dagster's UI and daemon for this project, until Ctrl-C or SIGTERM.

    \b
    Example:
      warehouse ui --port 3001
    """
    project = place.project()
    _refuse_taken(host, port)
    from pipelines.run import ui_command

    arguments, environment = ui_command(project, host=host, port=port)
    click.echo(f"Dagster's UI of {project.name}: http://{host}:{port}", err=True)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a job in the background ignores it, and then Dagster SIGTERM too
    os.execvpe(arguments[0], arguments, environment)  # noqa: S606 # a list and no shell: this process becomes the server


def _refuse_taken(host: str, port: int) -> None:
    try:
        with socket.create_server((host, port)):
            return
    except OSError as error:
        raise UsageError(
            f"cannot listen on {host}:{port}: {error.strerror or error}", do="name another --port or --host"
        ) from None


def _run(
    project: Project,
    names: list[str] | None,
    *,
    reread: bool = False,
    retry: bool = False,
    processes: int = 1,
    partition: str | None = None,
    tables: Sequence[str] = (),
    takedown: Mapping[str, str] | None = None,
    env: str | None = None,
) -> Outcome:
    """Run the assets; the table of failed checks comes before the error that a gate raises."""
    with uninterrupted():
        gc.disable()  # imports leave nothing to collect, and what they made stays
        from pipelines.run import run_assets

        gc.freeze()
        atexit.register(gc.unfreeze)
        gc.enable()
    logging.getLogger("sqlalchemy.pool").addHandler(logging.NullHandler())  # else Ctrl-C in its close() is a traceback
    try:
        return run_assets(
            project,
            names,
            reread=reread,
            retry=retry,
            env=env or place.environment(),
            processes=processes,
            partition=partition,
            tables=tables,
            takedown=takedown,
        )
    except CheckFailed as error:
        _say_failed_checks(error)
        raise


def _say_failed_checks(error: CheckFailed) -> None:
    checks: Any = error.values.get("checks") or []
    rows = [
        [check.get(key, "") for key in ("asset", "check", "unexpected_count", "element_count", "samples")]
        for check in checks
    ]
    if rows:
        for line in table.lines(
            ["suite of", "check", "unexpected", "of", "samples"], rows, width=table.terminal_width()
        ):
            click.echo(line)
