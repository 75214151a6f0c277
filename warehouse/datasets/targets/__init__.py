"""The samples of a release again, in the formats of other projects: ``targets/<format>/``, beside the shards.

    mds          mosaicml-streaming     <split>/index.json, shards of a column ``tokens``
    litdata      litdata, TokensLoader  <split>/index.json, chunks
    webdataset   webdataset             <split>-*.tar, a .json and a .npy a sample
    parquet      Hugging Face datasets  data/<split>-*.parquet, a column ``input_ids``, README.md
    jsonl        any                    <split>-*.jsonl, the documents' texts as they went out

Of conversations mds, litdata and webdataset have a ``loss_mask`` beside the tokens, and parquet and jsonl hold the
conversations themselves, a row each (conversations.py). Samples of any columns have these but mds, which their shards
are: a dictionary a sample, in a tar a .json and a member of each column of bytes.

A format is a module with ``write(task)``, which makes the files of one shard and gives their entries, and where it has
an index ``finish(folder, entries, task)``. Files follow from the shards and the recipe alone, so any number of
processes gives the same bytes, and ``verify`` and ``--rebuild`` cover them as all others. Lost: the tokens are on disk
once more for each format; boundaries of documents are in the .idx beside the .bin only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from warehouse import engine
from warehouse.datasets.targets import conversations, jsonl, litdata, mds, parquet, webdataset
from warehouse.datasets.targets.tasks import FOLDER, Entry, RowTask, SampleTask, TargetTask

WRITE: Mapping[str, Callable[[TargetTask], list[Entry]]] = {
    "mds": mds.write,
    "litdata": litdata.write,
    "webdataset": webdataset.write,
    "parquet": parquet.write,
    "jsonl": jsonl.write,
}
WRITE_CHATS: Mapping[str, Callable[[TargetTask], list[Entry]]] = {
    **WRITE,
    "parquet": conversations.write_table,
    "jsonl": conversations.write_lines,
}
WRITE_ROWS: Mapping[str, Callable[[RowTask], None]] = {"webdataset": webdataset.write_rows, "jsonl": jsonl.write_rows}
WRITE_SAMPLES: Mapping[str, Callable[[SampleTask], list[Entry]]] = {
    "webdataset": webdataset.write_samples,
    "parquet": parquet.write_samples,
    "litdata": litdata.write_samples,
    "jsonl": jsonl.write_samples,
}
FINISH: Mapping[str, Callable[[Path, Mapping[str, list[Entry]], TargetTask], None]] = {
    "mds": mds.finish,
    "litdata": litdata.finish,
    "parquet": parquet.finish,
}


def write_targets(folder: Path, targets: Sequence[str], tasks: Sequence[TargetTask], *, processes: int) -> None:
    """Write each of ``targets`` into the release in ``folder``; tasks: its shards, in the order of splits."""
    write = WRITE_CHATS if tasks[0].mask else WRITE
    for target in targets:
        entries: dict[str, list[Entry]] = {task.split: [] for task in tasks}
        for task, found in zip(tasks, engine.run_tasks(write[target], tasks, processes=processes), strict=True):
            entries[task.split] += found
        if target in FINISH:
            FINISH[target](folder / FOLDER / target, entries, tasks[0])


def write_row_targets(targets: Sequence[str], tasks: Sequence[RowTask]) -> None:
    """Write each of ``targets`` of a release of rows; tasks: its shards."""
    for target in targets:
        for task in tasks:
            WRITE_ROWS[target](task)


def write_sample_targets(folder: Path, targets: Sequence[str], tasks: Sequence[SampleTask]) -> None:
    """Write each of ``targets`` of a release of samples into ``folder``; tasks: its shards, in the order of splits."""
    for target in targets:
        entries: dict[str, list[Entry]] = {task.split: [] for task in tasks}
        for task in tasks:
            entries[task.split] += WRITE_SAMPLES[target](task)
        if target == "litdata":
            litdata.finish_samples(folder / FOLDER / target, entries, tasks[0].columns)
        elif target == "parquet":
            parquet.finish(folder / FOLDER / target, entries)


__all__ = ["RowTask", "SampleTask", "TargetTask", "write_row_targets", "write_sample_targets", "write_targets"]
