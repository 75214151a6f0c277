"""Parquet and Arrow files read by a process of their own, so that one that kills or hangs its decoder costs a Reject.

A process serves one file after another until ``closing_parser`` ends; where a file ends it (``BATCH_CPU_S`` without a
batch, a crash), the object is ``parser_died`` after the batches that came, and the next file gets a new one (0.07 CPU
seconds); where a batch takes more than MAX_MEMORY it is ``too_large``. Batches come through memory that both have, in
slots used again: on a busy machine 200 MB of text took 0.37 CPU seconds to decode, 0.04 to find texts that are no
UTF-8 and 0.11 to write there (0.20 in new memory for each batch); 200 files of two rows take 0.6 ms each.
Lost: where this process is forked, the other must not read on in a batch from before.
"""

from __future__ import annotations

import json
import mmap
import os
import signal
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from typing import Any, BinaryIO

import pyarrow as pa

from warehouse.contracts import BATCH_BYTES
from warehouse.sources import arrow_served
from warehouse.sources.arrow_served import SLOT_BYTES, SLOTS, SLOTS_AT
from warehouse.sources.containers import Member, copied, seekable
from warehouse.sources.guard import TooLarge
from warehouse.sources.parsing import ParserDied, ParserFailed, at_close
from warehouse.sources.recipe import Limits
from warehouse.sources.unpacking import Window, allowed_bytes

SERVED = arrow_served.__file__
START = "import runpy, sys; sys.modules['numpy'] = None; runpy.run_path(sys.argv.pop(), run_name='__main__')"
"""The process without numpy, which pyarrow takes up where it is there: 0.07 CPU seconds instead of 0.16, and as many
threads fewer as there are processors.
"""
BATCH_CPU_S = 60
MAX_MEMORY = 4 << 30
"""Bytes of address space, of which pyarrow has 1.7 GB before it reads."""
MAX_ROWS = 65_536


class _Process:
    """One process, the socket to it and the memory that both have (``arrow_served.SLOTS``)."""

    def __init__(self) -> None:
        self._line, theirs = socket.socketpair()
        self._owner = os.getpid()
        arena = os.memfd_create("batches")
        os.ftruncate(arena, SLOTS_AT + SLOTS * SLOT_BYTES)
        self._arena = mmap.mmap(arena, 0)
        given = (theirs.fileno(), arena, BATCH_CPU_S, MAX_MEMORY, SERVED)
        argv = [sys.executable, "-P", "-c", START, *map(str, given)]
        fds = (theirs.fileno(), arena)
        self._process = subprocess.Popen(argv, pass_fds=fds, stdin=subprocess.DEVNULL, process_group=0)
        theirs.close()
        os.close(arena)

    def ask(self, asked: dict[str, Any], file: int) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # it has died, as the answer will say
            socket.send_fds(self._line, [json.dumps(asked).encode() + b"\n"], [file])

    def answer(self) -> pa.RecordBatch | dict[str, Any]:
        """The next batch, or the last line of the answer. Raises ParserDied."""
        try:
            message, descriptors, _, _ = socket.recv_fds(self._line, 1 << 20, 1)
            while message and not message.endswith(b"\n"):
                part = self._line.recv(1 << 20)
                message = message + part if part else b""
        except ConnectionResetError:
            message, descriptors = b"", []
        if not message:
            raise ParserDied(self.ended())
        said: dict[str, Any] = json.loads(message)
        if "size" not in said:
            return said
        with suppress(BrokenPipeError, ConnectionResetError):
            self._line.sendall(b".")
        if "slot" in said:
            return _batch(pa.py_buffer(self._slot(said["slot"], said["size"])))
        with open(descriptors[0], "rb") as file:
            return _batch(pa.py_buffer(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)))

    def _slot(self, slot: int, size: int) -> memoryview:
        """The bytes of a slot, which is free when no one holds them any more."""
        start = SLOTS_AT + slot * SLOT_BYTES
        held = memoryview(self._arena)[start : start + size].toreadonly()
        weakref.finalize(held, self._free, slot)
        return held

    def _free(self, slot: int) -> None:
        if os.getpid() == self._owner:  # what ends in a process that was forked may be in use in this one
            self._arena[slot] = 0

    def ended(self, *, at_work: bool = False) -> str:
        """Let the process end, by force where it is ``at_work`` or does not; how it did."""
        self._line.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=0 if at_work else 5)
        if self._process.poll() is None:
            self._process.kill()
        code = self._process.wait()
        return f"it ended by {signal.Signals(-code).name}" if code < 0 else f"it ended with status {code}"


def _batch(stream: pa.Buffer) -> pa.RecordBatch:
    return pa.ipc.open_stream(stream).read_next_batch()


_idle: list[_Process] = []
_lock = threading.Lock()


def _stop() -> None:
    """End the processes that wait for a file."""
    with _lock:
        waiting, _idle[:] = _idle[:], []
    for process in waiting:
        process.ended()


def _forget() -> None:
    """In a process that was forked: the others belong to the one before."""
    _idle.clear()


at_close(_stop)
os.register_at_fork(after_in_child=_forget)


def batches(
    member: Member, kind: str, limits: Limits, *, columns: Sequence[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """The rows of a Parquet (``parquet``) or Arrow (``arrow``) member, of some of its columns or all.

    Batches of about BATCH_BYTES and at most MAX_ROWS rows. Raises what pyarrow did, TooLarge, ParserDied, ParserFailed.
    """
    asked = {
        "kind": kind,
        "names": False,
        "columns": None if columns is None else list(columns),
        "batch_bytes": BATCH_BYTES,
        "max_rows": MAX_ROWS,
    }
    for item in _answers(member, asked, limits):
        if isinstance(item, pa.RecordBatch):
            yield item


def names(member: Member, kind: str, limits: Limits) -> tuple[str, ...]:
    """The names of the member's columns. Raises as ``batches``."""
    (said,) = _answers(member, {"kind": kind, "names": True}, limits)
    return tuple(said["names"])


def _file(member: Member) -> BinaryIO:
    """The member as a file of the system from its first byte on: a copy where it is a part of an archive."""
    file = seekable(member)
    return copied(file) if isinstance(file, Window) else file


def _answers(member: Member, asked: dict[str, Any], limits: Limits) -> Iterator[Any]:
    """Batches, then the last line of the answer."""
    with closing(_file(member)) as file:
        with _lock:
            process = _idle.pop() if _idle else _Process()
        whole = False
        try:
            process.ask({**asked, "allowed": allowed_bytes(file.seek(0, 2), limits)}, file.fileno())
            while isinstance(item := process.answer(), pa.RecordBatch):
                yield item
            whole = not item["full"]
            if "error" in item:
                raise _failure(item)
            yield item
        finally:
            if whole:
                with _lock:
                    _idle.append(process)
            else:
                process.ended(at_work=True)


FAILURES: dict[str, type[Exception]] = {
    each.__name__: each for each in (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowKeyError, pa.ArrowTypeError)
}


def _failure(said: dict[str, Any]) -> Exception:
    """The exception of the other process, as far as the guard tells them apart."""
    name, message = said["error"], said["message"]
    if name == "TooLarge":
        return TooLarge(message)
    if name == "OSError":
        return OSError(said["errno"], message) if said["errno"] is not None else OSError(message)
    if name in ("ArrowMemoryError", "MemoryError"):
        return TooLarge(f"a batch takes more than {MAX_MEMORY} bytes of memory: {message}")
    return FAILURES[name](message) if name in FAILURES else ParserFailed(name, message)
