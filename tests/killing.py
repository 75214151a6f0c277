"""Functions at which the process that calls them dies; the product has no hook for it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def killing(function: Callable[..., Any], when: str) -> Callable[..., Any]:
    """The function, but the process dies before or after its n-th call."""
    side, _, number = when.partition(" ")
    left = [int(number or 1)]

    def wrapped(*arguments: Any, **options: Any) -> Any:
        left[0] -= 1
        if left[0] == 0 and side == "before":
            die()
        result = function(*arguments, **options)
        if left[0] == 0:
            die()
        return result

    return wrapped


def with_tests() -> dict[str, str]:
    """The environment of a process that imports what lies beside this module."""
    paths = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
