"""Near duplicates: MinHash bands of every document, and pairs of texts with their true Jaccard similarity.

Documents meet through the bands that they share; every text that meets another is read once more and the pair's exact
Jaccard similarity over the sets of word 5-grams is what is stored, so no pair rests on an estimate. Documents of one
``text_hash`` have one set, so one of them stands for all, whichever came first.

A bucket (the texts with one band in common) of at most WINDOW + 1 texts is compared whole. In a larger one each text is
compared with the WINDOW before and after it in order of text_hash, so the work grows with the texts and not with their
square. Two texts only ever move apart in that order as more arrive, so whatever the rule wants of all documents was
compared when the later of the two came; ``curation.near_pairs`` applies the rule again to what is stored. That makes
its pairs a function of the documents alone, however they were batched. ``curation.oversized_buckets`` lists them.

Won: a batch costs its own texts and those that it meets; of 5,000 versions of one text some 10 stay, not 5,000 or one.
Lost: pairs that share no band (one in 100 at a similarity of 0.85, one in four at 0.75) are never met.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from warehouse.curation.measure import Found, doc_ids, require, sliced
from warehouse.kernels import graph
from warehouse.kernels import minhash as kernel
from warehouse.kernels.texts import Counts, texts
from warehouse.query import Connection, arrow, stream

MINHASH_VERSION = 3
"""Raised whenever words, shingles or permutations change; bands and pairs of another version are made again."""

FLOOR = 0.5
"""Pairs of a lower similarity are not stored: their 5-grams differ more than they agree."""

WINDOW = 256
"""How many texts of one bucket before and after it a text is compared with."""

READ_BYTES = 64 << 20
"""Text held at once to verify candidates; a commit's worth."""

MINHASH = pa.schema([("doc_id", pa.string()), ("version", pa.int32()), ("bands", pa.list_(pa.int64()))])

PAIRS = pa.schema([("a", pa.string()), ("b", pa.string()), ("version", pa.int32()), ("jaccard", pa.float64())])


def minhash(batch: pa.RecordBatch) -> pa.RecordBatch:
    """One row of MINHASH for each document of a batch with the columns doc_id and text; no bands where no word is."""
    require(batch)
    return sliced(batch, _minhash)


def _minhash(batch: pa.RecordBatch) -> pa.RecordBatch:
    keys, filled = kernel.bands(texts(batch["text"]))
    ends = np.concatenate([[0], np.cumsum(filled * kernel.BANDS)]).astype(np.int32)
    bands = pa.ListArray.from_arrays(pa.array(ends), pa.array(keys[filled].ravel()))
    version = pa.repeat(pa.scalar(MINHASH_VERSION, pa.int32()), batch.num_rows)
    return pa.RecordBatch.from_arrays([doc_ids(batch), version, bands], schema=MINHASH)


_MEASURED = f"""
CREATE OR REPLACE TEMP TABLE measured AS
SELECT minhash.doc_id, signals.text_hash, signals.bytes, minhash.bands, done.a IS NULL AS fresh
FROM repository.minhash
JOIN repository.signals ON signals.doc_id = minhash.doc_id
LEFT JOIN (SELECT a FROM repository.pairs WHERE b IS NULL AND version = {MINHASH_VERSION}) AS done
    ON done.a = minhash.doc_id
WHERE minhash.version = {MINHASH_VERSION} AND signals.version = (SELECT max(version) FROM repository.signals)
"""

_TEXTS = """
CREATE OR REPLACE TEMP TABLE texts AS
SELECT text_hash, min(doc_id) AS doc_id, max(bytes) AS bytes, any_value(bands) AS bands, bool_and(fresh) AS fresh
FROM measured
GROUP BY text_hash
"""

_CANDIDATES = f"""
CREATE OR REPLACE TEMP TABLE candidates AS
WITH members AS (
    SELECT unnest(bands) AS bucket, text_hash, fresh FROM texts
),
met AS (
    SELECT bucket FROM members GROUP BY bucket HAVING bool_or(fresh) AND count(*) > 1
),
placed AS (
    SELECT bucket, text_hash, fresh, row_number() OVER (PARTITION BY bucket ORDER BY text_hash) AS place
    FROM members JOIN met USING (bucket)
),
reaching AS (
    SELECT *, unnest([place // {WINDOW}, place // {WINDOW} + 1]) AS block FROM placed
)
SELECT DISTINCT reaching.text_hash AS a, placed.text_hash AS b
FROM reaching
JOIN placed ON placed.bucket = reaching.bucket AND placed.place // {WINDOW} = reaching.block
WHERE placed.place - reaching.place BETWEEN 1 AND {WINDOW} AND (placed.fresh OR reaching.fresh)
"""

_MEETING = """
SELECT text_hash, doc_id, bytes, fresh
FROM texts
WHERE text_hash IN (SELECT a FROM candidates UNION ALL SELECT b FROM candidates)
ORDER BY text_hash
"""

_WANTED = """
WITH first AS (
    SELECT doc_id, min(known_at) AS known_at
    FROM repository.documents
    WHERE doc_id IN (FROM wanted)
    GROUP BY doc_id
)
SELECT documents.doc_id, text
FROM repository.documents
JOIN first ON first.doc_id = documents.doc_id AND first.known_at = documents.known_at
"""


def pairs(con: Connection, *, read_bytes: int = READ_BYTES) -> Iterator[Found]:
    """What the documents that were not compared yet add to PAIRS, part by part; nothing where there are none.

    ``con`` has repository.documents, signals, minhash and pairs as they are. Each part may be committed by itself:
    started anew after any of them, the rest follows. A row without b says that a was compared with all others.
    """
    for statement in (_MEASURED, _TEXTS, _CANDIDATES):
        con.execute(statement)
    fresh = arrow(con, "SELECT DISTINCT doc_id, text_hash FROM measured WHERE fresh ORDER BY doc_id")
    if not fresh.num_rows:
        return
    meeting = arrow(con, _MEETING)
    later, earlier = _ordered(con, meeting)
    hashes = meeting["text_hash"].to_numpy()
    waiting = np.isin(fresh["text_hash"].to_numpy(), hashes[later])
    yield Found(_rows(_marks(fresh, ~waiting)), 0, 0)
    starts = graph.runs(later, earlier, meeting["bytes"].to_numpy().copy(), read_bytes)
    for begin, end in pairwise(starts):
        left, right = later[begin:end], earlier[begin:end]
        jaccard, size = _verified(con, meeting["doc_id"], left, right)
        marks = _marks(fresh, np.isin(fresh["text_hash"].to_numpy(), hashes[left]))
        yield Found(_rows(_kept(meeting["doc_id"], left, right, jaccard), marks), left.size, size)


def _ordered(con: Connection, meeting: pa.Table) -> tuple[Counts, Counts]:
    """Candidates as (later, earlier) rows of ``meeting``, those of one later together, components one after another.

    Texts that were compared before come before all others, so that no pair waits for a text that is done.
    """
    found = arrow(con, "SELECT a, b FROM candidates ORDER BY a, b")
    hashes = meeting["text_hash"].to_numpy()
    left, right = (np.searchsorted(hashes, found[name].to_numpy()) for name in ("a", "b"))
    component = graph.components(left, right, hashes.size)
    place = np.empty(hashes.size, np.int64)
    place[np.lexsort((component, meeting["fresh"].to_numpy()))] = np.arange(hashes.size)
    swap = place[left] < place[right]
    later, earlier = np.where(swap, right, left), np.where(swap, left, right)
    order = np.lexsort((place[earlier], place[later]))
    return later[order], earlier[order]


def _verified(
    con: Connection, doc_ids: pa.ChunkedArray, left: Counts, right: Counts
) -> tuple[npt.NDArray[np.float64], int]:
    """The Jaccard similarity of each pair of rows, and the bytes of text that were read for it."""
    rows = np.unique(np.concatenate([left, right]))
    wanted = doc_ids.take(pa.array(rows))
    con.register("wanted", pa.table({"doc_id": wanted}))
    places, counts, kept, size = np.zeros(rows.size, np.int64), np.zeros(rows.size, np.int64), [], 0
    for batch in stream(con, _WANTED, batch_rows=2048):
        found = kernel.sets(texts(batch["text"]))
        at = pc.index_in(batch["doc_id"], wanted.combine_chunks()).to_numpy()
        places[at], counts[at] = found.places, found.counts
        kept.append(found)
        size += batch.nbytes
    con.unregister("wanted")
    sets = kernel.Sets(places, counts, tuple(array for found in kept for array in found.keep))
    return kernel.jaccard(sets, np.searchsorted(rows, left), np.searchsorted(rows, right)), size


def _kept(doc_ids: pa.ChunkedArray, left: Counts, right: Counts, jaccard: npt.NDArray[np.float64]) -> pa.Table:
    """(a, b, jaccard) of the pairs that reach FLOOR, a < b."""
    high = jaccard >= FLOOR
    one, other = (doc_ids.take(pa.array(side[high])) for side in (left, right))
    first = pc.less(one, other)
    a, b = pc.if_else(first, one, other), pc.if_else(first, other, one)
    return pa.table({"a": a, "b": b, "jaccard": jaccard[high]})


def _marks(fresh: pa.Table, chosen: npt.NDArray[np.bool_]) -> pa.Table:
    a = fresh["doc_id"].filter(pa.array(chosen))
    return pa.table({"a": a, "b": pa.nulls(len(a), pa.string()), "jaccard": pa.nulls(len(a), pa.float64())})


def _rows(*tables: pa.Table) -> pa.RecordBatch:
    found = pa.concat_tables(tables)
    version = pa.repeat(pa.scalar(MINHASH_VERSION, pa.int32()), found.num_rows)
    columns = [found["a"], found["b"], pa.chunked_array([version]), found["jaccard"]]
    return pa.RecordBatch.from_arrays([column.combine_chunks() for column in columns], schema=PAIRS)
