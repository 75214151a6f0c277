"""The four decorators of this package, typed: ``compiled`` is numba's njit without the GIL and with a cache on disk;
``internal`` is the same for what only compiled functions call, without the wrapper that Python would call it by;
``inlined`` is for what is smaller than a call; ``by_address`` is for what has many callers and is large.

Won: a fifth of the time that compiling takes. Lost: a call of an ``internal`` function from Python ends the process, so
tests/kernels/test_jit.py looks for one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import numba
from numba.core.caching import UserProvidedCacheLocator

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class SharedLocator(UserProvidedCacheLocator):
    """Where the code of this package's functions lies on disk: in the cache folder itself, which is named after their
    sources. Numba's own adds the folder that the sources lie in, so that each installation compiles the same again.
    """

    def get_cache_path(self) -> str:
        """The cache folder."""
        return os.environ["NUMBA_CACHE_DIR"]

    @classmethod
    def from_function(cls, py_func: Callable[..., object], py_file: str) -> SharedLocator | None:
        """A locator, or None for a function of another package: the next locator is asked."""
        untyped: Any = super()
        own = Path(py_file).parent == Path(__file__).parent
        return cast("SharedLocator", untyped.from_function(py_func, py_file)) if own else None


OTHERS = vars(numba.config)["CACHE_LOCATOR_CLASSES"] or "UserProvidedCacheLocator,IPythonCacheLocator,ZipCacheLocator"
"""Locators of functions that are not of this package: as the user has them, else numba's own for a set CACHE_DIR."""
vars(numba.config)["CACHE_DIR"] = os.environ["NUMBA_CACHE_DIR"]  # also when numba was imported before this package
vars(numba.config)["CACHE_LOCATOR_CLASSES"] = f"{__name__}.SharedLocator,{OTHERS}"

OPTIONS: Any = {"nogil": True, "cache": True, "no_cfunc_wrapper": True}  # no C callbacks: 6 % of compiling
INTERNAL: Any = {**OPTIONS, "no_cpython_wrapper": True}


def compiled(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """The function compiled at its first call; annotations are for readers and mypy, numba infers its own types."""
    return cast("Callable[Parameters, Result]", numba.njit(**OPTIONS)(function))


def internal(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """As ``compiled``, for compiled callers alone."""
    return cast("Callable[Parameters, Result]", numba.njit(**INTERNAL)(function))


def inlined(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """As ``compiled``, copied into its callers: for what is smaller than a call and runs for every word."""
    return cast("Callable[Parameters, Result]", numba.njit(forceinline=True, **OPTIONS)(function))


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
