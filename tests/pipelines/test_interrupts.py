"""Ctrl-C where Python drops it."""

from __future__ import annotations

import signal
import time
import weakref

import pytest

from pipelines.interrupts import interruptible


class Watched:
    """Something that a weak reference can watch."""


def test_an_interrupt_in_a_weak_references_callback_arrives_all_the_same():
    def interrupted(_: weakref.ref[Watched]) -> None:
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt), interruptible():
        watched = Watched()
        reference = weakref.ref(watched, interrupted)
        del watched
        assert reference() is None
        time.sleep(5)
        pytest.fail("the interrupt was lost")
