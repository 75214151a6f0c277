"""litdata: ``StreamingDataset("<release>/targets/litdata/<split>", item_loader=TokensLoader(<sequence_length>))``.

Layout of a chunk (litdata/streaming/writer.py, _create_chunk), little-endian::

    u32 n | u32 offsets[n + 1], from the file's start | items

An item is a sample's raw tokens, read by its number in the chunk alone (TokensLoader, item_loader.py); ``dim`` in
index.json counts a chunk's tokens. The format has no uint32: ids above 65,535 are marked int32, the same bytes.

An item of conversations, or of samples of any columns, which PyTreeLoader (the default) gives as a dictionary, is the
u32 size of each value, then the values, in the order of the columns: of conversations ``tokens`` and ``loss_mask``.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from warehouse.datasets.targets.tasks import (
    LOSS_MASK,
    PART_BYTES,
    TOKENS,
    Columns,
    Entry,
    SampleTask,
    TargetTask,
    placed,
    row_bytes,
)
from warehouse.manifest import Column

FORMATS = {2: "no_header_tensor:20", 4: "no_header_tensor:15"}
"""By bytes of a token: torch.uint16 and torch.int32 in litdata's table of types (litdata/constants.py)."""
MASK_FORMAT = "no_header_tensor:11"
"""torch.uint8 in the same table."""

NUMPY = {
    **{"int8": 0, "int16": 1, "int32": 2, "int64": 3, "uint8": 4, "uint16": 5, "uint32": 6, "uint64": 7},
    **{"float32": 9, "float64": 10},
}
"""Types of a list of numbers in its table of NumPy's."""

LEAF = '[1, {"type": null, "context": null, "children_spec": []}]'
"""PyTorch's pytree of one leaf, as ``treespec_dumps`` writes it (torch/utils/_pytree.py)."""


def write(task: TargetTask) -> list[Entry]:
    """Write the chunks of a shard, none for an empty one; their entries of index.json."""
    return [
        _chunk(task.place("litdata", f"{task.split}/chunk-{task.number}-{number}.bin"), part)
        for number, part in enumerate(task.parts())
    ]


def write_samples(task: SampleTask) -> list[Entry]:
    """Write the chunks of a shard of samples, none for an empty one; their entries of index.json."""
    return [
        _items(task.place("litdata", f"{task.split}/chunk-{task.number}-{number}.bin"), batch, task.columns)
        for number, batch in enumerate(task.batches())
    ]


def _items(path: Path, batch: pa.Table, columns: Sequence[Column]) -> Entry:
    leaves = [[_leaf(value, column) for value in batch[column.name].to_pylist()] for column in columns]
    rows = list(zip(*leaves, strict=True))
    items = [np.array([len(leaf) for leaf in row], "<u4").tobytes() + b"".join(row) for row in rows]
    ends = 4 * (len(items) + 2) + np.cumsum([0, *map(len, items)])
    with path.open("wb") as stream:
        stream.write(np.concatenate([[len(items)], ends]).astype("<u4").tobytes())
        stream.writelines(items)
    return {"chunk_bytes": int(ends[-1]), "chunk_size": len(items), "dim": None, "filename": path.name}


def _format(column: Column) -> str:
    """What litdata calls a leaf of the column (litdata/streaming/serializers.py)."""
    kind, _, dtype = column.dtype.partition(":")
    if kind == "ndarray":
        return f"no_header_numpy:{NUMPY[dtype]}"
    if kind in ("str", "bytes", "json"):
        return kind
    return "bool" if column.type == "bool" else "float" if kind.startswith("float") else "int"


def _leaf(value: Any, column: Column) -> bytes:
    """A value as its leaf has it; whole numbers are int64, those with fractions float64."""
    kind = _format(column).partition(":")[0]
    if kind == "no_header_numpy":
        return np.array(value, np.dtype(column.dtype.partition(":")[2]).newbyteorder("<")).tobytes()
    if kind == "str":
        return (value if isinstance(value, str) else str(value.isoformat())).encode()
    if kind == "json":
        return json.dumps(value, ensure_ascii=False).encode()
    return bytes(value) if kind == "bytes" else struct.pack({"bool": "<?", "int": "<q", "float": "<d"}[kind], value)


def finish_samples(folder: Path, entries: Mapping[str, list[Entry]], columns: Sequence[Column]) -> None:
    """Write index.json of each split that holds samples."""
    _finish_leaves(folder, entries, {column.name: _format(column) for column in columns})


def _finish_leaves(folder: Path, entries: Mapping[str, list[Entry]], leaves: Mapping[str, str]) -> None:
    """index.json of each split that holds samples; leaves: what litdata calls each value of a dictionary."""
    leaf: Entry = {"type": None, "context": None, "children_spec": []}
    spec = {"type": "builtins.dict", "context": json.dumps([*leaves]), "children_spec": [leaf] * len(leaves)}
    _write_index(folder, entries, [*leaves.values()], json.dumps([1, spec]), "PyTreeLoader")


def _write_index(
    folder: Path, entries: Mapping[str, list[Entry]], formats: Sequence[str], spec: str, item_loader: str
) -> None:
    config = {
        "chunk_bytes": PART_BYTES,
        "chunk_size": None,
        "compression": None,
        "data_format": list(formats),
        "data_spec": spec,
        "encryption": None,
        "item_loader": item_loader,
    }
    for split, chunks in entries.items():
        if chunks:
            index = json.dumps({"chunks": chunks, "config": config}, sort_keys=True)
            placed(folder / split / "index.json").write_text(index, "utf-8")


def _chunk(path: Path, part: Columns) -> Entry:
    items, dim = _fixed_items(part)
    count, width = items.shape
    offsets = 4 * (count + 2) + np.arange(count + 1) * width
    with path.open("wb") as stream:
        stream.write(np.concatenate([[count], offsets]).astype("<u4").tobytes())
        stream.write(items.data)
    return {"chunk_bytes": int(offsets[-1]), "chunk_size": count, "dim": dim, "filename": path.name}


def _fixed_items(part: Columns) -> tuple[npt.NDArray[np.uint8], int | None]:
    """The items of samples, uint8[samples, bytes], and what index.json calls ``dim``."""
    tokens = part[TOKENS]
    if LOSS_MASK not in part:
        return row_bytes(part, [TOKENS]), tokens.size
    sizes = np.array([part[name][0].nbytes for name in (TOKENS, LOSS_MASK)], "<u4")
    whole = {"sizes": np.tile(sizes, (len(tokens), 1)), **part}
    return row_bytes(whole, ["sizes", TOKENS, LOSS_MASK]), None


def finish(folder: Path, entries: Mapping[str, list[Entry]], task: TargetTask) -> None:
    """Write index.json of each split that holds samples."""
    tokens = FORMATS[np.dtype(task.dtype).itemsize]
    if task.mask:
        _finish_leaves(folder, entries, {TOKENS: tokens, LOSS_MASK: MASK_FORMAT})
    else:
        _write_index(folder, entries, [tokens], LEAF, "TokensLoader")
