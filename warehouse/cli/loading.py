"""The verb about the loader: how fast it reads a release here."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from warehouse.cli import place, table
from warehouse.cli.synth import Parts
from warehouse.errors import UsageError

if TYPE_CHECKING:
    from warehouse.loader import Loader, RecordLoader, TableLoader
    from warehouse.loader.bench import AnyLoader, Pace


CLEARED = "\r\x1b[K"
"""To the beginning of an empty line."""


@click.group("loader", cls=Parts, invoke_without_command=True)
@click.pass_context
def loader_verb(ctx: click.Context) -> None:
    """How fast a training job's loader reads a release here.

    \b
    Example:
      warehouse loader bench example@1 --batch 64 --seconds 5
    """
    if ctx.invoked_subcommand is None:
        raise UsageError("loader alone", allowed="bench", do="see 'warehouse loader --help'")


@loader_verb.command("bench")
@click.argument("release", metavar="PATH|NAME[@V]|URL|FORMAT:PLACE")
@click.option("--split", metavar="NAME", default="train", show_default=True, help="Split to read.")
@click.option("--batch", type=click.IntRange(1), default=64, show_default=True, help="Samples of a batch.")
@click.option("--seconds", type=click.FloatRange(0.01), default=5.0, show_default=True, help="Time to read for.")
@click.option(
    "--threads",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Threads that make batches ahead; of a URL, that fetch blocks (0: 8).",
)
@place.as_json
@place.placed
def bench(release: str, *, split: str, batch: int, seconds: float, threads: int, json_: bool) -> None:
    """Read a split in shuffled batches, epoch after epoch, and say how fast.

    Each block is compared with its hash when first touched. A URL is streamed, shuffled in windows. FORMAT:PLACE is
    another project's data set: mds:, litdata:, megatron:, webdataset: or parquet:. On a terminal a line shows the pace
    so far.

    \b
    Example:
      warehouse loader bench example@1 --seconds 2 --threads 2
      warehouse loader bench https://host/datasets/example@1
      warehouse loader bench mds:shards --split validation
    """
    from warehouse.loader.bench import paced

    path, opened = _streamed(release, threads) if _is_far(release) else _mapped(release, split)
    pace = paced(
        lambda: opened(split=split, batch=batch, drop_last=False),
        seconds=seconds,
        threads=threads,
        shown=_show if sys.stderr.isatty() else lambda _: None,
    )
    if sys.stderr.isatty():
        click.echo(CLEARED, nl=False, err=True)
    if json_:
        speeds = (pace.samples_per_s, pace.bytes_per_s, pace.cpu_us_per_sample)
        names = ("samples_per_s", "bytes_per_s", "cpu_us_per_sample")
        return place.print_json({**asdict(pace), **dict(zip(names, speeds, strict=True))})
    click.echo(f"{_speed(pace)}, {pace.cpu_us_per_sample:.2f} us of CPU a sample")
    click.echo(f"opened in {pace.open_ms:.1f} ms, first batch {pace.first_batch_ms:.1f} ms later")
    click.echo(
        f"{pace.samples:,} samples of {path} in {pace.wall_s:.1f} s, {pace.epoch:,} epochs done; "
        f"{pace.stalls:,} of {pace.batches:,} batches were not ready when asked for, {pace.wait_s:.1f} s waited"
    )
    return None


def _is_far(release: str) -> bool:
    from warehouse.loader.foreign import is_foreign

    return not is_foreign(release) and ("://" in release or release.startswith("channel:"))


def _mapped(release: str, split: str) -> tuple[str, Callable[..., AnyLoader]]:
    """How what lies here is called, and what opens it."""
    from warehouse.loader.foreign import is_foreign

    path = release if is_foreign(release) else place.release_path(release)
    return str(path), partial(_kind(path, split), path)


def _kind(path: Path | str, split: str) -> type[Loader | RecordLoader | TableLoader]:
    """What opens it."""
    from warehouse.loader import Loader, RecordLoader, TableLoader
    from warehouse.loader.foreign import is_foreign, open_foreign
    from warehouse.manifest import TableManifest, read_any

    if is_foreign(path):
        return Loader if open_foreign(path, split, checked=False).fixed is not None else RecordLoader
    return TableLoader if isinstance(read_any(Path(path)), TableManifest) else Loader


def _streamed(release: str, threads: int) -> tuple[str, Callable[..., AnyLoader]]:
    """The same of one that stays where it lies."""
    from warehouse.loader import Fetching, StreamingLoader, StreamingTableLoader, offered
    from warehouse.manifest import TableManifest

    offer = offered(release)
    kind = StreamingTableLoader if isinstance(offer.whole, TableManifest) else StreamingLoader
    return offer.origin.shown, partial(kind, release, fetching=Fetching(threads=threads or Fetching().threads))


def _show(pace: Pace) -> None:
    click.echo(f"{CLEARED}epoch {pace.epoch}  {_speed(pace)}  {pace.stalls:,} stalls", nl=False, err=True)


def _speed(pace: Pace) -> str:
    return f"{pace.samples_per_s:,.0f} samples/s, {table.size(round(pace.bytes_per_s))}/s"
