"""What could not be read and was not read since: how many records by source and reason, and the first of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from warehouse.errors import NotFound
from warehouse.project import Project
from warehouse.query import Connection, attach_repository, connect, fetch_all
from warehouse.repository import Repository


@dataclass(frozen=True, slots=True)
class Reason:
    """Rejects of one source for one reason. objects: how many objects they lie in; last_at: when last met, in UTC."""

    source: str
    reason: str
    exception: str | None
    rejects: int
    objects: int
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Example:
    """One rejected record: where it lies, why it was refused, and at most its first 200 bytes."""

    source: str
    uri: str
    record: str
    position: int
    reason: str
    message: str
    first_bytes: bytes
    object_sha256: str


@dataclass(frozen=True, slots=True)
class Rejects:
    """Every reason, the most frequent first, and some examples of each."""

    total: int
    reasons: tuple[Reason, ...]
    examples: tuple[Example, ...]


_REASONS = """
SELECT source, reason, exception, count(*) AS rejects, count(DISTINCT object_sha256), max(known_at)
FROM waiting WHERE source = coalesce($1, source)
GROUP BY source, reason, exception ORDER BY rejects DESC, source, reason, exception"""

_EXAMPLES = """
SELECT source, uri, record, position, reason, message, first_bytes, object_sha256
FROM waiting WHERE source = coalesce($1, source)
ORDER BY row_number() OVER (PARTITION BY source, reason ORDER BY uri, position, record), source, reason, uri, position
LIMIT $2"""


def rejects(project: Project, *, source: str | None = None, limit: int = 20) -> Rejects:
    """What was rejected, of one source or of all. Raises NotFound for a source that the project does not know."""
    repository = Repository(project.root)
    present = "rejects" in repository.tables()
    if source is not None:
        refuse_unknown(project, source)
    if not present:
        return Rejects(0, (), ())
    with connect() as con:
        tables = [name for name in ("rejects", "resolved_rejects") if name in repository.tables()]
        attach_repository(con, [repository.snapshot(name) for name in tables])
        left = "ANTI JOIN repository.resolved_rejects USING (reject_id)" if len(tables) > 1 else ""
        con.execute(f"CREATE TEMP VIEW waiting AS FROM repository.rejects {left}")
        return _read(con, source, limit)


def _read(con: Connection, source: str | None, limit: int) -> Rejects:
    reasons = tuple(Reason(*row) for row in fetch_all(con, _REASONS, [source]))
    examples = tuple(Example(*row) for row in fetch_all(con, _EXAMPLES, [source, limit]))
    return Rejects(sum(reason.rejects for reason in reasons), reasons, examples)


def refuse_unknown(project: Project, source: str) -> None:
    """Raise NotFound for a source that the project does not know."""
    known = [path.stem for path in project.files("recipes/sources", "*.yaml")]
    if source not in known:
        raise NotFound(
            f"no source {source!r}", allowed=", ".join(known) or "none yet", do="see recipes/sources", source=source
        )
