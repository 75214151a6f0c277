"""Repeated n-grams of one document's words (Rae et al. 2021, "Scaling Language Models", table A1).

A second pass takes the 5- to 10-grams of the words of str.split, which dolma and NeMo Curator count. Five such words
can repeat only if the 5-gram of words that they start with does, so it looks at those few places alone.

An n-gram's name is the place (word) where it begins first, an int32. ``entries`` are the places whose n-gram began
before, from left to right, an int64 each: name << 32 | place. The next n makes no table of them: an n-gram that goes on
as the first of its name does keeps the name, which one comparison tells; only where it goes on otherwise it is looked
up. ``names`` tells by place what n-gram goes on there: its name if it is found twice, else -1.

Won: 1.9 times as fast as a table of pairs of names for each n whose probe branches on whether it finds one (30 -> 16
ns a word with spaCy's words, 38 -> 20 with unicode). Tried without a gain: tables of twice the size, which collide less
but lie farther from the processor.
"""

from __future__ import annotations

from warehouse.kernels.hashing import FINISH, MULTIPLIER, slots_for
from warehouse.kernels.jit import compiled, inlined, internal
from warehouse.kernels.memory import fill, load_i32, load_i64, load_u8, store_f64, store_i32, store_i64, store_u8

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
_FREE = 0x7F7F7F7F
"""A slot of a table without a name, for it is greater than any; a byte four times."""
LONGEST = 255
"""Words of str.split with more characters count as of so many in their median."""


def scratch_bytes(words: int) -> int:
    """Memory that a document of so many words needs: hashes, ends, starts, entries, keys, names twice, marks, table."""
    return 48 * words + 24 + max(4 * slots_for(words), 8 * (LONGEST + 1))


@compiled
def repetition(
    words: int, splits: int, hashes: int, ends: int, starts: int, scratch: int, capacity: int, out: int
) -> int:
    """The number of distinct words; COLUMNS at ``out``, the median and SPLIT_COLUMNS from 96 bytes on; it is zero.

    splits, starts: see words.cut. ``hashes`` become those of some of the words of str.split.
    """
    entries, keys = scratch, scratch + 8 * capacity
    names, pairs, marks = scratch + 16 * capacity, scratch + 20 * capacity, scratch + 24 * capacity
    table = scratch + 28 * capacity
    distinct = _name_words(words, hashes, names, marks, table)
    found = _neighbours(words, names, marks, entries)
    found = _first_names(found, entries, names, 4, words, pairs, table)
    for n in range(2, _FIRST):
        if words >= n:
            store_i64(out + 8 * (n - 2), _top(n, words, found, entries, marks, ends))
        found = _longer(n - 1, found, entries, pairs, keys, table)
    store_f64(out + 96, _median(splits, starts, ends, table))
    if found:
        _long_words(found, words, ends, entries, keys, names, marks, table, out + 24)
        _long_splits(splits, hashes, starts, ends, entries, keys, names, marks, table, out + 104)
    return distinct


@internal
def _long_words(
    found: int, words: int, ends: int, entries: int, keys: int, names: int, marks: int, table: int, out: int
) -> None:
    """Characters in duplicate 5- to 10-grams; ``names`` of 5-grams."""
    _spread(found, entries, words, names)
    fill(marks, 0, words)
    for longer in range(6):
        if longer:
            found = _longer(longer, found, entries, names, keys, table)
        store_i64(out + 8 * longer, _duplicates(_FIRST + longer, found, entries, marks, ends))


@internal
def _long_splits(
    splits: int,
    hashes: int,
    starts: int,
    ends: int,
    entries: int,
    keys: int,
    names: int,
    marks: int,
    table: int,
    out: int,
) -> None:
    """SPLIT_COLUMNS, from the ``names`` of 5-grams of words."""
    found = _seeds(splits, starts, names, entries)
    _hash_splits(found, entries, hashes, starts, keys)
    found = _first_names(found, entries, keys, 8, splits, names, table)
    fill(marks, 0, splits)
    for longer in range(6):
        if longer:
            found = _longer(longer, found, entries, names, keys, table)
        chars, share = _repeats(_FIRST + longer, splits, found, entries, marks, starts, ends)
        store_i64(out + 8 * longer, chars)
        store_f64(out + 48 + 8 * longer, share)


@internal
def _emptied(table: int, most: int) -> int:
    """How many slots the table has, which are free: twice as many as names may come, or more."""
    slots = slots_for(most)
    fill(table, _FREE, 4 * slots)
    return slots


@inlined
def _name(table: int, slots: int, slot: int, keys: int, width: int, place: int) -> int:
    """The first place with the key that this one has: itself, if none had it yet. Keys lie ``width`` bytes apart.

    Whether the slot is free is no branch, for it would be guessed wrong; that another key has it is rare.
    """
    key, at = load_i64(keys + width * place), table + 4 * slot
    name = min(load_i32(at), place)
    store_i32(at, name)
    if load_i64(keys + width * name) == key:
        return name
    return _name_elsewhere(table, slots, slot, keys, width, place)


@internal
def _name_elsewhere(table: int, slots: int, slot: int, keys: int, width: int, place: int) -> int:
    """As ``_name``, from the slot after this one on."""
    key = load_i64(keys + width * place)
    while True:
        slot = (slot + 1) & (slots - 1)
        name = load_i32(table + 4 * slot)
        if name == _FREE:
            store_i32(table + 4 * slot, place)
            return place
        if load_i64(keys + width * name) == key:
            return name


@inlined
def _slot(key: int, slots: int) -> int:
    """Where a key of two numbers has its slot."""
    return (key * MULTIPLIER >> 32) & (slots - 1)


@internal
def _name_words(words: int, hashes: int, names: int, lasts: int, table: int) -> int:
    """How many distinct words there are; the names of all, and at the place of each name where it comes last."""
    slots = _emptied(table, words)
    distinct = 0
    for place in range(words):
        name = _name(table, slots, load_i64(hashes + 8 * place) & (slots - 1), hashes, 8, place)
        distinct += name == place
        store_i32(lasts + 4 * name, place)
        store_i32(names + 4 * place, name)
    return distinct


@internal
def _neighbours(words: int, names: int, lasts: int, entries: int) -> int:
    """How many pairs of words have two that are found twice; where. Without a branch, for it would be guessed wrong."""
    found = left = 0
    for place in range(words):
        name = load_i32(names + 4 * place)
        right = load_i32(lasts + 4 * name) != name
        store_i64(entries + 8 * found, place - 1)
        found += left & right
        left = right
    return found


@inlined
def _first_names(count: int, entries: int, keys: int, width: int, places: int, names: int, table: int) -> int:
    """How many of these places have a key that an earlier one has: they are the entries that stay; ``names`` of all."""
    fill(names, -1, 4 * places)
    slots = _emptied(table, count)
    found = 0
    for index in range(count):
        place = load_i64(entries + 8 * index)
        name = _name(table, slots, _slot(load_i64(keys + width * place), slots), keys, width, place)
        again = name != place
        store_i32(names + 4 * place, name | again - 1)
        store_i32(names + 4 * name, name | again - 1)
        store_i64(entries + 8 * found, name << 32 | place)
        found += again
    return found


@internal
def _longer(ahead: int, count: int, entries: int, names: int, keys: int, table: int) -> int:
    """How many entries n-grams of one word more have. They end with what ``names`` tells of, so far ahead.

    Where that is found once, so is the n-gram. Few come to the table, so it is small, but can hold all of them.
    """
    slots = _emptied(table, (count + 1) >> 1)
    found, tails = 0, names + 4 * ahead
    for index in range(count):
        entry = load_i64(entries + 8 * index)
        place = entry & 0xFFFFFFFF
        tail, first = load_i32(tails + 4 * place), load_i32(tails + 4 * (entry >> 32))
        again = tail == first
        if (tail ^ first) * (tail + 1):  # neither is 0: said so, it is one branch
            key = entry - place | tail
            store_i64(keys + 8 * place, key)
            name = _name(table, slots, _slot(key, slots), keys, 8, place)
            again, entry = name != place, name << 32 | place
        store_i64(entries + 8 * found, entry)
        found += again & (tail >= 0)
    return found


@internal
def _top(n: int, words: int, count: int, entries: int, counts: int, ends: int) -> int:
    """Characters of the most frequent n-gram, spaces between words included, times its count; the first of equals."""
    fill(counts, 0, 4 * words)
    most = 1 << 32
    for index in range(count):
        name = load_i64(entries + 8 * index) >> 32
        before = load_i32(counts + 4 * name) + 1
        store_i32(counts + 4 * name, before)
        most = max(most, (before + 1 << 32) - name)
    times = -(-most >> 32)
    place = (times << 32) - most
    return (load_i64(ends + 8 * (place + n)) - load_i64(ends + 8 * place) + n - 1) * times


@internal
def _spread(count: int, entries: int, places: int, names: int) -> None:
    """The ``names`` that these are the entries of."""
    fill(names, -1, 4 * places)
    for index in range(count):
        entry = load_i64(entries + 8 * index)
        store_i32(names + 4 * (entry & 0xFFFFFFFF), entry >> 32)
        store_i32(names + 4 * (entry >> 32), entry >> 32)


@internal
def _duplicates(n: int, count: int, entries: int, marks: int, ends: int) -> int:
    """Characters in n-grams met before, taken from left to right without overlap: what begins in one is not met.

    ``marks``: a byte a place, n where something begins in such an n-gram, until it is met elsewhere.
    """
    chars = resume = 0
    for index in range(count):
        entry = load_i64(entries + 8 * index)
        place, first = entry & 0xFFFFFFFF, marks + (entry >> 32)
        if place < resume:
            continue
        if load_u8(first) == n:
            store_u8(first, 0)
            continue
        resume = place + n
        chars += load_i64(ends + 8 * resume) - load_i64(ends + 8 * place)
        for inside in (0, (n - 4) >> 1, n - 4):
            store_i32(marks + place + inside, n * 0x01010101)
    return chars


@internal
def _seeds(splits: int, starts: int, names: int, seeds: int) -> int:
    """How many 5-grams of the words of str.split start with a 5-gram of words that is found twice; where they start."""
    found = 0
    for split in range(splits - _FIRST + 1):
        store_i64(seeds + 8 * found, split)
        found += load_i32(names + 4 * load_i32(starts + 4 * split)) >= 0
    return found


@internal
def _hash_splits(count: int, seeds: int, hashes: int, starts: int, keys: int) -> None:
    """The hash of each 5-gram of words of str.split that starts at the seeds, by place: of their hashes.

    A word's own hash takes the place of one of the words that it is made of, or of one before them.
    """
    ready = 0
    for index in range(count):
        split, key = load_i64(seeds + 8 * index), 0
        for later in range(max(ready, split), split + _FIRST):
            store_i64(hashes + 8 * later, _joined(hashes, starts + 4 * later))
        ready = split + _FIRST
        for place in range(split, split + _FIRST):
            key = key * MULTIPLIER + load_i64(hashes + 8 * place)
        store_i64(keys + 8 * split, key)


@inlined
def _joined(hashes: int, start: int) -> int:
    """Hash of the words from one start to the next; a single word keeps its own."""
    state = 0
    for index in range(load_i32(start), load_i32(start + 4)):
        state = state * FINISH + load_i64(hashes + 8 * index)
    return state


@internal
def _median(splits: int, starts: int, ends: int, table: int) -> float:
    """Median length of the words of str.split, none above LONGEST; 0 for none.

    ``table``: memory for two counts of each length, of every other word, for one count would wait for itself.
    """
    fill(table, 0, 8 * (LONGEST + 1))
    total = 0
    for split in range(1, splits + 1):
        size, total = -total, _sum(ends, starts, split)
        place = table + 8 * min(size + total, LONGEST) + 4 * (split & 1)
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


@inlined
def _sum(ends: int, starts: int, split: int) -> int:
    """Characters of the words before a word of str.split."""
    return load_i64(ends + 8 * load_i32(starts + 4 * split))


@internal
def _repeats(n: int, splits: int, count: int, entries: int, marks: int, starts: int, ends: int) -> tuple[int, float]:
    """(characters in n-grams met before, with spaces between words, each place once; dolma's share of repetition).

    dolma: characters of all n-grams that are found twice, first ones and overlaps too, of those of all n-grams. The
    first one counts with the second, which has as many; ``marks``: a byte a place, n where that is done.
    """
    if count == 0:
        return 0, 0.0
    later = every = reached = 0
    for index in range(count):
        entry = load_i64(entries + 8 * index)
        place, first = entry & 0xFFFFFFFF, marks + (entry >> 32)
        stop = _sum(ends, starts, place + n)
        every += (stop - _sum(ends, starts, place)) * (1 + (load_u8(first) != n))
        store_u8(first, n)
        fresh = min(n, place + n - reached)
        later += stop - _sum(ends, starts, place + n - fresh) + min(fresh, n - 1)
        reached = place + n
    whole = 0
    for index in range(n):
        whole += _sum(ends, starts, splits - index) - _sum(ends, starts, index)
    return later, every / max(whole, 1)
