"""A stream of an object store gives what one of a folder does, and tells when the store is gone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from stores import Answer, environ, faulty
from streams import numbers, opened

from warehouse import stores
from warehouse.errors import NetworkError
from warehouse.loader import Fetching


@pytest.fixture
def bucket(s3: Any, large: Path) -> str:
    return str(s3.made({f"data/made/1/{path.name}": path.read_bytes() for path in large.iterdir()}))


def test_a_bucket_is_streamed_as_a_folder_is(bucket: str, large: Path) -> None:
    def content(location: Path | str) -> list[bytes]:
        return [batch.tokens.tobytes() for batch in opened(location).batches(boundaries=True)]

    assert content(f"s3://{bucket}/data/made/1") == content(large)


def test_a_store_that_is_gone_is_one_error(s3: Any, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "TRIES", 2)
    with faulty(s3.url) as between:
        for name, value in environ(between.url).items():
            monkeypatch.setenv(name, value)
        loader = opened(f"s3://{bucket}/data/made/1", fetching=Fetching(1, 0))
        failing = [Answer(500), Answer(reset=True)]
        between.faults = lambda _, target: failing.pop() if failing and target.endswith(".bin") else None
        batches = loader.batches()
        next(batches)
        assert not failing
        between.faults = lambda _, target: Answer(503) if target.endswith(".bin") else None
        with pytest.raises(NetworkError, match=r"\.bin cannot be reached"):
            numbers(batches)


FORKED = """
import os, sys
from warehouse.errors import UsageError
from warehouse.loader import StreamingLoader
StreamingLoader(sys.argv[1], batch=8)
if child := os.fork():
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
try:
    StreamingLoader(sys.argv[1], batch=8)
except UsageError as error:
    os._exit("multiprocessing_context='spawn'" in str(error))
"""


def test_a_process_that_was_forked_after_a_request_is_told_to_be_spawned(s3: Any, bucket: str) -> None:
    """obstore's threads do not pass a fork: without a word it would wait for ever."""
    command = [sys.executable, "-c", FORKED, f"s3://{bucket}/data/made/1"]
    assert subprocess.run(command, check=False, timeout=60).returncode == 1
