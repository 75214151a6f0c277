"""Where texts hold the word 13-grams of other texts: an index of 13-grams, and the spans of a column that meet it.

13 words as in GPT-3 (Brown et al. 2020, appendix C). Words are those of ``folded``: runs of letters, numbers,
combining marks and underscores, A-Z as a-z. A text of fewer than 13 words has no 13-gram: it meets nothing, and
nothing meets it. A 13-gram of numbers alone is not indexed: in 12,000 modules of Python packages (138 MB) nearly all
hits on HumanEval were rows of zeros and counts from 1 to 16.

Won: words are found 64 bytes at a time, and a text without overlap costs one bit a word of a filter of 16 to 32 bits an
entry that stays in cache; a hit is compared word by word, so no span rests on a hash. Lost: of equal 13-grams in one
group of the index the first stands for all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from warehouse.kernels import characters
from warehouse.kernels.blocks import BYTES
from warehouse.kernels.folded import find_edges, folded, hashed
from warehouse.kernels.hashing import finish, slot_of, slots_for
from warehouse.kernels.jit import compiled, internal
from warehouse.kernels.memory import load_i64, load_u8, store_i64, store_u8
from warehouse.kernels.texts import Counts, Texts

WORDS = 13

_BASE = -0x61C8864680B583EB  # 2^64 / golden ratio, odd
_TOP = pow(_BASE, WORDS, 1 << 64)
_BASE_13 = _TOP - (1 << 64 if _TOP >> 63 else 0)


@dataclass(frozen=True, slots=True)
class Index:
    """The distinct 13-grams of the texts of each group; entry e is of text ``text[e]``, of group ``group[e]``.

    Entries of one hash stand together, by group. header: how many entries and slots, then the address of each of
    ``arrays``: hash and edges of every entry; hash and first entry of every slot; the filter.
    """

    text: Counts
    group: Counts
    header: Counts
    arrays: tuple[npt.NDArray[np.generic], ...]
    keep: tuple[Texts, Counts]


@dataclass(frozen=True, slots=True)
class Spans:
    """Runs of words of a column whose 13-grams are in the index, those that share a word as one; by document, group.

    document: row of the column; start, stop: bytes in it; words: in the span; ngrams: 13-grams of it that were met;
    text: the indexed text that most of them are of, the first of equals.
    """

    document: Counts
    group: Counts
    start: Counts
    stop: Counts
    words: Counts
    ngrams: Counts
    text: Counts


def index(column: Texts, groups: Counts) -> Index:
    """The index of a column of texts, text i of group ``groups[i]``, without 13-grams of numbers alone."""
    hashes, edges, counts = _cut(column)
    text = np.repeat(np.arange(column.count), counts)
    ordinal = np.arange(text.size) - np.repeat(np.cumsum(counts) - counts, counts)
    gram = np.flatnonzero(ordinal <= counts[text] - WORDS)
    spoken = np.zeros(text.size + 1, np.int64)
    _spoken(edges.ctypes.data, spoken)
    gram = gram[spoken[gram + WORDS] > spoken[gram]]
    gram = gram[np.lexsort((gram, groups[text[gram]], hashes[gram]))]
    fresh = np.ones(gram.size, np.bool_)
    fresh[1:] = (np.diff(hashes[gram]) != 0) | (np.diff(groups[text[gram]]) != 0)
    gram = gram[fresh]
    slots = slots_for(gram.size)
    entries = (hashes[gram], edges.ctypes.data + 16 * gram)
    arrays = (*entries, *np.zeros((2, slots), np.int64), np.zeros(slots, np.uint8))
    header = np.array([gram.size, slots, *(array.ctypes.data for array in arrays)], np.int64)
    _fill(header.ctypes.data)
    return Index(text[gram], groups[text[gram]], header, arrays, (column, edges))


def _cut(column: Texts) -> tuple[Counts, Counts, Counts]:
    """Of every word of a column the hash of the 13-gram that it begins, and its edges; the words of each text."""
    room = column.bytes // 2 + 2 * column.count
    hashes, edges = np.empty(room + BYTES, np.int64), np.empty((room, 2), np.int64)
    counts = np.zeros(column.count, np.int64)
    _all_words(*_given(column), hashes.ctypes.data, edges.ctypes.data, counts)
    words = int(counts.sum())
    return hashes[:words].copy(), edges[:words].copy(), counts


def spans(column: Texts, found: Index) -> tuple[Spans, Counts]:
    """The spans of each text of a column, and how many words each text has (int64[n])."""
    words, hits, places = np.zeros((3, column.count), np.int64)
    room = column.longest // 2 + 2
    hashes, edges = np.empty(room + BYTES, np.int64), np.empty(2 * room, np.int64)
    tables = (hashes.ctypes.data, edges.ctypes.data, found.header.ctypes.data)
    _scan(*_given(column), *tables, words, hits, places)
    met = np.empty((int(hits.sum()), 5), np.int64)
    if met.size:
        places[:] = met.ctypes.data + met.strides[0] * (np.cumsum(hits) - hits)
        _scan(*_given(column), *tables, words, hits, places)
    return _merged(met[np.lexsort((met[:, 1], found.group[met[:, 4]], met[:, 0]))], found), words


def _given(column: Texts) -> tuple[int, int, int, int]:
    return column.offsets, column.data, column.count, characters.CLASSES


def _merged(met: Counts, found: Index) -> Spans:
    """Hits (document, word, start, stop, entry) by document, group and word, put together where they share a word."""
    document, word, start, stop, entry = met.T
    group, text = found.group[entry], found.text[entry]
    begins = np.ones(len(met), np.bool_)
    begins[1:] = (np.diff(document) != 0) | (np.diff(group) != 0) | (np.diff(word) >= WORDS)
    first = np.flatnonzero(begins)
    last = np.append(first[1:], len(met))[: first.size] - 1
    most = _most(np.cumsum(begins) - 1, text)
    ngrams, words = last - first + 1, word[last] - word[first] + WORDS
    return Spans(document[first], group[first], start[first], stop[last], words, ngrams, most)


def _most(span: Counts, text: Counts) -> Counts:
    """Of each span the text that stands most often beside it, the first of equals."""
    pairs, counts = np.unique(np.stack([span, text], axis=1), axis=0, return_counts=True)
    order = np.lexsort((pairs[:, 1], -counts, pairs[:, 0]))
    _, best = np.unique(pairs[order, 0], return_index=True)
    most: Counts = pairs[order[best], 1]
    return most


@compiled
def _all_words(offsets: int, data: int, count: int, classes: int, hashes: int, edges: int, counts: Counts) -> None:
    """Write hashes and edges of the words of all texts, one after another, and how many each text has."""
    used = 0
    for index in range(count):
        begin, end = data + load_i64(offsets + 8 * index), data + load_i64(offsets + 8 * index + 8)
        safe = data + load_i64(offsets + 8 * count)
        counts[index] = hashed_words(begin, end, safe, classes, hashes + 8 * used, edges + 16 * used)
        used += counts[index]


@compiled
def hashed_words(begin: int, end: int, safe: int, classes: int, hashes: int, edges: int) -> int:
    """The number of words; at ``hashes`` the hash of the 13-gram that each begins, at ``edges`` where each lies.

    ``hashes`` has room for a block more. safe: up to which memory may be read. The last twelve hashes mean nothing.
    """
    words, rolling, leaving = find_edges(begin, end, safe, classes, hashes, edges), 0, 0
    for index in range(words):
        at, stop = load_i64(edges + 16 * index), load_i64(edges + 16 * index + 8)
        word = hashed(at, stop, safe)
        store_i64(hashes + 8 * index, word)
        rolling = rolling * _BASE + word - leaving * _BASE_13
        if index >= WORDS - 1:
            place = hashes + 8 * (index - WORDS + 1)
            leaving = load_i64(place)
            store_i64(place, finish(rolling, WORDS))
    return words


@compiled
def _spoken(edges: int, counts: Counts) -> None:
    """Of the words before each word, and before the end, how many are more than the digits 0 to 9."""
    for word in range(counts.size - 1):
        more = 0
        for place in range(load_i64(edges + 16 * word), load_i64(edges + 16 * word + 8)):
            more |= not 48 <= load_u8(place) <= 57
        counts[word + 1] = counts[word] + more


@compiled
def _fill(header: int) -> None:
    """Put every entry into the filter, and the first of each hash into the slots."""
    count, slots, hashes = load_i64(header), load_i64(header + 8), load_i64(header + 16)
    keys, firsts, bits = load_i64(header + 32), load_i64(header + 40), load_i64(header + 48)
    for entry in range(count):
        key = load_i64(hashes + 8 * entry)
        bit = key >> 24 & 8 * slots - 1
        store_u8(bits + (bit >> 3), load_u8(bits + (bit >> 3)) | 1 << (bit & 7))
        slot = slot_of(keys, slots, key)
        if not load_i64(keys + 8 * slot):
            store_i64(keys + 8 * slot, key)
            store_i64(firsts + 8 * slot, entry)


@compiled
def _scan(
    offsets: int,
    data: int,
    count: int,
    classes: int,
    hashes: int,
    edges: int,
    header: int,
    words: Counts,
    hits: Counts,
    places: Counts,
) -> None:
    """Count the words and hits of each text; where ``places`` has an address, write the hits there."""
    again = places.any()
    for index in range(count):
        if again and not hits[index]:
            continue
        begin, end = data + load_i64(offsets + 8 * index), data + load_i64(offsets + 8 * index + 8)
        words[index] = hashed_words(begin, end, data + load_i64(offsets + 8 * count), classes, hashes, edges)
        hits[index] = _hits(begin, words[index], hashes, edges, header, index, places[index])


@internal
def _hits(begin: int, words: int, hashes: int, edges: int, header: int, document: int, out: int) -> int:
    """How many entries the 13-grams of a text meet; written at ``out``, unless that is 0."""
    mask, bits, met = 8 * load_i64(header + 8) - 1, load_i64(header + 48), 0
    for gram in range(words - WORDS + 1):
        key = load_i64(hashes + 8 * gram)
        bit = key >> 24 & mask
        if load_u8(bits + (bit >> 3)) >> (bit & 7) & 1:
            first, after = _entries(header, key, edges + 16 * gram)
            for entry in range(first, after):
                if out:
                    _note(out + 40 * met, document, gram, edges + 16 * gram, begin, entry)
                met += 1
    return met


@internal
def _note(out: int, document: int, gram: int, edges: int, begin: int, entry: int) -> None:
    """A hit: document, number of its first word, first byte and the byte after it, entry."""
    store_i64(out, document)
    store_i64(out + 8, gram)
    store_i64(out + 16, load_i64(edges) - begin)
    store_i64(out + 24, load_i64(edges + 16 * WORDS - 8) - begin)
    store_i64(out + 32, entry)


@internal
def _entries(header: int, key: int, edges: int) -> tuple[int, int]:
    """First and end of the entries of a hash, where their words are those at ``edges``; else an empty range."""
    slots, keys = load_i64(header + 8), load_i64(header + 32)
    slot = slot_of(keys, slots, key)
    if load_i64(keys + 8 * slot) != key:
        return 0, 0
    first = load_i64(load_i64(header + 40) + 8 * slot)
    if not _equal(edges, load_i64(load_i64(header + 24) + 8 * first)):
        return 0, 0
    count, hashes, after = load_i64(header), load_i64(header + 16), first + 1
    while after < count and load_i64(hashes + 8 * after) == key:
        after += 1
    return first, after


@internal
def _equal(edges: int, others: int) -> bool:
    """Whether the 13 words at two places are the same."""
    for word in range(0, 16 * WORDS, 16):
        at, other = load_i64(edges + word), load_i64(others + word)
        size = load_i64(edges + word + 8) - at
        if load_i64(others + word + 8) - other != size:
            return False
        for place in range(size):
            if folded(load_u8(at + place)) != folded(load_u8(other + place)):
                return False
    return True
