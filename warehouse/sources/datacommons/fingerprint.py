"""FarmHash Fingerprint64, by which Data Commons names observations: 64 bits of a byte string, equal on every machine.

Algorithm: Geoff Pike, FarmHash (namespace farmhashna), which Guava calls farmHashFingerprint64. Plain Python,
13 us for the 150 bytes of an observation's key; it is made when observations are written as MCF, never when they are
read.
"""

from __future__ import annotations

from collections.abc import Callable

K0, K1, K2 = 0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F
MASK = (1 << 64) - 1
ALPHABET = "0123456789bcdfghjklmnpqrstvwxyze"
"""Digits of a short name, by 5 bits, the lowest first."""

Fetch = Callable[[int], int]


def short_name(text: str) -> str:
    """The fingerprint of UTF-8 text in at most 13 of ALPHABET."""
    left, digits = fingerprint64(text.encode("utf-8", "surrogatepass")), ""
    while left or not digits:
        digits, left = digits + ALPHABET[left & 31], left >> 5
    return digits


def fingerprint64(data: bytes) -> int:
    """The fingerprint as an unsigned integer."""
    size = len(data)

    def fetch(at: int) -> int:
        return int.from_bytes(data[at : at + 8], "little")

    if size <= 16:
        return _to_16(data, fetch)
    mul = (K2 + size * 2) & MASK
    if size <= 32:
        return _to_32(fetch, size, mul)
    if size <= 64:
        return _to_64(fetch, size, mul)
    return _long(fetch, size)


def _turned(value: int, by: int) -> int:
    value &= MASK
    return (value >> by) | (value << (64 - by)) & MASK


def _mixed(value: int) -> int:
    value &= MASK
    return value ^ (value >> 47)


def _joined(one: int, other: int, mul: int) -> int:
    first = _mixed((one ^ other) * mul)
    return (_mixed((other ^ first) * mul) * mul) & MASK


def _to_16(data: bytes, fetch: Fetch) -> int:
    size = len(data)
    mul = (K2 + size * 2) & MASK
    if size >= 8:
        a, b = (fetch(0) + K2) & MASK, fetch(size - 8)
        c, d = (_turned(b, 37) * mul + a) & MASK, ((_turned(a, 25) + b) * mul) & MASK
        return _joined(c, d, mul)
    if size >= 4:
        first, last = (int.from_bytes(data[at : at + 4], "little") for at in (0, size - 4))
        return _joined(size + (first << 3), last, mul)
    if size:
        y, z = data[0] + (data[size >> 1] << 8), size + (data[-1] << 2)
        return (_mixed(y * K2 ^ z * K0) * K2) & MASK
    return K2


def _ends(fetch: Fetch, size: int, mul: int, first: int) -> tuple[int, int]:
    """What the first and the last 16 bytes come to; ``first`` multiplies the first 8."""
    a, b = (fetch(0) * first) & MASK, fetch(8)
    c, d = (fetch(size - 8) * mul) & MASK, (fetch(size - 16) * K2) & MASK
    return (_turned(a + b, 43) + _turned(c, 30) + d) & MASK, (a + _turned(b + K2, 18) + c) & MASK


def _to_32(fetch: Fetch, size: int, mul: int) -> int:
    y, z = _ends(fetch, size, mul, K1)
    return _joined(y, z, mul)


def _to_64(fetch: Fetch, size: int, mul: int) -> int:
    y, rest = _ends(fetch, size, mul, K2)
    z = _joined(y, rest, mul)
    a = (fetch(0) * K2) & MASK
    e, f = (fetch(16) * mul) & MASK, fetch(24)
    g, h = ((y + fetch(size - 32)) * mul) & MASK, ((z + fetch(size - 24)) * mul) & MASK
    return _joined((_turned(e + f, 43) + _turned(g, 30) + h) & MASK, (e + _turned(f + a, 18) + g) & MASK, mul)


def _weak(fetch: Fetch, at: int, a: int, b: int) -> tuple[int, int]:
    w, x, y, z = (fetch(at + step) for step in (0, 8, 16, 24))
    a = (a + w) & MASK
    b = _turned(b + a + z, 21)
    c = a
    a = (a + x + y) & MASK
    b = (b + _turned(a, 44)) & MASK
    return (a + z) & MASK, (b + c) & MASK


def _long(fetch: Fetch, size: int) -> int:
    x, y = 81, (81 * K1 + 113) & MASK
    z = (_mixed(y * K2 + 113) * K2) & MASK
    v, w = (0, 0), (0, 0)
    x = (x * K2 + fetch(0)) & MASK
    end = (size - 1) // 64 * 64
    for at in range(0, end, 64):
        x, y, z, v, w = _round(fetch, at, (x, y, z, v, w), K1, 1)
    mul = (K1 + ((z & 0xFF) << 1)) & MASK
    w = ((w[0] + ((size - 1) & 63)) & MASK, w[1])
    v = ((v[0] + w[0]) & MASK, v[1])
    w = ((w[0] + v[0]) & MASK, w[1])
    x, y, z, v, w = _round(fetch, end + ((size - 1) & 63) - 63, (x, y, z, v, w), mul, 9)
    one = (_joined(v[0], w[0], mul) + _mixed(y) * K0 + z) & MASK
    return _joined(one, (_joined(v[1], w[1], mul) + x) & MASK, mul)


State = tuple[int, int, int, tuple[int, int], tuple[int, int]]


def _round(fetch: Fetch, at: int, state: State, mul: int, weight: int) -> State:
    """64 bytes more; ``weight`` is 9 for the last ones."""
    x, y, z, v, w = state
    x = (_turned(x + y + v[0] + fetch(at + 8), 37) * mul) & MASK
    y = (_turned(y + v[1] + fetch(at + 48), 42) * mul) & MASK
    x ^= (w[1] * weight) & MASK
    y = (y + v[0] * weight + fetch(at + 40)) & MASK
    z = (_turned(z + w[0], 33) * mul) & MASK
    v = _weak(fetch, at, (v[1] * mul) & MASK, (x + w[0]) & MASK)
    w = _weak(fetch, at + 32, (z + w[1]) & MASK, (y + fetch(at + 16)) & MASK)
    return z, y, x, v, w
