"""The command line as a process, and waiting for what another process does."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

DAYS = ("2026-01-03", "2026-01-05")
"""Partitions of the source ``feed``."""
COMMAND = [sys.executable, "-m", "warehouse.cli"]


def wait_until(true: Callable[[], bool], limit_s: float) -> None:
    """Look every half second; fails when the time is up."""
    until = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < until, f"not within {limit_s} s"
        time.sleep(0.5)
