"""Dagster's real server, started by ``warehouse ui`` for a new project, and asked by GraphQL as its pages do."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from loopback import Answer, Loopback, loopback
from serving import COMMAND, wait_until

Ask = Callable[..., dict[str, Any]]


FILES = {
    "warehouse.toml": 'fresh_within = "36h"\n[schedule]\nnightly = "30 1 * * *"\ntimezone = "Europe/Zurich"\n',
    "chips.csv": "owner,units\nA,10\nB,20\n",
    "recipes/sources/chips.yaml": "reader: csv\nuri: chips.csv\ntable: chips\nfresh_within: {warn: 24h, fail: 36h}\n",
    "recipes/sources/power.yaml": "table: power\ninbox: drop/power\n",
    "inbox/chips/more/late.csv": "owner,units\nC,30\n",
    "drop/power/ü $(x).csv": "hall,mw\n1,12\n",
}
FEED = r"""
uri: [URL/day=2026-01-03/feed.csv, URL/day=2026-01-05/feed.csv]
table: feed
partitions: {path: 'day=(?P<key>[0-9-]+)', kind: daily, start: 2026-01-01}
"""


@pytest.fixture(scope="module")
def feed() -> Iterator[Loopback]:
    """A server of figures that the project reads."""
    with (
        pytest.MonkeyPatch.context() as patch,
        loopback(Answer(body=b"hall,mw\n1,2\n", headers={"ETag": '"1"'})) as made,
    ):
        patch.setenv("no_proxy", "127.0.0.1")
        yield made


@pytest.fixture(scope="module")
def project(memory_folder: Path, feed: Loopback) -> Path:
    """A new project that nothing has been run in: figures beside the notes, in two inboxes, and by HTTP."""
    folder = memory_folder / "project"
    subprocess.run([*COMMAND, "init", str(folder)], check=True, capture_output=True)
    for name, text in {**FILES, "recipes/sources/feed.yaml": FEED.replace("URL", feed.url)}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
        os.utime(folder / name, (time.time() - 60,) * 2)
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

    wait_until(answers, 180)
    return post
