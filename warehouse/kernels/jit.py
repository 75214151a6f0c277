"""The one decorator of this package: ``compiled`` is numba's njit without the GIL and with a cache on disk, typed."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

import numba

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

vars(numba.config)["CACHE_DIR"] = os.environ["NUMBA_CACHE_DIR"]  # also when numba was imported before this package


def compiled(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """The function compiled at its first call; annotations are for readers and mypy, numba infers its own types."""
    options: Any = {
        "nogil": True,
        "cache": True,
        "no_cfunc_wrapper": True,
    }  # nobody asks for a C callback: 6 % of compiling
    return cast("Callable[Parameters, Result]", numba.njit(**options)(function))
