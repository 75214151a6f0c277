"""The command line. ``main`` is the entry point; each verb is a few lines that call ``answers`` or ``pipelines``.

Nothing here imports DuckDB, Dagster, Polars or Arrow before a verb needs it.
"""

from __future__ import annotations

import sys

from warehouse.cli.interrupts import keep_interrupts
from warehouse.errors import MissingExtra

STOPPED = 130
"""Exit status after Ctrl-C: 128 + SIGINT, as shells report it."""


def main() -> None:
    """Run the command line on ``sys.argv`` and leave with its exit status: 0 done, 1 a check failed, 2 wrong use."""
    keep_interrupts()
    try:
        from warehouse.cli.app import run
    except ModuleNotFoundError as error:
        refused = missing_extra(error)
        print(f"warehouse: {refused}", file=sys.stderr)
        sys.exit(refused.exit_status)
    except KeyboardInterrupt:
        print("warehouse: stopped before it began.", file=sys.stderr)
        sys.exit(STOPPED)
    sys.exit(run(sys.argv[1:]))


def missing_extra(error: ModuleNotFoundError) -> MissingExtra:
    """What to install where a package is not there; a missing module of our own is a bug, and is raised again."""
    if (error.name or "").partition(".")[0] in ("warehouse", "pipelines"):
        raise error
    return MissingExtra(f"the package {error.name!r} is not installed", do="pip install 'ml-warehouse[all]'")
