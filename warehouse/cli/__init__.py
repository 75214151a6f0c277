"""The command line. ``main`` is the entry point; each verb is a few lines that call ``answers`` or ``pipelines``.

Nothing here imports DuckDB, Dagster, Polars or Arrow before a verb needs it.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line on ``sys.argv`` and leave with its exit status: 0 done, 1 a check failed, 2 wrong use."""
    try:
        from warehouse.cli.app import run
    except ModuleNotFoundError as error:
        print(
            f"warehouse: the package {error.name!r} is missing. Do: pip install 'ml-warehouse[all]'.", file=sys.stderr
        )
        sys.exit(2)
    sys.exit(run(sys.argv[1:]))
