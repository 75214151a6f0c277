"""``warehouse trace NAME --doc|--uri|--domain``: the samples that hold something, and when a job sees them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from warehouse.cli import place, table
from warehouse.errors import UsageError

if TYPE_CHECKING:
    from warehouse.answers.holding import Held, Holding, Job
    from warehouse.loader import State

COLUMNS = ("split", "sample", "tokens", "of document", "uri")
SEEN = ("step", "rank", "row", "")


@dataclass(frozen=True, slots=True)
class Asked:
    """What is looked for, of which one is given, and the job that may have seen it."""

    doc: str | None
    uri: str | None
    domain: str | None
    state: Path | None
    batch: int | None
    world: int
    keep_last: bool
    limit: int

    def named(self) -> tuple[str, str] | None:
        """Which of the three and its value; None for none. Raises UsageError for several."""
        given = [(name, value) for name in ("doc", "uri", "domain") if (value := getattr(self, name)) is not None]
        if len(given) > 1:
            raise UsageError(" and ".join(f"--{name}" for name, _ in given), allowed="one of --doc, --uri, --domain")
        return given[0] if given else None


def say_holding(path: Path, asked: Asked, json_: bool) -> None:
    """Print the samples that hold what is asked for."""
    from warehouse.answers.holding import find_holding

    named = asked.named()
    if named is None:
        raise UsageError("nothing to trace", allowed="SAMPLE, or one of --doc, --uri, --domain")
    found = find_holding(path, *named, _job(asked))
    if json_:
        return place.print_json(found)
    click.echo(
        f"{path}: {len(found.samples):,} samples hold {found.tokens:,} tokens of {found.documents:,} "
        f"document{'s' * (found.documents != 1)}"
    )
    if found.state is not None:
        _say_state(found, found.state)
    names = COLUMNS + SEEN * (found.state is not None)
    rows = [row for held in found.samples[: asked.limit] for row in _rows(held, found.state is not None)]
    for line in table.lines(names, rows, width=table.terminal_width()):
        click.echo(line)
    if len(found.samples) > asked.limit:
        click.echo(f"and {len(found.samples) - asked.limit:,} more samples; --limit shows them, --json all")
    return None


def _job(asked: Asked) -> Job | None:
    from warehouse.answers.holding import Job, read_state

    if (asked.state is None) != (asked.batch is None):
        raise UsageError("--state or --batch alone", allowed="both: the global batch says which step a sample is in")
    if asked.state is None or asked.batch is None:
        return None
    return Job(read_state(asked.state), asked.batch, asked.world, drop_last=not asked.keep_last)


def _say_state(found: Holding, state: State) -> None:
    behind = [held.sighting.step for held in found.samples if held.sighting and held.sighting.seen]
    steps = [step for step in behind if step is not None]
    first = f", first at step {min(steps)}" if steps else ""
    click.echo(
        f"epoch {state['epoch']} of split {state['split']}, {state['samples']:,} samples in: "
        f"{len(behind):,} of them seen{first}"
    )
    if state["epoch"]:
        click.echo("each epoch before saw all of them but what a dropped last batch held")


def _rows(held: Held, with_job: bool) -> Iterator[tuple[object, ...]]:
    for piece in held.pieces:
        span = f"{piece.position}-{piece.position + piece.length - 1}"
        own = f"{piece.token_offset}-{piece.token_offset + piece.length - 1}"
        yield (held.split, held.sample, span, own, piece.uri, *(_sighting(held) if with_job else ()))


def _sighting(held: Held) -> tuple[object, ...]:
    if held.sighting is None:
        return "", "", "", "not in the split"
    if held.sighting.step is None:
        return "", "", "", "left out"
    return held.sighting.step, held.sighting.rank, held.sighting.row, "seen" if held.sighting.seen else "ahead"
