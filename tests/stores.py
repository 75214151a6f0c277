"""A real S3 server on loopback, in a process of its own: moto's, with what boto3 puts into it; and faults before it."""

from __future__ import annotations

import http.client
import itertools
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from loopback import Answer, serving

KEY_ID, SECRET = "AKIAEXAMPLE", "hush-hush-0123456789-of-no-account"
START_S = 60.0


@dataclass(frozen=True)
class Buckets:
    """The server at ``url``; environ: what a program needs to reach it; client: boto3's, for its buckets."""

    url: str
    environ: Mapping[str, str]
    client: Any
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def made(self, objects: Mapping[str, bytes] | None = None) -> str:
        """The name of a new bucket, with objects by their key."""
        name = f"bucket-{next(self.numbers)}"
        self.client.create_bucket(Bucket=name)
        self.put(name, objects or {})
        return name

    def put(self, bucket: str, objects: Mapping[str, bytes]) -> None:
        for key, body in objects.items():
            self.client.put_object(Bucket=bucket, Key=key, Body=body)

    def delete(self, bucket: str, *keys: str) -> None:
        for key in keys:
            self.client.delete_object(Bucket=bucket, Key=key)


def environ(url: str) -> dict[str, str]:
    """What lets a program reach a server of S3 on loopback."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "no_proxy": "127.0.0.1",
    }


@contextmanager
def served(folder: Path) -> Iterator[Buckets]:
    """A server whose log lies in ``folder``; it is killed when the block ends."""
    port, log = folder / "port", folder / "log"
    script = Path(__file__).with_name("s3_server.py")
    with log.open("wb") as out:
        process = subprocess.Popen([sys.executable, script, port], stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        until = time.monotonic() + START_S
        while not port.is_file():
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"the S3 server did not start: {log.read_text()[-2000:]}")
            time.sleep(0.05)
        url = f"http://127.0.0.1:{port.read_text()}"
        yield Buckets(url, environ(url), _client(url))
    finally:
        process.kill()
        process.wait()


def _client(url: str) -> Any:
    bounded = Config(proxies={}, retries={"max_attempts": 1}, connect_timeout=5, read_timeout=30)
    session = boto3.Session(aws_access_key_id=KEY_ID, aws_secret_access_key=SECRET, region_name="us-east-1")
    return session.client("s3", endpoint_url=url, config=bounded)


Choice = Callable[[str, str], Answer | None]


@dataclass
class Faulty:
    """A server of S3 behind which the real one stands. faults: of a request's method and target, None for no fault;
    of an Answer counts ``reset``, ``cut`` (the real answer's body ends there), else its status and body.
    """

    url: str
    behind: str
    faults: Choice = lambda _method, _target: None
    seen: list[tuple[str, str]] = field(default_factory=list)


@contextmanager
def faulty(behind: str) -> Iterator[Faulty]:
    """A server between a program and the real one."""
    with serving(_Between, lambda url: Faulty(url, behind)) as state:
        yield state


class _Between(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        state: Faulty = self.server.state
        state.seen.append((self.command, self.path))
        self.close_connection = True
        fault = state.faults(self.command, self.path)
        if fault is not None and fault.reset:
            return
        if fault is not None and fault.cut is None:
            self._send(fault.status, {"Content-Length": str(len(fault.body))}, fault.body)
            return
        connection = http.client.HTTPConnection(state.behind.removeprefix("http://"), timeout=30)
        with closing(connection):
            connection.request(self.command, self.path, headers=dict(self.headers.items()))
            answer = connection.getresponse()
            body = answer.read()
        kept = {name: value for name, value in answer.getheaders() if name.lower() not in ("connection", "date")}
        self._send(answer.status, kept, body if fault is None else body[: fault.cut])

    do_HEAD = do_GET

    def _send(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        with suppress(ConnectionError):
            self.wfile.write(b"" if self.command == "HEAD" else body)

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""
