"""Ctrl-C where Python drops it; in a process of its own, which it may end."""

from __future__ import annotations

import subprocess
import sys

DROPPED = """
import signal, time, weakref
from pipelines.interrupts import interruptible

class Watched:
    pass

signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    with interruptible():
        watched = Watched()
        reference = weakref.ref(watched, lambda _: signal.raise_signal(signal.SIGINT))
        del watched
        print("dropped", flush=True)
        for _ in range(2000):
            time.sleep(0.01)
        print("lost")
except KeyboardInterrupt:
    print("arrived")
"""


def test_an_interrupt_in_a_weak_references_callback_arrives_all_the_same():
    ended = subprocess.run([sys.executable, "-c", DROPPED], capture_output=True, text=True, check=False)
    assert (ended.stdout.split(), ended.stderr, ended.returncode) == (["dropped", "arrived"], "", 0)
