"""Why a document was kept or dropped: the decision, every rule with its value, its twin, its signals and its history.

All of it is read from one published snapshot and the repository versions that it pins, so it agrees with the export.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from warehouse.answers.texts import Span, difference, excerpt, masked_part, shown_texts, spans
from warehouse.errors import NotFound, UsageError
from warehouse.project import Project
from warehouse.publish import connect_current
from warehouse.query import Connection, fetch_all, relations
from warehouse.repository import Repository

MOST_CANDIDATES = 50


@dataclass(frozen=True, slots=True)
class Candidate:
    """A document that a name may mean."""

    doc_id: str
    source: str
    uri: str
    record: str
    title: str | None
    current: bool


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a set on one document, in the order of the set."""

    reason: str
    value: float | None
    threshold: float | None
    failed: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision of one rule set; reason, value and threshold are of the first rule that failed.

    difference: of a near duplicate, the first lines in which it and its twin differ, personal data masked.
    """

    rule_set: str
    kept: bool
    reason: str | None
    value: float | None
    threshold: float | None
    twin: Candidate | None
    rules: tuple[Rule, ...]
    difference: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Shared:
    """Words in a row that a benchmark holds too: UTF-8 bytes of the document's text, how many words, 13-grams of them.

    item: of the benchmark, the one that most of them are of; excerpt: how the words begin, personal data masked.
    """

    start: int
    stop: int
    words: int
    ngrams: int
    item: str
    excerpt: str


@dataclass(frozen=True, slots=True)
class Contamination:
    """What a benchmark holds of the document, as in curation.contamination, with its spans in order."""

    benchmark: str
    ngrams: int
    words: int
    share: float
    item: str
    threshold: float
    contaminated: bool
    spans: tuple[Shared, ...]


@dataclass(frozen=True, slots=True)
class Fact:
    """That the uri held this document at ``known_at``, as far as the warehouse knew."""

    known_at: datetime
    doc_id: str
    object_sha256: str
    licence: str | None
    bytes: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """A document and what was decided about it. published_at and known_at in UTC; bytes of its text in UTF-8.

    pii: spans of personal data by kind, None where the text was not searched; spans: their places. copies: other
    current documents with the same text. contamination: by benchmarks that hold something of it; compared: the
    benchmarks that it was compared with. scores, lists: rows of staging.current_scores and of staging.current_lists.
    None, each of these four, where the snapshot has no such model.
    """

    document: Candidate
    licence: str | None
    published_at: datetime | None
    known_at: datetime
    bytes: int
    object_sha256: str
    object: Path | None
    verdicts: tuple[Verdict, ...]
    signals: Mapping[str, Any]
    pii: Mapping[str, int] | None
    history: tuple[Fact, ...]
    spans: tuple[Span, ...]
    copies: tuple[Candidate, ...]
    contamination: tuple[Contamination, ...] | None
    compared: tuple[str, ...] | None
    scores: tuple[Mapping[str, Any], ...] | None
    lists: tuple[Mapping[str, Any], ...] | None


def find_documents(project: Project, name: str, *, env: str = "prod") -> tuple[Candidate, ...]:
    """The documents that a uri, a doc_id or the beginning of one means, current ones first, at most MOST_CANDIDATES.

    Raises NotFound where there is none.
    """
    with connect_current(project.published, env) as con:
        found = _candidates(con, name)
    if not found:
        raise NotFound(
            f"no document {name!r} in the published snapshot",
            allowed="a uri, or 4 or more of the first digits of a doc_id",
            do="look for it with 'warehouse sql' in repository.documents",
        )
    return found


def explain(project: Project, doc_id: str, *, rules: str | None = None, env: str = "prod") -> Explanation:
    """All that is known about one document. rules: only this rule set. Raises NotFound, UsageError for another set."""
    with connect_current(project.published, env) as con:
        documents = _candidates(con, doc_id)
        if not documents:
            raise NotFound(f"no document {doc_id!r} in the published snapshot", do="'warehouse run' publishes anew")
        facts = _facts(con, documents[0])
        verdicts = _verdicts(con, doc_id, rules)
        signals, found = _signals(con, doc_id), spans(con, [doc_id]).get(doc_id)
        copies = _copies(con, signals)
        met = _rows(con, "curation.contamination", doc_id)
        contamination = None if met is None else _contamination(con, doc_id, met, found or ())
        scores = _rows(con, "staging.current_scores", doc_id)
        lists = _rows(con, "staging.current_lists", doc_id)
        licence, published_at, known_at, size, sha256 = _last(con, doc_id)
    return Explanation(
        document=documents[0],
        licence=licence,
        published_at=published_at,
        known_at=known_at,
        bytes=size,
        object_sha256=sha256,
        object=_object(project, sha256),
        verdicts=verdicts,
        signals=signals,
        pii=None if found is None else dict(sorted(Counter(span.kind for span in found).items())),
        history=facts,
        spans=found or (),
        copies=copies,
        contamination=contamination,
        compared=None if met is None else tuple(row["benchmark"] for row in met),
        scores=scores,
        lists=lists,
    )


_CANDIDATES = """
WITH last AS (
    SELECT source, uri, max(known_at) AS known_at FROM repository.documents GROUP BY source, uri
)
SELECT doc_id, any_value(source), any_value(uri), any_value(record), any_value(title),
       bool_or(documents.known_at = last.known_at) AS current
FROM repository.documents JOIN last USING (source, uri)
WHERE {condition}
GROUP BY doc_id ORDER BY current DESC, any_value(uri), any_value(record), doc_id LIMIT {most}"""


def _candidates(con: Connection, name: str) -> tuple[Candidate, ...]:
    """By uri; where no document has that, by the beginning of its doc_id."""
    conditions = ["uri = $1"]
    if re.fullmatch(r"[0-9a-f]{4,32}", name):
        conditions.append("starts_with(doc_id, $1)")
    for condition in conditions:
        rows = fetch_all(con, _CANDIDATES.format(condition=condition, most=MOST_CANDIDATES), [name])
        if rows:
            return tuple(Candidate(*row) for row in rows)
    return ()


def _last(con: Connection, doc_id: str) -> tuple[Any, ...]:
    sql = """
        SELECT licence, published_at, known_at, strlen(text), object_sha256
        FROM repository.documents WHERE doc_id = $1 ORDER BY known_at DESC, object_sha256, receipt_id LIMIT 1"""
    return fetch_all(con, sql, [doc_id])[0]


def _facts(con: Connection, document: Candidate) -> tuple[Fact, ...]:
    """What the document's place (source, uri, record) held over time, newest first."""
    sql = """
        SELECT DISTINCT known_at, doc_id, object_sha256, licence, strlen(text)
        FROM repository.documents WHERE source = $1 AND uri = $2 AND record = $3
        ORDER BY known_at DESC, doc_id"""
    return tuple(Fact(*row) for row in fetch_all(con, sql, [document.source, document.uri, document.record]))


def _signals(con: Connection, doc_id: str) -> dict[str, Any]:
    found = _rows(con, "staging.current_signals", doc_id)
    if found is None and fetch_all(con, "SELECT 1 FROM meta.inputs WHERE table_name = 'signals'"):
        found = _said(con, "repository.signals", doc_id)
    return found[-1] if found else {}


def _copies(con: Connection, signals: Mapping[str, Any]) -> tuple[Candidate, ...]:
    """Other current documents of the same text_hash, at most MOST_CANDIDATES."""
    if signals.get("text_hash") is None:
        return ()
    sql = f"""
        SELECT DISTINCT doc_id FROM repository.signals
        WHERE text_hash = $1 AND version = $2 AND doc_id <> $3 ORDER BY doc_id LIMIT {MOST_CANDIDATES}"""
    rows = fetch_all(con, sql, [signals["text_hash"], signals["version"], signals["doc_id"]])
    found = (_candidates(con, row[0])[0] for row in rows)
    return tuple(candidate for candidate in found if candidate.current)


def _rows(con: Connection, model: str, doc_id: str) -> tuple[dict[str, Any], ...] | None:
    """What a model says of the document, in order; None where the snapshot has no such model."""
    if model not in relations(con):  # a snapshot of a project's own SQL, or an older one, may lack it
        return None
    return _said(con, model, doc_id)


def _said(con: Connection, relation: str, doc_id: str) -> tuple[dict[str, Any], ...]:
    found = con.execute(f"SELECT * FROM {relation} WHERE doc_id = $1 ORDER BY ALL", [doc_id])
    names = [column[0] for column in found.description]
    return tuple(dict(zip(names, row, strict=True)) for row in found.fetchall())


def _contamination(
    con: Connection, doc_id: str, met: Sequence[Mapping[str, Any]], found: Sequence[Span]
) -> tuple[Contamination, ...]:
    """Of rows of curation.contamination those with a span, with the spans."""
    sql = """
        SELECT benchmark, start, stop, words, ngrams, item
        FROM staging.current_contamination WHERE doc_id = $1 AND start >= 0 ORDER BY benchmark, start"""
    text = "SELECT coalesce(any_value(text), '') FROM repository.documents WHERE doc_id = $1"
    rows, held = fetch_all(con, sql, [doc_id]), defaultdict[str, list[Shared]](list)
    whole = fetch_all(con, text, [doc_id])[0][0] if rows else ""
    for benchmark, start, stop, words, ngrams, item in rows:
        shown = excerpt(masked_part(whole, found, start, stop))
        held[benchmark].append(Shared(start, stop, words, ngrams, item, shown))
    columns = [field.name for field in fields(Contamination)[:-1]]
    return tuple(
        Contamination(**{name: row[name] for name in columns}, spans=tuple(held[row["benchmark"]]))
        for row in met
        if row["spans"]
    )


def _verdicts(con: Connection, doc_id: str, rules: str | None) -> tuple[Verdict, ...]:
    sql = """
        SELECT rule_set, kept, reason, value, threshold, twin
        FROM curation.decisions WHERE doc_id = $1 ORDER BY rule_set"""
    held = relations(con)
    decided = "curation.decisions" in held
    rows = fetch_all(con, sql, [doc_id]) if decided else []
    sets = "SELECT DISTINCT rule_set FROM curation.decisions ORDER BY rule_set"
    known = [row[0] for row in fetch_all(con, sets)] if decided else []
    if rules is not None and rules not in known:
        raise UsageError(f"no rule set {rules!r}", allowed=", ".join(known) or "none: this snapshot decides nothing")
    tried = _rules(con, doc_id) if "curation.rules" in held else {}
    return tuple(_verdict(con, doc_id, row, tried.get(row[0], ())) for row in rows if rules in (None, row[0]))


def _verdict(con: Connection, doc_id: str, row: Sequence[Any], rules: tuple[Rule, ...]) -> Verdict:
    rule_set, kept, reason, value, threshold, twin = row
    named = _candidates(con, twin) if twin else ()
    texts = shown_texts(con, [doc_id, twin]) if named and reason == "near_duplicate" else {}
    differ = difference(texts[doc_id], texts[twin]) if texts else ()
    return Verdict(rule_set, kept, reason, value, threshold, named[0] if named else None, rules, differ)


def _rules(con: Connection, doc_id: str) -> dict[str, tuple[Rule, ...]]:
    """By rule set, every rule in the order in which it is tried."""
    rows = fetch_all(con, "SELECT rule_set, rules FROM curation.rules WHERE doc_id = $1", [doc_id])
    return {rule_set: tuple(Rule(**rule) for rule in rules) for rule_set, rules in rows}


def _object(project: Project, sha256: str) -> Path | None:
    try:
        return Repository(project.root).object_path(sha256)
    except NotFound:
        return None
