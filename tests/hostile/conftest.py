"""A project for the tests of hostile input."""

from __future__ import annotations

from pathlib import Path

import pytest
from commanding import warehouse


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: a new project."""
    monkeypatch.delenv("WAREHOUSE_ROOT", raising=False)
    monkeypatch.delenv("WAREHOUSE_STATE", raising=False)
    assert warehouse("init", str(tmp_path / "p")).status == 0
    monkeypatch.chdir(tmp_path / "p")
    return tmp_path / "p"
