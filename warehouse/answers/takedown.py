"""What a takedown reaches, in all that is left of it and in all that was made of it.

Reached are the documents asked for, every other version of them (same source, uri and record), their copies (equal
text, or equal but for case and space) and their verified near duplicates, which may have been kept in their place; of
other tables the rows and rejects that came from the source, uri or host asked for (of a licence: from the sources that
state it), and those that hold a text of the documents: a run of 13 words that no other document has. Synthetic
documents that state a row which goes are descendants, and so are all rows drawn from counts of its table. Of objects
what held any of these; of models trained here those that may have seen one; the live releases that hold any.
A run of 13 words counts as a text's own where no document that stays, and no benchmark, has it; that of a row that was
asked for, where no other row has it either. A text of fewer than 13 words is known by its content hash alone: whether a
cell that equals it goes too, the caller says (``short``).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from warehouse import query
from warehouse.answers.proof import holds, readable
from warehouse.contracts import DOCUMENTS as DOCUMENT_COLUMNS
from warehouse.contracts import ObjectFact, content_hash
from warehouse.datasets import DOCUMENTS, Listed, list_releases
from warehouse.errors import InputError, NotFound, UsageError
from warehouse.kernels.prints import distinct, known, meet, prints
from warehouse.kernels.texts import Counts, texts
from warehouse.manifest import TableManifest
from warehouse.project import Project
from warehouse.query import Connection, attach_repository, connect, fetch_all, stream
from warehouse.repository import Gone, Origins, Repository, as_texts, is_long, text_columns
from warehouse.sources import BENCHMARKS, CUT, load_source

ASKED = {
    "uri": "uri = $1",
    "domain": "host = lower($1) OR ends_with(host, '.' || lower($1))",
    "source": "source = $1",
    "doc": "doc_id = $1",
    "licence": "licence = $1",
}
"""What can be asked for, as SQL over documents and the host of their uri."""
Short = Literal["refuse", "keep", "remove"]
"""What becomes of rows a cell of which equals a text of fewer than 13 words: the takedown is refused until it is said,
they stay, or they go.
"""
PORTION = 1 << 24
"""Runs of 13 words that are looked for at a time: 128 MB, and as much for the filter before them."""
PORTION_BYTES = 64 << 20
"""Of text that goes, of which the runs are found at a time."""
NOT_TYPED = ("documents", "takedowns", "redactions")
STATEMENTS = "synthetic_statements"
ROW = ("_uri", "_record")


@dataclass(frozen=True, slots=True)
class Reached:
    """A document that a takedown reaches. why: asked | version | copy | near_duplicate | synthetic."""

    doc_id: str
    why: str
    source: str
    uri: str
    record: str
    content_hash: str
    object_sha256: str
    synthetic: bool


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a table that go. why: asked | text (they hold one) | short (a cell equals one) | synthetic."""

    table: str
    why: str
    rows: int


@dataclass(frozen=True, slots=True)
class Object:
    """An object of the archive that holds some. contents, uris, records: what is cut out of it (contracts.Wanted);
    whole: whether all of it goes; others: documents and rows of it that stay, though their bytes may not.
    """

    sha256: str
    uri: str
    source: str
    reader: str
    contents: tuple[str, ...]
    uris: tuple[str, ...]
    records: tuple[tuple[str, str], ...]
    whole: bool
    others: int


@dataclass(frozen=True, slots=True)
class Reach:
    """All that a takedown reaches; releases as NAME@VERSION; models: name, version and object of each."""

    documents: tuple[Reached, ...]
    rows: tuple[Rows, ...]
    objects: tuple[Object, ...]
    releases: tuple[str, ...]
    models: tuple[tuple[str, int, str], ...]
    origins: Origins
    short: tuple[str, ...]
    """Content hashes of texts of fewer than 13 words, where rows with such a cell go."""

    @property
    def contents(self) -> frozenset[str]:
        """Content hashes of the documents that are not made of others."""
        return frozenset(each.content_hash for each in self.documents if each.why != "synthetic")

    @property
    def gone(self) -> Gone:
        """Its documents and rows, as the repository finds them; without the runs of words."""
        return Gone(
            frozenset(each.doc_id for each in self.documents),
            frozenset(each.content_hash for each in self.documents),
            frozenset((each.source, each.uri, each.record) for each in self.documents),
            self.origins,
            short=frozenset(self.short),
            models=frozenset((name, version) for name, version, _ in self.models),
        )


HOST = "lower(regexp_extract(uri, '^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/@]*@)?([^/:?#]+)', 1)) AS host"
_FOUND = f"""
CREATE OR REPLACE TEMP TABLE found AS
WITH hosted AS (
    SELECT *, {HOST}
    FROM repository.documents
)
SELECT DISTINCT doc_id, 'asked' AS why FROM hosted WHERE {{asked}}
"""
_SAME = """
INSERT INTO found
SELECT DISTINCT other.doc_id, '{why}'
FROM repository.{table} AS other
JOIN repository.{table} AS one USING ({columns})
SEMI JOIN found ON found.doc_id = one.doc_id
ANTI JOIN found AS held ON held.doc_id = other.doc_id
"""
_VERSIONS = _SAME.format(why="version", table="documents", columns="source, uri, record")
_COPIES = _SAME.format(why="copy", table="documents", columns="content_hash")
_ALIKE = _SAME.format(why="copy", table="signals", columns="text_hash")
_NEAR = """
INSERT INTO found
SELECT DISTINCT doc_id, 'near_duplicate'
FROM (SELECT a AS doc_id, b AS one FROM repository.pairs UNION ALL SELECT b, a FROM repository.pairs)
SEMI JOIN found ON found.doc_id = one
ANTI JOIN found AS held USING (doc_id)
WHERE doc_id IS NOT NULL
"""
_DOCUMENTS = """
SELECT DISTINCT doc_id, why, source, uri, record, content_hash, object_sha256, synthetic
FROM repository.documents JOIN found USING (doc_id) ORDER BY ALL
"""
_OTHERS = """
SELECT object_sha256, count(DISTINCT doc_id)
FROM repository.documents
WHERE object_sha256 IN (SELECT object_sha256 FROM repository.documents SEMI JOIN found USING (doc_id))
    AND doc_id NOT IN (SELECT doc_id FROM found)
GROUP BY object_sha256
"""


_GONE = """
SELECT text
FROM repository.documents SEMI JOIN (FROM found WHERE why <> 'synthetic') AS own USING (doc_id)
"""
_STAYING = "SELECT text FROM repository.documents ANTI JOIN found USING (doc_id)"


def reach(
    project: Project,
    asked: str,
    value: str,
    *,
    marked: Path,
    made_of: Mapping[str, Collection[str]],
    short: Short = "refuse",
) -> Reach:
    """What taking down what ``asked`` (of ASKED) and ``value`` name reaches.

    marked: a file that is made, of the runs of 13 words that only it has (int64, each portion sorted); made_of: typed
    table -> recipes of something synthetic that read it. Raises UsageError for another ``asked``, NotFound where there
    is nothing of it, InputError where cells equal a short text and ``short`` does not say what becomes of them.
    """
    if asked not in ASKED:
        raise UsageError(f"a takedown by {asked!r}", allowed=", ".join(ASKED))
    repository = Repository(project.root)
    tables = [table for table in repository.tables() if table not in NOT_TYPED]
    origins = _origins(project, asked, value)
    with _connected(repository) as con:
        _find(con, repository, asked, value)
        affected = {table for table in tables if _any(repository, table, Gone(_NONE, _NONE, frozenset(), origins))}
        recipes = {name for table in affected for name in made_of.get(table, ())}
        if STATEMENTS in tables and recipes:
            _add_synthetic(con, repository, affected, origins)
        origins = replace(origins, sources=origins.sources | _of_rows(repository, recipes))
        documents = tuple(Reached(*row) for row in fetch_all(con, _DOCUMENTS))
        others = dict(fetch_all(con, _OTHERS))
        _write_prints(con, repository, affected, origins, marked)
        shorts = frozenset(content_hash(text) for text in _short_texts(con))
    if not documents and not affected:
        raise NotFound(f"no document or row of {asked} {value!r}", do="look with 'warehouse sql' what there is")
    drawn = {table for table in tables if _has_source(repository, table, recipes)}
    found = Reach(documents, (), (), (), (), origins, tuple(sorted(shorts)) if short == "remove" else ())
    rows, held = _rows(repository, found, marked, tables, drawn)
    if short == "refuse" and (equal := [*_equal(repository, tables, shorts, rows)]):
        raise InputError(
            f"{', '.join(f'{each.rows:,} rows of {each.table}' for each in equal)} have a cell that equals a text of"
            f" fewer than {WORDS} words that goes",
            allowed="--short-texts keep, or --short-texts remove",
            do="look whether it stands there by chance; nothing was removed",
        )
    return replace(
        found,
        rows=tuple(rows),
        objects=tuple(_objects(repository, found, held, others)),
        releases=tuple(_releases(project, found, marked, affected | drawn)),
        models=tuple(_models(repository, documents)),
    )


WORDS = 13
_NONE: frozenset[str] = frozenset()


def _origins(project: Project, asked: str, value: str) -> Origins:
    """From where all goes: of a licence the sources that state it."""
    if asked == "licence":
        sources = (load_source(path) for path in project.files("recipes/sources", "*.yaml"))
        return Origins(sources=frozenset(each.name for each in sources if each.licence == value and each.typed))
    if asked == "source":
        return Origins(sources=frozenset([value]))
    if asked == "uri":
        return Origins(uris=frozenset([value]))
    return Origins(hosts=frozenset([value.lower()])) if asked == "domain" else Origins()


def _connected(repository: Repository) -> Connection:
    """A connection with the newest documents, signals and pairs; documents are empty where there are none."""
    held = repository.tables()
    con = connect()
    attach_repository(con, [repository.snapshot(name) for name in ("documents", "signals", "pairs") if name in held])
    if "documents" not in held:
        con.execute("CREATE SCHEMA IF NOT EXISTS repository")
        con.register("no_documents", DOCUMENT_COLUMNS.empty_table())
        con.execute("CREATE VIEW repository.documents AS FROM no_documents")
    return con


def _find(con: Connection, repository: Repository, asked: str, value: str) -> None:
    """The table ``found`` of doc_id and why."""
    query.fetch_all(con, _FOUND.format(asked=ASKED[asked]), [value])
    held = repository.tables()
    signals = "signals" in held and "text_hash" in repository.snapshot("signals").schema.names
    for sql, there in ((_VERSIONS, True), (_COPIES, True), (_ALIKE, signals), (_NEAR, "pairs" in held)):
        if there:
            fetch_all(con, sql)


def _any(repository: Repository, table: str, gone: Gone) -> bool:
    """Whether a table has rows of a source, uri or host."""
    return is_typed(repository, table) and next(repository.matching(table, gone), None) is not None


def is_typed(repository: Repository, table: str) -> bool:
    """Whether a table holds rows of sources, other than documents."""
    return {"_source", "_uri"} <= set(repository.snapshot(table).schema.names)


def _has_source(repository: Repository, table: str, sources: Collection[str]) -> bool:
    return bool(sources) and _any(repository, table, Gone(_NONE, _NONE, frozenset(), Origins(frozenset(sources))))


def _of_rows(repository: Repository, recipes: Iterable[str]) -> frozenset[str]:
    """The recipes that draw rows: those of documents are told apart by their statements."""
    held = repository.tables()
    facts = {receipt.source for receipt in repository.receipts("documents")} if "documents" in held else set()
    return frozenset(recipes) - facts


def _add_synthetic(con: Connection, repository: Repository, affected: Collection[str], origins: Origins) -> None:
    """Synthetic documents that state a row that goes: the values of its key are all among the row's."""
    values: dict[str, set[int]] = {}
    count = 0
    for table in affected:
        for batch in repository.matching(table, Gone(_NONE, _NONE, frozenset(), origins)):
            for row in batch.to_pylist():
                for each in row.values():
                    values.setdefault(str(each), set()).add(count)
                count += 1
    attach_repository(con, [repository.snapshot(STATEMENTS)])
    found = set()
    for doc_id, key, inputs in fetch_all(con, "SELECT doc_id, row_key, inputs FROM repository.synthetic_statements"):
        named = [values.get(str(each), set()) for each in orjson.loads(key).values()]
        if not {*affected}.isdisjoint(orjson.loads(inputs)) and named and named[0].intersection(*named[1:]):
            found.add(doc_id)
    con.register("stating", pa.table({"doc_id": pa.array(sorted(found), pa.string())}))
    fetch_all(con, "INSERT INTO found SELECT doc_id, 'synthetic' FROM stating ANTI JOIN found USING (doc_id)")


def _short_texts(con: Connection) -> Iterator[str]:
    with stream(con, _GONE, batch_rows=512) as batches:
        for batch in batches:
            yield from (text for text in batch["text"].to_pylist() if not is_long(text))


Given = Callable[[], Iterator[pa.Array]]


def _write_prints(
    con: Connection, repository: Repository, affected: Collection[str], origins: Origins, path: Path
) -> None:
    """The runs that only what goes has: of documents, that no other document has; of rows, that no row has either."""
    of_rows = Gone(_NONE, _NONE, frozenset(), origins)
    typed = [table for table in repository.tables() if table not in NOT_TYPED and is_typed(repository, table)]

    def documents() -> Iterator[pa.Array]:
        return _texts_of(con, _GONE)

    def staying() -> Iterator[pa.Array]:
        yield from _texts_of(con, _STAYING)
        if BENCHMARKS in typed:  # a page that quotes one does not take it away
            yield from _staying_cells(repository, BENCHMARKS, of_rows)

    def rows() -> Iterator[pa.Array]:
        for table in affected:
            for batch in repository.matching(table, of_rows):
                yield from _cells(batch)

    def others() -> Iterator[pa.Array]:
        yield from staying()
        for table in typed if affected else ():
            yield from _staying_cells(repository, table, of_rows)

    with path.open("wb") as target:
        for portion in [*own_prints(documents, staying), *own_prints(rows, others)]:
            target.write(portion.tobytes())


def _texts_of(con: Connection, sql: str) -> Iterator[pa.Array]:
    with stream(con, sql, batch_rows=512) as batches:
        for batch in batches:
            yield batch["text"]


def _cells(batch: pa.RecordBatch) -> Iterator[pa.Array]:
    for name in text_columns(batch.schema):
        yield as_texts(batch[name])


def _staying_cells(repository: Repository, table: str, gone: Gone) -> Iterator[pa.Array]:
    matches = gone.matcher(table)
    for file in repository.snapshot(table).files:
        with pq.ParquetFile(file) as held:
            for batch in held.iter_batches(1 << 14):
                yield from _cells(batch.filter(pa.array(~matches(batch))))


def own_prints(gone: Given, staying: Given, *, portion_bytes: int = PORTION_BYTES) -> Iterator[Counts]:
    """int64, sorted: the runs of 13 words of texts that go and of none that stays, a portion of all hashes at a time:
    each is a pass over both.
    """
    size = sum(column.nbytes for column in gone())
    count = max(1, -(-size // portion_bytes))
    for at in range(count if size else 0):
        low, high = (((at + end) << 64) // count - (1 << 63) for end in (0, 1))

        def within(column: pa.Array, low: int = low, high: int = high) -> Counts:
            found = prints(texts(column))
            return found[(found >= low) & (found < high)] if high < 2**63 else found[found >= low]

        found = distinct(np.concatenate([np.zeros(0, np.int64), *map(within, gone())]))
        if found.size:
            marks, there = known(found, _NONE), np.zeros(found.size, np.uint8)
            for column in staying():
                meet(texts(column), marks, there)
            yield found[there == 0]


def portions(path: Path, *, size: int = PORTION) -> Iterator[Counts]:
    """The runs in a file of ``reach``, so many at a time; none at all once, for content hashes are to be looked for."""
    whole = path.stat().st_size // 8
    for start in range(0, max(whole, 1), size):
        yield np.fromfile(path, np.int64, count=min(size, whole - start), offset=8 * start)


Held = dict[str, dict[tuple[str, str], None]]
"""By object, the rows that hold a text: uri and record."""


def _rows(
    repository: Repository, found: Reach, marked: Path, tables: Iterable[str], drawn: Collection[str]
) -> tuple[list[Rows], Held]:
    """How many rows go, by table and why, and which of them hold a text, by object."""
    asked, held, rows = Gone(_NONE, _NONE, frozenset(), found.origins), Held(), list[Rows]()
    for table in tables:
        if not is_typed(repository, table):
            continue
        there, holding = asked.matcher(table), set[tuple[Any, ...]]()
        count = sum(int(there(batch).sum()) for batch in _newest(repository, table, ["_source", "_uri"]))
        for runs in portions(marked):
            texts_ = Gone(_NONE, _NONE, frozenset(), marks=known(runs, _NONE), short=frozenset(found.short))
            for batch in repository.matching(table, texts_):
                holding.update(_names(batch.filter(pa.array(~there(batch)))))
        for sha256, uri, record, _ in holding:
            held.setdefault(sha256, {})[uri, record] = None
        rows += [Rows(table, "synthetic" if table in drawn else "asked", count)] if count else []
        rows += [Rows(table, "text", len(holding))] if holding else []
    return rows, held


def _newest(repository: Repository, table: str, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """Columns of the last version of a table."""
    for file in repository.snapshot(table).files:
        with pq.ParquetFile(file) as opened:
            yield from opened.iter_batches(1 << 16, columns=columns)


def _names(batch: pa.RecordBatch) -> Iterator[tuple[Any, ...]]:
    return zip(*(batch[name].to_pylist() for name in ("_object_sha256", *ROW, "_known_at")), strict=True)


def _equal(
    repository: Repository, tables: Iterable[str], shorts: frozenset[str], rows: Collection[Rows]
) -> Iterator[Rows]:
    """Rows a cell of which equals a short text, in tables that not all goes of."""
    for table in tables if shorts else ():
        if is_typed(repository, table):
            gone = Gone(_NONE, _NONE, frozenset(), short=shorts)
            names = {each for batch in repository.matching(table, gone) for each in _names(batch)}
            asked = sum(each.rows for each in rows if each.table == table and each.why == "asked")
            if names and len(names) > asked:
                yield Rows(table, "short", len(names))


def _objects(repository: Repository, found: Reach, held: Held, others: Mapping[str, int]) -> Iterator[Object]:
    taken: dict[str, list[Reached]] = {}
    for each in found.documents:
        taken.setdefault(each.object_sha256, []).append(each)
    facts = _facts(repository)
    begun = {sha256: _begun_with(sha256, facts) for sha256 in facts}
    taken = {sha256: [one for each in before for one in taken.get(each, ())] for sha256, before in begun.items()} | {
        sha256: own for sha256, own in taken.items() if sha256 not in begun
    }
    taken = {sha256: own for sha256, own in taken.items() if own}
    merged = {
        sha256: {name: value for each in before for name, value in held.get(each, {}).items()}
        for sha256, before in begun.items()
    }
    held = {**held, **{sha256: rows for sha256, rows in merged.items() if rows}}
    asked = {sha256 for sha256, (source, fact) in facts.items() if found.origins.has(source, fact.uri)}
    for sha256 in sorted({*taken, *held, *asked}):
        own, rows = taken.get(sha256, []), held.get(sha256, {})
        source, fact = facts.get(sha256, ("", None))
        reader = fact.reader if fact else ""
        records = {(each.uri, each.record) for each in own} | rows.keys()
        left = (
            sum(others.get(each, 0) for each in begun.get(sha256, [sha256]))
            if own
            else max(0, (fact.rows_out if fact else 0) - len(rows))
        )
        cuttable = reader.partition("/")[0] in (*CUT, "mixed")
        yield Object(
            sha256,
            fact.uri if fact else "",
            source,
            reader,
            tuple(sorted({each.content_hash for each in own})),
            tuple(sorted({each.uri for each in own})),
            tuple(sorted(records)),
            sha256 in asked or not cuttable,
            0 if sha256 in asked else left,
        )


def _begun_with(sha256: str, facts: Mapping[str, tuple[str, ObjectFact]]) -> list[str]:
    """The object, and those that it grew from: it begins with them."""
    found = [sha256]
    while found[-1] in facts and (before := facts[found[-1]][1].grown_from) and before not in found:
        found.append(before)
    return found


def _facts(repository: Repository) -> dict[str, tuple[str, ObjectFact]]:
    """By object, the source that brought it last and the fact of it."""
    tables = [table for table in repository.tables() if table not in ("takedowns", "redactions")]
    receipts = (receipt for table in tables for receipt in repository.receipts(table))
    return {fact.sha256: (receipt.source, fact) for receipt in receipts for fact in receipt.objects if fact.sha256}


def _models(repository: Repository, documents: Sequence[Reached]) -> Iterator[tuple[str, int, str]]:
    """Models trained at a version of the documents that had one of these: which it was trained on, none says."""
    if "score_models" not in repository.tables() or not documents:
        return
    gone = {each.object_sha256 for each in documents}
    receipts = repository.receipts("documents")
    versions = (receipt.version for receipt in receipts if any(fact.sha256 in gone for fact in receipt.objects))
    first = min(versions, default=0)
    with connect() as con:
        attach_repository(con, [repository.snapshot("score_models")])
        for name, version, model, inputs in fetch_all(
            con, "SELECT name, version, model, inputs FROM repository.score_models ORDER BY ALL"
        ):
            if orjson.loads(inputs or "{}").get("documents", first) >= first:
                yield name, version, model


def _releases(project: Project, found: Reach, marked: Path, affected: Collection[str]) -> Iterator[str]:
    """The live releases that hold any of it: of tokens by their frozen documents, of rows by their values, and all that
    read a table of which rows go.
    """
    ids, contents = {each.doc_id for each in found.documents}, found.contents
    for listed in list_releases(project.datasets):
        if listed.state != "live":
            continue
        files = _frozen(listed)
        if (
            not set(affected).isdisjoint(listed.manifest.inputs)
            or any(text in ids for path in files for text in readable(path))
            or any(holds(readable(path), known(runs, contents)) for runs in portions(marked) for path in files)
        ):
            yield f"{listed.name}@{listed.version}"


def _frozen(listed: Listed) -> list[Path]:
    if isinstance(listed.manifest, TableManifest):
        return [
            listed.path / (shard.parquet or shard.data)
            for split in listed.manifest.splits.values()
            for shard in split.shards
        ]
    return [listed.path / DOCUMENTS]
