"""Exact duplicates: MB of text a CPU second of the hashes of whole texts and of lines, and of the copies counted.

    make bench AREA=exact
    make bench AREA=exact ARGS="--data FOLDER"

Text is 200 MB of whole documents (samples.py). Each kind is hashed and its copies are counted by Polars, ours and the
peer's alike. ``text``: the hash of a document's text. ``normalised``: the hash of signals, with the pass over
characters that it comes with (17 other columns). ``lines``: rows of every line of 20 bytes and more.
``exact_mb_per_cpu_s`` is that of the slowest kind. ``lines_sql``: lines, their copies counted by DuckDB. ``model``:
curation.paragraph_duplicates, from rows to what each document shares, clusters counted as one. Peer: Polars cuts the
same lines and must count the same copies. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
from samples import CHECKOUT, DATA, batch_of, megabytes, of, whole

from warehouse import query
from warehouse.curation import paragraphs
from warehouse.kernels import profile
from warehouse.kernels.texts import texts
from warehouse.repository.documents import content_hashes

SPACE = "".join(filter(str.isspace, map(chr, range(0x110000))))
LEAST = 20  # bytes of a line that counts as a paragraph


def main() -> None:
    """Measure, and print a line each and the JSON."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=Path, default=DATA, help="folder of corpora")
    print(json.dumps(figures(of(whole(arguments.parse_args().data)))))


def figures(some: list[str]) -> dict[str, float]:
    """MB a CPU second of each kind, of the model and of the peer."""
    batch, size = batch_of(some), megabytes(some)
    con, seconds = query.connect(threads=1), dict[str, float]()
    paragraphs(batch.slice(0, 1)), profile.measure(texts(batch["text"].slice(0, 1)))
    frame = pl.DataFrame({"text": pl.Series(pa.chunked_array([batch["text"]]))})
    for kind, hashes in KINDS.items():
        found = least(seconds, kind, lambda hashes=hashes: copies(pl.Series(hashes(batch))))
        print(f"{kind}: {found:,} copies")
    print(f"lines by SQL: {least(seconds, 'lines_sql', lambda: in_sql(con, of_lines(batch))):,} copies")
    print(f"lines by polars: {least(seconds, 'polars', lambda: by_polars(frame)):,} copies")
    stored(con, batch, paragraphs(batch))
    model = (CHECKOUT / "sql/curation/paragraph_duplicates.sql").read_text()
    least(seconds, "model", lambda: con.execute(f"CREATE OR REPLACE TABLE curation.held AS {model}"))
    for name, spent in seconds.items():
        print(f"{name:12}{size / spent:8.0f} MB a CPU second")
    rates = {f"exact_{name}_mb_per_cpu_s": round(size / spent, 1) for name, spent in seconds.items()}
    return {"exact_mb_per_cpu_s": min(rates[f"exact_{kind}_mb_per_cpu_s"] for kind in KINDS), **rates}


def of_texts(batch: pa.RecordBatch) -> pa.Array:
    return content_hashes(batch["text"])


def of_normalised(batch: pa.RecordBatch) -> pa.Array:
    return pa.array(profile.measure(texts(batch["text"]))[0][:, profile.COLUMNS.index("text_hash")])


def of_lines(batch: pa.RecordBatch) -> pa.Array:
    return paragraphs(batch)["hashes"].flatten()


KINDS = {"text": of_texts, "normalised": of_normalised, "lines": of_lines}


def least(seconds: dict[str, float], name: str, work: Callable[[], Any]) -> Any:
    """What the work gives; the least CPU seconds of two calls under its name."""
    for _ in range(2):
        began = time.process_time()
        result = work()
        seconds[name] = min(seconds.get(name, float("inf")), time.process_time() - began)
    return result


def stored(con: query.Connection, batch: pa.RecordBatch, rows: pa.RecordBatch) -> None:
    """What the model reads: the rows, and every document a cluster of its own."""
    query.attach_memory(con, "repository")
    con.execute("CREATE SCHEMA staging; CREATE SCHEMA curation")
    con.register("measured", pa.Table.from_batches([rows]))
    con.register("documents", pa.table({"doc_id": batch["doc_id"]}))
    con.execute("CREATE TABLE repository.paragraphs AS FROM measured")
    con.execute("CREATE TABLE staging.current_documents AS SELECT doc_id, 0 AS keep_rank FROM documents")
    con.execute("CREATE TABLE curation.clusters AS SELECT doc_id, doc_id AS cluster FROM documents")


def copies(hashes: pl.Series) -> int:
    """Of values that occur more than once, all places but one of each."""
    return len(hashes) - hashes.n_unique()


def in_sql(con: query.Connection, hashes: pa.Array) -> int:
    """The same by DuckDB."""
    con.register("given", pa.table({"hash": hashes}))
    found: int = query.fetch_all(con, "SELECT count(*) - count(DISTINCT hash) FROM given")[0][0]
    return found


def by_polars(frame: pl.DataFrame) -> int:
    """The same of the lines that Polars cuts, in memory."""
    line = pl.col("text").str.split("\n").explode().str.strip_chars(SPACE)
    lines = frame.lazy().select(line).filter(pl.col("text").str.len_bytes() >= LEAST)
    found: int = lines.select(pl.len() - pl.col("text").n_unique()).collect().item()
    return found


if __name__ == "__main__":
    main()
