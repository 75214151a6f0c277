"""``warehouse explain``: one document's story, told like an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from warehouse.cli import place, table
from warehouse.errors import UsageError

if TYPE_CHECKING:
    from warehouse.answers.explain import Candidate, Explanation, Fact, Rule, Verdict

KEY_SIGNALS = ("language", "language_score", "words", "chars", "lines", "paragraphs", "c4_sentences", "stop_words")


@click.command("explain")
@click.argument("document", metavar="DOC")
@click.option("--rules", metavar="SET", help="Only this rule set, such as gopher.")
@place.as_json
@place.placed
def explain_verb(document: str, rules: str | None, json_: bool) -> None:
    """Why a document was kept or dropped: every rule, twin and value.

    DOC is a uri, a doc_id, or the first digits of one.

    \b
    Example:
      warehouse explain notes/note-22 --rules house
    """
    from warehouse.answers.explain import explain, find_documents

    project, env = place.project(), place.environment()
    found = [item for item in find_documents(project, document, env=env)]
    chosen = _one(found, document)
    if chosen is None:
        raise UsageError(_said_ambiguous(document, found), do="name one by its doc_id")
    answer = explain(project, chosen.doc_id, rules=rules, env=env)
    return place.print_json(answer) if json_ else _say(answer)


def _one(found: list[Candidate], name: str) -> Candidate | None:
    """The document meant: the only one, or the only current one of a uri."""
    current = [item for item in found if item.current]
    for few in (found, current if found[0].uri == name else []):
        if len(few) == 1:
            return few[0]
    for item in found:
        superseded = "" if item.current else " (superseded)"
        click.echo(f"{item.doc_id}  {table.cell(item.uri)} record {item.record}{superseded}")
    return None


def _said_ambiguous(name: str, found: list[Candidate]) -> str:
    return f"{name!r} means {len(found)} documents, listed above"


def _say(answer: Explanation) -> None:
    document = answer.document
    click.echo(f"{document.doc_id}  {table.cell(document.title or document.uri)}")
    if not document.current:
        click.echo("This is not what its uri holds now, so no rule set decides on it.")
    elif not answer.verdicts:
        click.echo("No rule set of the published snapshot decides on it.")
    for verdict in answer.verdicts:
        click.echo(_sentence(verdict))
    _say_facts(answer)
    _say_rules(answer.verdicts)
    _say_history(answer.history, document.doc_id)


def _sentence(verdict: Verdict) -> str:
    if verdict.kept:
        passed = f": it passes all {len(verdict.rules)} rules" if verdict.rules else ""
        return f"Kept by {verdict.rule_set}{passed}."
    dropped, twin = f"Dropped by {verdict.rule_set}: {verdict.reason}", verdict.twin
    if twin is not None and verdict.value is not None:
        near = f"has {verdict.value:.1%} of its word 5-grams in common (limit {number(verdict.threshold)})"
        return f"{dropped}. {table.cell(twin.uri)} ({twin.doc_id[:8]}) {near} and was kept."
    if twin is not None:
        return f"{dropped}. {table.cell(twin.uri)} ({twin.doc_id[:8]}) has the same text and was kept."
    return f"{dropped}, as {measured(verdict.value, verdict.threshold)}."


def measured(value: float | None, threshold: float | None) -> str:
    """A value against its threshold in words."""
    if value is None or threshold is None:
        return "it was found"
    if value == threshold:
        return f"{number(value)} is the limit itself"
    return f"{number(value)} is {'below' if value < threshold else 'above'} the limit of {number(threshold)}"


def number(value: float | None) -> str:
    """A value with at most four significant decimals; whole numbers whole."""
    if value is None:
        return ""
    return f"{value:,.0f}" if value % 1 == 0 else f"{value:.4g}"


def _say_facts(answer: Explanation) -> None:
    document = answer.document
    at_object = answer.object or f"{answer.object_sha256} is no longer in the archive"
    signals = [f"{name} {answer.signals[name]}" for name in KEY_SIGNALS if answer.signals.get(name) is not None]
    for label, value in (
        ("source", f"{document.source}: {document.uri} record {document.record}"),
        ("licence", answer.licence or "not stated"),
        ("dated", f"{table.moment(answer.published_at)} UTC" if answer.published_at else "no date of its own"),
        ("object", str(at_object)),
        ("text", f"{answer.bytes:,} bytes"),
        ("signals", ", ".join(signals) or "not measured yet"),
        ("pii", _pii(answer)),
    ):
        click.echo(f"  {label:<8} {table.cell(value)}")


def _pii(answer: Explanation) -> str:
    """How many spans of which kinds; never the text of one."""
    if answer.pii is None:
        return "not searched yet"
    return ", ".join(f"{kind} {count:,}" for kind, count in answer.pii.items()) or "none found"


def _say_rules(verdicts: tuple[Verdict, ...]) -> None:
    """One table of all sets: a rule with its value, and for each set that has it the limit, marked where it failed."""
    sets = [verdict.rule_set for verdict in verdicts if verdict.rules]
    limits: dict[tuple[str, str], dict[str, str]] = {}
    for verdict in verdicts:
        for rule in verdict.rules:
            limits.setdefault((rule.reason, number(rule.value)), {})[verdict.rule_set] = _limit(rule)
    rows = [(reason, value, *(row.get(name, "") for name in sets)) for (reason, value), row in limits.items()]
    if rows:
        click.echo("\nRules: the limit of each set; ✗ where the value fails it")
        for line in table.lines(("rule", "value", *sets), rows, width=table.terminal_width()):
            click.echo(line)


def _limit(rule: Rule) -> str:
    return f"{'✗' if rule.failed else '✓'} {number(rule.threshold)}".rstrip()


def _say_history(history: tuple[Fact, ...], doc_id: str) -> None:
    click.echo("\nKnown")
    for fact in history:
        this = "this text" if fact.doc_id == doc_id else f"another text, {fact.doc_id}"
        click.echo(
            f"  {table.moment(fact.known_at)} UTC  {fact.bytes:,} bytes, {this}, object {fact.object_sha256[:12]}"
        )
