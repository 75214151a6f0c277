"""Ctrl-C that is never lost: Python drops an exception that falls into a weak reference's callback (1 run in 40)."""

from __future__ import annotations

import _thread
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

AGAIN_S = 0.01  # at once would fall into the hook itself


@contextmanager
def interruptible() -> Iterator[None]:
    """A block in which an interrupt that Python drops comes again a moment later, and nothing is printed."""
    before = sys.unraisablehook

    def again(dropped: sys.UnraisableHookArgs) -> None:
        if issubclass(dropped.exc_type, (KeyboardInterrupt, dg.DagsterExecutionInterruptedError)):
            threading.Timer(AGAIN_S, _thread.interrupt_main).start()
        else:
            before(dropped)

    sys.unraisablehook = again
    try:
        yield
    finally:
        sys.unraisablehook = before
