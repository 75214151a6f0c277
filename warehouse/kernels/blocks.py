"""64 bytes of text at once: one bit a byte, bit 0 the first, by vector instructions of whatever the processor has.

Won: 64 bytes cost some twenty instructions and no branch, where a loop over bytes guesses wrong at the end of every
word (measured: words alone at 234 MB/s a byte at a time). Lost: as many readable bytes are needed; the caller answers
for that.
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
"""As many bytes as nearly every word has, for half the instructions."""

_BYTE, _WORD = ir.IntType(8), ir.IntType(64)


def _load(builder: Any, address: Any, shift: int = 0, size: int = BYTES) -> Any:
    place = builder.inttoptr(builder.add(address, _WORD(shift)), ir.VectorType(_BYTE, size).as_pointer())
    return builder.load(place, align=1)


def _all(block: Any, value: int) -> Any:
    """A block of so many bytes, each of this value."""
    return block.type([value] * block.type.count)


def _same(builder: Any, block: Any, byte: int) -> Any:
    return builder.icmp_unsigned("==", block, _all(block, byte))


def _within(builder: Any, block: Any, first: int, count: int) -> Any:
    """Which bytes are one of ``count`` from ``first`` on."""
    if count == 1:
        return _same(builder, block, first)
    return builder.icmp_unsigned("<", builder.sub(block, _all(block, first)), _all(block, count))


def _inside(builder: Any, block: Any, points: Iterable[int]) -> Any:
    """Which bytes are among these: a comparison for each run of them."""
    edges = [point for point in range(0x101) if (point in points) != (point - 1 in points)]
    runs = zip(edges[::2], edges[1::2], strict=True)
    return reduce(builder.or_, (_within(builder, block, first, after - first) for first, after in runs))


def _mapped(bits: Callable[..., Any], *, reads: int = 1, size: int = BYTES) -> Callable[[int], int]:
    """A function from the address of 64 bytes, or of ``size``, to the bits that ``bits`` builds of them.

    reads: how many blocks it builds them of: these bytes, those from the second on, and so on.
    """

    @intrinsic
    def mapped(_context: Any, address: Any) -> Any:
        def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            blocks = [_load(builder, arguments[0], shift, size) for shift in range(reads)]
            found = builder.bitcast(bits(builder, *blocks), ir.IntType(size))
            return found if size == BYTES else builder.zext(found, _WORD)

        return types.int64(types.int64), generate

    return cast("Callable[[int], int]", mapped)


def among(points: Iterable[int], size: int = BYTES) -> Callable[[int], int]:
    """A function from an address to which of 64 bytes, or of ``size``, are these."""
    held = frozenset(points)
    return _mapped(lambda builder, block: _inside(builder, block, held), size=size)


def _ascii_word(builder: Any, block: Any) -> Any:
    letter = _within(builder, builder.or_(block, _all(block, 0x20)), ord("a"), 26)
    digit = _within(builder, block, ord("0"), 10)
    return builder.or_(builder.or_(letter, digit), _same(builder, block, ord("_")))


ascii_word = _mapped(_ascii_word)
"""Which of 64 bytes are a-z, A-Z, 0-9 or _."""

ascii_space = among((*range(0x09, 0x0E), *range(0x1C, 0x21)))
"""Which of 64 bytes are ASCII white space."""

newline = among(b"\n")
"""Which of 64 bytes are line feeds."""

high, continued = among(range(0x80, 0x100)), among(range(0x80, 0xC0))
"""Which of 64 bytes are of characters beyond ASCII, and which of those are not a character's first."""

beyond_ascii, digits_in = among(range(0x80, 0x100), HALF), among(b"0123456789", HALF)
letters_in = among((byte for byte in range(0x80) if chr(byte).isalpha()), HALF)
"""Which of 32 bytes are of characters beyond ASCII, digits, letters."""


def folding(spaces: Iterable[int]) -> Callable[[int, int], None]:
    """A function that writes the 64 bytes at one address to another, A-Z as a-z and ``spaces`` of ASCII as spaces."""
    held = frozenset(spaces)

    @intrinsic
    def fold(_context: Any, source: Any, target: Any) -> Any:
        def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            block = _load(builder, arguments[0])
            upper, space = _within(builder, block, ord("A"), 26), _inside(builder, block, held)
            lower = builder.select(upper, builder.or_(block, _all(block, 0x20)), block)
            place = builder.inttoptr(arguments[1], block.type.as_pointer())
            builder.store(builder.select(space, _all(block, 0x20), lower), place, align=1)
            return _target.get_dummy_value()

        return types.void(types.int64, types.int64), generate

    return cast("Callable[[int, int], None]", fold)


def starts(beginnings: Sequence[bytes], alone: bytes) -> Callable[[int], int]:
    """A function from an address to which of 64 bytes are one of ``alone`` or begin one of these, in either case.

    A ? in a beginning stands for any byte. It reads as many bytes more as a beginning has letters after its first.
    """

    def bits(builder: Any, *blocks: Any) -> Any:
        shifted = [builder.or_(block, _all(block, 0x20)) for block in blocks]
        found = [_same(builder, blocks[0], byte) for byte in alone]
        for letters in beginnings:
            pairs = zip(shifted, letters, strict=False)
            same = [_same(builder, part, letter) for part, letter in pairs if letter != ord("?")]
            found.append(reduce(builder.and_, same))
        return reduce(builder.or_, found)

    return _mapped(bits, reads=max(map(len, beginnings)))


def _breaks(builder: Any, block: Any, second: Any, third: Any) -> Any:
    latin = builder.and_(_same(builder, block, 0xC2), _same(builder, second, 0x85))
    pair = builder.and_(_same(builder, block, 0xE2), _same(builder, second, 0x80))
    general = builder.and_(pair, _same(builder, builder.or_(third, _all(third, 1)), 0xA9))
    parts = _within(builder, block, 0x0A, 4), _within(builder, block, 0x1C, 3), latin, general
    return reduce(builder.or_, parts)


def _closing(builder: Any, block: Any, second: Any) -> Any:
    inner = builder.or_(_within(builder, second, ord("a"), 26), _within(builder, second, ord("0"), 10))
    stop = builder.and_(_same(builder, block, ord(".")), builder.not_(inner))
    marks = _same(builder, block, ord("!")), _same(builder, block, ord("?"))
    return reduce(builder.or_, (stop, *marks, _within(builder, block, 0x80, 0x80)))


line_breaks = _mapped(_breaks, reads=3)
"""Which of 64 bytes begin what ends a line for str.splitlines; it reads two bytes more."""

closing = _mapped(_closing, reads=2)
"""Which of 64 bytes are ! or ? or beyond ASCII, or a full stop with none of a-z and 0-9 after it; it reads one more."""


@inlined
def lowest(size: int) -> int:
    """A number whose lowest ``size`` (1 to 64) bits are ones: those of the bytes of a text that ends in a block."""
    return ~(-2 << size - 1)


@inlined
def one_page(at: int, size: int) -> bool:
    """Whether ``size`` bytes from ``at`` on lie in one page, so that all can be read where the first can."""
    return at & 0xFFF <= 0x1000 - size


@compiled
def copied(at: int, end: int, memory: int) -> int:
    """Where a copy of the bytes at..end lies: ``memory``, for blocks that would reach beyond the end of a column."""
    for place in range(end - at):
        store_u8(memory + place, load_u8(at + place))
    return memory
