"""Documents that tables know nothing of, or not all: what each is still to be measured by, and what that gives.

A table has a row or more for each document and thing that it is measured by: a benchmark, a list, a model, or one
version of a measure. So a thing that is new meets all documents, and a document that is new all things. What several
tables lack of a document is measured at once, and its text read once.
"""

from __future__ import annotations

import time
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

COMMIT_BYTES = 512 << 20
"""Text measured between two commits: what a killed run repeats at most."""

Function = Callable[[pa.RecordBatch], pa.RecordBatch]


@dataclass(frozen=True, slots=True)
class Measure:
    """What a table is to know of every document.

    things: what documents are measured by, each with the columns of a document that it reads beside doc_id: text, uri,
    language (the newest that ``signals`` has; null where it has none yet). A name has no line break.
    known: the SELECT of doc_id and thing that the table has rows of.
    by: from things, in order of name, to the function that measures by them; asked before any text is read.
    gives: the column of its rows that measures after it read of the documents measured with it; of one thing only.
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


_UNMEASURED = """
CREATE OR REPLACE TEMP TABLE unmeasured AS
WITH first AS (SELECT doc_id, min(known_at) AS known_at FROM repository.documents GROUP BY doc_id)
FROM (SELECT *, {lacking} FROM first)
WHERE {any}
"""
_LACKS = "if(doc_id IN (SELECT doc_id FROM ({known}) WHERE thing = {name}), NULL, {name})"
_TEXTS = "SELECT unmeasured.*, {columns} FROM repository.documents JOIN unmeasured USING (doc_id, known_at)"
_LANGUAGES = """
LEFT JOIN (
    SELECT doc_id, arg_max(language, version) AS language
    FROM repository.signals
    SEMI JOIN unmeasured USING (doc_id)
    GROUP BY doc_id
) AS named USING (doc_id)
"""


def missing(con: Connection, measures: Sequence[Measure], *, threads: int = 1) -> Generator[dict[str, Found]]:
    """What measuring each document by all that it lacks adds, by table, a batch of documents at a time.

    ``con`` has repository.documents and what the measures read. Started anew after any of it was committed, the rest
    follows. threads: how many measure, a batch each.
    """
    wanted = [each for each in measures if each.things]
    if not wanted:
        return
    con.execute(_unmeasured(wanted))
    functions, columns = dict[str, dict[str, Function]](), set[str]()
    for each in wanted:
        lacking = fetch_all(con, f"SELECT DISTINCT {each.table} FROM unmeasured WHERE {each.table} IS NOT NULL")
        functions[each.table] = {names: each.by(names.split("\n")) for (names,) in lacking}
        columns |= {column for (names,) in lacking for name in names.split("\n") for column in each.things[name]}
    (total,) = fetch_all(con, "SELECT count(*) FROM unmeasured")[0]
    if total:
        sql = _TEXTS.format(columns=", ".join(sorted(columns))) + _LANGUAGES * ("language" in columns)
        measured = partial(_measured, measures=wanted, functions=functions)
        with (
            tqdm(total=total, desc="measure", unit="doc", disable=None, delay=2) as progress,
            stream(con, sql, batch_rows=TEXT_ROWS) as batches,
            closing(run_threads(measured, batches, threads=threads)) as every,
        ):
            for found in every:
                progress.update(max(each.compared for each in found.values()))
                yield found
    con.execute("DROP TABLE unmeasured")


def _unmeasured(wanted: Sequence[Measure]) -> str:
    """Documents that lack something: by table the names of what, a line each, in their order; null where nothing."""
    return _UNMEASURED.format(
        lacking=", ".join(f"nullif(concat_ws(chr(10), {_lacks(each)}), '') AS {each.table}" for each in wanted),
        any=" OR ".join(f"{each.table} IS NOT NULL" for each in wanted),
    )


def _lacks(each: Measure) -> str:
    """Name or null, for each thing of a measure."""
    return ", ".join(_LACKS.format(known=each.known, name=literal(name)) for name in sorted(each.things))


def _measured(
    batch: pa.RecordBatch, measures: Sequence[Measure], functions: Mapping[str, Mapping[str, Function]]
) -> dict[str, Found]:
    """By table, what its measure finds in those documents of a batch that lack it."""
    found = dict[str, Found]()
    for each in measures:
        began, lacking, parts, compared, size = time.thread_time(), batch[each.table], list[pa.RecordBatch](), 0, 0
        for names in pc.unique(lacking).drop_null().to_pylist():
            columns = {column for name in names.split("\n") for column in each.things[name]}
            own = _where(batch.select(["doc_id", *sorted(columns)]), pc.equal(lacking, names))
            parts.append(functions[each.table][names](own))
            compared, size = compared + own.num_rows, size + own.nbytes
        if not parts:
            continue
        rows = pa.concat_batches(parts)
        if each.gives in batch.schema.names:
            at, before = batch.schema.get_field_index(each.gives), batch[each.gives]
            given = pc.replace_with_mask(before, lacking.is_valid(), rows[each.gives].cast(before.type))
            batch = batch.set_column(at, each.gives, given)
        found[each.table] = Found(rows, compared, size, time.thread_time() - began)
    return found


def _where(batch: pa.RecordBatch, wanted: pa.BooleanArray) -> pa.RecordBatch:
    """Those rows of a batch; the batch itself where they are all, for its text is large."""
    return batch if wanted.true_count == batch.num_rows else batch.filter(wanted)
