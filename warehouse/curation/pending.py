"""Documents that tables know nothing of, or not all: what each is still to be measured by, and what that gives.

A table has a row or more for each document and thing that it is measured by: a benchmark, a list, a model, or one
version of a measure. So a thing that is new meets all documents, and a document that is new all things. What several
tables lack of a document is measured at once, and its text read once.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc
from tqdm import tqdm

from warehouse.contracts import TEXT_ROWS
from warehouse.curation.measure import Found
from warehouse.engine import run_threads
from warehouse.query import Connection, fetch_all, literal, stream

Function = Callable[[pa.RecordBatch], pa.RecordBatch]
"""From doc_id and the columns that it reads of documents to rows of a table."""


@dataclass(frozen=True, slots=True)
class Measure:
    """What a table is to know of every document.

    things: what documents are measured by, each with the columns of a document that it reads beside doc_id: text, uri,
    language (the newest that ``signals`` has; null where it has none yet). A name has no line break.
    known: the SELECT of doc_id and thing that the table has rows of.
    by: from things, in order of name, to the function that measures by them; asked before any text is read.
    gives: the column of its rows that measures after it read of the documents measured with it; it has one a document.
    first: rows to append whatever there is to measure.
    """

    table: str
    things: Mapping[str, Sequence[str]]
    known: str
    by: Callable[[Sequence[str]], Function]
    gives: str = ""
    first: pa.RecordBatch | None = None


def versions(of: Mapping[str, int]) -> str:
    """SQL of (name, version) for IN, of one name or more."""
    return ", ".join(f"({literal(name)}, {version})" for name, version in of.items())


_LACKING = """
CREATE OR REPLACE TEMP TABLE lacking AS
WITH first AS (SELECT doc_id, min(known_at) AS known_at FROM repository.documents GROUP BY doc_id)
FROM (SELECT doc_id, known_at, concat_ws(chr(10), {lines}) AS lines FROM first)
WHERE lines <> ''
"""
_LINE = "if(doc_id IN (SELECT doc_id FROM ({known}) WHERE thing = {name}), NULL, {line})"
_KINDS = """
CREATE OR REPLACE TEMP TABLE kinds AS
SELECT lines, CAST(row_number() OVER (ORDER BY lines) AS INTEGER) AS kind FROM (SELECT DISTINCT lines FROM lacking)
"""
_UNMEASURED = """
CREATE OR REPLACE TEMP TABLE unmeasured AS
SELECT doc_id, known_at, kind FROM lacking JOIN kinds USING (lines)
"""
"""Narrower than the documents, whatever is lacking: of two tables DuckDB holds the narrower one to join them, and these
have the texts.
"""
_DOCUMENTS = "SELECT doc_id, kind, {columns} FROM repository.documents JOIN unmeasured USING (doc_id, known_at)"
_LANGUAGES = """
LEFT JOIN (
    SELECT doc_id, arg_max(language, version) AS language
    FROM repository.signals
    SEMI JOIN unmeasured USING (doc_id)
    GROUP BY doc_id
) AS named USING (doc_id)
"""


@dataclass(frozen=True, slots=True)
class Step:
    """A measure's function for some of its things, and the columns that it reads beside doc_id."""

    measure: Measure
    function: Function
    columns: Sequence[str]


def missing(con: Connection, measures: Sequence[Measure], *, threads: int = 1) -> Generator[dict[str, list[Found]]]:
    """What measuring each document by all that it lacks adds, by table, a batch of documents at a time.

    ``con`` has repository.documents and what the measures read. Started anew after any of it was committed, the rest
    follows. threads: how many measure, a batch each.
    """
    if not any(each.things for each in measures):
        return
    con.execute(_lacking(measures))
    con.execute(_KINDS)
    con.execute(_UNMEASURED)
    con.execute("DROP TABLE lacking")
    kinds = _steps(dict(fetch_all(con, "SELECT kind, lines FROM kinds")), measures)
    columns = sorted({column for steps in kinds.values() for step in steps for column in step.columns})
    (total,) = fetch_all(con, "SELECT count(*) FROM unmeasured")[0]
    if total:
        with (
            tqdm(total=total, desc="measure", unit="doc", disable=None, delay=2) as progress,
            stream(con, _texts(columns), batch_rows=TEXT_ROWS) as batches,
            closing(run_threads(partial(_measured, kinds=kinds), batches, threads=threads)) as every,
        ):
            for found in every:
                progress.update(max(sum(part.compared for part in parts) for parts in found.values()))
                yield found
    con.execute("DROP TABLE kinds")
    con.execute("DROP TABLE unmeasured")


def _texts(columns: Sequence[str]) -> str:
    """The SELECT of doc_id, kind and these columns of the documents in ``unmeasured``."""
    return _DOCUMENTS.format(columns=", ".join(columns)) + _LANGUAGES * ("language" in columns)


def _lacking(measures: Sequence[Measure]) -> str:
    """Documents that lack something: on a line each, in order, what table and thing it is."""
    lines = [
        _LINE.format(known=each.known, name=literal(name), line=literal(f"{each.table} {name}"))
        for each in measures
        for name in sorted(each.things)
    ]
    return _LACKING.format(lines=", ".join(lines))


def _steps(kinds: Mapping[int, str], measures: Sequence[Measure]) -> dict[int, list[Step]]:
    """By kind of document what it lacks, in the order of the measures; what kinds have in common is made once."""
    steps, made = dict[int, list[Step]](), dict[tuple[str, ...], Step]()
    for kind, lines in kinds.items():
        lacking = [line.partition(" ") for line in lines.split("\n")]
        steps[kind] = []
        for each in measures:
            names = [name for table, _, name in lacking if table == each.table]
            if names and (each.table, *names) not in made:
                columns = sorted({column for name in names for column in each.things[name]})
                made[each.table, *names] = Step(each, each.by(names), columns)
            steps[kind] += [made[each.table, *names]] if names else []
    return steps


def _measured(batch: pa.RecordBatch, kinds: Mapping[int, Sequence[Step]]) -> dict[str, list[Found]]:
    """By table, what its measure finds in those documents of a batch that lack it."""
    found = defaultdict[str, list[Found]](list)
    for kind in pc.unique(batch["kind"]).to_pylist():
        of_kind = pc.equal(batch["kind"], kind)
        own = batch if of_kind.true_count == batch.num_rows else batch.filter(of_kind)
        for step in kinds[kind]:
            began, given, gives = time.thread_time(), own.select(["doc_id", *step.columns]), step.measure.gives
            rows = step.function(given)
            if gives in own.schema.names:
                own = own.set_column(own.schema.get_field_index(gives), gives, rows[gives])
            spent = time.thread_time() - began
            found[step.measure.table].append(Found(rows, given.num_rows, given.nbytes, spent))
    return dict(found)
