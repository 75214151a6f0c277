"""The lines of ``warehouse diff`` that are of releases of any kind: recipe, inputs, models, shards, and notes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

from warehouse.cli import table

if TYPE_CHECKING:
    from warehouse.answers.alike import Changes, Shards

Line = tuple[str, str]
"""A label, and what stands beside it."""


class Side(Protocol):
    """A release that is compared."""

    @property
    def path(self) -> Path: ...
    @property
    def exact(self) -> bool: ...


class Compared(Protocol):
    """Two releases of one kind."""

    @property
    def before(self) -> Side: ...
    @property
    def after(self) -> Side: ...
    @property
    def recipe(self) -> Changes: ...
    @property
    def inputs(self) -> Changes: ...
    @property
    def models(self) -> Changes: ...


def otherwise(found: Compared) -> Iterator[Line]:
    """What recipes, inputs and models say otherwise."""
    for name, (was, now) in found.recipe.items():
        yield "recipe", f"{name}: {short(was)} -> {short(now)}"
    if found.inputs:
        yield "inputs", ", ".join(f"{name} {short(was)} -> {short(now)}" for name, (was, now) in found.inputs.items())
    if found.models:
        yield "models", f"{len(found.models)} built of other rows or by another definition"


def shards(found: Shards) -> Iterator[Line]:
    """Which shards are the same."""
    once = f", {table.size(found.one_copy_bytes)} of them once on the disk" if found.one_copy_bytes else ""
    yield "shards", f"{len(found.same)} of {len(found.same) + len(found.changed)} the same bytes{once}"
    if found.same and found.changed:
        yield "", f"changed: {', '.join(found.changed[:8])}{' ...' * (len(found.changed) > 8)}"


def notes(found: Compared, *, added: bool, removed: bool, answered: bool = True) -> Iterator[Line]:
    """Of reasons that are not those of the snapshot of the release. answered: whether the current one gives some."""
    if removed and not found.after.exact:
        said = "reasons of removals are those of the current one" if answered else "why it lacks the rest is not known"
        yield "note", f"{_gone(found.after)}: {said}"
    if added and not found.before.exact:
        yield "note", f"{_gone(found.before)}: why it lacks what was added is not known"


def _gone(side: Side) -> str:
    return f"the snapshot that {side.path.parent.name}@{side.path.name} was selected from is no longer published"


def short(value: Any) -> str:
    """A value in 60 columns."""
    return "none" if value is None else table.cut(table.cell(value), 60)


def print_table(names: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> None:
    """Print a table as wide as the terminal."""
    for line in table.lines(names, rows, width=table.terminal_width()):
        click.echo(line)
