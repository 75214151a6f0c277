"""The one decorator of this package: ``compiled`` is numba's njit without the GIL and with a cache on disk, typed."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

from numba import njit

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def compiled(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """The function compiled at its first call; annotations are for readers and mypy, numba infers its own types."""
    return cast("Callable[Parameters, Result]", njit(nogil=True, cache=True)(function))
