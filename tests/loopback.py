"""A real HTTP server on loopback that gives what a test told it to, in order, and remembers what it was asked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TypeVar

State = TypeVar("State")


@dataclass(frozen=True)
class Answer:
    """A response; ``cut``: bytes of the body after which the connection is closed, ``reset``: it is, before any;
    ``ranges``: whether a Range is answered with the rest of the body, where If-Range is its ETag or Last-Modified;
    ``reason``: the words of the status.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    reset: bool = False
    chunked: bool = False
    wait_s: float = 0
    ranges: bool = True
    reason: str | None = None


@dataclass
class Loopback:
    """The next answers, then ``always``; ``seen``: headers of each request, under ``path`` its target."""

    url: str
    always: Answer
    answers: list[Answer] = field(default_factory=list)
    seen: list[dict[str, str]] = field(default_factory=list)


@contextmanager
def loopback(always: Answer) -> Iterator[Loopback]:
    """A server in a thread of its own. A request that names the ETag of its answer gets 304."""
    with serving(_Handler, lambda url: Loopback(url, always)) as state:
        yield state


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler], state: Callable[[str], State]) -> Iterator[State]:
    """A server on loopback in a thread of its own; ``state`` of its URL is what its handlers have as server.state."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    made = state(f"http://127.0.0.1:{server.server_port}")
    vars(server)["state"] = made
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        state: Loopback = self.server.state
        state.seen.append({**{name.lower(): value for name, value in self.headers.items()}, "path": self.path})
        answer = state.answers.pop(0) if state.answers else state.always
        threading.Event().wait(answer.wait_s)
        self.close_connection = True
        if answer.reset:
            return
        condition = self.headers.get("If-None-Match")
        if answer.status == 200 and condition and condition == answer.headers.get("ETag"):
            answer = Answer(304)
        since = self.headers.get("If-Range")
        if answer.status == 200 and answer.ranges and since in (*answer.headers.values(),):
            start, size = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-")), len(answer.body)
            said = {**answer.headers, "Content-Range": f"bytes {start}-{size - 1}/{size}"}
            answer = replace(answer, status=206, body=answer.body[start:], headers=said)
        self.send_response(answer.status, answer.reason)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header(*(("Transfer-Encoding", "chunked") if answer.chunked else ("Content-Length", _length(answer))))
        self.end_headers()
        size = b"%x\r\n" % len(answer.body) if answer.chunked else b""
        end = b"\r\n0\r\n\r\n" if answer.chunked and answer.cut is None else b""
        with suppress(ConnectionError):  # of a client that has had enough
            self.wfile.write(size + answer.body[: answer.cut] + end)

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""


def _length(answer: Answer) -> str:
    return str(len(answer.body))
