"""Processes that maintain table ``t`` and kill themselves with SIGKILL at one point.

``killed_upkeep.py [ROOT POINT]...``; each is a fork of one that has loaded everything; its status is a line of output.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from killing import killing

from warehouse.repository import Repository, delta, parts

POINTS: dict[str, tuple[Any, str, str]] = {
    "inside_parquet_write": (parts._Open, "write", "before"),
    "after_parquet_footer": (parts._Open, "close", "after"),
    "before_commit": (delta, "swap", "before"),
    "after_commit": (delta, "swap", "after"),
    "before_the_marker_goes": (parts.Stage, "settle", "before"),
    "before_checkpoint": (delta, "checkpoint", "before"),
    "among_removals": (Path, "unlink", "after 3"),
}


def maintained(root: Path) -> None:
    """Compaction, and a vacuum that keeps versions 2 and the last."""
    repository = Repository(root, wait_s=5)
    repository.compact("t")
    repository.vacuum("t", pins={2}, since=datetime.now(UTC) + timedelta(days=1))


def main(given: list[str]) -> None:
    """Each of them in turn."""
    for root, point in zip(given[::2], given[1::2], strict=True):
        child = os.fork()
        if child == 0:
            owner, name, when = POINTS[point]
            setattr(owner, name, killing(getattr(owner, name), when))
            maintained(Path(root))
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
