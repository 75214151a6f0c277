"""Ctrl-C where Python drops it; in a process of its own, which it may end."""

from __future__ import annotations

import subprocess
import sys

import pytest

DROPPED = """
import signal, sys, time, weakref

class Watched:
    def __del__(self):
        if falls_into == "a destructor":
            signal.raise_signal(signal.SIGINT)

def drop():
    watched = Watched()
    reference = weakref.ref(watched, lambda _: falls_into == "a callback" and signal.raise_signal(signal.SIGINT))
    del watched

class Dropping:
    def find_spec(self, name, *_):
        if name == "warehouse.cli.app":
            drop()
            print("dropped", flush=True)
            for _ in range(2000):
                time.sleep(0.01)

falls_into = sys.argv.pop()
sys.meta_path.insert(0, Dropping())
signal.signal(signal.SIGINT, signal.default_int_handler)

from warehouse.cli import main

main()
"""


@pytest.mark.parametrize("falls_into", ["a callback", "a destructor"])
def test_an_interrupt_that_python_drops_arrives_all_the_same(falls_into):
    argv = [sys.executable, "-c", DROPPED, "status", falls_into]
    ended = subprocess.run(argv, capture_output=True, text=True, check=False)
    told = (ended.stdout, ended.stderr, ended.returncode)
    assert told == ("dropped\n", "warehouse: stopped before it began.\n", 130)


def test_what_else_python_drops_is_told_as_before():
    failing = "import weakref\nfrom warehouse.cli.interrupts import keep_interrupts\nkeep_interrupts()\n"
    failing += "watched = type('Watched', (), {})()\nweakref.finalize(watched, lambda: 1 / 0)\ndel watched\n"
    ended = subprocess.run([sys.executable, "-c", failing], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr.splitlines()[-1]) == (0, "ZeroDivisionError: division by zero")
