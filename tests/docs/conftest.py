"""What the pages' commands are: forks of one process, see ``forks``."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import forks
import pytest


@pytest.fixture(scope="session")
def binaries(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the command ``warehouse``."""
    folder = tmp_path_factory.mktemp("bin")
    address = str(folder / "socket")
    forks.client(folder / "warehouse", address)
    quiet = {
        **os.environ,
        "PYTHONPATH": f"{checkout / 'tests'}:{checkout}",
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    with subprocess.Popen([sys.executable, forks.__file__, address], env=quiet) as server:
        while not Path(address).exists():
            assert server.poll() is None
            time.sleep(0.1)
        yield folder
        server.kill()


@pytest.fixture(scope="session")
def store(buckets: Any) -> Mapping[str, str]:
    """What of the environment reaches a server of S3, with the buckets that the pages use."""
    buckets.client.create_bucket(Bucket="halls")
    environ: Mapping[str, str] = buckets.environ
    return environ
