"""Documents that fell for a reason: some of them, with value, limit and the beginning of the text."""

from __future__ import annotations

from dataclasses import dataclass

from warehouse.answers.texts import excerpt, shown_texts
from warehouse.errors import NotFound, UsageError
from warehouse.project import Project
from warehouse.publish import connect_current
from warehouse.query import CatalogError, Connection, fetch_all


@dataclass(frozen=True, slots=True)
class Dropped:
    """A document that a rule set dropped; excerpt: the beginning of its text, personal data masked."""

    doc_id: str
    source: str
    uri: str
    rule_set: str
    reason: str
    value: float | None
    threshold: float | None
    twin: str | None
    excerpt: str


@dataclass(frozen=True, slots=True)
class Examples:
    """How many decisions have the reason, and the examples shown of them."""

    reason: str
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

    rules, source: only of this rule set, of this source. Raises UsageError where nothing in the published snapshot has
    such a reason, rule set or source.
    """
    with connect_current(project.published, env) as con:
        try:
            for column, value in (("reason", reason), ("rule_set", rules), ("source", source)):
                _refuse_unknown(con, column, value)
            rows = fetch_all(con, _EXAMPLES, [reason, rules, source, sample])
            total = fetch_all(con, _TOTAL, [reason, rules, source])[0][0]
        except CatalogError:
            raise NotFound("the published snapshot decides nothing", do="see sql/curation/decisions.sql") from None
        texts = shown_texts(con, [row[0] for row in rows])
    return Examples(reason, total, tuple(Dropped(*(*row, excerpt(texts[row[0]]))) for row in rows))


_WANTED = "reason = $1 AND rule_set = coalesce($2, rule_set) AND source = coalesce($3, source)"
_TOTAL = f"SELECT count(*) FROM curation.decisions WHERE {_WANTED}"
_EXAMPLES = f"""
WITH chosen AS (FROM curation.decisions WHERE {_WANTED} ORDER BY md5(doc_id), rule_set LIMIT $4),
uris AS (SELECT doc_id, any_value(uri) AS uri FROM repository.documents SEMI JOIN chosen USING (doc_id) GROUP BY doc_id)
SELECT doc_id, source, uri, rule_set, reason, value, threshold, twin
FROM chosen JOIN uris USING (doc_id) ORDER BY md5(doc_id), rule_set"""


def _refuse_unknown(con: Connection, column: str, value: str | None) -> None:
    """Raise UsageError for a value that no decision has; ``column`` is one of this module's words."""
    if value is None:
        return
    sql = f"SELECT DISTINCT {column} FROM curation.decisions WHERE {column} IS NOT NULL ORDER BY 1"
    known = [str(row[0]) for row in fetch_all(con, sql)]
    if value not in known:
        raise UsageError(f"no decision has the {column} {value!r}", allowed=", ".join(known) or "none")
