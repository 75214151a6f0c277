"""Objects read for another process (``ahead``), one after another: the work of a process of its own."""

from __future__ import annotations

import os
import signal
import sys
from collections import deque
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.reduction import send_handle
from pathlib import Path
from threading import Thread

import pyarrow as pa

from warehouse.contracts import BATCH_BYTES
from warehouse.sources.ahead import Smalls
from warehouse.sources.locate import Located
from warehouse.sources.names import Names
from warehouse.sources.parsing import closing_parser
from warehouse.sources.reading import read
from warehouse.sources.recipe import Source

HELD_BYTES = 2 * BATCH_BYTES
"""Batches that may wait for the other side."""
HELD_REJECTS = 1_000


def serve(line: Connection, watched: int) -> None:
    """Read one object after another until there are no more to read, or the process that asks is no more."""
    Thread(target=_end_with, args=(watched,), daemon=True).start()
    with closing_parser(), suppress(EOFError, BrokenPipeError, ConnectionResetError):
        source = line.recv()
        while True:
            located, path = line.recv()
            _answer(line, source, located, path)


def _end_with(watched: int) -> None:
    os.read(watched, 1)
    os.kill(os.getpid(), signal.SIGKILL)


def _answer(line: Connection, source: Source, located: Located, path: Path) -> None:
    """Send the object's records: batches, lists of what else there is, and at the end its names, or what failed."""
    names, error, smalls = Names(), None, Smalls()
    waiting: deque[int] = deque()
    try:
        for item in read(source, located, path, names):
            if isinstance(item, pa.RecordBatch):
                _send_smalls(line, smalls)
                _send(line, item, waiting)
            else:
                smalls.append(item)
                if len(smalls) == HELD_REJECTS:
                    _send_smalls(line, smalls)
    except (BrokenPipeError, ConnectionResetError):
        raise
    except Exception as failure:  # noqa: BLE001 # raised again by the process that asked
        error = failure
    _send_smalls(line, smalls)
    while waiting:
        waiting.remove(line.recv())
    line.send((names, error))


def _send_smalls(line: Connection, smalls: Smalls) -> None:
    if smalls:
        line.send(smalls)
        smalls.clear()


def _send(line: Connection, batch: pa.RecordBatch, waiting: deque[int]) -> None:
    """Give a batch to the other side, once what waits there is little enough; waiting: the sizes of batches there."""
    while waiting and (sum(waiting) + batch.nbytes > HELD_BYTES or line.poll()):
        waiting.remove(line.recv())
    made = os.memfd_create("batch")
    with pa.OSFile(f"/proc/self/fd/{made}", "wb") as sink, pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    line.send(batch.nbytes)
    send_handle(line, made, None)
    waiting.append(batch.nbytes)
    os.close(made)


if __name__ == "__main__":
    serve(Connection(int(sys.argv[1])), int(sys.argv[2]))
