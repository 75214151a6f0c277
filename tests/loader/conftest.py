"""Releases written by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from written_release import write_release


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """103 samples in four shards, one of them empty."""
    return write_release(tmp_path / "release", (40, 0, 33, 30))


@pytest.fixture(scope="session")
def make_release() -> Callable[..., Path]:
    return write_release
