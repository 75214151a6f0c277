"""64 bytes of text at once: one bit a byte, bit 0 the first, by vector instructions of whatever the processor has.

Won: 64 bytes cost some twenty instructions and no branch, where a loop over bytes guesses wrong at the end of every
word (measured: words alone at 234 MB/s a byte at a time). Lost: 64 readable bytes are needed; the caller answers for
that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from typing import Any, cast

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from warehouse.kernels.jit import compiled, inlined
from warehouse.kernels.memory import load_u8, store_u8

BYTES = 64
HALF = 32

_BYTE, _WORD = ir.IntType(8), ir.IntType(64)
_BLOCK = ir.VectorType(_BYTE, BYTES)


def _all(value: int) -> ir.Constant:
    return ir.Constant(_BLOCK, [value] * BYTES)


def _mapped(bits: Callable[[Any, Any], Any], size: int = BYTES) -> Callable[[int], int]:
    """A function from the address of 64 bytes, or of ``size``, to the bits that ``bits`` builds of them."""
    kind = ir.VectorType(_BYTE, size)

    @intrinsic
    def mapped(_context: Any, address: Any) -> Any:
        def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            place = builder.inttoptr(arguments[0], kind.as_pointer())
            found = builder.bitcast(bits(builder, builder.load(place, align=1)), ir.IntType(size))
            return found if size == BYTES else builder.zext(found, _WORD)

        return types.int64(types.int64), generate

    return cast("Callable[[int], int]", mapped)


def _ascii_word(builder: Any, block: Any) -> Any:
    letter = builder.icmp_unsigned("<", builder.sub(builder.or_(block, _all(32)), _all(ord("a"))), _all(26))
    digit = builder.icmp_unsigned("<", builder.sub(block, _all(ord("0"))), _all(10))
    return builder.or_(builder.or_(letter, digit), builder.icmp_unsigned("==", block, _all(ord("_"))))


ascii_word = _mapped(_ascii_word)
"""Which of 64 bytes are a-z, A-Z, 0-9 or _."""

high = _mapped(lambda builder, block: builder.icmp_signed("<", block, _all(0)))
"""Which of 64 bytes are of characters beyond ASCII."""


def _inside(builder: Any, block: Any, points: Iterable[int]) -> Any:
    """Which bytes are among these: a comparison for each run of them."""
    edges = [point for point in range(0x101) if (point in points) != (point - 1 in points)]
    parts = [_run(builder, block, *run) for run in zip(edges[::2], edges[1::2], strict=True)]
    return reduce(builder.or_, parts)


def _run(builder: Any, block: Any, first: int, after: int) -> Any:
    """Which bytes are from ``first`` up to ``after``."""
    if after - first == 1:
        return builder.icmp_unsigned("==", block, block.type([first] * block.type.count))
    shifted = builder.sub(block, block.type([first] * block.type.count))
    return builder.icmp_unsigned("<", shifted, block.type([after - first] * block.type.count))


def among(points: Iterable[int], size: int = BYTES) -> Callable[[int], int]:
    """A function from an address to which of 64 bytes, or of ``size``, are these."""
    held = frozenset(points)
    return _mapped(lambda builder, block: _inside(builder, block, held), size)


newline = among(b"\n")
"""Which of 64 bytes are line feeds."""


def folding(spaces: Iterable[int]) -> Callable[[int, int], None]:
    """A function that writes the 64 bytes at one address to another, A-Z as a-z and ``spaces`` of ASCII as spaces."""
    held = frozenset(spaces)

    @intrinsic
    def fold(_context: Any, source: Any, target: Any) -> Any:
        def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            source, target = (builder.inttoptr(address, _BLOCK.as_pointer()) for address in arguments)
            block = builder.load(source, align=1)
            upper, space = _inside(builder, block, range(0x41, 0x5B)), _inside(builder, block, held)
            lower = builder.select(upper, builder.or_(block, _all(0x20)), block)
            builder.store(builder.select(space, _all(0x20), lower), target, align=1)
            return _target.get_dummy_value()

        return types.void(types.int64, types.int64), generate

    return cast("Callable[[int, int], None]", fold)


beyond_ascii, digits_in = among(range(0x80, 0x100), HALF), among(b"0123456789", HALF)
letters_in = among((byte for byte in range(0x80) if chr(byte).isalpha()), HALF)
"""Which of 32 bytes are of characters beyond ASCII, digits, letters."""


def starts(beginnings: Sequence[bytes], alone: bytes) -> Callable[[int], int]:
    """A function from an address to which of 64 bytes are one of ``alone`` or begin one of these, in either case.

    It reads as many bytes more as a beginning has letters after its first.
    """

    @intrinsic
    def starting(_context: Any, address: Any) -> Any:
        def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            def block(shift: int) -> Any:
                place = builder.inttoptr(builder.add(arguments[0], _WORD(shift)), _BLOCK.as_pointer())
                return builder.load(place, align=1)

            def lower(shift: int) -> Any:
                return builder.or_(block(shift), _all(32))

            shifted = [lower(shift) for shift in range(max(map(len, beginnings)))]
            found = [builder.icmp_unsigned("==", block(0), _all(byte)) for byte in alone]
            for letters in beginnings:
                same = [
                    builder.icmp_unsigned("==", part, _all(letter))
                    for part, letter in zip(shifted, letters, strict=False)
                ]
                found.append(reduce(builder.and_, same))
            return builder.bitcast(reduce(builder.or_, found), _WORD)

        return types.int64(types.int64), generate

    return cast("Callable[[int], int]", starting)


@inlined
def lowest(size: int) -> int:
    """A number whose lowest ``size`` (1 to 64) bits are ones: those of the bytes of a text that ends in a block."""
    return ~(-2 << size - 1)


@compiled
def copied(at: int, end: int, memory: int) -> int:
    """Where a copy of the bytes at..end lies: ``memory``, for blocks that would reach beyond the end of a column."""
    for place in range(end - at):
        store_u8(memory + place, load_u8(at + place))
    return memory
