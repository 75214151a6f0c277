"""What every test may ask for: the real input data where it is present, and a project in an empty folder."""

from __future__ import annotations

import gc
import importlib.util
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent

LONGEST = ("test_docs", "test_ui", "test_hostile_input", "test_kills", "test_wheel", "test_route", "test_memory")
"""Files of a minute and more, which go first: the workers then end together."""

if importlib.util.find_spec("hypothesis"):  # not in the environment of test-frameworks
    settings = importlib.import_module("hypothesis").settings
    settings.register_profile("settled", deadline=None, derandomize=True)
    settings.register_profile("explore", deadline=None)
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "settled"))

signal.signal(signal.SIGINT, signal.default_int_handler)
"""A background job ignores Ctrl-C and so would every process that the tests start and interrupt."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Longest files first."""
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))


def pytest_collection_finish() -> None:
    """What was imported stays: no collection of garbage looks through it again."""
    if "dagster" in sys.modules:  # not in the environment of test-frameworks
        importlib.import_module("migrations").read_once()
    gc.freeze()


def pytest_unconfigure() -> None:
    """And goes with the rest when all is done."""
    gc.unfreeze()


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The folder of this repository."""
    return CHECKOUT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real input data beside the checkout; a test that needs it is skipped where it is absent."""
    folder = CHECKOUT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs the real input data in ../shared/data")
    return folder


@pytest.fixture(scope="session")
def buckets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A server of S3 on loopback, of this worker alone: stores.Buckets."""
    stores = importlib.import_module("stores")  # not in the environment of test-frameworks
    with stores.served(tmp_path_factory.mktemp("s3")) as made:
        yield made


@pytest.fixture
def s3(buckets: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The same, reached by what reads the environment."""
    for name, value in buckets.environ.items():
        monkeypatch.setenv(name, value)
    return buckets


@pytest.fixture(scope="module")
def memory_folder() -> Iterator[Path]:
    """A folder in memory where there is one: Dagster's SQLite waits for the disk at every event."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 # a folder of its own is made in it
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)
