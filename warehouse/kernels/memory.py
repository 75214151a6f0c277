"""Memory as int64 addresses: loads and stores without bounds, and the multiplication that hashes are made of.

Every value is an int64, so that numba never mixes signed and unsigned numbers (which it would turn into floats). The
caller answers for the bounds. Loads of eight bytes need no alignment.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from warehouse.kernels.jit import compiled

Loader = Callable[[int], int]
Storer = Callable[[int, int], None]


def _loader(bits: int, *, signed: bool = False) -> Loader:
    """A function from an address to the integer of ``bits`` bits that lies there."""

    @intrinsic
    def load(_context: Any, address: Any) -> Any:
        def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            place = builder.inttoptr(arguments[0], ir.IntType(bits).as_pointer())
            value = builder.load(place, align=1)
            if bits == 64:
                return value
            return (builder.sext if signed else builder.zext)(value, ir.IntType(64))

        return types.int64(types.int64), generate

    return cast("Loader", load)


def _storer(bits: int) -> Storer:
    """A function that writes the low ``bits`` bits of its second argument at its first."""

    @intrinsic
    def store(_context: Any, address: Any, number: Any) -> Any:
        def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            place = builder.inttoptr(arguments[0], ir.IntType(bits).as_pointer())
            value = arguments[1] if bits == 64 else builder.trunc(arguments[1], ir.IntType(bits))
            builder.store(value, place, align=1)
            return _target.get_dummy_value()

        return types.void(types.int64, types.int64), generate

    return cast("Storer", store)


load_u8 = _loader(8)
load_u16 = _loader(16)
load_i32 = _loader(32, signed=True)
load_i64 = _loader(64)
store_u8 = _storer(8)
store_i32 = _storer(32)
store_i64 = _storer(64)


@intrinsic
def _store_f64(_context: Any, address: Any, number: Any) -> Any:
    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        place = builder.inttoptr(arguments[0], ir.DoubleType().as_pointer())
        builder.store(arguments[1], place, align=1)
        return _target.get_dummy_value()

    return types.void(types.int64, types.float64), generate


store_f64 = cast("Callable[[int, float], None]", _store_f64)
"""Writes a number of double precision."""


@intrinsic
def _fill(_context: Any, address: Any, byte: Any, size: Any) -> Any:
    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        place = builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())
        filled = builder.module.declare_intrinsic("llvm.memset", [place.type, ir.IntType(64)])
        value = builder.trunc(arguments[1], ir.IntType(8))
        builder.call(filled, [place, value, arguments[2], ir.IntType(1)(0)])
        return _target.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), generate


fill = cast("Callable[[int, int, int], None]", _fill)
"""Writes the low eight bits of its second argument, from the address on, into as many bytes as the third says."""


@intrinsic
def _fold(_context: Any, left: Any, right: Any) -> Any:
    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        wide = ir.IntType(128)
        product = builder.mul(builder.zext(arguments[0], wide), builder.zext(arguments[1], wide))
        high = builder.trunc(builder.lshr(product, wide(64)), ir.IntType(64))
        return builder.xor(high, builder.trunc(product, ir.IntType(64)))

    return types.int64(types.int64, types.int64), generate


fold = cast("Callable[[int, int], int]", _fold)
"""Both halves of the unsigned 128-bit product, combined by exclusive or: the step of wyhash."""


def _unary(instruction: Callable[[Any, Any], Any]) -> Callable[[int], int]:
    """A function of one number that is the instruction which ``instruction`` builds."""

    @intrinsic
    def applied(_context: Any, number: Any) -> Any:
        def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            return instruction(builder, arguments[0])

        return types.int64(types.int64), generate

    return cast("Callable[[int], int]", applied)


trailing_zeros = _unary(lambda builder, number: builder.cttz(number, ir.IntType(1)(0)))
"""How many zero bits lie below the lowest one bit; 64 for zero."""

ones = _unary(lambda builder, number: builder.ctpop(number))
"""How many bits are one."""

swapped = _unary(lambda builder, number: builder.bswap(number))
"""The eight bytes of a number in the opposite order."""


@intrinsic
def _call(_context: Any, function: Any, first: Any, second: Any, third: Any, fourth: Any) -> Any:
    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        word = ir.IntType(64)
        kind = ir.FunctionType(word, [word] * 4)
        return builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), arguments[1:])

    return types.int64(*[types.int64] * 5), generate


call = cast("Callable[[int, int, int, int, int], int]", _call)
"""What the function at an address (``jit.by_address``) makes of four numbers."""


@compiled
def add(place: int, number: int) -> None:
    """Add to the 64-bit number that lies at an address."""
    store_i64(place, load_i64(place) + number)
