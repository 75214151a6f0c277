"""Repeated n-grams of one document's words (Rae et al. 2021, "Scaling Language Models", table A1).

A second pass takes the 5- to 10-grams of the words of str.split, which dolma and NeMo Curator count. Five such words
can repeat only if the 5-gram of words that they start with does, so it looks at those few places alone.

An n-gram is named by the pair of names of its two (n-1)-grams; only positions where both repeat are carried on:
``positions`` (where), ``names`` (which, dense in order of first occurrence), ``counts`` by name. All int32.
"""

from __future__ import annotations

from warehouse.kernels.hashing import MULTIPLIER, SEED, clear, slots_for, step
from warehouse.kernels.jit import compiled, internal
from warehouse.kernels.memory import fold, load_i32, load_i64, store_f64, store_i32, store_i64

COLUMNS = (
    *(f"top_{n}_gram_chars" for n in (2, 3, 4)),
    *(f"duplicate_{n}_gram_chars" for n in range(5, 11)),
)
SPLIT_COLUMNS = (
    *(f"nemo_duplicate_{n}_gram_chars" for n in range(5, 11)),
    *(f"dolma_repeated_{n}_gram_share" for n in range(5, 11)),
)
SHARES = frozenset({"median_split_word", *SPLIT_COLUMNS[6:]})
"""Columns of double precision."""
_FIRST = 5
LONGEST = 255
"""Words of str.split with more characters count as of so many in their median."""


def scratch_bytes(words: int) -> int:
    """Memory that a document of ``words`` words needs: hashes and sums of lengths, where words of str.split start and
    which of them to look at, two levels of names, keys, a table.
    """
    slots = 16
    while slots < 2 * words:
        slots *= 2
    return 60 * words + 24 + max(4 * slots, 8 * (LONGEST + 1))


@compiled
def repetition(
    words: int, splits: int, hashes: int, ends: int, starts: int, scratch: int, capacity: int, out: int
) -> int:
    """The number of distinct words; COLUMNS at ``out``, the median and SPLIT_COLUMNS from 96 bytes on.

    splits, starts: see words.cut. ``hashes`` become the running sums of characters of the words of str.split.
    """
    seeds, scratch = scratch, scratch + 4 * capacity
    positions, names, counts = scratch, scratch + 4 * capacity, scratch + 8 * capacity
    next_positions, next_names, next_counts = scratch + 12 * capacity, scratch + 16 * capacity, scratch + 20 * capacity
    firsts, keys = scratch + 24 * capacity, scratch + 28 * capacity
    table = keys + 8 * capacity
    distinct = _name_words(words, hashes, positions, names, counts, keys, table)
    entries, seeded = words, 0
    for n in range(2, 11):
        entries, kinds = _pair(
            entries, positions, names, counts, next_positions, next_names, next_counts, firsts, keys, table
        )
        positions, next_positions = next_positions, positions
        names, next_names = next_names, names
        counts, next_counts = next_counts, counts
        if n == _FIRST:
            seeded = _seeds(entries, positions, names, counts, splits, starts, seeds)
        if n <= 4:
            chars = _top(n, words, kinds, counts, firsts, ends)
        else:
            chars = _duplicates(n, entries, positions, names, counts, firsts, ends)
        store_i64(out + 8 * (n - 2), chars)
    entries = _name_splits(seeded, seeds, hashes, starts, positions, names, counts, firsts, keys, table)
    store_f64(out + 96, _median(splits, starts, ends, hashes, table))
    for n in range(_FIRST, 11):
        if n > _FIRST:
            entries, kinds = _pair(
                entries, positions, names, counts, next_positions, next_names, next_counts, firsts, keys, table
            )
            positions, next_positions = next_positions, positions
            names, next_names = next_names, names
            counts, next_counts = next_counts, counts
        chars, share = _repeats(n, splits, entries, positions, names, counts, firsts, hashes)
        store_i64(out + 104 + 8 * (n - _FIRST), chars)
        store_f64(out + 152 + 8 * (n - _FIRST), share)
    return distinct


@internal
def _name(table: int, slots: int, keys: int, key: int, fresh: int) -> int:
    """The name under ``key``, or ``fresh``, which it then has. A slot is an int32, the name plus one (0: empty).

    With the keys apart, in order of their names, all of a page of text lies in the processor's nearest cache.
    """
    slot = fold(key ^ SEED, MULTIPLIER) & (slots - 1)
    while True:
        name = load_i32(table + 4 * slot) - 1
        if name < 0:
            store_i32(table + 4 * slot, fresh + 1)
            store_i64(keys + 8 * fresh, key)
            return fresh
        if load_i64(keys + 8 * name) == key:
            return name
        slot = (slot + 1) & (slots - 1)


@internal
def _count(counts: int, name: int, fresh: int) -> int:
    """Count one more of ``name``; how many names there are now."""
    store_i32(counts + 4 * name, load_i32(counts + 4 * name) * (name != fresh) + 1)
    return fresh + (name == fresh)


@internal
def _name_words(words: int, hashes: int, positions: int, names: int, counts: int, keys: int, table: int) -> int:
    """How many distinct words there are; all positions, their names and counts."""
    slots = slots_for(words)
    clear(table, slots >> 1)
    kinds = 0
    for index in range(words):
        name = _name(table, slots, keys, load_i64(hashes + 8 * index), kinds)
        kinds = _count(counts, name, kinds)
        store_i32(positions + 4 * index, index)
        store_i32(names + 4 * index, name)
    return kinds


@internal
def _pair(
    entries: int,
    positions: int,
    names: int,
    counts: int,
    next_positions: int,
    next_names: int,
    next_counts: int,
    firsts: int,
    keys: int,
    table: int,
) -> tuple[int, int]:
    """(positions, distinct n-grams) of the next n, from neighbours that both repeat; ``firsts``: where a name began."""
    found = _neighbours(entries, positions, names, counts, next_positions, next_names)
    slots = slots_for(found)
    clear(table, slots >> 1)
    kinds = 0
    for index in range(found):
        pair = names + 4 * load_i32(next_names + 4 * index)
        name = _name(table, slots, keys, load_i32(pair) << 32 | load_i32(pair + 4), kinds)
        if name == kinds:
            store_i32(firsts + 4 * name, load_i32(next_positions + 4 * index))
        kinds = _count(next_counts, name, kinds)
        store_i32(next_names + 4 * index, name)
    return found, kinds


@internal
def _neighbours(entries: int, positions: int, names: int, counts: int, next_positions: int, indexes: int) -> int:
    """How many neighbours both repeat; their positions and indexes. Without a branch, for it would be guessed wrong."""
    found = 0
    for index in range(entries - 1):
        at = 4 * index
        position = load_i32(positions + at)
        store_i32(next_positions + 4 * found, position)
        store_i32(indexes + 4 * found, index)
        left, right = load_i32(counts + 4 * load_i32(names + at)), load_i32(counts + 4 * load_i32(names + at + 4))
        found += (load_i32(positions + at + 4) == position + 1) & (left > 1) & (right > 1)
    return found


@internal
def _top(n: int, words: int, kinds: int, counts: int, firsts: int, ends: int) -> int:
    """Characters of the most frequent n-gram, spaces between words included, times its count; the first of equals."""
    if words < n:
        return 0
    position, most = 0, 1
    for name in range(kinds):
        if load_i32(counts + 4 * name) > most:
            most = load_i32(counts + 4 * name)
            position = load_i32(firsts + 4 * name)
    return (load_i64(ends + 8 * (position + n)) - load_i64(ends + 8 * position) + n - 1) * most


@internal
def _duplicates(n: int, entries: int, positions: int, names: int, counts: int, firsts: int, ends: int) -> int:
    """Characters in n-grams met before, taken from left to right without overlap; ``firsts`` becomes -1 where met."""
    chars = resume = 0
    for index in range(entries):
        position, name = load_i32(positions + 4 * index), load_i32(names + 4 * index)
        if position < resume or load_i32(counts + 4 * name) < 2:
            continue
        if load_i32(firsts + 4 * name) < 0:
            chars += load_i64(ends + 8 * (position + n)) - load_i64(ends + 8 * position)
            resume = position + n
        store_i32(firsts + 4 * name, -1)
    return chars


@internal
def _seeds(entries: int, positions: int, names: int, counts: int, splits: int, starts: int, seeds: int) -> int:
    """How many 5-grams of the words of str.split start with a 5-gram of words that is found twice; where they start."""
    found = split = 0
    for index in range(entries):
        position = load_i32(positions + 4 * index)
        if load_i32(counts + 4 * load_i32(names + 4 * index)) > 1:
            while load_i32(starts + 4 * split) < position:
                split += 1
            store_i32(seeds + 4 * found, split)
            found += (load_i32(starts + 4 * split) == position) & (split + _FIRST <= splits)
    return found


@internal
def _name_splits(
    seeded: int,
    seeds: int,
    hashes: int,
    starts: int,
    positions: int,
    names: int,
    counts: int,
    firsts: int,
    keys: int,
    table: int,
) -> int:
    """How many 5-grams of words of str.split were named: those that start at the seeds, as ``_pair`` leaves them."""
    slots = slots_for(seeded)
    clear(table, slots >> 1)
    kinds = 0
    for index in range(seeded):
        split, key = load_i32(seeds + 4 * index), SEED
        for place in range(starts + 4 * split, starts + 4 * (split + _FIRST), 4):
            key = step(key, _joined(hashes, load_i32(place), load_i32(place + 4)))
        name = _name(table, slots, keys, key, kinds)
        if name == kinds:
            store_i32(firsts + 4 * name, split)
        kinds = _count(counts, name, kinds)
        store_i32(names + 4 * index, name)
        store_i32(positions + 4 * index, split)
    return seeded


@internal
def _joined(hashes: int, first: int, stop: int) -> int:
    """Hash of a run of words."""
    state = SEED
    for index in range(first, stop):
        state = step(state, load_i64(hashes + 8 * index))
    return state


@internal
def _median(splits: int, starts: int, ends: int, sums: int, table: int) -> float:
    """Median length of the words of str.split, none above LONGEST; 0 for none. Their running sums come to ``sums``.

    ``table``: memory for two counts of each length, of every other word, for one count would wait for itself.
    """
    clear(table, LONGEST + 1)
    store_i64(sums, 0)
    total = 0
    for split in range(1, splits + 1):
        size, total = -total, load_i64(ends + 8 * load_i32(starts + 4 * split))
        place = table + 8 * min(size + total, LONGEST) + 4 * (split & 1)
        store_i64(sums + 8 * split, total)
        store_i32(place, load_i32(place) + 1)
    if splits == 0:
        return 0.0
    twice = passed = size = 0
    for middle in ((splits - 1) >> 1, splits >> 1):
        while passed + load_i32(table + 8 * size) + load_i32(table + 8 * size + 4) <= middle:
            passed += load_i32(table + 8 * size) + load_i32(table + 8 * size + 4)
            size += 1
        twice += size
    return twice / 2


@internal
def _repeats(
    n: int, splits: int, entries: int, positions: int, names: int, counts: int, firsts: int, sums: int
) -> tuple[int, float]:
    """(characters in n-grams met before, with spaces between words, each place once; dolma's share of repetition).

    dolma: characters of all n-grams that are found twice, first ones and overlaps too, of those of all n-grams.
    """
    if splits < n:
        return 0, 0.0
    later = every = reached = 0
    for index in range(entries):
        position, name = load_i32(positions + 4 * index), load_i32(names + 4 * index)
        if load_i32(counts + 4 * name) < 2:
            continue
        stop = load_i64(sums + 8 * (position + n))
        every += stop - load_i64(sums + 8 * position)
        if load_i32(firsts + 4 * name) != position:
            fresh = min(n, position + n - reached)
            later += stop - load_i64(sums + 8 * (position + n - fresh)) + min(fresh, n - 1)
            reached = position + n
    whole = 0
    for index in range(n):
        whole += load_i64(sums + 8 * (splits - index)) - load_i64(sums + 8 * index)
    return later, every / max(whole, 1)
