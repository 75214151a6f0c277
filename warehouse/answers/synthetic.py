"""What is synthetic here and whether it is what it says: sentences read back against the marts, marks, shares.

Read from the published snapshot alone, by the inverse of the templates (``synthetic.disagreement``), so it would find a
text that was changed after it was written, a mart that has moved on since, and a row without its mark.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from warehouse.datasets import list_releases, load_recipe
from warehouse.errors import RecipeError, UsageError
from warehouse.project import Project
from warehouse.publish import connect_current
from warehouse.query import Connection, Error, arrow, attach_repository, connect, fetch_all, quoted, stream
from warehouse.repository import Repository
from warehouse.sources import BENCHMARKS, LISTED_HERE, SCORED_HERE
from warehouse.synthetic import TABLE, FactsRecipe, disagreement, load_synthetic
from warehouse.synthetic.templates import plain

Again = Callable[[], Iterable[pa.RecordBatch]]
MARK = "synthetic"
MADE_OF_DOCUMENTS = ("signals", "paragraphs", "pii", "minhash", "pairs", "contamination", "runway")
NOT_COUNTED = ("documents", *MADE_OF_DOCUMENTS, *SCORED_HERE, *LISTED_HERE, BENCHMARKS, "rejects", "runs", TABLE)
SHOWN = 20


@dataclass(frozen=True, slots=True)
class Finding:
    """A sentence that is wrong: of which document, and in what."""

    uri: str
    sentence: str
    why: str


@dataclass(frozen=True, slots=True)
class TextAudit:
    """The current documents of a recipe. wrong: sentences whose text does not say their row; moved: that say what the
    marts no longer say; gone: whose row the marts no longer have; unmarked: documents that are not marked.
    """

    name: str
    documents: int
    statements: int
    wrong: int
    moved: int
    gone: int
    unmarked: int
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class RowsAudit:
    """A table of drawn rows, and how many of them are not marked."""

    table: str
    rows: int
    unmarked: int


@dataclass(frozen=True, slots=True)
class Share:
    """The synthetic share of a release and what its recipe allows; None where that is no longer readable."""

    release: str
    share: float
    cap: float | None


@dataclass(frozen=True, slots=True)
class Audit:
    """Everything synthetic of a published snapshot. share: of all text bytes of the current documents."""

    texts: tuple[TextAudit, ...]
    tables: tuple[RowsAudit, ...]
    releases: tuple[Share, ...]
    share: float

    @property
    def faults(self) -> int:
        """Sentences and rows that are not what they say, and releases over their cap."""
        texts = sum(each.wrong + each.moved + each.unmarked for each in self.texts)
        over = sum(each.cap is not None and each.share > each.cap for each in self.releases)
        return texts + sum(each.unmarked for each in self.tables) + over


_CURRENT = """
WITH documents AS (
    SELECT doc_id, object_sha256, source, uri, text, synthetic, generation
    FROM repository.documents
    QUALIFY known_at = max(known_at) OVER (PARTITION BY source, uri)
)"""
_MARKS = """
SELECT source, count(*), count(*) FILTER (synthetic IS DISTINCT FROM true OR generation IS DISTINCT FROM 1)
FROM documents
WHERE synthetic OR generation > 0 OR doc_id IN (SELECT doc_id FROM repository.synthetic_statements)
GROUP BY source ORDER BY source"""
_SAID = """
SELECT source, fact, template, row_key, row_values, uri, text[start + 1 : stop]
FROM documents JOIN repository.synthetic_statements USING (doc_id, object_sha256, source)
ORDER BY source, uri, ordinal"""
_SHARE = "SELECT coalesce(sum(strlen(text)) FILTER (synthetic) / nullif(sum(strlen(text)), 0), 0) FROM documents"


def audit(project: Project, *, env: str = "prod") -> Audit:
    """The synthetic text, rows and releases of a project. Raises NotFound where nothing is published."""
    with connect_current(project.published, env, memory_limit=project.memory_limit) as con:
        held = {row[0] for row in fetch_all(con, "SELECT table_name FROM meta.inputs")}
        tables = tuple(_rows(con, name) for name in sorted(held) if name.startswith("synthetic_") and name != TABLE)
        share = float(fetch_all(con, _CURRENT + _SHARE)[0][0]) if "documents" in held else 0.0
        texts = tuple(_texts(project, con)) if {TABLE, "documents"} <= held else ()
    return Audit(texts, tables, tuple(_shares(project)), share)


def _rows(con: Connection, table: str) -> RowsAudit:
    sql = "count(*) FILTER (synthetic IS DISTINCT FROM true OR generation IS DISTINCT FROM 1)"
    rows, unmarked = fetch_all(con, f"SELECT count(*), {sql} FROM repository.{quoted(table)}")[0]
    return RowsAudit(table, rows, unmarked)


def _texts(project: Project, con: Connection) -> Iterator[TextAudit]:
    recipes = [load_synthetic(path) for path in project.files("recipes/synthetic", "*.yaml")]
    known = {recipe.name: recipe for recipe in recipes if isinstance(recipe, FactsRecipe)}
    said = fetch_all(con, _CURRENT + _SAID)
    for source, documents, unmarked in fetch_all(con, _CURRENT + _MARKS):
        now = _now(con, known[source]) if source in known else {}
        found = [_judged(row, now) for row in said if row[0] == source]
        counts = [sum(kind == word for kind, _ in found) for word in ("wrong", "moved", "gone")]
        findings = [finding for _, finding in found if finding][:SHOWN]
        yield TextAudit(source, documents, len(found), counts[0], counts[1], counts[2], unmarked, tuple(findings))


def _now(con: Connection, recipe: FactsRecipe) -> Mapping[tuple[str, str], Mapping[str, Any]]:
    """The rows of each fact as the published marts have them: (fact, key as JSON) -> values as JSON has them."""
    found: dict[tuple[str, str], Mapping[str, Any]] = {}
    for fact in recipe.facts:
        try:
            rows = arrow(con, fact.select).to_pylist()
        except Error as error:
            first = " ".join(str(error).partition("\n\n")[0].split())
            raise RecipeError(f"{fact.at}: {first}", do="publish again, or mend the SELECT") from None
        for row in rows:
            values = {name: plain(value) for name, value in row.items()}
            found[fact.name, _key({name: values[name] for name in fact.key})] = values
    return found


def _key(values: Mapping[str, Any]) -> str:
    return json.dumps(values, sort_keys=True, ensure_ascii=False)


def _judged(row: tuple[Any, ...], now: Mapping[tuple[str, str], Mapping[str, Any]]) -> tuple[str, Finding | None]:
    """What a statement is: true, wrong, moved or gone."""
    _, fact, template, key, values, uri, sentence = row
    why = disagreement(template, sentence, json.loads(values))
    if why:
        return "wrong", Finding(uri, sentence, why)
    held = now.get((fact, _key(json.loads(key))))
    if held is None:
        return "gone", None
    why = disagreement(template, sentence, held)
    return ("moved", Finding(uri, sentence, f"the marts have moved on: {why}")) if why else ("true", None)


def _shares(project: Project) -> Iterator[Share]:
    for listed in list_releases(project.datasets):
        recipe = listed.path / "recipe" / "recipe.yaml"
        cap = load_recipe(recipe).max_synthetic_share if recipe.is_file() else None
        yield Share(f"{listed.name}@{listed.version}", listed.manifest.synthetic_share, cap)


def rows_of(project: Callable[[], Project], named: str, *, columns: tuple[str, ...]) -> Again:
    """The rows of a Parquet or CSV file, or of a table of the repository, without the system's columns.

    project: asked only for a table. Raises UsageError for what is neither, for a column that is not there, and for
    rows that are synthetic: nothing synthetic is made from them.
    """
    path = Path(named)
    reading = _file(path) if path.suffix or path.exists() else _table(project(), named)
    schema = next(iter(reading()), pa.RecordBatch.from_pylist([])).schema
    for name in columns:
        if name not in schema.names:
            raise UsageError(f"{named} has no column {name!r}", allowed=", ".join(schema.names))
    _refuse_synthetic(named, reading, schema)
    kept = list(columns) or [name for name in schema.names if not name.startswith("_") and name != MARK]
    return lambda: (batch.select(kept) for batch in reading())


def _refuse_synthetic(named: str, reading: Again, schema: pa.Schema) -> None:
    if MARK not in schema.names or not pa.types.is_boolean(schema.field(MARK).type):
        return
    made = sum(batch[MARK].true_count for batch in reading())
    if made:
        raise UsageError(
            f"{made:,} rows of {named} are synthetic",
            allowed="real rows: nothing synthetic is made from synthetic rows",
            do="leave them out of the file",
        )


def _file(path: Path) -> Again:
    if not path.is_file():
        raise UsageError(f"no file {path}", allowed="a .parquet or .csv file, or a table of the repository")
    is_parquet = path.suffix == ".parquet"
    if not is_parquet and ".csv" not in path.suffixes:
        raise UsageError(f"{path} is of no kind that is counted", allowed=".parquet, .csv, .csv.gz")

    def read() -> Iterator[pa.RecordBatch]:
        try:
            yield from pq.ParquetFile(path).iter_batches(1 << 16) if is_parquet else pyarrow.csv.open_csv(path)
        except pa.ArrowException as error:
            raise UsageError(f"{path} cannot be read: {str(error).splitlines()[0]}", do="mend the file") from None

    return read


def _table(project: Project, name: str) -> Again:
    repository = Repository(project.root)
    allowed = [each for each in repository.tables() if each not in NOT_COUNTED]
    allowed = [each for each in allowed if not each.startswith(("synthetic_", "features_"))]
    if name not in allowed:
        raise UsageError(
            f"{name!r} is no file, and no table that can be counted",
            allowed=", ".join(allowed) or "a .parquet or .csv file",
            do="name a file or a typed table of real rows",
        )
    snapshot = repository.snapshot(name)

    def read() -> Iterator[pa.RecordBatch]:
        with connect(threads=1, memory_limit=project.memory_limit) as con:
            attach_repository(con, [snapshot])
            yield from stream(con, f"FROM repository.{quoted(name)}", batch_rows=1 << 16)

    return read
