"""Overlap of documents with benchmarks: the runs of words in a document whose 13-grams a benchmark holds.

``repository.benchmarks`` has a row for each field of an item that is text; the fields of an item are one text, in their
order, so that a question with its answer after it is met as a whole. A benchmark is measured as it is: when passages
are added, each document is compared with it again, and ``passages`` says with how many it was. A document is compared
with the benchmarks that it was not compared with yet, so the table is the same however they came.

Won: 215 to 297 MB of text a CPU second against GSM8K and HumanEval (52 MB of books). Lost: paraphrases and
translations; items of fewer than 13 words, or of numbers alone. Memory: some 60 bytes a word of the benchmarks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa

from warehouse.curation.measure import require, sliced
from warehouse.curation.pending import Measure, versions
from warehouse.kernels import contamination as kernel
from warehouse.kernels.texts import Counts, texts
from warehouse.query import Connection, arrow, fetch_all

CONTAMINATION_VERSION = 1
"""Raised whenever words, 13-grams or spans change; documents are then compared again."""

CONTAMINATION = pa.schema(
    [
        ("doc_id", pa.string()),
        ("version", pa.int32()),  # CONTAMINATION_VERSION
        ("benchmark", pa.string()),
        ("passages", pa.int64()),  # of the benchmark, when it was compared
        ("text_words", pa.int64()),  # of the whole document
        ("start", pa.int64()),  # UTF-8 byte in the document's text; -1: no 13-gram of it is in the benchmark
        ("stop", pa.int64()),  # the byte after the span
        ("words", pa.int64()),  # of the span
        ("ngrams", pa.int64()),  # 13-grams of the span that are in the benchmark
        ("item", pa.string()),  # that most of them are of, the first of equals
    ]
)
BENCHMARKS = pa.schema(
    [("_source", pa.string()), ("item", pa.string()), ("ordinal", pa.int32()), ("text", pa.string())]
)
"""The columns of repository.benchmarks that are read here."""


@dataclass(frozen=True, slots=True)
class Benchmarks:
    """The 13-grams of benchmarks. names and passages by group of the index; items: of each indexed text."""

    names: pa.Array
    passages: Counts
    items: pa.Array
    index: kernel.Index


def contamination(batch: pa.RecordBatch, against: Benchmarks) -> pa.RecordBatch:
    """Rows of CONTAMINATION: by document, benchmark and place. Takes what ``measure`` takes.

    A document that does not meet a benchmark has one row of start -1 for it, so that the table knows what was compared.
    """
    require(batch)
    return sliced(batch, lambda part: _spans(part, against))


def _spans(batch: pa.RecordBatch, against: Benchmarks) -> pa.RecordBatch:
    found, words = kernel.spans(texts(batch["text"]), against.index)
    groups = len(against.names)
    without = np.setdiff1d(np.arange(batch.num_rows * groups), found.document * groups + found.group)
    order = np.argsort(np.concatenate([found.document * groups + found.group, without]), kind="stable")
    document = np.concatenate([found.document, without // groups])[order]
    group = np.concatenate([found.group, without % groups])[order]
    missing = np.full(without.size, -1)
    start, stop, length, ngrams, text = (
        np.concatenate([column, missing])[order]
        for column in (found.start, found.stop, found.words, found.ngrams, found.text)
    )
    columns = [
        batch["doc_id"].cast(pa.string()).take(pa.array(document)),
        pa.repeat(pa.scalar(CONTAMINATION_VERSION, pa.int32()), document.size),
        against.names.take(pa.array(group)),
        pa.array(against.passages[group]),
        pa.array(words[document]),
        pa.array(start),
        *(pa.array(column, mask=start < 0) for column in (stop, length, ngrams)),
        against.items.take(pa.array(text, mask=start < 0)),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=CONTAMINATION)


_REGISTERED = """
SELECT _source AS benchmark, count(DISTINCT (item, ordinal, text)) AS passages
FROM repository.benchmarks
GROUP BY ALL
ORDER BY benchmark
"""

_ITEMS = """
SELECT benchmark, item, string_agg(text, chr(10) ORDER BY ordinal, text) AS text
FROM (SELECT DISTINCT _source AS benchmark, item, ordinal, text FROM repository.benchmarks)
WHERE list_contains($1, benchmark)
GROUP BY benchmark, item
ORDER BY benchmark, item
"""


def overlaps(con: Connection) -> Measure:
    """Every document compared with every benchmark that ``con`` has in repository.benchmarks, as it is now."""
    registered = dict(fetch_all(con, _REGISTERED))
    now = f"version = {CONTAMINATION_VERSION} AND (benchmark, passages) IN ({versions(registered)})"

    def against(names: Sequence[str]) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
        return partial(contamination, against=benchmarks(con, {name: registered[name] for name in names}))

    known = f"SELECT doc_id, benchmark AS thing FROM repository.contamination WHERE {now}"
    return Measure("contamination", dict.fromkeys(registered, ("text",)), known, against)


def searcher(con: Connection) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
    """``contamination`` against all that ``con`` has in repository.benchmarks."""
    return partial(contamination, against=benchmarks(con, dict(fetch_all(con, _REGISTERED))))


def benchmarks(con: Connection, passages: dict[str, int]) -> Benchmarks:
    """The benchmarks of these names (each with its number of passages) in repository.benchmarks, indexed."""
    names = pa.array(passages, pa.string())
    items = arrow(con, _ITEMS, [list(passages)])
    groups = np.searchsorted(np.array(list(passages)), items["benchmark"].to_numpy().astype(str)).astype(np.int64)
    index = kernel.index(texts(items["text"].combine_chunks()), groups)
    return Benchmarks(names, np.array(list(passages.values()), np.int64), items["item"].combine_chunks(), index)
