"""MDS, version 2: ``streaming.StreamingDataset(local="<release>/targets/mds", split=...)`` gives ``tokens``, of
conversations ``loss_mask`` too.

Layout (mosaicml-streaming, streaming/base/format/mds/writer.py), little-endian::

    u32 n | u32 offsets[n + 1], from the file's start | JSON of the columns, keys in order | samples

A sample is its columns in the order of their names, ``ndarray:uint16:<sequence_length>`` (or uint32; of the mask
uint8): of a fixed size, so without sizes before them. index.json holds an xxh64 of each file, which the reader checks
with validate_hash="xxh64".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import xxhash

from warehouse.datasets.targets.tasks import PART_BYTES, Columns, Entry, TargetTask, placed, row_bytes

HASH = "xxh64"


def write(task: TargetTask) -> list[Entry]:
    """Write the files of a shard, none for an empty one; the entries of index.json."""
    return [
        _file(task.place("mds", f"{task.split}/shard.{task.number:05d}.{number:03d}.mds"), part)
        for number, part in enumerate(task.parts())
    ]


def _file(path: Path, part: Columns) -> Entry:
    columns, rows = _columns(part), row_bytes(part, sorted(part))
    head, (count, width) = json.dumps(columns, sort_keys=True).encode(), rows.shape
    start = 4 + 4 * (count + 1) + len(head)
    offsets = start + np.arange(count + 1) * width
    content = b"".join([np.uint32(count).astype("<u4").tobytes(), offsets.astype("<u4").tobytes(), head])
    state = xxhash.xxh64(content)
    with path.open("wb") as stream:
        stream.write(content)
        stream.write(rows.data)
    state.update(rows.data)
    raw = {"basename": path.name, "bytes": int(offsets[-1]), "hashes": {HASH: state.hexdigest()}}
    return {**columns, "raw_data": raw, "samples": count, "zip_data": None, "version": 2}


def _columns(part: Columns) -> Entry:
    columns = sorted(part.items())
    return {
        "column_encodings": [f"ndarray:{values.dtype.name}:{values.shape[1]}" for _, values in columns],
        "column_names": [name for name, _ in columns],
        "column_sizes": [values.shape[1] * values.itemsize for _, values in columns],
        "compression": None,
        "format": "mds",
        "hashes": [HASH],
        "size_limit": PART_BYTES,
        "version": 2,
    }


def finish(folder: Path, entries: Mapping[str, list[Entry]], _: TargetTask) -> None:
    """Write index.json of each split that holds samples."""
    for split, shards in entries.items():
        if shards:
            index = json.dumps({"shards": shards, "version": 2}, sort_keys=True)
            placed(folder / split / "index.json").write_text(index, "utf-8")
