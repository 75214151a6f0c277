"""Releases written by hand, from the format's description alone, so that a loader's tests need no other part."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import numpy as np

from warehouse.manifest import (
    Column,
    Manifest,
    Shard,
    Split,
    TableManifest,
    TableShard,
    TableSplit,
    content_id,
    encode,
    hash_file,
    seal,
)

LENGTH = 16


def write_release(
    folder: Path,
    sizes: tuple[int, ...],
    *,
    length: int = LENGTH,
    name: str = "made",
    pad: int = 1,
    sources: tuple[str, ...] = (),
) -> Path:
    """Shards of ``sizes`` samples; sample i holds i in its first two tokens and pieces of 5 and length - 5 tokens.

    sources: where there are any, the first piece of sample i is of number i mod their count, the second is none.
    """
    folder.mkdir(parents=True)
    shards, files, number = [], {}, 0
    for shard, size in enumerate(sizes):
        stem = f"train-{shard:05d}-of-{len(sizes):05d}"
        rows = np.arange(size * length, dtype="<u2").reshape(size, length) % 251
        rows[:, 0], rows[:, 1] = divmod(np.arange(number, number + size), 1 << 16)
        (folder / f"{stem}.bin").write_bytes(rows.astype("<u2").tobytes())
        lengths = np.tile(np.array([5, length - 5], "<i4"), size)
        pointers = (np.cumsum(lengths) - lengths).astype("<i8") * 2
        header = b"MMIDIDX\0\0" + struct.pack("<QBQQ", 1, 8, 2 * size, size + 1)
        firsts = np.arange(0, 2 * size + 1, 2, dtype="<i8")
        (folder / f"{stem}.idx").write_bytes(header + lengths.tobytes() + pointers.tobytes() + firsts.tobytes())
        made = Shard(f"{stem}.bin", f"{stem}.idx", "none", size, size * length, 0, 0)
        if sources:
            ids = np.full((size, 2), 0xFFFF, "<u2")
            ids[:, 0] = np.arange(number, number + size) % len(sources)
            (folder / f"{stem}.sources").write_bytes(ids.tobytes())
            made = replace(made, sources=f"{stem}.sources")
        files |= {path: hash_file(folder, path) for path in made.loaded}
        shards.append(made)
        number += size
    splits = {"train": Split(number, number * length, 0, 0, tuple(shards))}
    manifest = Manifest(
        1,
        name,
        content_id(files.values()),
        "<u2",
        length,
        "best_fit",
        251,
        0,
        pad,
        0,
        splits,
        0,
        0.0,
        {},
        {},
        {},
        {},
        "",
        "",
        {},
        files,
        sources=sources,
    )
    (folder / "manifest.json").write_bytes(encode(replace(manifest, seal=seal(manifest))))
    return folder


ROW = np.dtype([("number", "<i8"), ("share", "<f8"), ("valid", "u1")])
SIZES = (40, 0, 33, 30)


def write_rows(folder: Path) -> Path:
    """Rows in four shards, one of them empty: row i holds i, and i / 2 where i is odd."""
    folder.mkdir(parents=True)
    files, shards, number = {}, [], 0
    for shard, size in enumerate(SIZES):
        data = np.zeros(size, ROW)
        data["number"] = np.arange(number, number + size)
        data["share"] = np.where(data["number"] % 2, data["number"] / 2, np.nan)
        data["valid"] = data["number"] % 3 > 0
        name = f"train-{shard:05d}-of-00004.bin"
        (folder / name).write_bytes(data.tobytes())
        files[name] = hash_file(folder, name)
        shards.append(TableShard(name, "none", size))
        number += size
    columns = (Column("number", "int64", "<i8", 0, 16), Column("share", "double", "<f8", 8, None))
    manifest = TableManifest(
        1, "table", "made", content_id(files.values()), 17, columns, ("number",), ("number",), None, "entity", 0,
        {"train": TableSplit(number, tuple(shards))}, 0.0, {}, {}, {}, "", {}, files,
    )  # fmt: skip
    (folder / "manifest.json").write_bytes(encode(replace(manifest, seal=seal(manifest))))
    return folder
