"""A real S3 server on loopback, in a process of its own: moto's, with what boto3 puts into it."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

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
