"""From frozen documents to the content files of a release: what ``export`` and ``rebuild`` both do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from warehouse import __version__, engine
from warehouse.contracts import Snapshot
from warehouse.datasets.chat_shards import CONVERSATION, make_chat_shard
from warehouse.datasets.recipe import DatasetRecipe, resolved
from warehouse.datasets.reuse import reuse
from warehouse.datasets.shards import MASK, ShardDone, ShardTask, make_shard, write_parquet
from warehouse.datasets.source_ids import ENDING, source_names, write_sources
from warehouse.datasets.targets import TargetTask, write_targets
from warehouse.datasets.texts import WANTED
from warehouse.datasets.vocabulary import Vocabulary, make_vocabulary

Progress = Callable[[str, int, int], None]
"""Called with a step's name, the parts done and the parts in all."""

DOCUMENTS = "documents.parquet"


@dataclass(frozen=True, slots=True)
class Rendered:
    """The files of a release in ``folder``; documents: the frozen table with the tokens of each; sources: by number."""

    folder: Path
    recipe: DatasetRecipe
    vocabulary: Vocabulary
    documents: pa.Table
    sources: tuple[str, ...]
    tasks: tuple[ShardTask, ...]
    done: tuple[ShardDone, ...]


@engine.one_pool()
def render(
    recipe: DatasetRecipe,
    frozen: pa.Table,
    documents: Snapshot | None,
    *,
    folder: Path,
    processes: int,
    batch_rows: int,
    progress: Progress | None,
    earlier: Path | None = None,
    vocabulary: Vocabulary | None = None,
) -> Rendered:
    """Write recipe/, all shards, documents.parquet and the targets of the recipe into ``folder``.

    documents: None for conversations, which ``frozen`` holds itself. earlier: a release, of which shards with the same
    inputs are taken over. vocabulary: where its recipe/tokenizer.json is there already.
    """
    (folder / "recipe").mkdir(exist_ok=vocabulary is not None)
    (folder / "recipe" / "recipe.yaml").write_text(resolved(recipe), "utf-8")
    (folder / "recipe" / "select.sql").write_text(recipe.select + "\n", "utf-8")
    if recipe.chat:
        (folder / "recipe" / "template.jinja").write_text(recipe.chat.template, "utf-8")
    vocabulary = vocabulary or make_vocabulary(recipe, frozen, documents, folder / "recipe")
    tasks = shard_tasks(recipe, frozen, documents, folder=folder, batch_rows=batch_rows, processes=processes)
    sources = source_names(frozen, at=recipe.at)
    held = reuse(tasks, vocabulary, earlier / DOCUMENTS if earlier else None, code_versions(), sources)
    left = [number for number in range(len(tasks)) if number not in held]
    make = make_chat_shard if recipe.chat else make_shard
    made = engine.run_tasks(make, [tasks[number] for number in left], processes=processes)
    for number, result in zip(left, made, strict=True):
        held[number] = result
        if progress:
            progress("shards", len(held), len(tasks))
    done = [held[number] for number in range(len(tasks))]
    tokens = np.concatenate([result.tokens for result in done])
    counted = _counted(frozen, tokens, [result.beside for result in done])
    write_parquet(folder / DOCUMENTS, counted)
    _write_sources(counted, tasks, sources)
    targets = _target_tasks(going_out(counted), documents, tasks, done, vocabulary.dtype)
    write_targets(folder, recipe.targets, targets, processes=processes)
    return Rendered(folder, recipe, vocabulary, counted, sources, tuple(tasks), tuple(done))


def _counted(frozen: pa.Table, tokens: npt.NDArray[np.int64], beside: Sequence[pa.Table | None]) -> pa.Table:
    """The frozen table with its tokens, and what else is known of conversations now."""
    counted = frozen.append_column("tokens", pa.array(tokens, pa.int64()))
    known = [part for part in beside if part is not None]
    for field in pa.concat_tables(known).schema if known else ():
        counted = counted.append_column(field, pa.concat_tables(known)[field.name])
    return counted


def going_out(counted: pa.Table) -> pa.Table:
    """The rows of documents.parquet but for conversations that do not go out."""
    return counted.filter(pc.is_null(counted["left_out"])) if "left_out" in counted.column_names else counted


def _write_sources(documents: pa.Table, tasks: Sequence[ShardTask], names: Sequence[str]) -> None:
    """Write the sources of every shard that was not taken over with them."""
    first = 0
    for task in tasks:
        path, own = task.folder / f"{task.stem}{ENDING}", documents.slice(first, task.wanted.num_rows)
        if not path.exists():
            columns = ["sample", "length", "document"]
            segments = pq.read_table(task.folder / f"{task.stem}.segments.parquet", columns=columns)
            write_sources(path, segments, own, names, sequence_length=task.recipe.sequence_length)
        first += task.wanted.num_rows


def code_versions() -> dict[str, str]:
    """The versions that decide the bytes."""
    return {"warehouse": __version__, "tokenizers": version("tokenizers"), "pyarrow": version("pyarrow")}


def shard_tasks(
    recipe: DatasetRecipe,
    frozen: pa.Table,
    documents: Snapshot | None,
    *,
    folder: Path,
    batch_rows: int,
    processes: int,
) -> list[ShardTask]:
    """One task a shard, in the order of splits and shards."""
    return [
        ShardTask(folder, name, shard, recipe, _wanted(frozen, name, shard), documents, batch_rows, processes == 1)
        for name, _ in recipe.splits
        for shard in range(recipe.shards)
    ]


def _wanted(frozen: pa.Table, split: str, shard: int) -> pa.Table:
    wanted = [name for name in (*WANTED, "source", *CONVERSATION) if name in frozen.column_names]
    return _of_shard(frozen, split, shard).select(wanted)


def _of_shard(frozen: pa.Table, split: str, shard: int) -> pa.Table:
    return frozen.filter(pc.and_(pc.equal(frozen["split"], split), pc.equal(frozen["shard"], shard)))


def _target_tasks(
    rows: pa.Table, documents: Snapshot | None, tasks: Sequence[ShardTask], done: Sequence[ShardDone], dtype: str
) -> list[TargetTask]:
    counts, found = Counter[str](), []
    for task, made in zip(tasks, done, strict=True):
        found.append(
            TargetTask(
                task.folder,
                task.split,
                task.shard,
                task.recipe.shards,
                f"{task.stem}.bin",
                counts[task.split],
                task.recipe.sequence_length,
                dtype,
                _of_shard(rows, task.split, task.shard),
                documents,
                task.batch_rows,
                f"{task.stem}{MASK}" if task.recipe.chat else "",
            )
        )
        counts[task.split] += made.samples
    return found
