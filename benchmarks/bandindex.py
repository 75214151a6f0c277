"""The band index as it grows: memory and CPU seconds of comparing all documents, and of a new batch against the rest.

    make bench AREA=bandindex                            half a million, one and two million documents
    make bench AREA=bandindex ARGS="--sizes 100000 --batch 5000"

Bands, sizes and text hashes are made up; one document in fifty is a near copy of another and shares bands with it, and
these have texts, for only texts that meet are read. The tables lie in Parquet files and the real step compares them,
with the memory that a run of two cores gets, each time in a process of its own. First all documents are new, then a
batch of further ones meets them. No peer keeps an index to compare with; ``--own`` is accepted for uniformity. The last
line is one JSON object; ``growth`` is of the largest size to the smallest, of each figure, beside that of documents.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.costs import peak_rss
from warehouse import query
from warehouse.contracts import DOCUMENTS, Snapshot
from warehouse.curation import MINHASH, PAIRS, SIGNALS, pairs
from warehouse.curation.duplicates import MINHASH_VERSION

BANDS = 14
NEAR = 50
"""One document in so many is a near copy of the one before it."""
LIMIT = "400MB"
TEXT = " ".join(f"word{number}" for number in range(60))


def main() -> None:
    """Measure every size and print a line each, then the JSON line."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--own", action="store_true", help="ours alone; no peer keeps an index")
    arguments.add_argument("--sizes", type=int, nargs="+", default=[500_000, 1_000_000, 2_000_000])
    arguments.add_argument("--batch", type=int, default=20_000)
    arguments.add_argument("--compare", type=Path, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.compare:
        print(json.dumps(compared(given.compare)))
        return
    found = {size: measured(size, given.batch) for size in given.sizes}
    least, most = min(found), max(found)
    growth = {
        "documents": most / least,
        **{name: round(found[most][name] / found[least][name], 2) for name in found[most]},
    }
    print(json.dumps({**found[most], "documents": most, "batch": given.batch, "memory_limit": LIMIT, "growth": growth}))


def measured(size: int, batch: int) -> dict[str, float]:
    """Figures of an index of ``size`` documents, and of a batch that meets it."""
    with tempfile.TemporaryDirectory() as held:
        folder = Path(held)
        rng = np.random.default_rng(size)
        for table, columns in made_up(size, rng):
            written(folder, table, columns)
        index = (folder / "minhash.parquet").stat().st_size
        first = apart(folder)
        for table, columns in made_up(batch, rng, known=size):
            written(folder, f"{table}.2", columns)
        second = apart(folder)
    figures = {
        "index_bytes_a_document": round(index / size, 1),
        **{f"all_{name}": value for name, value in first.items()},
        **{f"batch_{name}": value for name, value in second.items()},
    }
    print(f"{size:>10,} documents", *(f"{name} {value}" for name, value in figures.items()), sep="  ", flush=True)
    return figures


def made_up(count: int, rng: np.random.Generator, *, known: int = 0) -> Iterator[tuple[str, dict[str, object]]]:
    """Columns of documents, signals and minhash. known: so many came before, and near copies are of them."""
    numbers = np.arange(known, known + count)
    ids = pa.array([f"{number:032x}" for number in numbers])
    bands = rng.integers(-(2**63), 2**63 - 1, (count, BANDS))
    copies = np.arange(NEAR - 1, count, NEAR)
    others = [] if known else [copies - 1]
    for at in (copies, *others):
        bands[at] = shared(copies)
    near = np.isin(np.arange(count), np.concatenate([copies, *others]))
    texts = [f"{TEXT} {number}" if met else "" for number, met in zip(numbers, near, strict=True)]
    lists = pa.ListArray.from_arrays(np.arange(0, BANDS * count + 1, BANDS, dtype=np.int32), pa.array(bands.ravel()))
    yield "documents", {"doc_id": ids, "known_at": np.zeros(count, np.int64), "text": texts, "source": ["made"] * count}
    hashes = rng.integers(-(2**63), 2**63 - 1, count)
    sizes = np.full(count, len(TEXT), np.int64)
    yield "signals", {"doc_id": ids, "version": np.ones(count, np.int32), "text_hash": hashes, "bytes": sizes}
    yield "minhash", {"doc_id": ids, "version": np.full(count, MINHASH_VERSION, np.int32), "bands": lists}


def shared(copies: np.ndarray) -> np.ndarray:
    """Bands of near copies, by their places: the same in a batch as in what it meets."""
    return copies[:, None] * np.int64(BANDS) + np.arange(BANDS) + (np.int64(1) << 40)


SCHEMAS = {"documents": DOCUMENTS, "signals": SIGNALS, "minhash": MINHASH, "pairs": PAIRS}


def written(folder: Path, name: str, columns: dict[str, object]) -> None:
    """A file of a table, its other columns null."""
    schema = SCHEMAS[name.split(".", maxsplit=1)[0]]
    given = {field.name: pa.array(columns[field.name], field.type) for field in schema if field.name in columns}
    count = len(next(iter(given.values())))
    rows = pa.table([given.get(field.name, pa.nulls(count, field.type)) for field in schema], schema)
    pq.write_table(rows, folder / f"{name}.parquet", compression="zstd", row_group_size=131_072)


def apart(folder: Path) -> dict[str, float]:
    """The step in a process of its own."""
    command = [sys.executable, __file__, "--compare", str(folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def compared(folder: Path) -> dict[str, float]:
    """Compare what was not compared yet, store its rows, and say what it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    with query.connect(memory_limit=LIMIT, threads=2) as con:
        query.attach_repository(con, [snapshot(folder, table) for table in SCHEMAS])
        parts = list(pairs(con))
    figures = {
        "cpu_s": round(time.process_time() - cpu, 1),
        "wall_s": round(time.perf_counter() - wall, 1),
        "peak_rss_mb": round(peak_rss() / 1e6),
        "compared": sum(part.compared for part in parts),
        "pairs": sum(part.rows.num_rows - part.rows["b"].null_count for part in parts),
    }
    number = len(list(folder.glob("pairs*.parquet"))) + 1
    pq.write_table(pa.Table.from_batches([part.rows for part in parts], PAIRS), folder / f"pairs.{number}.parquet")
    return figures


def snapshot(folder: Path, table: str) -> Snapshot:
    """All files of a table."""
    files = sorted(folder.glob(f"{table}.*parquet"))
    rows = sum(pq.read_metadata(file).num_rows for file in files)
    return Snapshot(table, 1, tuple(map(str, files)), SCHEMAS[table], rows, sum(file.stat().st_size for file in files))


if __name__ == "__main__":
    main()
