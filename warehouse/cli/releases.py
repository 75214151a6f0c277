"""The verbs about releases: is it what it says, and where does a sample of it come from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from warehouse.cli import place, table
from warehouse.cli.holding import Asked, say_holding
from warehouse.cli.runs import reselected
from warehouse.errors import UsageError

if TYPE_CHECKING:
    from warehouse.answers.trace import Traced
    from warehouse.datasets import Verified


SHOWN = 20  # objects of a traced row


STORED, SELECT = "stored", "select"


class _Verify(click.Command):
    """``--rebuild`` alone takes no value, so that the release may follow it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, [f"--rebuild={STORED}" if each == "--rebuild" else each for each in args])


@click.command("verify", cls=_Verify)
@click.argument("release", metavar="NAME[@V]|PATH")
@click.option(
    "--rebuild",
    type=click.Choice([STORED, SELECT]),
    metavar="[=select]",
    help="Also make it again from the stored texts, =select from what it was selected from, and compare every byte.",
)
@click.option("--key", type=click.Path(path_type=Path), metavar="PEM", help="Public key that must have signed it.")
@place.as_json
@place.placed
def verify_verb(release: str, rebuild: str | None, key: Path | None, json_: bool) -> None:
    """Every hash of a release; with --rebuild every byte, made again.

    \b
    Example:
      warehouse verify example@1 --rebuild
      warehouse verify example@1 --rebuild=select
    """
    from warehouse.datasets import verify

    path = folder_of(release)
    found = verify(path, key=key)
    again = _rebuilt(path) if rebuild == STORED else None
    selected = reselected(path) if rebuild == SELECT else None
    if json_:
        return place.print_json({"verified": found, "rebuilt": again, "reselected": selected})
    click.echo(f"{path}: {found.files} files, {table.size(found.bytes)}, every hash is right; id {found.id}")
    if key:
        click.echo(f"signed by {key}")
    if again:
        click.echo(f"made again: {again.files} files, {table.size(again.bytes)}, every byte is the same")
    if selected:
        origin = f"generation {selected.generation}" if selected.generation else "its models, built on its tables again"
        same = selected.same
        click.echo(
            f"selected again from {origin}: {same.files} files, {table.size(same.bytes)}, every byte is the same"
        )
    return None


def folder_of(release: str) -> Path:
    """The folder of a release; a path needs no project around it."""
    from warehouse.datasets import resolve
    from warehouse.manifest import NAME

    named = Path(release)
    return named if (named / NAME).is_file() else resolve(place.project().datasets, release)


def _rebuilt(path: Path) -> Verified:
    from warehouse.datasets import TableManifest, read_any, rebuild
    from warehouse.repository import Repository

    project = place.project()
    held = read_any(path)
    if isinstance(held, TableManifest) or held.chat:
        return rebuild(path, scratch=project.state)
    return rebuild(path, Repository(project.root).snapshot("documents"), scratch=project.state)


@click.command("trace")
@click.argument("release", metavar="NAME[@V]|PATH")
@click.argument("sample", type=click.IntRange(0), required=False)
@click.argument("token", type=click.IntRange(0), required=False)
@click.option("--split", metavar="NAME", help="Split that SAMPLE is counted in [the release's first].")
@click.option("--doc", metavar="DOC_ID", help="The other way: the samples that hold anything of this document.")
@click.option("--uri", help="Of the documents of this uri.")
@click.option("--domain", metavar="HOST", help="Of the documents of this host and of those below it.")
@click.option("--state", metavar="FILE", type=click.Path(path_type=Path), help="JSON of Loader.state(): at which step.")
@click.option("--batch", type=click.IntRange(1), help="The job's global batch.")
@click.option("--world", type=click.IntRange(1), default=1, help="Its number of ranks [1].")
@click.option("--keep-last", is_flag=True, help="It has drop_last=False.")
@click.option("--limit", type=click.IntRange(0), default=SHOWN, help=f"Samples to print [{SHOWN}].")
@place.as_json
@place.placed
def trace_verb(
    release: str, sample: int | None, token: int | None, split: str | None, json_: bool, **asked: Any
) -> None:
    """From a training sample, or one TOKEN of it, back to what made it.

    \b
    Example:
      warehouse trace example@1 0 17
      warehouse trace example@1 --uri notes/note-07 --state state.json --batch 8
    """
    from warehouse.answers.trace import trace_sample
    from warehouse.datasets import TableManifest, read_any

    path, wanted = folder_of(release), Asked(**asked)
    if sample is None:
        return say_holding(path, wanted, json_)
    if wanted.named() or wanted.state:
        raise UsageError("SAMPLE beside --doc, --uri, --domain or --state", allowed="SAMPLE, or these")
    project = place.project()
    if isinstance(read_any(path), TableManifest):
        return _trace_row(path, sample, token, split, json_)
    found = trace_sample(project, path, sample, split=split, token=token, env=place.environment())
    if json_:
        return place.print_json(found)
    click.echo(
        f"sample {sample} of split {found[0].segment.split} in {path}: {len(found)} piece{'s' * (len(found) > 1)}"
    )
    for piece in found:
        _say_piece(piece)
    return None


def _trace_row(path: Path, sample: int, token: int | None, split: str | None, json_: bool) -> None:
    from warehouse.answers.rows import trace_row

    if token is not None:
        raise UsageError(f"a TOKEN, {token}, of a row", allowed="NAME[@V] and SAMPLE: a table has no tokens")
    found = trace_row(place.project(), path, sample, split=split, env=place.environment())
    if json_:
        return place.print_json(found)
    click.echo(f"row {sample} of split {found.split} in {path}")
    for name, value in found.values.items():
        said = f"{len(value):,} bytes" if isinstance(value, bytes) else table.cell(value)
        click.echo(f"  {name} = {said}{' (key)' if name in found.key else ''}")
    click.echo(f"features  {', '.join(found.features) or 'none'} (definition and SQL in {path / 'recipe'})")
    click.echo(f"reads     {', '.join(found.reads)}")
    for origin in found.origins[:SHOWN]:
        click.echo(f"object    {origin.uri} in {origin.table}: {origin.path or f'{origin.sha256}, not archived'}")
    if len(found.origins) > SHOWN:
        click.echo(f"          and {len(found.origins) - SHOWN:,} more; --json lists them")
    return None


def _say_piece(piece: Traced) -> None:
    segment = piece.segment
    click.echo()
    last = segment.position + segment.length - 1
    click.echo(f"tokens {segment.position}-{last}: {table.cut(table.cell(segment.preview), 90)}")
    bytes_ = f"{segment.text_start}-{segment.text_end}"
    for label, value in (
        ("document", f"{segment.doc_id}, bytes {bytes_} of its text"),
        ("source", f"{segment.source}: {segment.uri} record {segment.record}"),
        ("licence", segment.licence or "not stated"),
        ("known", f"{table.moment(segment.known_at)} UTC" + (", synthetic" if segment.synthetic else "")),
        ("object", _object(piece)),
        ("decision", _decision(piece)),
    ):
        click.echo(f"  {label:<9} {table.cell(value)}")


def _object(piece: Traced) -> str:
    if piece.object is None or piece.object_bytes is None:
        return f"{piece.segment.object_sha256} is no longer in the archive"
    return f"{piece.object} ({table.size(piece.object_bytes)})"


def _decision(piece: Traced) -> str:
    decision = piece.decision
    if decision is None:
        return "none in the published snapshot"
    return f"kept by {decision.rule_set}" if decision.kept else f"now dropped by {decision.rule_set}: {decision.reason}"
