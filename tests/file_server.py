"""A real HTTP server on loopback that gives the files of a folder, by ranges, with the faults that a test asks for."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import unquote, urlsplit

from loopback import serving


@dataclass(frozen=True)
class Fault:
    """What becomes of an answer. status: another one, with ``reason``, ``headers`` and no file; cut: bytes of the body
    after which the connection ends; flip: byte of the file that comes changed; wait_s: before each MiB of the body.
    """

    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    reason: str | None = None
    cut: int | None = None
    flip: int | None = None
    wait_s: float = 0


@dataclass(frozen=True)
class Asked:
    """A request: path without the leading slash, first byte and the one after the last that were sent, headers."""

    path: str
    start: int
    stop: int
    query: str
    headers: dict[str, str]


@dataclass
class FileServer:
    """``fault``: of a path and the first byte that is asked for; ``asked``: what was sent so far, manifest included."""

    url: str
    folder: Path
    ranges: bool = True
    fault: Callable[[str, int], Fault | None] = lambda _path, _start: None
    asked: list[Asked] = field(default_factory=list)

    def of(self, path: str) -> list[Asked]:
        return [each for each in self.asked if each.path == path]


@contextmanager
def files_served(folder: Path) -> Iterator[FileServer]:
    """A server of a folder, in a thread of its own."""
    with serving(_Handler, lambda url: FileServer(url, folder)) as state:
        yield state


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        state: FileServer = self.server.state
        self.close_connection = True
        target = urlsplit(self.path)
        path = self.path if target.netloc else unquote(target.path).lstrip("/")  # of a proxy
        file = state.folder / path
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")) if state.ranges else None
        start = int(asked[1]) if asked else 0
        fault = state.fault(path, start) or Fault()
        body = bytearray(file.read_bytes()) if file.is_file() else None
        size = len(body or b"")
        stop = min(int(asked[2]) + 1, size) if asked and asked[2] else size
        seen = {name.lower(): value for name, value in self.headers.items()}
        state.asked.append(Asked(path, start, stop, target.query, seen))
        if fault.status is not None or body is None or (asked and start >= size):
            self.send_response(fault.status or (404 if body is None else 416), fault.reason)
            for name, value in (*fault.headers, ("Content-Length", "0")):
                self.send_header(name, value)
            self.end_headers()
            return
        if fault.flip is not None and fault.flip < size:
            body[fault.flip] ^= 1
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{size}")
        self.send_header("Content-Length", str(stop - start))
        self.end_headers()
        if self.command == "GET":
            self._send(bytes(body[start:stop])[: fault.cut], fault.wait_s)

    do_HEAD = do_GET

    def _send(self, body: bytes, wait_s: float) -> None:
        with suppress(ConnectionError):  # of a client that has had enough, or was killed
            for at in range(0, len(body), 1 << 20):
                time.sleep(wait_s)
                self.wfile.write(body[at : at + (1 << 20)])

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""
