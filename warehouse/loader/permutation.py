"""A shuffle as a function: position -> sample, in constant memory, for any number of samples.

An alternating Feistel network over a grid of a x b >= n cells (Black and Rogaway, "Ciphers with Arbitrary Finite
Domains", 2002, the generalised Feistel and cycle-walking): sides grow in turn by a keyed hash of the other side, and a
result outside 0..n-1 is sent through again. With a = ceil(sqrt(n)), b = ceil(n / a) at most a cells lie outside, so
walks are rare. Won: no index in memory, any slice of the order at once. Lost: 50 ns an index in chunks of 4,096 on a
2-core AMD EPYC machine that does much else (73 with np.divmod and np.where), and an order that tests cannot tell from a
random one but that is not proven uniform. 4 rounds of a bitwise network were measured too weak (mean chi-square z of
1.7 over 12 seeds at n = 65,536, up to 4.7), 6 were not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache
from math import isqrt

import numpy as np
import numpy.typing as npt

ROUNDS = 6
Words = npt.NDArray[np.uint64]

_HALF = np.uint64(32)
_SHIFT = np.uint64(33)
_FIRST = np.uint64(0xFF51AFD7ED558CCD)  # the two multipliers of MurmurHash3's 64-bit finaliser
_SECOND = np.uint64(0xC4CEB9FE1A85EC53)


def permuted(positions: npt.ArrayLike, *, n: int, key: str, rounds: int = ROUNDS) -> Words:
    """The sample at each position of the order named by ``key``: uint64, a bijection of 0..n-1.

    positions: integers in 0..n-1, any shape of one dimension. n: at most 2^62.
    """
    return _walked(_pass, positions, n, _round_keys(key, rounds))


def inverted(samples: npt.ArrayLike, *, n: int, key: str, rounds: int = ROUNDS) -> Words:
    """The position of each sample in the order named by ``key``: the inverse of ``permuted``, in as little memory.

    The rounds backwards; a walk through cells outside 0..n-1 leads back the way it came.
    """
    return _walked(_pass_back, samples, n, _round_keys(key, rounds))


def _walked(step: Callable[[Words, int, int, Words], Words], cells: npt.ArrayLike, n: int, keys: Words) -> Words:
    """``step`` over the grid of 0..n-1, again for each cell that is led outside it."""
    rows = isqrt(max(n - 1, 0)) + 1
    columns = -(-n // rows)
    found = step(np.array(cells, dtype=np.uint64), rows, columns, keys)
    outside = np.flatnonzero(found >= n)
    while outside.size:
        found[outside] = step(found[outside], rows, columns, keys)
        outside = outside[found[outside] >= n]
    return found


def _pass(cells: Words, rows: int, columns: int, keys: Words) -> Words:
    """One bijection of 0..rows*columns-1: even rounds move the row, odd rounds the column."""
    row, column = _split(cells, columns)
    for number, key in enumerate(keys):
        if number % 2 == 0:
            row = _shifted(row, column, rows, key)
        else:
            column = _shifted(column, row, columns, key)
    result: Words = row * np.uint64(columns) + column
    return result


def _pass_back(cells: Words, rows: int, columns: int, keys: Words) -> Words:
    """The inverse of ``_pass``: its rounds in reverse, each side shrunk by what it grew."""
    row, column = _split(cells, columns)
    for number in reversed(range(len(keys))):
        if number % 2 == 0:
            row = _shifted_back(row, column, rows, keys[number])
        else:
            column = _shifted_back(column, row, columns, keys[number])
    result: Words = row * np.uint64(columns) + column
    return result


def _split(cells: Words, columns: int) -> tuple[Words, Words]:
    """Row and column of each cell; numpy's divmod takes twice as long."""
    row = cells // np.uint64(columns)
    return row, cells - row * np.uint64(columns)


def _shifted(side: Words, other: Words, size: int, key: np.uint64) -> Words:
    """(side + hash(other)) mod size; a difference below 0 wraps, and is the larger of both."""
    moved = side + _growth(other, size, key)
    wrapped: Words = np.minimum(moved, moved - np.uint64(size))
    return wrapped


def _shifted_back(side: Words, other: Words, size: int, key: np.uint64) -> Words:
    """(side - hash(other)) mod size."""
    moved = side - _growth(other, size, key)
    wrapped: Words = np.minimum(moved, moved + np.uint64(size))
    return wrapped


def _growth(other: Words, size: int, key: np.uint64) -> Words:
    """A hash of ``other`` whose upper 32 bits are scaled to 0..size-1 by a multiplication."""
    grown = _mixed(other + key)
    grown >>= _HALF
    grown *= np.uint64(size)
    grown >>= _HALF
    return grown


def _mixed(values: Words) -> Words:
    values ^= values >> _SHIFT
    values *= _FIRST
    values ^= values >> _SHIFT
    values *= _SECOND
    values ^= values >> _SHIFT
    return values


@lru_cache(maxsize=64)
def _round_keys(key: str, rounds: int) -> Words:
    digest = hashlib.shake_128(key.encode()).digest(8 * rounds)
    return np.frombuffer(digest, dtype="<u8").astype(np.uint64)
