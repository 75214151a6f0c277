"""Readers over a folder, in a process of their own: python -P loader_peers.py READER[,READER] FOLDER SECONDS.

Prints a JSON object for each: samples, wall_s and cpu_s of one epoch or SECONDS of it from opening on, imports left
out, and the milliseconds to its first batch. ``write`` and ``write_torch`` make the files of a kind of environment from
tokens.bin, and print the CPU seconds and bytes of those that a peer's own writer wrote. Every reader gives batches of
64 as uint16[64, 1024] in numpy, shuffled but for those called _in_order.
"""

from __future__ import annotations

import importlib
import io
import json
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

LENGTH, BATCH = 1024, 64
Batches = Iterator[np.ndarray]


def ours(folder: Path, *, threads: int = 0) -> Callable[[], Batches]:
    """The exact global shuffle, blocks compared with their hashes at first touch, into reused memory."""
    loader = importlib.import_module("warehouse.loader").Loader

    def read() -> Batches:
        for batch in loader(folder / "release", batch=BATCH).batches(reuse=True, threads=threads):
            yield batch.tokens

    return read


def ours_mixture(folder: Path) -> Callable[[], Batches]:
    """Two halves of the samples as two sources, weights 3 and 1."""
    module = importlib.import_module("warehouse.loader")
    sources = [module.Source(folder / name) for name in ("first", "second")]

    def read() -> Batches:
        mixture = module.Mixture(sources, phases=[module.Phase(weights=(3, 1))], batch=BATCH)
        batches = mixture.batches(reuse=True)
        for batch in islice(batches, sum(mixture.sizes) // BATCH):
            yield batch.tokens

    return read


def ours_over(folder: Path, place: str) -> Callable[[], Batches]:
    """Our loader over a peer's files."""
    loader = importlib.import_module("warehouse.loader").Loader
    scheme, _, rest = place.partition(":")

    def read() -> Batches:
        for batch in loader(f"{scheme}:{folder / rest}", batch=BATCH).batches(reuse=True):
            yield batch.tokens

    return read


def memmap_rows(folder: Path) -> Callable[[], Batches]:
    """numpy.memmap, one file, numpy's permutation, a row copied at a time into reused memory."""

    def read() -> Batches:
        rows = np.memmap(folder / "tokens.bin", np.uint16, "r").reshape(-1, LENGTH)
        order, out = np.random.default_rng(0).permutation(len(rows)), np.empty((BATCH, LENGTH), np.uint16)
        for first in range(0, len(rows) - BATCH + 1, BATCH):
            for at, number in enumerate(order[first : first + BATCH]):
                out[at] = rows[number]
            yield out

    return read


def memmap_take(folder: Path) -> Callable[[], Batches]:
    """numpy.memmap, one file, numpy's permutation, a batch taken at once into reused memory."""

    def read() -> Batches:
        rows = np.asarray(np.memmap(folder / "tokens.bin", np.uint16, "r")).reshape(-1, LENGTH)
        order, out = np.random.default_rng(0).permutation(len(rows)), np.empty((BATCH, LENGTH), np.uint16)
        for first in range(0, len(rows) - BATCH + 1, BATCH):
            yield rows.take(order[first : first + BATCH], axis=0, out=out, mode="clip")

    return read


def megatron(folder: Path) -> Callable[[], Batches]:
    """As Megatron-LM's IndexedDataset under a shuffle index: pointers in memory, a view a sample, stacked."""

    def read() -> Batches:
        index = np.memmap(folder / "megatron" / "tokens.idx", np.uint8, "r")
        count = int(index[18:26].view("<u8")[0])
        lengths = np.frombuffer(index, "<i4", count, 34)
        pointers = np.frombuffer(index, "<i8", count, 34 + 4 * count)
        data = memoryview(np.memmap(folder / "megatron" / "tokens.bin", np.uint8, "r"))
        order = np.random.default_rng(0).permutation(count)
        for first in range(0, count - BATCH + 1, BATCH):
            numbers = order[first : first + BATCH]
            yield np.stack([np.frombuffer(data, np.uint16, lengths[at], pointers[at]) for at in numbers])

    return read


def mds(folder: Path, *, shuffle: bool = True) -> Callable[[], Batches]:
    """mosaicml-streaming's StreamingDataset over local shards, its default shuffle py1e."""
    module = importlib.import_module("streaming")

    def read() -> Batches:
        module.base.util.clean_stale_shared_memory()
        found = module.StreamingDataset(local=str(folder / "mds"), shuffle=shuffle, batch_size=BATCH)
        rows = (sample["tokens"] for sample in found)
        while len(batch := list(islice(rows, BATCH))) == BATCH:
            yield np.stack(batch)

    return read


def litdata(folder: Path, *, shuffle: bool = True) -> Callable[[], Batches]:
    """litdata's StreamingDataset with TokensLoader over local chunks."""
    module = importlib.import_module("litdata")

    def read() -> Batches:
        place, loader = str(folder / "litdata"), module.TokensLoader(block_size=LENGTH)
        rows = (row.numpy() for row in module.StreamingDataset(place, item_loader=loader, shuffle=shuffle))
        while len(batch := list(islice(rows, BATCH))) == BATCH:
            yield np.stack(batch)

    return read


def arrow(folder: Path) -> Callable[[], Batches]:
    """pyarrow, a mapped IPC file of fixed-size binaries, numpy's permutation, a batch taken at once."""
    pa = importlib.import_module("pyarrow")

    def read() -> Batches:
        column = pa.ipc.open_file(pa.memory_map(str(folder / "tokens.arrow"))).read_all()["tokens"].combine_chunks()
        order = np.random.default_rng(0).permutation(len(column))
        for first in range(0, len(order) - BATCH + 1, BATCH):
            taken = column.take(pa.array(order[first : first + BATCH]))
            yield np.frombuffer(taken.buffers()[1], np.uint16).reshape(BATCH, LENGTH)

    return read


def webdataset(folder: Path, *, shuffle: int = 1000) -> Callable[[], Batches]:
    """webdataset, tar, a shuffle of 1,000 samples in a buffer."""
    module = importlib.import_module("webdataset")

    def read() -> Batches:
        found = module.WebDataset(str(folder / "tokens.tar"), shardshuffle=False, empty_check=False).shuffle(shuffle)
        rows = (np.frombuffer(sample["bin"], np.uint16) for sample in found)
        while len(batch := list(islice(rows, BATCH))) == BATCH:
            yield np.stack(batch)

    return read


def datasets(folder: Path) -> Callable[[], Batches]:
    """Hugging Face datasets, the same Arrow file, map-style, shuffled indices, batches in numpy."""
    module = importlib.import_module("datasets")
    importlib.import_module("datasets.formatting")

    def read() -> Batches:
        rows = (
            module.Dataset.from_file(str(folder / "lists.arrow")).with_format("numpy", dtype=np.uint16).shuffle(seed=0)
        )
        for batch in rows.iter(BATCH, drop_last_batch=True):
            yield batch["tokens"]

    return read


def grain(folder: Path) -> Callable[[], Batches]:
    """grain's MapDataset over ArrayRecord, its global shuffle, no threads."""
    module, reading = (
        importlib.import_module("grain"),
        importlib.import_module("array_record.python.array_record_data_source"),
    )

    def read() -> Batches:
        source = reading.ArrayRecordDataSource([str(folder / "tokens.array_record")])
        rows = module.MapDataset.source(source).shuffle(seed=0)
        made = rows.map(lambda raw: np.frombuffer(raw, np.uint16)).batch(BATCH, drop_remainder=True)
        yield from made.to_iter_dataset(module.ReadOptions(num_threads=0, prefetch_buffer_size=0))

    return read


READERS: dict[str, Callable[[Path], Callable[[], Batches]]] = {
    "ours": ours,
    "ours_threads_2": lambda folder: ours(folder, threads=2),
    "ours_mixture": ours_mixture,
    "ours_over_mds": lambda folder: ours_over(folder, "mds:mds"),
    "ours_over_litdata": lambda folder: ours_over(folder, "litdata:litdata"),
    "ours_over_megatron": lambda folder: ours_over(folder, "megatron:megatron/tokens"),
    "ours_over_parquet": lambda folder: ours_over(folder, "parquet:tokens.parquet?dtype=uint16"),
    "memmap_take": memmap_take,
    "memmap_rows": memmap_rows,
    "megatron": megatron,
    "arrow": arrow,
    "webdataset": webdataset,
    "webdataset_in_order": lambda folder: webdataset(folder, shuffle=0),
    "datasets": datasets,
    "grain": grain,
    "mds": mds,
    "mds_in_order": lambda folder: mds(folder, shuffle=False),
    "litdata": litdata,
    "litdata_in_order": lambda folder: litdata(folder, shuffle=False),
}
IN_PEERS = ("arrow", "webdataset", "webdataset_in_order", "datasets", "grain")
IN_TORCH = ("mds", "mds_in_order", "litdata", "litdata_in_order")
OVER_TORCH = ("ours_over_mds", "ours_over_litdata")
"""Ours, over files that only the environment of IN_TORCH writes."""


def timed(what: Callable[[], None], place: Path) -> dict[str, float]:
    """CPU seconds, and bytes that lie in ``place`` then."""
    begun = time.process_time()
    what()
    files = place.rglob("*") if place.is_dir() else [place]
    return {"cpu_s": time.process_time() - begun, "bytes": sum(path.stat().st_size for path in files)}


def write_torch(folder: Path) -> dict[str, dict[str, float]]:
    """Files by MDSWriter, with xxh64, and by litdata's Cache, a sample a call: their only interface."""
    raw = np.fromfile(folder / "tokens.bin", np.uint16).reshape(-1, LENGTH)
    streaming, torch = importlib.import_module("streaming"), importlib.import_module("torch")
    lit, cached = importlib.import_module("litdata"), importlib.import_module("litdata.streaming")

    def mds_writer() -> None:
        columns = {"tokens": f"ndarray:uint16:{LENGTH}"}
        with streaming.MDSWriter(out=str(folder / "mds"), columns=columns, hashes=["xxh64"]) as writer:
            for row in raw:
                writer.write({"tokens": row})

    def cache() -> None:
        made = cached.Cache(str(folder / "litdata"), chunk_bytes="64MB", item_loader=lit.TokensLoader(LENGTH))
        for number, row in enumerate(raw):
            made[number] = torch.from_numpy(row)
        made.done()
        made.merge()

    return {"mds": timed(mds_writer, folder / "mds"), "litdata": timed(cache, folder / "litdata")}


def write(folder: Path) -> dict[str, dict[str, float]]:
    """The files of the readers of IN_PEERS, from tokens.bin."""
    pa = importlib.import_module("pyarrow")
    raw = np.fromfile(folder / "tokens.bin", np.uint16).reshape(-1, LENGTH)
    width = 2 * LENGTH
    binary = pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), len(raw), [None, pa.py_buffer(raw)])
    lists = pa.FixedSizeListArray.from_arrays(pa.array(raw.reshape(-1)), LENGTH)
    for name, array in (("tokens", binary), ("lists", lists)):
        table = pa.table({"tokens": array})
        opened = pa.ipc.new_file if name == "tokens" else pa.ipc.new_stream
        with pa.OSFile(str(folder / f"{name}.arrow"), "wb") as sink, opened(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=len(raw) if name == "tokens" else 1000)
    with tarfile.open(folder / "tokens.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
        for number, row in enumerate(raw):
            member = tarfile.TarInfo(f"{number:08d}.bin")
            member.size = width
            tar.addfile(member, io.BytesIO(row.tobytes()))
    records = importlib.import_module("array_record.python.array_record_module")
    writer = records.ArrayRecordWriter(str(folder / "tokens.array_record"), "group_size:1,uncompressed")
    for row in raw:
        writer.write(row.tobytes())
    writer.close()
    web = importlib.import_module("webdataset")

    def tar_writer() -> None:
        with web.TarWriter(str(folder / "theirs.tar")) as made:
            for number, row in enumerate(raw):
                made.write({"__key__": f"{number:08d}", "bin": row.tobytes()})

    return {"webdataset": timed(tar_writer, folder / "theirs.tar")}


WRITES = {"write": write, "write_torch": write_torch}


def measured(name: str, folder: Path, seconds: float) -> dict[str, Any]:
    """Of one epoch or ``seconds`` of it."""
    read = READERS[name](folder)
    samples, first = 0, 0.0
    wall, cpu = time.perf_counter(), time.process_time()
    for batch in read():
        samples += len(batch)
        if not first:
            first = time.perf_counter() - wall
            assert batch.shape == (BATCH, LENGTH) and batch.dtype == np.uint16
        if time.perf_counter() - wall > seconds:
            break
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {"samples": samples, "wall_s": wall, "cpu_s": cpu, "first_batch_ms": 1e3 * first}


if __name__ == "__main__":
    if sys.argv[1] in WRITES:
        print(json.dumps(WRITES[sys.argv[1]](Path(sys.argv[2]))))
    else:
        for name in sys.argv[1].split(","):
            print(json.dumps(measured(name, Path(sys.argv[2]), float(sys.argv[3]))), flush=True)
