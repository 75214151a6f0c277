"""Compile every kernel and run it once, so that the first real batch is not slow: ``python -m warehouse.kernels``.

A module of its own, for a process that is spawned finds nothing in a ``__main__``.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pyarrow as pa

from warehouse.kernels import (
    blake2b,
    bpe,
    c4,
    contamination,
    entries,
    fasttext,
    folded,
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
    """Seconds that it took to have every kernel compiled, cached and run once, in this process."""
    start = time.perf_counter()
    for kernels in PARTS:
        kernels()
    return time.perf_counter() - start


def _words() -> None:
    column = texts(pa.array([SAMPLE * 40]))
    c4.measure(column, "spacy_en", words.measure(column, "spacy_en")[1])
    words.measure(texts(pa.array([SAMPLE * 12_000])), "spacy_en")
    c4.edits(column, needs_mark=True)


def _pii() -> None:
    pii.rows(texts(pa.array([SAMPLE])))


def _models() -> None:
    column, first = texts(pa.array([SAMPLE])), np.zeros(1, np.int64)
    fasttext.predict(column, _classifier(), max_chars=100)
    contamination.spans(column, contamination.index(column, first))
    folded.hashes(column)
    entries.find(column, entries.entries(column), first)
    entries.among(column, entries.hashes(column))


def _others() -> None:
    column, ends = texts(pa.array([SAMPLE])), np.zeros(1, np.int64)
    blake2b.digests(pa.array([SAMPLE * 400] * (blake2b.LANES + 1), pa.large_binary()))
    profile.measure(column)
    lines.measure(column)
    paragraphs.rows(column)
    minhash.bands(column)
    minhash.jaccard(minhash.sets(column), ends, ends)
    graph.components(ends, ends, 1)
    graph.runs(ends, ends, ends, 1)
    pack.best_fit(np.array([3, 2, 1], np.int32), 4)
    _bpe()


def _bpe() -> None:
    pair, made = np.array([[116, 104]], np.int64), np.array([256], np.int64)
    merges = bpe.make_merges(pair, made, np.arange(256))
    text, kinds = np.frombuffer(SAMPLE.encode(), np.uint8), np.full(0x110000, bpe.OTHER, np.uint8)
    ids, ends = np.empty(text.size + 1, np.uint32), np.empty(text.size + 1, np.int64)
    bounds = np.array([0, text.size])
    bpe.encode(text, bounds, kinds, merges, bpe.make_memo(), 0, ids, ends, np.empty(1, np.int64))


PARTS = (_words, _pii, _models, _others)


def _classifier() -> fasttext.Model:
    """Of two labels, with one word and one bucket."""
    vectors, nodes = np.ones((2, 1), np.float32), np.ones((1, 1), np.float32)
    words, row_of = fasttext.word_table([b"of"]), np.ones(1, np.int32)
    return fasttext.Model(vectors, words, row_of, 0, nodes, np.array([[1, 0]], np.int32), 2, 4)


def _part(index: int) -> None:
    PARTS[index]()


def main() -> None:
    """Compile the parts side by side, a process each as far as there are processors; the cache on disk is one."""
    start = time.perf_counter()
    workers = min(len(os.sched_getaffinity(0)), len(PARTS))
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        list(pool.map(_part, range(len(PARTS))))
    print(f"kernels ready after {time.perf_counter() - start:.1f} s in {os.environ['NUMBA_CACHE_DIR']}")
