"""``warehouse diff``: what one version of a data set holds that another does not, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from warehouse.cli import place, table
from warehouse.cli.alike import notes, otherwise, print_table, shards, short
from warehouse.cli.comparing_rows import diff_rows
from warehouse.cli.documents import measured, near
from warehouse.cli.releases import folder_of
from warehouse.errors import UsageError

if TYPE_CHECKING:
    from warehouse.answers.absence import Why
    from warehouse.answers.comparison import Balance, Comparison, Difference, Sums

REASONS = ("change", "reason", "documents", "tokens", "bytes")
BALANCES = ("added", "removed", "changed", "tokens added", "tokens removed", "bytes added", "bytes removed")
SIGNS = {"added": "+", "removed": "-", "changed": "~"}


@click.command("diff")
@click.argument("before", metavar="NAME[@V]|PATH")
@click.argument("after", metavar="NAME[@V]|PATH")
@click.option("--limit", type=click.IntRange(0), default=20, help="Documents or rows to print of each kind [20].")
@click.option(
    "--by",
    multiple=True,
    metavar="COLUMN",
    help="Of rows and samples: count by the values of this column too [source, licence, language if there].",
)
@place.as_json
@place.placed
def diff_verb(before: str, after: str, limit: int, by: tuple[str, ...], json_: bool) -> None:
    """What another version adds, removes and changes, and why.

    \b
    Example:
      warehouse diff example@1 example@2
      warehouse diff sales@1 sales@2 --by region
    """
    from warehouse.answers.comparison import compare
    from warehouse.datasets import TableManifest, read_any

    paths = folder_of(before), folder_of(after)
    of_rows = [isinstance(read_any(path), TableManifest) for path in paths]
    if any(of_rows) != all(of_rows):
        kinds = [f"{path} holds {'rows' if each else 'tokens'}" for path, each in zip(paths, of_rows, strict=True)]
        raise UsageError(", ".join(kinds), allowed="two releases of one kind")
    if all(of_rows):
        return diff_rows(*paths, by=by, limit=limit, json_=json_)
    if by:
        raise UsageError(f"--by {by[0]} of documents", allowed="it is for rows and samples")
    found = compare(place.project(), *paths, env=place.environment())
    return place.print_json(found) if json_ else _say(found, limit)


def _say(found: Comparison, limit: int) -> None:
    one, other = found.before, found.after
    click.echo(f"{one.path} -> {other.path}")
    for label, value in _head(found):
        click.echo(f"{label:<10}{value}")
    kinds = {"added": found.added, "removed": found.removed, "changed": found.changed}
    if any(kinds.values()):
        click.echo("")
        print_table(REASONS, [row for kind, items in kinds.items() for row in _reasons(kind, items)])
        for name, values in found.by.items():
            click.echo("")
            print_table((name, *BALANCES), [(value, *_balance(balance)) for value, balance in values.items()])
    for kind, items in kinds.items():
        for line in ("", *(f"{SIGNS[kind]} {_document(kind, item)}" for item in items[:limit])) if items else ():
            click.echo(line)
        if len(items) > limit:
            click.echo(f"{SIGNS[kind]} and {len(items) - limit:,} more; --limit shows them, --json all")


def _head(found: Comparison) -> Iterator[tuple[str, str]]:
    one, other = found.before, found.after
    yield "documents", f"{one.documents:,} -> {other.documents:,}"
    yield "tokens", f"{one.tokens:,} -> {other.tokens:,}"
    yield from otherwise(found)
    if not found.tokenizer:
        yield "tokenizer", "another, so every token id may differ and no shard can be the same"
    yield from shards(found.shards)
    yield from notes(found, added=bool(found.added), removed=bool(found.removed))


def _reasons(kind: str, items: Sequence[Difference]) -> Iterator[tuple[object, ...]]:
    from warehouse.answers.comparison import reasons

    for reason, sums in reasons(items):
        yield kind, _reason(kind, reason), *_sums(sums)


def _reason(kind: str, reason: str) -> str:
    """In words what is said from the release that lacks a document: of an added one that is the first."""
    new = {"not_in_repository": "new", "not_known": "not known"}
    gone = {"not_in_repository": "no longer in the repository", "not_known": "not known", "taken_down": "taken down"}
    both = {
        "not_current": "not current",
        "not_selected": "not selected",
        "left_out": "nothing left of it",
        "not_taken": "not taken",
    }
    words: Mapping[str, str] = {**both, **(new if kind == "added" else gone)}
    said = words.get(reason, reason)
    return f"before: {said}" if kind == "added" and said not in new.values() else said


def _sums(sums: Sums) -> tuple[str, ...]:
    return table.count(sums.documents), table.count(sums.tokens), table.size(sums.bytes)


def _balance(balance: Balance) -> tuple[str, ...]:
    came, went = balance.added, balance.removed
    then, now = balance.changed_before, balance.changed_after
    counts = (came.documents, went.documents, max(then.documents, now.documents))
    tokens = (came.tokens + now.tokens, went.tokens + then.tokens)
    sizes = (came.bytes + now.bytes, went.bytes + then.bytes)
    return *map(table.count, (*counts, *tokens)), *map(table.size, sizes)


def _document(kind: str, item: Difference) -> str:
    held = item.after or item.before
    if held is None:
        return ""
    name = f"{table.cut(table.cell(held.uri), 50)} ({held.doc_id[:8]}), {held.tokens:,} tokens"
    if item.why is not None:
        return f"{name}: {_why(kind, item.why)}"
    if item.before is None or item.after is None:
        return name
    return f"{name}: {', '.join(_changed(item.before, item.after, what) for what in item.what)}"


def _changed(before: Any, after: Any, what: str) -> str:
    if what == "text":
        return f"another text, {before.tokens:,} tokens before ({before.doc_id[:8]})"
    if what == "masked":
        return f"other spans masked or left out, {before.bytes:,} -> {after.bytes:,} bytes"
    return f"{what} {short(getattr(before, what))} -> {short(getattr(after, what))}"


def _why(kind: str, why: Why) -> str:
    reason = _reason(kind, why.reason)
    if why.rule_set is None:
        by = f" by {why.other[:8]}" if why.other else ""
        return f"{reason}{by}{f', {why.says}' if why.says else ''}"
    how = near("", why.other, why.value, why.threshold) if why.other else f"as {measured(why.value, why.threshold)}"
    return f"{reason} in {why.rule_set}, {how}"
