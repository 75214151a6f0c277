"""Pages and PDF read by processes of their own, so that one that hangs or kills its parser costs a Reject alone.

One process a format serves until ``closing_parser`` ends; where a page ends it (``PAGE_CPU_S``, 4 GB of memory, a
crash), the next page gets a new one (0.1 CPU seconds). It ends with its input, so also where this process is killed.
Cost of the way there and back, on a busy machine: 0.5 ms a page, where a page of 170 kB takes 7.3 in this process.
Tried: the page in a memory file instead of the pipe, and malloc of the other process that gives nothing back to the
kernel; both together 7.1 % over this process instead of 7.2, of 2,300 pages in turns.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from warehouse.sources.serving import Parsed

FOLDER = Path(__file__).parent
PAGE_CPU_S = 20
"""CPU seconds that one page may take; 8 MB of nothing but ``<p>x``, the slowest page that ends by itself, take 11."""


class ParserDied(Exception):
    """The parser's process ended at this page: it took too long, too much memory, or crashed."""


class ParserFailed(Exception):
    """The parser refused the page; ``name`` is the class of its exception."""

    def __init__(self, name: str, message: str) -> None:
        self.name = name
        super().__init__(message)


class _Parser:
    """The process, started when it is first asked and after it died or this process was forked; what it runs: a
    function of a file.
    """

    def __init__(self, module: str, function: str) -> None:
        self._module, self._function = FOLDER / module, function
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._lock = threading.Lock()

    def ask(self, raw: bytes, asked: dict[str, Any]) -> Parsed:
        with self._lock:
            process = self._running()
            try:
                answer = _exchanged(process, json.dumps({"size": len(raw), **asked}).encode() + b"\n", raw)
            except (BrokenPipeError, ConnectionResetError):
                answer = b""
            if not answer.endswith(b"\n"):
                raise ParserDied(self._ended())
        said = cast(Parsed, json.loads(answer))
        if "error" in said:
            raise ParserFailed(str(said["error"]), str(said["message"]))
        return said

    def stop(self) -> None:
        with self._lock:
            if self._process is not None and self._owner == os.getpid():
                self._ended()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._owner != os.getpid():
            served = [str(FOLDER / "serving.py"), str(PAGE_CPU_S), str(self._module), self._function]
            argv = [sys.executable, "-P", *served]
            self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0)
            self._owner = os.getpid()
        return self._process

    def _ended(self) -> str:
        """Wait for the process that has no more input; how it ended."""
        process, self._process = cast("subprocess.Popen[bytes]", self._process), None
        process.communicate()
        code = process.returncode
        return f"it ended by {signal.Signals(-code).name}" if code < 0 else f"it ended with status {code}"


def _exchanged(process: subprocess.Popen[bytes], head: bytes, raw: bytes) -> bytes:
    requests, answers = process.stdin, process.stdout
    if requests is None or answers is None:
        raise ParserDied("it has no pipes")
    requests.write(head)
    requests.write(raw)
    requests.flush()
    return answers.readline()


_pages, _pdfs = _Parser("page.py", "page"), _Parser("pdf_text.py", "document")
_stops: list[Callable[[], None]] = []


def at_close(stop: Callable[[], None]) -> None:
    """Have ``stop`` called where ``closing_parser`` ends, and at the end of this process."""
    _stops.append(stop)
    atexit.register(stop)


at_close(_pages.stop)
at_close(_pdfs.stop)


def parsed(raw: bytes, *, charset: str | None = None, address: str = "", whole: bool = False) -> Parsed:
    """``page.page`` of the bytes. Raises ParserDied, ParserFailed."""
    return _pages.ask(raw, {"charset": charset, "address": address, "whole": whole})


def pdf(raw: bytes, *, max_chars: int) -> Parsed:
    """``pdf_text.document`` of the bytes. Raises ParserDied, ParserFailed."""
    return _pdfs.ask(raw, {"max_chars": max_chars})


@contextmanager
def closing_parser() -> Iterator[None]:
    """A block at whose end the processes end, so that what they used counts as this one's (children waited for)."""
    try:
        yield
    finally:
        for stop in _stops:
            stop()
