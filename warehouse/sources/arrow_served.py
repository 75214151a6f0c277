"""Record batches of one Parquet or Arrow file after another, made by a process of its own (``arrow_parsing``).

The work of that process, which is why it imports nothing of the library. Every batch is validated whole before it is
given on (offsets that point outside would end whoever touches them) and is written into memory that the other side has
mapped: a slot that is used again and again, for the kernel takes longer to make new memory than to copy into old.
"""

from __future__ import annotations

import json
import os
import resource
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

FULL_KB = 1 << 20
"""Peak of resident memory after which the process takes no further file, so that none fails for one before it."""
SLOTS, SLOT_BYTES, SLOTS_AT = 3, 32 << 20, 4096
"""Of the memory that both sides have: a slot for a batch at work, one that waits to be stored, one that lies ready.

Before them lies a byte for each: 1 from when a batch is written until the other side, which clears it, holds no part
of it any more. This side never maps them, so a decoder that goes astray cannot reach what was given on.
"""
MAGIC = b"ARROW1"


class TooLarge(Exception):
    """More bytes unpacked than are allowed."""


def parquet(path: str, asked: dict[str, Any]) -> Iterator[pa.RecordBatch]:
    """Batches of the columns that there are of ``columns``, all without. Raises TooLarge, ArrowInvalid."""
    with (
        pa.OSFile(path) as file,
        pq.ParquetFile(file, pre_buffer=False, page_checksum_verification=True) as opened,  # or all of it is in memory
    ):
        metadata = opened.metadata
        unpacked = sum(metadata.row_group(at).total_byte_size for at in range(metadata.num_row_groups))
        check(max(unpacked, metadata.num_rows), asked)  # rows of nulls take no bytes at all
        names = asked["columns"]
        wanted = None if names is None else [name for name in names if name in opened.schema_arrow.names]
        a_row = max(1, unpacked // max(1, metadata.num_rows))
        rows = int(min(asked["max_rows"], max(64, asked["batch_bytes"] // a_row)))
        met, several = 0, (metadata.num_columns if wanted is None else len(wanted)) > 1
        for batch in opened.iter_batches(batch_size=rows, columns=wanted, use_threads=several):
            met += batch.num_rows
            yield batch
        if met < metadata.num_rows:
            raise pa.ArrowInvalid(f"the file states {metadata.num_rows:,} rows and holds {met:,}")


def arrow(path: str, asked: dict[str, Any]) -> Iterator[pa.RecordBatch]:
    """Batches of an Arrow file or stream. A compressed buffer is unpacked as a whole before it can be measured."""
    unpacked = 0
    with pa.OSFile(path) as file:
        reader = ipc_reader(file)
        stream = isinstance(reader, pa.RecordBatchReader)
        for batch in reader if stream else map(reader.get_batch, range(reader.num_record_batches)):
            batch.validate(full=True)
            unpacked += max(batch.nbytes, batch.num_rows)
            check(unpacked, asked)
            size = asked["batch_bytes"]
            rows = min(asked["max_rows"], max(1, batch.num_rows * size // max(size, batch.nbytes)))
            yield from (batch.slice(at, rows) for at in range(0, batch.num_rows, rows))


def ipc_reader(file: pa.NativeFile) -> Any:
    """pyarrow's reader of a file or of a stream."""
    is_file = file.read(len(MAGIC)) == MAGIC
    file.seek(0)
    return pa.ipc.open_file(file) if is_file else pa.ipc.open_stream(file)


def check(unpacked: int, asked: dict[str, Any]) -> None:
    """Raises TooLarge where the file unpacks to more than is allowed."""
    if unpacked > asked["allowed"]:
        raise TooLarge(f"unpacks to more than {asked['allowed']} bytes")


def names(path: str, asked: dict[str, Any]) -> list[str]:
    """The names of the columns."""
    with pa.OSFile(path) as file:
        if asked["kind"] == "arrow":
            return list(ipc_reader(file).schema.names)
        with pq.ParquetFile(file) as opened:
            return list(opened.schema_arrow.names)


def serve(line: socket.socket, arena: int, *, batch_cpu_s: int, max_memory: int) -> None:
    """Answer requests until they end.

    arena: the descriptor of the memory of SLOTS. A request is a line of JSON with that of a file beside it: kind
    (parquet, arrow), names (whether only they are wanted), columns, allowed (bytes), batch_bytes, max_rows. An answer
    is lines of JSON: for each batch, an Arrow stream of its own, ``{"slot", "size"}`` of where it lies, or ``{"size"}``
    with the descriptor of a memory file where no slot is free or large enough, and for each a byte comes back when it
    was read; then ``{"end": true}``, or what failed.
    The kernel gives this process max_memory bytes of address space, and ends it where a batch takes more than
    batch_cpu_s.
    """
    resource.setrlimit(resource.RLIMIT_AS, (max_memory, max_memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(BrokenPipeError, ConnectionResetError):  # the other side was killed
        while True:
            message, descriptors, _, _ = socket.recv_fds(line, 1 << 20, 1)
            if not message:
                return
            while not message.endswith(b"\n"):
                message += line.recv(1 << 20)
            asked, path = json.loads(message), f"/proc/self/fd/{descriptors[0]}"
            said = answered(line, arena, path, asked, batch_cpu_s=batch_cpu_s)
            os.close(descriptors[0])
            said["full"] = peak_kb() > FULL_KB
            line.sendall(json.dumps(said).encode() + b"\n")


def peak_kb() -> int:
    """Peak of this process's resident memory; ru_maxrss counts that of the process which began it too (Linux)."""
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))


def answered(line: socket.socket, arena: int, path: str, asked: dict[str, Any], *, batch_cpu_s: int) -> dict[str, Any]:
    """Send the batches that were asked for; the last line of the answer."""
    waits = False
    said: dict[str, Any] = {"end": True}
    limited(batch_cpu_s)
    try:
        if asked["names"]:
            return {"end": True, "names": names(path, asked)}
        for batch in (arrow if asked["kind"] == "arrow" else parquet)(path, asked):
            batch.validate(full=True)
            if waits:
                read_by_the_other(line)
            send(line, arena, batch)
            waits = True
            limited(batch_cpu_s)
    except (BrokenPipeError, ConnectionResetError):
        raise
    except Exception as error:  # noqa: BLE001 # the parser's, told to the process that asked
        said = {"error": type(error).__name__, "message": str(error)[:300], "errno": getattr(error, "errno", None)}
    if waits:
        read_by_the_other(line)
    return said


def read_by_the_other(line: socket.socket) -> None:
    """Wait until the other side has read the last batch. Raises BrokenPipeError where it is gone."""
    if not line.recv(1):
        raise BrokenPipeError


def send(line: socket.socket, arena: int, batch: pa.RecordBatch) -> None:
    """Give a batch to the other side."""
    measured = pa.MockOutputStream()
    write(batch, measured)
    size, slot = measured.size(), os.pread(arena, SLOTS, 0).find(0)
    if slot >= 0 and size <= SLOT_BYTES:
        fill(arena, slot, batch)
        line.sendall(json.dumps({"slot": slot, "size": size}).encode() + b"\n")
        return
    made = os.memfd_create("batch")
    write(batch, pa.OSFile(f"/proc/self/fd/{made}", "wb"))
    socket.send_fds(line, [json.dumps({"size": size}).encode() + b"\n"], [made])
    os.close(made)


def fill(arena: int, slot: int, batch: pa.RecordBatch) -> None:
    """Write a batch into a slot."""
    os.pwrite(arena, b"\1", slot)
    with open(arena, "r+b", buffering=0, closefd=False) as place:
        place.seek(SLOTS_AT + slot * SLOT_BYTES)
        write(batch, pa.PythonFile(place, "w"))


def write(batch: pa.RecordBatch, sink: pa.NativeFile) -> None:
    """Write an Arrow stream of one batch."""
    with sink, pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)


def limited(seconds: int) -> None:
    """Let the kernel end this process after so many CPU seconds more."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + seconds, resource.RLIM_INFINITY))


if __name__ == "__main__":
    serve(
        socket.socket(fileno=int(sys.argv[1])),
        int(sys.argv[2]),
        batch_cpu_s=int(sys.argv[3]),
        max_memory=int(sys.argv[4]),
    )
    os._exit(0)  # to take down Python and what pyarrow has loaded takes as long as a third of loading it
