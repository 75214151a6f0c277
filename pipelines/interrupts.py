"""Ctrl-C that is never lost: Python drops an exception that falls into a weak reference's callback (1 run in 40)."""

from __future__ import annotations

import _thread
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg


@contextmanager
def interruptible() -> Iterator[None]:
    """A block in which an interrupt that Python drops comes again at the next instruction, and nothing is printed."""
    before = sys.unraisablehook

    def again(dropped: sys.UnraisableHookArgs) -> None:
        if issubclass(dropped.exc_type, (KeyboardInterrupt, dg.DagsterExecutionInterruptedError)):
            _thread.interrupt_main()
        else:
            before(dropped)

    sys.unraisablehook = again
    try:
        yield
    finally:
        sys.unraisablehook = before
