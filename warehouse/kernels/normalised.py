"""Hash of a normalised text: A-Z as a-z, runs of white space as one space and none at its ends; no other folding.

The normalised bytes are written to a buffer within the nearest cache, up to 64 at once, and hashed from there in four
lanes of 64 bits, so that four multiplications run side by side.

Tried: words of up to eight bytes into one lane, one after the other, as they stand in the text, without a buffer. Each
waits for the one before it: 1.6 times the time of all that this and ``profile`` do.
"""

from __future__ import annotations

from warehouse.kernels.blocks import BYTES, folding
from warehouse.kernels.characters import SPACE, ascii_of
from warehouse.kernels.hashing import SEED, clear, finish, step
from warehouse.kernels.jit import compiled, internal
from warehouse.kernels.memory import add, load_i64, load_u8, store_i64, store_u8, trailing_zeros

LANES = 32
_HEAD, _FULL = LANES + 8, 4096
SCRATCH = _HEAD + _FULL + 4 * BYTES
"""Bytes of the memory of a stream: its lanes, how many bytes went into them, those that are yet to go."""

_fold = folding(ascii_of(SPACE))


@compiled
def start(stream: int) -> int:
    """Empty a stream; where its first byte goes."""
    for lane in range(0, LANES, 8):
        store_i64(stream + lane, SEED + lane)
    store_i64(stream + LANES, 0)
    return stream + _HEAD


@compiled
def room(stream: int, cursor: int) -> int:
    """Where the next byte goes, which went to ``cursor`` so far; two blocks have room there.

    The last byte may be a space that ends the text, so it never goes into the lanes here.
    """
    return _taken(stream, cursor - 1) + 1 if cursor - stream > _HEAD + _FULL else cursor


@compiled
def write(block: int, kept: int, cursor: int) -> int:
    """Where the next byte goes after those that ``kept`` marks of the 64 from ``block`` on; 64 more can be read."""
    if kept == -1:
        _fold(block, cursor)
        return cursor + BYTES
    while kept:
        first = trailing_zeros(kept)
        stop = trailing_zeros(~kept & -1 << first)
        _fold(block + first, cursor)
        cursor += stop - first
        kept &= -2 << stop - 1
    return cursor


@compiled
def write_space(cursor: int, gap: int) -> int:
    """Where the next byte goes after a space, if there is no ``gap`` already."""
    store_u8(cursor, 0x20)
    return cursor + 1 - gap


@compiled
def write_broken(cursor: int) -> int:
    """Where the next byte goes after U+FFFD, which a byte that is no UTF-8 stands for."""
    store_u8(cursor, 0xEF)
    store_u8(cursor + 1, 0xBF)
    store_u8(cursor + 2, 0xBD)
    return cursor + 3


@compiled
def hashed(stream: int, cursor: int) -> int:
    """The hash of all that was written, without a space at its end; the rest of the last lanes counts as zeros."""
    cursor = _taken(stream, cursor - int(cursor > stream + _HEAD and load_u8(cursor - 1) == 0x20))
    clear(cursor, LANES // 8)
    size = load_i64(stream + LANES) + cursor - stream - _HEAD
    state = SEED
    for lane in range(stream, stream + LANES, 8):
        state = step(state, step(load_i64(lane), load_i64(lane + _HEAD)))
    return finish(state, size)


@internal
def _taken(stream: int, cursor: int) -> int:
    """Hash all but the last 1 to 32 bytes up to ``cursor``, which go to the front with 8 more; where they end."""
    one, two, at = load_i64(stream), load_i64(stream + 8), stream + _HEAD
    three, four = load_i64(stream + 16), load_i64(stream + 24)
    while cursor - at > LANES:
        one, two = step(one, load_i64(at)), step(two, load_i64(at + 8))
        three, four = step(three, load_i64(at + 16)), step(four, load_i64(at + 24))
        at += LANES
    store_i64(stream, one)
    store_i64(stream + 8, two)
    store_i64(stream + 16, three)
    store_i64(stream + 24, four)
    add(stream + LANES, at - stream - _HEAD)
    for place in range(0, LANES + 8, 8):
        store_i64(stream + _HEAD + place, load_i64(at + place))
    return cursor - (at - stream - _HEAD)
