"""Signals and paragraphs of a batch of documents: pure functions from a record batch to a record batch.

Won: every column in one thread at 59 MB of UTF-8 a CPU second with spaCy's words, at 65 with ``unicode`` words (5,600
documents, benchmarks/curation.py, beside datatrove; two thirds of that in a machine's slow hours); the language takes
0.02 ms a document beside them. The result never depends on how documents are batched or on the number of threads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from warehouse.contracts import BATCH_BYTES, Words
from warehouse.curation.language import identify
from warehouse.curation.pii import spans
from warehouse.curation.signals import PARAGRAPHS, PARAGRAPHS_VERSION, SIGNALS, SIGNALS_VERSION
from warehouse.errors import UsageError
from warehouse.kernels import c4, lines, profile, scripts
from warehouse.kernels import paragraphs as paragraph_kernel
from warehouse.kernels import words as word_kernel
from warehouse.kernels.texts import texts
from warehouse.kernels.words import MODES


@dataclass(frozen=True, slots=True)
class Found:
    """Rows of a table; so many documents or pairs were compared for them, reading ``bytes`` of text.

    cpu_s: CPU seconds of the thread that made them, where it was measured.
    """

    rows: pa.RecordBatch
    compared: int
    bytes: int
    cpu_s: float = 0.0


def measure(batch: pa.RecordBatch, *, words: Words = "spacy_en") -> pa.RecordBatch:
    """One row of SIGNALS for each document of a batch with the columns doc_id and text, in its order.

    text may be any Arrow string type; a null one is measured as empty. Raises UsageError for other columns or modes.
    """
    if words not in MODES:
        raise UsageError(f"words={words!r}", allowed=", ".join(MODES))
    require(batch)
    return sliced(batch, lambda part: _signals(part, words))


def paragraphs(batch: pa.RecordBatch) -> pa.RecordBatch:
    """One row of PARAGRAPHS for each document: its lines of 20 bytes and more. Takes what ``measure`` takes."""
    require(batch)
    return sliced(batch, _paragraphs)


def pii(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Rows of PII: the spans of personal data of each document, in order. Takes what ``measure`` takes.

    A document without one has a single row of start -1, so that the table knows every document it measured.
    """
    require(batch)
    return sliced(batch, spans)


def require(batch: pa.RecordBatch) -> None:
    """Raise UsageError for a batch without the columns that every measure reads."""
    missing = [name for name in ("doc_id", "text") if name not in batch.schema.names]
    if missing:
        raise UsageError(f"a batch without {missing[0]}", allowed="the columns doc_id and text (strings)")


def doc_ids(batch: pa.RecordBatch) -> pa.Array:
    """The column doc_id, copied: an array that DuckDB gave keeps its whole batch in memory, with all the text."""
    return batch["doc_id"].cast(pa.string()).take(pa.array(np.arange(batch.num_rows)))


def sliced(batch: pa.RecordBatch, function: Callable[[pa.RecordBatch], pa.RecordBatch]) -> pa.RecordBatch:
    """The function over slices of a batch, of about BATCH_BYTES, put together again in order."""
    rows = -(-batch.num_rows // max(1, batch.nbytes // BATCH_BYTES))
    if rows == batch.num_rows:
        return function(batch)
    return pa.concat_batches([function(batch.slice(start, rows)) for start in range(0, batch.num_rows, rows)])


def _signals(batch: pa.RecordBatch, words: Words) -> pa.RecordBatch:
    column = texts(batch["text"])
    counts, line_words = word_kernel.measure(column, words)
    characters, script = profile.measure(column)
    by_line = lines.measure(column)
    parts = [characters, by_line, c4.measure(column, words, line_words), counts]
    columns = [column for part in parts for column in part.T]
    numbers = [
        pa.array(column.view(kind.to_pandas_dtype())) for column, kind in zip(columns, SIGNALS.types[3:-5], strict=True)
    ]
    codes = pa.array(scripts.CODES).take(pa.array(script))
    said = identify(batch["text"], returns=bool(by_line[:, lines.RETURNS].any()))
    languages = [guess.cast(kind) for guess, kind in zip(said, SIGNALS.types[-4:], strict=True)]
    rows = batch.num_rows
    version = pa.array(np.full(rows, SIGNALS_VERSION, np.int32))
    mode = pa.repeat(pa.scalar(words), rows)
    return pa.RecordBatch.from_arrays([doc_ids(batch), version, mode, *numbers, codes, *languages], schema=SIGNALS)


def _paragraphs(batch: pa.RecordBatch) -> pa.RecordBatch:
    document, digests, chars = paragraph_kernel.rows(texts(batch["text"])).T
    ends = np.cumsum(np.bincount(document, minlength=batch.num_rows))
    places = pa.array(np.concatenate([[0], ends]).astype(np.int32))
    lists = [pa.ListArray.from_arrays(places, pa.array(part)) for part in (digests, chars.astype(np.int32))]
    version = pa.repeat(pa.scalar(PARAGRAPHS_VERSION, pa.int32()), batch.num_rows)
    return pa.RecordBatch.from_arrays([doc_ids(batch), version, *lists], schema=PARAGRAPHS)
