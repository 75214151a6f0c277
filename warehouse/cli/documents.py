"""``warehouse explain``: one document's story, told like an answer, or examples of a reason."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from warehouse.cli import place, table
from warehouse.errors import UsageError

if TYPE_CHECKING:
    from warehouse.answers.examples import Examples, Fall
    from warehouse.answers.explain import Candidate, Contamination, Explanation, Fact, Rule, Verdict

KEY_SIGNALS = ("language", "language_score", "words", "chars", "lines", "paragraphs", "c4_sentences", "stop_words")
WIDTH, MOST_PLACES, SAMPLE = 100, 5, 20
"""Columns of a line of signals or of a difference; places of personal data and of benchmarks that are shown; examples
of a reason where no other number is asked for.
"""


@click.command("explain")
@click.argument("document", metavar="[DOC]", required=False)
@click.option("--rules", metavar="SET", help="Only this rule set, such as gopher.")
@click.option("--reason", metavar="WORD", help="Examples of documents that fell for this reason, in place of DOC.")
@click.option(
    "--sample", type=click.IntRange(1, 1000), help=f"With --reason: how many documents at most.  [default: {SAMPLE}]"
)
@click.option("--source", metavar="SOURCE", help="With --reason: documents of this source only.")
@place.as_json
@place.placed
def explain_verb(
    *, document: str | None, rules: str | None, reason: str | None, sample: int | None, source: str | None, json_: bool
) -> None:
    """Why a document was kept or dropped: every rule, twin and value.

    DOC is a uri, a doc_id, or the first digits of one. With --reason: documents that fell for it, each once with every
    rule set that dropped it so, the same ones every time.

    \b
    Example:
      warehouse explain notes/note-22 --rules house
      warehouse explain --reason top_4_gram --sample 5
    """
    if (document is None) == (reason is None):
        raise UsageError("explain takes DOC or --reason, one of them", do="see 'warehouse explain --help'")
    if document is not None:
        _refuse_beside_document(sample, source)
        return _one_document(document, rules, json_=json_)
    from warehouse.answers.examples import examples

    project, env = place.project(), place.environment()
    found = examples(project, reason or "", sample=sample or SAMPLE, rules=rules, source=source, env=env)
    return place.print_json(found) if json_ else _say_examples(found, source)


def _refuse_beside_document(sample: int | None, source: str | None) -> None:
    for option, value in (("--sample", sample), ("--source", source)):
        if value is not None:
            raise UsageError(
                f"{option} came with DOC", allowed="DOC with --rules and --json", do="leave one of them out"
            )


def _one_document(document: str, rules: str | None, *, json_: bool) -> None:
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
        for line in verdict.difference:
            click.echo(f"    {table.cut(table.cell(line), WIDTH - 4)}")
    _say_facts(answer)
    _say_rules(answer.verdicts)
    _say_signals(answer)
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
        *((("same text", _copies(answer)),) if answer.copies else ()),
        *_shared(answer),
        *((("scores", _scores(answer)),) if answer.scores is not None else ()),
        *((("lists", _lists(answer)),) if answer.lists is not None else ()),
    ):
        click.echo(f"  {label:<9} {table.cell(value)}")


def _pii(answer: Explanation) -> str:
    """How many spans of which kinds; never the text of one."""
    if answer.pii is None:
        return "not searched yet"
    counts = ", ".join(f"{kind} {count:,}" for kind, count in answer.pii.items())
    places = ", ".join(f"{span.mask} at {span.start:,}" for span in answer.spans[:MOST_PLACES])
    more = ", ..." if len(answer.spans) > MOST_PLACES else ""
    return f"{counts} ({places}{more})" if counts else "none found"


def _copies(answer: Explanation) -> str:
    """The other documents with this text."""
    return ", ".join(f"{item.uri} ({item.doc_id[:8]})" for item in answer.copies)


def _shared(answer: Explanation) -> list[tuple[str, str]]:
    """What it shares with benchmarks, and which it was compared with; nothing where there is no such model."""
    if answer.contamination is None:
        return []
    if not answer.compared:
        return [("shared", "compared with no benchmark")]
    if not answer.contamination:
        return [("shared", f"nothing, compared with {', '.join(answer.compared)}")]
    lines = [line for found in answer.contamination for line in _contaminated(found)]
    others = sorted({*answer.compared} - {found.benchmark for found in answer.contamination})
    return [("shared", lines[0]), *(("", line) for line in [*lines[1:], *(f"{name}: nothing" for name in others)])]


def _contaminated(found: Contamination) -> list[str]:
    """What of it a benchmark holds, and the first places."""
    verdict = "contaminated" if found.contaminated else "not contaminated"
    ngrams = f"{found.ngrams:,} runs of 13 words, limit {number(found.threshold)}"
    head = f"{found.share:.1%} with {found.benchmark}, most of it {found.item}: {verdict}, {ngrams}"
    places = [f'  {span.words:,} words at {span.start:,} to {span.stop:,}: "{span.excerpt}"' for span in found.spans]
    more = len(places) - MOST_PLACES
    return [head, *places[:MOST_PLACES], *([f"  and at {more:,} more places (--json)"] if more > 0 else [])]


def _scores(answer: Explanation) -> str:
    """What each trained model says of it."""
    return ", ".join(map(_scored, answer.scores or ())) or "none yet"


def _scored(row: Mapping[str, Any]) -> str:
    of = f", trained on {row['release']}" if row.get("release") else ""
    return f"{row['name']} {number(row['score']) or 'no word'} (model {row['version']}{of})"


def _lists(answer: Explanation) -> str:
    """How much each list found; which entries, no table says."""
    return ", ".join(map(_listed, answer.lists or ())) or "none searched yet"


def _listed(row: Mapping[str, Any]) -> str:
    if row["matches"] is None:
        return f"{row['list']} not searched"
    said = f"{row['list']} {row['matches']:,}"
    said += f" of {row['entries']:,} different" if row["entries"] else ""
    said += f", first among {row['part']}" if row["part"] else ""
    return said + (f", {row['soft_words']:,} soft" if row["soft_words"] else "")


def _say_signals(answer: Explanation) -> None:
    """Every signal that was measured, several on a line."""
    said = [f"{name} {value}" for name, value in answer.signals.items() if value is not None and name != "doc_id"]
    if said:
        click.echo("\nSignals")
        whole = ", ".join(each.replace(" ", "\xa0") for each in said)
        for line in textwrap.wrap(whole, WIDTH - 2, break_long_words=False, break_on_hyphens=False):
            click.echo(f"  {line}".replace("\xa0", " "))


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


def _say_examples(found: Examples, source: str | None) -> None:
    count = f"{len(found.shown):,} of {found.total:,} documents" if found.total else "no document"
    of = f" of {source}" if source else ""
    click.echo(f"{found.reason}: {count}{of} fell for it; looked for in {', '.join(found.rule_sets)}")
    for item in found.shown:
        click.echo(f"\n{item.doc_id[:12]}  {table.cut(table.cell(item.uri), WIDTH - 14)}")
        for fall in item.falls:
            click.echo(f"  {item.source}, {fall.rule_set}: {_why(fall)}")
        click.echo(f"  {table.cut(table.cell(item.excerpt), WIDTH - 2)}")


def _why(fall: Fall) -> str:
    if fall.twin is None:
        return "no value" if fall.value is None else measured(fall.value, fall.threshold)
    return near(table.cell(fall.twin_uri or ""), fall.twin, fall.value, fall.threshold)


def near(uri: str, twin: str, value: float | None, threshold: float | None) -> str:
    """How near a document is to the one that was kept in its place; without a value it is a copy."""
    of = f"{uri} ({twin[:8]})" if uri else twin[:8]
    if value is None:
        return f"the same text as {of}"
    return f"a near duplicate of {of}, similarity {number(value)}, limit {number(threshold)}"
