"""litdata: ``StreamingDataset("<release>/targets/litdata/<split>", item_loader=TokensLoader(<sequence_length>))``.

Layout of a chunk (litdata/streaming/writer.py, _create_chunk), little-endian::

    u32 n | u32 offsets[n + 1], from the file's start | items

An item is a sample's raw tokens, read by its number in the chunk alone (TokensLoader, item_loader.py); ``dim`` in
index.json counts a chunk's tokens. The format has no uint32: ids above 65,535 are marked int32, the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from warehouse.datasets.targets.tasks import PART_BYTES, Entry, TargetTask, placed
from warehouse.datasets.vocabulary import Ids

FORMATS = {2: "no_header_tensor:20", 4: "no_header_tensor:15"}
"""By bytes of a token: torch.uint16 and torch.int32 in litdata's table of types (litdata/constants.py)."""

LEAF = '[1, {"type": null, "context": null, "children_spec": []}]'
"""PyTorch's pytree of one leaf, as ``treespec_dumps`` writes it (torch/utils/_pytree.py)."""


def write(task: TargetTask) -> list[Entry]:
    """Write the chunks of a shard, none for an empty one; their entries of index.json."""
    return [
        _chunk(task.place("litdata", f"{task.split}/chunk-{task.number}-{number}.bin"), part)
        for number, part in enumerate(task.parts())
    ]


def _chunk(path: Path, samples: Ids) -> Entry:
    count, length = samples.shape
    offsets = 4 * (count + 2) + np.arange(count + 1) * length * samples.itemsize
    with path.open("wb") as stream:
        stream.write(np.concatenate([[count], offsets]).astype("<u4").tobytes())
        stream.write(samples.data)
    return {"chunk_bytes": int(offsets[-1]), "chunk_size": count, "dim": samples.size, "filename": path.name}


def finish(folder: Path, entries: Mapping[str, list[Entry]], dtype: str) -> None:
    """Write index.json of each split that holds samples."""
    config = {
        "chunk_bytes": PART_BYTES,
        "chunk_size": None,
        "compression": None,
        "data_format": [FORMATS[np.dtype(dtype).itemsize]],
        "data_spec": LEAF,
        "encryption": None,
        "item_loader": "TokensLoader",
    }
    for split, chunks in entries.items():
        if chunks:
            index = json.dumps({"chunks": chunks, "config": config}, sort_keys=True)
            placed(folder / split / "index.json").write_text(index, "utf-8")
