"""The command line in this process, on a small project that is made once."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pytest
from small_project import small_project

from warehouse.cli.app import run
from warehouse.project import Project


@dataclass(frozen=True)
class Ended:
    """What a command line left: exit status, stdout, stderr."""

    status: int
    out: str
    err: str


Verb = Callable[..., Ended]


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The small project, for tests that only read."""
    return small_project(tmp_path_factory.mktemp("small") / "project")


@pytest.fixture(scope="session")
def warehouse() -> Verb:
    """Run a command line and give what it left; the environment stays as it was, as it does for a process."""

    def call(*arguments: str) -> Ended:
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="") for _ in range(2))
        with mock.patch.dict(os.environ), redirect_stdout(out), redirect_stderr(err):
            status = run(arguments)
        return Ended(status, *(_read(stream) for stream in (out, err)))

    return call


def _read(stream: io.TextIOWrapper) -> str:
    stream.flush()
    stream.seek(0)
    return stream.read()


@pytest.fixture
def inside(small: Project, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, which is the small project's folder."""
    monkeypatch.chdir(small.folder)
    return small.folder
