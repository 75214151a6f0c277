"""Streams of the release ``large``, and what of it a server was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from file_server import FileServer

from warehouse.loader import Batch, StreamingLoader, Window
from warehouse.manifest import BLOCK_BYTES

LENGTH = 1 << 14
"""Tokens of a sample: 32 of them are a block."""
SHARDS = (96, 0, 33, 64)
"""Samples of each shard: of 3, 0, 1 and a bit, and 2 blocks: 7 runs."""
TOTAL, BLOCKS = sum(SHARDS), 7


def opened(location: Path | str, **options: Any) -> StreamingLoader:
    """A stream in small windows."""
    return StreamingLoader(location, **{"batch": 8, "window": Window(4, 1, 2), **options})


def numbers(batches: Iterator[Batch]) -> list[list[int]]:
    """Of the samples of each batch."""
    return [batch.samples.tolist() for batch in batches]


def data_asked(server: FileServer, kind: str = ".bin") -> list[tuple[str, int]]:
    """Blocks of data, or of another kind of file, that the server was asked for."""
    return [
        (each.path.rpartition("/")[2], at // BLOCK_BYTES)
        for each in server.asked
        if each.path.endswith(kind)
        for at in range(each.start, each.stop, BLOCK_BYTES)
    ]
