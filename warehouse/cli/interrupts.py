"""Ctrl-C that is never lost, and that waits where it would do harm."""

from __future__ import annotations

import _thread
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

AGAIN_S = 0.01  # at once would fall into the hook itself


def keep_interrupts() -> None:
    """From now on an interrupt that Python drops comes again a moment later, and nothing is printed.

    Python drops an exception that falls into the callback of a weak reference or into a destructor, and every import
    runs some: 1 Ctrl-C of 40 in a run of Dagster.
    """
    before = sys.unraisablehook

    def again(dropped: sys.UnraisableHookArgs) -> None:
        if issubclass(dropped.exc_type, (Exception, SystemExit)):
            before(dropped)
            return
        with suppress(RuntimeError):  # no new threads in a process that is leaving, and nothing left to stop
            threading.Timer(AGAIN_S, _thread.interrupt_main).start()

    sys.unraisablehook = again


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ctrl-C waits to the end of the block: in the import of a compiled module it would abort the process.

    A blocked signal would not do: the system hands it to another thread, and Python's handler runs in this one.
    """
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came and callable(before):
        before(signal.SIGINT, None)
