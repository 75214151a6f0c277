"""Releases written by hand, from the format's description alone, so that a loader's tests need no other part."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
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
    pieces: Callable[[int], Sequence[int]] = lambda _: (5,),
    masked: bool = False,
) -> Path:
    """Shards of ``sizes`` samples; sample i holds i in its first two tokens.

    pieces: lengths of all pieces of sample i but the last; sources: where there are any, piece k of sample i is of
    number i + k mod their count, and the last is none; masked: every shard has a mask, of random bits.
    """
    folder.mkdir(parents=True)
    shards, files, number = [], {}, 0
    for shard, size in enumerate(sizes):
        stem = f"train-{shard:05d}-of-{len(sizes):05d}"
        rows = np.arange(size * length, dtype="<u2").reshape(size, length) % 251
        rows[:, 0], rows[:, 1] = divmod(np.arange(number, number + size), 1 << 16)
        (folder / f"{stem}.bin").write_bytes(rows.astype("<u2").tobytes())
        ends = [(*before, length - sum(before)) for before in map(pieces, range(number, number + size))]
        counts = np.array([len(each) for each in ends], "<i8")
        lengths = np.array([each for sample in ends for each in sample], "<i4")
        pointers = (np.cumsum(lengths) - lengths).astype("<i8") * 2
        firsts = np.concatenate([[0], np.cumsum(counts)]).astype("<i8")
        header = b"MMIDIDX\0\0" + struct.pack("<QBQQ", 1, 8, lengths.size, size + 1)
        (folder / f"{stem}.idx").write_bytes(header + lengths.tobytes() + pointers.tobytes() + firsts.tobytes())
        made = Shard(f"{stem}.bin", f"{stem}.idx", "none", size, size * length, 0, 0)
        if sources:
            ids = np.arange(lengths.size) + np.repeat(np.arange(number, number + size) - firsts[:-1], counts)
            ids %= len(sources)
            ids[firsts[1:] - 1] = 0xFFFF
            (folder / f"{stem}.sources").write_bytes(ids.astype("<u2").tobytes())
            made = replace(made, sources=f"{stem}.sources")
        if masked:
            bits = np.random.default_rng(shard).integers(0, 256, (size, -(-length // 8)), np.uint8)
            (folder / f"{stem}.mask").write_bytes(bits.tobytes())
            made = replace(made, mask=f"{stem}.mask")
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
