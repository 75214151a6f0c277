"""The command line, run in this process."""

from __future__ import annotations

import io
import os
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from unittest import mock

from warehouse.cli.app import run


@dataclass(frozen=True)
class Ended:
    """What a command line left."""

    status: int
    out: str
    err: str


def warehouse(*arguments: str) -> Ended:
    """Run a command line in this process."""
    out, err = io.StringIO(), io.StringIO()
    with mock.patch.dict(os.environ), redirect_stdout(out), redirect_stderr(err):
        status = run(arguments)
    return Ended(status, out.getvalue(), err.getvalue())


def one_line(ended: Ended, *statuses: int) -> bool:
    """Whether a command ended with one of these and one line on stderr."""
    return ended.status in statuses and len(ended.err.splitlines()) == 1 and "Traceback" not in ended.err
