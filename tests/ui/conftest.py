"""Dagster's real server, started by ``warehouse ui`` for a new project, and asked by GraphQL as its pages do."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from serving import COMMAND, wait_until

Ask = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def project(memory_folder: Path) -> Path:
    """A new project that nothing has been run in, with a source of figures beside the notes."""
    folder = memory_folder / "project"
    subprocess.run([*COMMAND, "init", str(folder)], check=True, capture_output=True)
    (folder / "chips.csv").write_text("owner,units\nA,10\nB,20\n")
    (folder / "recipes/sources/chips.yaml").write_text("reader: csv\nuri: chips.csv\ntable: chips\n")
    return folder


@pytest.fixture(scope="module")
def server(project: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The process of ``warehouse ui`` and its port, begun as a script's background job is: with SIGINT ignored."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    with (project / "ui.log").open("wb") as log:
        process = subprocess.Popen(
            [*COMMAND, "ui", "--port", str(port), "--project", str(project)],
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    signal.signal(signal.SIGINT, before)
    try:
        yield process, port
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture(scope="module")
def ask(server: tuple[subprocess.Popen[bytes], int], project: Path) -> Ask:
    """A GraphQL query's data, once the server answers."""
    process, port = server

    def post(query: str, **variables: Any) -> dict[str, Any]:
        body = json.dumps({"query": query, "variables": variables}).encode()
        address, headers = f"http://127.0.0.1:{port}/graphql", {"Content-Type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(address, body, headers), timeout=60) as answer:
            found = json.load(answer)
        assert "errors" not in found, found["errors"]
        return dict(found["data"])

    def answers() -> bool:
        assert process.poll() is None, (project / "ui.log").read_text()
        with suppress(OSError):
            return bool(post("{version}"))
        return False

    wait_until(answers, 60)
    return post
