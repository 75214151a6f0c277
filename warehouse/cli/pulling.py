"""The verb that brings a release here, or a part of it, from wherever it lies."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from warehouse.cli import place, table
from warehouse.errors import UsageError

if TYPE_CHECKING:
    from warehouse.loader import Pulled
    from warehouse.loader.offering import Offer


@click.command("pull")
@click.argument("release", metavar="NAME[@V]|PATH|URL")
@click.argument("to", metavar="TO", type=click.Path(path_type=Path))
@click.option("--rank", type=click.IntRange(0), default=0, help="Take this rank's run of whole shards alone.")
@click.option("--world", type=click.IntRange(1), default=1, help="Ranks that share the shards [1].")
@click.option("--split", "splits", multiple=True, metavar="NAME", help="Take this split alone; may be repeated.")
@click.option("--workers", type=click.IntRange(1, 256), default=8, show_default=True, help="Requests at once.")
@click.option("--key", type=click.Path(path_type=Path), metavar="PEM", help="Public key that must have signed it.")
@click.option("--cache", metavar="SIZE", help="TO keeps releases up to this size, such as 200GB; the oldest used go.")
@click.option("--allow-private", is_flag=True, help="Follow redirects from public to private addresses.")
@place.as_json
@place.placed
def pull_verb(
    release: str,
    to: Path,
    *,
    rank: int,
    world: int,
    splits: tuple[str, ...],
    workers: int,
    key: Path | None,
    cache: str | None,
    allow_private: bool,
    json_: bool,
) -> None:
    """A release, or a part of it, into a folder, every byte checked.

    Cut short and run again, it fetches only what is missing.

    \b
    Example:
      warehouse pull example@1 /data/example
      warehouse pull https://host/datasets/example@1 /data/example --split train
      warehouse pull s3://bucket/datasets/example /cache --cache 200GB
    """
    from warehouse.loader import offered

    most = None if cache is None else _bytes(cache)
    offer = offered(_location(release), rank=rank, world=world, splits=splits, key=key, allow_private=allow_private)
    done = _brought(offer, to, most, workers)
    if json_:
        return place.print_json(done)
    for block in done.again:
        click.echo(f"came damaged and was fetched again: {block}")
    came = "was there" if not done.fetched else f"{table.size(done.fetched)} fetched"
    click.echo(f"{done.path}: {done.files} files, {table.size(done.bytes)}, {came}, every hash is right; id {done.id}")
    if key:
        click.echo(f"signed by {key}")


def _location(release: str) -> str:
    """What the loader opens: a release of this project by its place, anything else as it came."""
    if "://" in release or release.startswith("channel:") or os.sep in release or Path(release).is_dir():
        return release
    from warehouse import mirror
    from warehouse.datasets import named

    return mirror.address(named(place.project().datasets, release))


def _brought(offer: Offer, to: Path, most_bytes: int | None, workers: int) -> Pulled:
    from tqdm import tqdm

    from warehouse.loader.cache import cached
    from warehouse.loader.pulling import fetch

    with tqdm(total=offer.size, unit="B", unit_scale=True, disable=None, delay=2) as bar:

        def show(came: int, needed: int) -> None:
            bar.total = needed
            bar.update(came - bar.n)

        if most_bytes is None:
            return fetch(offer, to, workers=workers, progress=show)
        with cached(offer, to, most_bytes=most_bytes, workers=workers, progress=show) as done:
            return done


def _bytes(size: str) -> int:
    from warehouse.project import SIZE, bytes_of

    if not SIZE.fullmatch(size):
        raise UsageError(f"--cache came as {size!r}", allowed="a size such as 200GB or 1TB")
    return bytes_of(size)
