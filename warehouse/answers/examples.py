"""Documents that fell for a reason: some of them, with value, limit and the beginning of the text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from warehouse.answers.texts import excerpt, shown_texts
from warehouse.errors import NotFound, UsageError
from warehouse.project import Project
from warehouse.publish import connect_current
from warehouse.query import CatalogError, Connection, fetch_all, relations

WITHOUT_RULE = ("duplicate_document", "near_duplicate", "unmeasured")
"""Reasons that stand in no list of rules: curation.decisions gives them itself, in every rule set."""


@dataclass(frozen=True, slots=True)
class Fall:
    """The decision of one rule set that drops a document for the reason; twin: doc_id, and twin_uri where it lies."""

    rule_set: str
    value: float | None
    threshold: float | None
    twin: str | None
    twin_uri: str | None


@dataclass(frozen=True, slots=True)
class Dropped:
    """A document with every rule set that drops it; excerpt: the beginning of its text, personal data masked."""

    doc_id: str
    source: str
    uri: str
    excerpt: str
    falls: tuple[Fall, ...]


@dataclass(frozen=True, slots=True)
class Examples:
    """How many documents the rule sets dropped for the reason, and some of them.

    rule_sets: those that were asked for and have the reason, in order of name.
    """

    reason: str
    rule_sets: tuple[str, ...]
    total: int
    shown: tuple[Dropped, ...]


def examples(
    project: Project,
    reason: str,
    *,
    sample: int = 20,
    rules: str | None = None,
    source: str | None = None,
    env: str = "prod",
) -> Examples:
    """Documents that fell for ``reason``, chosen by a hash of the doc_id, so that equal calls show the same.

    rules, source: only of this rule set, of this source. A reason of a rule that dropped nothing has no documents.
    Raises UsageError for a reason of no rule, and for a rule set or source that the published snapshot does not have.
    """
    with connect_current(project.published, env) as con:
        try:
            for column, value in (("rule_set", rules), ("source", source)):
                _refuse_unknown(con, column, value)
            rule_sets = _rule_sets(con, reason, rules)
            rows = fetch_all(con, _EXAMPLES, [reason, rules, source, sample])
            total = fetch_all(con, _TOTAL, [reason, rules, source])[0][0]
        except CatalogError:
            raise NotFound("the published snapshot decides nothing", do="see sql/curation/decisions.sql") from None
        return Examples(reason, rule_sets, total, _dropped(con, rows))


_WANTED = "reason = $1 AND rule_set = coalesce($2, rule_set) AND source = coalesce($3, source)"
_TOTAL = f"SELECT count(DISTINCT doc_id) FROM curation.decisions WHERE {_WANTED}"
_EXAMPLES = f"""
WITH wanted AS (FROM curation.decisions WHERE {_WANTED}),
chosen AS (SELECT DISTINCT doc_id FROM wanted ORDER BY md5(doc_id), doc_id LIMIT $4),
uris AS (
    SELECT doc_id, any_value(uri) AS uri FROM repository.documents
    WHERE doc_id IN (SELECT doc_id FROM chosen UNION ALL SELECT twin FROM wanted SEMI JOIN chosen USING (doc_id))
    GROUP BY doc_id
)
SELECT wanted.doc_id, source, uris.uri, rule_set, value, threshold, twin, twins.uri
FROM wanted
JOIN chosen USING (doc_id)
JOIN uris USING (doc_id)
LEFT JOIN uris AS twins ON wanted.twin = twins.doc_id
ORDER BY md5(wanted.doc_id), wanted.doc_id, rule_set"""


def _dropped(con: Connection, rows: Sequence[tuple[Any, ...]]) -> tuple[Dropped, ...]:
    """The rows of _EXAMPLES, one value a document."""
    falls, places = defaultdict[str, list[Fall]](list), dict[str, tuple[str, str]]()
    for doc_id, source, uri, *fall in rows:
        places[doc_id] = source, uri
        falls[doc_id].append(Fall(*fall))
    texts = shown_texts(con, list(places))
    return tuple(
        Dropped(doc_id, source, uri, excerpt(texts[doc_id]), tuple(falls[doc_id]))
        for doc_id, (source, uri) in places.items()
    )


def _refuse_unknown(con: Connection, column: str, value: str | None) -> None:
    """Raise UsageError for a value that no decision has; ``column`` is one of this module's words."""
    if value is None:
        return
    sql = f"SELECT DISTINCT {column} FROM curation.decisions ORDER BY 1"
    known = [str(row[0]) for row in fetch_all(con, sql)]
    if value not in known:
        raise UsageError(f"no decision has the {column} {value!r}", allowed=", ".join(known) or "none")


def _rule_sets(con: Connection, reason: str, rules: str | None) -> tuple[str, ...]:
    """The rule sets, or the one of them that is asked for, which have a rule of this reason."""
    known = _reasons(con)
    having = tuple(rule_set for rule_set, reasons in sorted(known.items()) if reason in reasons)
    if not having:
        every = sorted({each for name, reasons in known.items() if rules in (None, name) for each in reasons})
        raise UsageError(f"no rule has the reason {reason!r}", allowed=", ".join(every))
    if rules is not None and rules not in having:
        raise UsageError(f"{rules} has no rule with the reason {reason!r}", allowed=f"--rules {', '.join(having)}")
    return having if rules is None else (rules,)


def _reasons(con: Connection) -> dict[str, set[str]]:
    """By rule set the reasons for which it drops: those of decisions, and of the rules as one document has them."""
    found = defaultdict[str, set[str]](lambda: set(WITHOUT_RULE))
    sql = "SELECT rule_set, list(DISTINCT reason) FROM curation.decisions GROUP BY rule_set"
    for rule_set, reasons in fetch_all(con, sql):
        found[rule_set].update(reason for reason in reasons if reason)
    if "curation.rules" in relations(con):
        one = "SELECT arg_max(doc_id, kept) FROM curation.decisions"  # what is kept is measured, so it has its rules
        for rule_set, rules in fetch_all(con, f"SELECT rule_set, rules FROM curation.rules WHERE doc_id = ({one})"):
            found[rule_set].update(rule["reason"] for rule in rules or ())
    return dict(found)
