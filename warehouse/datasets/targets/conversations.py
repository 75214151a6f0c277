"""Conversations a row each, in Parquet and in JSONL, as trainers that put them into words themselves read them.

``messages`` is a list of {role, content}, which TRL's trainers take as it is, in Hugging Face's ``datasets`` by
``load_dataset("<release>/targets/parquet")``. Beside it stand the key, the split and the facts. Only conversations of
which tokens go out are there, with the masks that stand in place of personal data, in the order of documents.parquet.
Lost: one that ``longer: cut`` cuts is there to its end.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from warehouse.datasets.targets.jsonl import line
from warehouse.datasets.targets.tasks import Entry, TargetTask

COLUMNS = (
    *("key", "messages", "split", "doc_id", "source", "uri", "record", "object_sha256"),
    *("known_at", "licence", "language", "synthetic", "generation"),
)
GROUP_ROWS = 4096
"""Conversations of a row group."""


def write_table(task: TargetTask) -> list[Entry]:
    """Write the Parquet file of a shard, an empty one too: names count files."""
    rows = task.wanted.select(COLUMNS).combine_chunks()
    path = task.place("parquet", f"data/{task.stem}.parquet")
    pq.write_table(rows, path, compression="zstd", version="2.6", row_group_size=GROUP_ROWS)
    return []


def write_lines(task: TargetTask) -> list[Entry]:
    """Write the JSONL file of a shard; known_at as ISO 8601 text."""
    with task.place("jsonl", f"{task.stem}.jsonl").open("wb") as stream:
        for batch in task.wanted.select(COLUMNS).to_batches(GROUP_ROWS):
            stream.writelines(line(_dated(row)) + b"\n" for row in batch.to_pylist())
    return []


def _dated(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"known_at": row["known_at"].isoformat() if row["known_at"] else None}


def schema(documents: pa.Schema) -> pa.Schema:
    """The columns of a file, of which documents.parquet has all."""
    return pa.schema([documents.field(name) for name in COLUMNS])
