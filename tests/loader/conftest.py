"""Releases written by hand, on a shelf and on a web server."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from file_server import FileServer, files_served
from streams import LENGTH, SHARDS
from written_release import write_release

from warehouse.loader import origin as origins


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """103 samples in four shards, one of them empty."""
    return write_release(tmp_path / "release", (40, 0, 33, 30))


@pytest.fixture(scope="session")
def make_release() -> Callable[..., Path]:
    return write_release


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests are tried again at once."""
    monkeypatch.setattr(origins, "WAIT_S", 0.001)
    monkeypatch.setattr(origins, "LONGEST_WAIT_S", 0.01)


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``<datasets>/made/1``: a release of several blocks a shard."""
    return write_release(tmp_path_factory.mktemp("datasets") / "made" / "1", SHARDS, length=LENGTH)


@pytest.fixture(scope="session")
def straddling(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Samples of 20,000 bytes: some begin in one block and end in the next."""
    return write_release(tmp_path_factory.mktemp("straddling") / "1", (150, 61), length=10_000, pad=5)


@pytest.fixture
def datasets(large: Path, tmp_path: Path) -> Path:
    """The large release on a shelf that a test may change."""
    shutil.copytree(large.parent, tmp_path / "datasets" / "made")
    return tmp_path / "datasets"


@pytest.fixture
def server(datasets: Path) -> Iterator[FileServer]:
    """A web server of that shelf."""
    with files_served(datasets) as found:
        yield found
