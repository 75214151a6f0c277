"""Objects read by several processes at once, their records given in the order in which one process would.

A process reads an object from the moment that it is asked for (``Readers.begin``) and stands still where 32 MB of
batches wait for the one that writes: so memory grows by that, and by what a process has of its own, for each process.
Batches lie in memory files, whose descriptors go to the other side; nothing is copied there. A process that dies is one
Reject ``parser_died`` of its object, after the records that came, and the next object gets a new one. All of them end
with ``close``, and by themselves where the process that began them is no more.
Lost: of objects whose records take much more than 32 MB one alone is read at full speed, as the next wait for their
turn. A process takes 0.4 CPU seconds to start.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle
from pathlib import Path

import pyarrow as pa

from warehouse.contracts import Dropped, Readings, Reject
from warehouse.sources.locate import Located
from warehouse.sources.names import Names
from warehouse.sources.recipe import Source

End = tuple[Names, BaseException | None]
Smalls = list[Reject | Dropped]


class _Process:
    """A process and the connection to it, and a pipe whose end tells it that this process is no more."""

    def __init__(self, source: Source) -> None:
        ours, theirs = socket.socketpair()
        watched, self._alive = os.pipe()
        argv = [sys.executable, "-P", "-m", "warehouse.sources.ahead_served", str(theirs.fileno()), str(watched)]
        self._process = subprocess.Popen(
            argv, pass_fds=(theirs.fileno(), watched), stdin=subprocess.DEVNULL, process_group=0
        )
        theirs.close()
        os.close(watched)
        self.line = Connection(ours.detach())
        self.line.send(source)

    def ended(self, *, at_work: bool) -> str:
        """Let the process end, by force where it is ``at_work``; how it did."""
        self.line.close()
        if at_work:
            self._process.terminate()
        code = self._process.wait()
        os.close(self._alive)
        return f"it ended by {signal.Signals(-code).name}" if code < 0 else f"it ended with status {code}"


class Readers:
    """As many processes as objects are begun and not read to their end."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._idle: list[_Process] = []
        self._at_work: list[_Process] = []

    def begin(self, located: Located, path: Path, names: Names) -> Readings:
        """What ``reading.read`` gives, as a process begins to read it now; names: takes up those of the object."""
        process = self._idle.pop() if self._idle else _Process(self._source)
        self._at_work.append(process)
        with suppress(BrokenPipeError, ConnectionResetError):  # it has died, as the answer will say
            process.line.send((located, path))
        return self._given(process, located.uri, names)

    def close(self) -> None:
        """End all processes."""
        for process in self._at_work:
            process.ended(at_work=True)
        for process in self._idle:
            process.ended(at_work=False)
        self._at_work, self._idle = [], []

    def _given(self, process: _Process, uri: str, names: Names) -> Readings:
        try:
            while not isinstance(said := _received(process.line), tuple):
                yield from [said] if isinstance(said, pa.RecordBatch) else said
        except (EOFError, ConnectionResetError):
            self._at_work.remove(process)
            how = process.ended(at_work=False)
            yield Reject(uri, "", "parser_died", f"the process that read it: {how}", exception="ParserDied")
            return
        self._at_work.remove(process)
        self._idle.append(process)
        met, error = said
        names.met |= met.met
        names.objects += met.objects
        if error is not None:
            raise error


def _received(line: Connection) -> pa.RecordBatch | Smalls | End:
    """The next of an answer. Raises EOFError, ConnectionResetError."""
    said: int | Smalls | End = line.recv()
    if not isinstance(said, int):
        return said
    handle = recv_handle(line)
    with suppress(BrokenPipeError, ConnectionResetError):
        line.send(said)
    with pa.memory_map(f"/proc/self/fd/{handle}") as mapped:
        os.close(handle)
        return pa.ipc.open_stream(mapped).read_next_batch()
