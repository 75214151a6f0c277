"""From frozen documents to the content files of a release: what ``export`` and ``rebuild`` both do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from warehouse import __version__, engine
from warehouse.contracts import Snapshot
from warehouse.datasets.recipe import DatasetRecipe, resolved
from warehouse.datasets.reuse import reuse
from warehouse.datasets.shards import ShardDone, ShardTask, make_shard, write_parquet
from warehouse.datasets.targets import TargetTask, write_targets
from warehouse.datasets.texts import WANTED
from warehouse.datasets.vocabulary import Vocabulary, make_vocabulary

Progress = Callable[[str, int, int], None]
"""Called with a step's name, the parts done and the parts in all."""

DOCUMENTS = "documents.parquet"


@dataclass(frozen=True, slots=True)
class Rendered:
    """The files of a release in ``folder``; documents: the frozen table with the tokens of each."""

    folder: Path
    recipe: DatasetRecipe
    vocabulary: Vocabulary
    documents: pa.Table
    tasks: tuple[ShardTask, ...]
    done: tuple[ShardDone, ...]


def render(
    recipe: DatasetRecipe,
    frozen: pa.Table,
    documents: Snapshot,
    *,
    folder: Path,
    processes: int,
    batch_rows: int,
    progress: Progress | None,
    earlier: Path | None = None,
    vocabulary: Vocabulary | None = None,
) -> Rendered:
    """Write recipe/, all shards, documents.parquet and the targets of the recipe into ``folder``.

    earlier: a release, of which shards with the same inputs are taken over. vocabulary: where its recipe/tokenizer.json
    is there already.
    """
    (folder / "recipe").mkdir(exist_ok=vocabulary is not None)
    (folder / "recipe" / "recipe.yaml").write_text(resolved(recipe), "utf-8")
    (folder / "recipe" / "select.sql").write_text(recipe.select + "\n", "utf-8")
    vocabulary = vocabulary or make_vocabulary(recipe, frozen, documents, folder / "recipe")
    tasks = shard_tasks(recipe, frozen, documents, folder=folder, batch_rows=batch_rows, processes=processes)
    held = reuse(tasks, vocabulary, earlier / DOCUMENTS if earlier else None, code_versions())
    left = [number for number in range(len(tasks)) if number not in held]
    made = engine.run_tasks(make_shard, [tasks[number] for number in left], processes=processes)
    for number, result in zip(left, made, strict=True):
        held[number] = result
        if progress:
            progress("shards", len(held), len(tasks))
    done = [held[number] for number in range(len(tasks))]
    tokens = np.concatenate([result.tokens for result in done])
    counted = frozen.append_column("tokens", pa.array(tokens, pa.int64()))
    write_parquet(folder / DOCUMENTS, counted)
    write_targets(folder, recipe.targets, _target_tasks(frozen, tasks, done, vocabulary.dtype), processes=processes)
    return Rendered(folder, recipe, vocabulary, counted, tuple(tasks), tuple(done))


def code_versions() -> dict[str, str]:
    """The versions that decide the bytes."""
    return {"warehouse": __version__, "tokenizers": version("tokenizers"), "pyarrow": version("pyarrow")}


def shard_tasks(
    recipe: DatasetRecipe, frozen: pa.Table, documents: Snapshot, *, folder: Path, batch_rows: int, processes: int
) -> list[ShardTask]:
    """One task a shard, in the order of splits and shards."""
    return [
        ShardTask(folder, name, shard, recipe, _wanted(frozen, name, shard), documents, batch_rows, processes == 1)
        for name, _ in recipe.splits
        for shard in range(recipe.shards)
    ]


def _wanted(frozen: pa.Table, split: str, shard: int) -> pa.Table:
    return _of_shard(frozen, split, shard).select([name for name in WANTED if name in frozen.column_names])


def _of_shard(frozen: pa.Table, split: str, shard: int) -> pa.Table:
    return frozen.filter(pc.and_(pc.equal(frozen["split"], split), pc.equal(frozen["shard"], shard)))


def _target_tasks(
    frozen: pa.Table, tasks: Sequence[ShardTask], done: Sequence[ShardDone], dtype: str
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
                _of_shard(frozen, task.split, task.shard),
                task.documents,
                task.batch_rows,
            )
        )
        counts[task.split] += made.samples
    return found
