"""Compile every kernel and run it once, so that the first real batch is not slow: ``python -m warehouse.kernels``."""

from __future__ import annotations

import os
import time

import numpy as np
import pyarrow as pa

from warehouse.kernels import (
    c4,
    contamination,
    fasttext,
    graph,
    lines,
    minhash,
    pack,
    paragraphs,
    pii,
    profile,
    words,
)
from warehouse.kernels.texts import texts

SAMPLE = "The first of two lines, and one that repeats [1].\nThe first of two lines, and one that repeats [1].\n"


def warm() -> float:
    """Seconds that it took to have every kernel compiled, cached and run once."""
    start = time.perf_counter()
    column = texts(pa.array([SAMPLE * 40]))
    for module in (profile, lines):
        module.measure(column)
    for module in (c4, words):
        module.measure(column, "spacy_en")
    words.measure(texts(pa.array([SAMPLE * 12_000])), "spacy_en")
    paragraphs.rows(column)
    pii.rows(column)
    fasttext.predict(column, _classifier(), max_chars=100)
    minhash.bands(column)
    ends = np.zeros(1, np.int64)
    minhash.jaccard(minhash.sets(column), ends, ends)
    contamination.spans(column, contamination.index(column, ends[:1]))
    graph.components(ends, ends, 1)
    graph.runs(ends, ends, ends, 1)
    pack.best_fit(np.array([3, 2, 1], np.int32), 4)
    return time.perf_counter() - start


def _classifier() -> fasttext.Model:
    """Of two labels, with one word and one bucket."""
    vectors, nodes = np.ones((2, 1), np.float32), np.ones((1, 1), np.float32)
    words, row_of = fasttext.word_table([b"of"]), np.ones(1, np.int32)
    return fasttext.Model(vectors, words, row_of, 0, nodes, np.array([[1, 0]], np.int32), 2, 4)


if __name__ == "__main__":
    print(f"kernels ready after {warm():.1f} s in {os.environ['NUMBA_CACHE_DIR']}")
