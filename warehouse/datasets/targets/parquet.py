"""Hugging Face Parquet: ``datasets.load_dataset("<release>/targets/parquet")`` gives the samples as ``input_ids``.

The column is a list of sequence_length uint16 or uint32 (Arrow's fixed-size list): ``datasets`` reads it as a
``List(Value("uint16"))`` of that length. Tried and rejected: fixed-size binary, which is the .bin's size to the byte
and the fastest to read, but comes to a training job as bytes instead of tokens. Parquet itself has no 16-bit integers;
dictionary pages and zstd take back what the 32 bits would cost.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from warehouse.datasets.samples import TYPES
from warehouse.datasets.targets.tasks import TOKENS, Entry, SampleTask, TargetTask
from warehouse.datasets.vocabulary import Ids

GROUP_BYTES = 1 << 23
"""Tokens of a row group: what a reader holds at least."""


def write(task: TargetTask) -> list[Entry]:
    """Write the file of a shard, an empty one too: names count files."""
    columns = schema(task.dtype, task.sequence_length)
    path = task.place("parquet", f"data/{task.stem}.parquet")
    with pq.ParquetWriter(path, columns, compression="zstd", version="2.6") as writer:
        for part in task.parts(GROUP_BYTES):
            samples = part[TOKENS]
            writer.write_table(_table(samples, columns), row_group_size=len(samples))
    return []


def write_samples(task: SampleTask) -> list[Entry]:
    """Write the file of a shard of samples: the columns of the select, bytes as they are."""
    columns = pa.schema([(column.name, TYPES[column.type]) for column in task.columns])
    with pq.ParquetWriter(task.place("parquet", f"data/{task.stem}.parquet"), columns, compression="zstd") as writer:
        for batch in task.batches():
            writer.write_table(batch)
    return []


def schema(dtype: str, sequence_length: int) -> pa.Schema:
    """The one column of a file."""
    item = pa.field("element", pa.from_numpy_dtype(np.dtype(dtype)), nullable=False)
    return pa.schema([pa.field("input_ids", pa.list_(item, sequence_length), nullable=False)])


def _table(samples: Ids, columns: pa.Schema) -> pa.Table:
    column = pa.FixedSizeListArray.from_arrays(pa.array(samples.reshape(-1)), type=columns.field(0).type)
    return pa.table([column], schema=columns)


def finish(folder: Path, entries: Mapping[str, list[Entry]], _: TargetTask | None = None) -> None:
    """Write README.md, by whose front matter ``datasets`` finds the files of each split."""
    data = [{"split": split, "path": f"data/{split}-*.parquet"} for split in entries]
    front = yaml.safe_dump({"configs": [{"config_name": "default", "data_files": data}]}, sort_keys=False)
    text = "The card, the licences and the tokenizer are in the folder of the release, two above.\n"
    (folder / "README.md").write_text(f"---\n{front}---\n\n{text}", "utf-8")
