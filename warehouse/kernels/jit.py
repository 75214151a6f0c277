"""The three decorators of this package, typed: ``compiled`` is numba's njit without the GIL and with a cache on disk;
``internal`` is the same for what only compiled functions call, without the wrapper that Python would call it by;
``by_address`` is for what has many callers and is large.

Won: a fifth of the time that compiling takes. Lost: a call of an ``internal`` function from Python ends the process, so
tests/kernels/test_jit.py looks for one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

import numba

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

vars(numba.config)["CACHE_DIR"] = os.environ["NUMBA_CACHE_DIR"]  # also when numba was imported before this package


OPTIONS: Any = {"nogil": True, "cache": True, "no_cfunc_wrapper": True}  # no C callbacks: 6 % of compiling
INTERNAL: Any = {**OPTIONS, "no_cpython_wrapper": True}


def compiled(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """The function compiled at its first call; annotations are for readers and mypy, numba infers its own types."""
    return cast("Callable[Parameters, Result]", numba.njit(**OPTIONS)(function))


def internal(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """As ``compiled``, for compiled callers alone."""
    return cast("Callable[Parameters, Result]", numba.njit(**INTERNAL)(function))


def by_address(function: Callable[[int, int, int, int], int]) -> Callable[[], int]:
    """A function that returns where the compiled one lies in this process, for ``memory.call``.

    numba optimises and translates all that a function calls once more with each of its callers, and with theirs; a call
    by address ends that.
    """
    number = numba.types.int64
    made: list[Any] = []  # kept, for the code goes with the object; a second one, of two threads at once, does no harm

    def address() -> int:
        if not made:
            made.append(numba.cfunc(number(number, number, number, number), cache=True)(function))
        return cast("int", made[0].address)

    return address
