"""JSONL: a JSON object a line, UTF-8, a line feed after each.

Of tokens the documents, with the texts that were tokenised: masks and cuts applied, in the order of documents.parquet
(of conversations: conversations.py).
Of rows each row: times as ISO 8601 text, NaN as null. Of samples each sample likewise, its columns of bytes as base64
(RFC 4648, section 4), four thirds of their size. Lost: the texts of a shard are read once more, and held in
memory while they come in any order.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from warehouse.datasets.targets.tasks import Entry, RowTask, SampleTask, TargetTask
from warehouse.datasets.texts import read_texts
from warehouse.errors import NotFound

FACTS = ("doc_id", "source", "uri", "licence", "language")
"""What stands beside ``text``."""


def write(task: TargetTask) -> list[Entry]:
    """Write the file of a shard of documents. Raises as ``read_texts`` for a text that is gone or another one."""
    if task.documents is None:
        raise NotFound(f"{task.stem} is made of documents, and there are none", do="run the sources that it is of")
    texts = dict(read_texts(task.wanted, task.documents, threads=1, batch_rows=task.batch_rows))
    facts = task.wanted.select(FACTS).to_pylist()
    with task.place("jsonl", f"{task.stem}.jsonl").open("wb") as stream:
        for number, fact in enumerate(facts):
            stream.write(line({**fact, "text": texts[number]}) + b"\n")
    return []


def write_rows(task: RowTask) -> None:
    """Write the file of a shard of rows."""
    with task.place("jsonl", ".jsonl").open("wb") as stream:
        for row in task.rows():
            stream.write(line(row) + b"\n")


def write_samples(task: SampleTask) -> list[Entry]:
    """Write the file of a shard of samples."""
    with task.place("jsonl", f"{task.stem}.jsonl").open("wb") as stream:
        for values, raw in task.samples():
            coded = {name: base64.b64encode(value).decode() for name, value in raw.items()}
            stream.write(line({**values, **coded}) + b"\n")
    return []


def line(value: dict[str, Any]) -> bytes:
    """The object as JSON in UTF-8, without a line feed in it."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
