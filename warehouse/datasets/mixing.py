"""From all selected documents to those that a mixture takes, each as often as it goes out.

    candidates of the first split -> tokenizer -> tokens of each -> copies of each -> a row for each copy

A group's documents stand in the order of a seeded hash and are taken from its beginning, all of them once before any
goes out twice, up to the document with which the tokens are nearest to what was asked: off by half of it at most. The
other splits hold each document once. The copies of a document go into different shards while there are as many, so
that no sample holds two of them.

A tokenizer that is trained sees the beginning of the same order, of each group its share of max_bytes or of as many
bytes as tokens are asked, and only documents that go out: where the tokens that it makes leave some of these out, it is
trained again without them. Won: the tokens are counted, not estimated. Lost: every candidate is tokenised once more
than what goes out, in the same processes; one document more or less can move the end of its group.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from warehouse import engine
from warehouse.contracts import Snapshot
from warehouse.datasets.mixture import Mixture, refuse_groups
from warehouse.datasets.recipe import DatasetRecipe, Train
from warehouse.datasets.rendering import Progress, shard_tasks
from warehouse.datasets.selection import frozen_schema, hashes, ids
from warehouse.datasets.shards import count_tokens
from warehouse.datasets.vocabulary import Vocabulary, make_vocabulary
from warehouse.errors import CheckFailed

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Ranked = Mapping[str, Ints]
"""By group, its rows among the candidates in the order in which they are taken."""


@dataclass(frozen=True, slots=True)
class Group:
    """A group of the first split: tokens asked, what there is of it, and how often a document goes out at most."""

    asked: int
    documents: int
    tokens: int
    most: int


@dataclass(frozen=True, slots=True)
class Mixed:
    """The frozen table, of a mixture with a row for each time that a document goes out.

    vocabulary: that tokens were counted by, None where none were; cpu_s: of counting.
    """

    frozen: pa.Table
    vocabulary: Vocabulary | None = None
    groups: Mapping[str, Group] = field(default_factory=dict)
    cpu_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Counting:
    """Where the tokenizer is made and how the candidates' tokens are counted."""

    documents: Snapshot
    folder: Path
    processes: int
    batch_rows: int
    progress: Progress | None


def mix(recipe: DatasetRecipe, frozen: pa.Table, counting: Counting) -> Mixed:
    """The documents that the recipe's mixture takes; all, and nothing is counted, where it has none.

    Writes recipe/tokenizer.json into the folder. Raises RecipeError for weights and epochs of groups that are not there
    and for groups without weight, CheckFailed where the first split is empty, and where none of its documents is as
    near to what is asked as none at all.
    """
    if recipe.mixture is None:
        return Mixed(frozen)
    (counting.folder / "recipe").mkdir()
    first = recipe.splits[0][0]
    candidates = frozen.filter(pc.equal(frozen["split"], first))  # the first rows, for splits stand in their order
    if not candidates.num_rows:
        raise CheckFailed(f"{first} holds no document to mix", do="select more documents, or look at the splits")
    ranked = _ranked(recipe, candidates)
    refuse_groups(recipe.mixture, ranked, first)
    return _settled(recipe, recipe.mixture, frozen, ranked, counting)


def _settled(recipe: DatasetRecipe, mixture: Mixture, frozen: pa.Table, ranked: Ranked, counting: Counting) -> Mixed:
    """Train, count and take, until the tokenizer has seen nothing that does not go out."""
    candidates = frozen.slice(0, sum(rows.size for rows in ranked.values()))
    marks, spent = _marks(mixture, recipe.tokenizer, candidates, ranked), 0.0
    while True:
        vocabulary = make_vocabulary(recipe, _marked(frozen, marks), counting.documents, counting.folder / "recipe")
        tokens, cpu_s = _counted(recipe, candidates, counting)
        spent += cpu_s
        groups = _groups(mixture, ranked, tokens)
        copies = _copies(groups, ranked, tokens)
        if marks is None or not (marks & (copies == 0)).any():
            return Mixed(_repeated(recipe, _marked(frozen, marks), copies), vocabulary, groups, spent)
        marks &= copies > 0  # fewer each time, so it ends


def _ranked(recipe: DatasetRecipe, candidates: pa.Table) -> Ranked:
    order = np.argsort(hashes("mixture", recipe.seed, ids(candidates)), kind="stable")
    encoded = candidates["group"].combine_chunks().dictionary_encode()
    codes = encoded.indices.to_numpy()[order]
    ends = np.cumsum(np.bincount(codes))[:-1]
    parts = np.split(order[np.argsort(codes, kind="stable")], ends)
    return dict(zip(encoded.dictionary.to_pylist(), parts, strict=True))


def _marks(mixture: Mixture, tokenizer: object, candidates: pa.Table, ranked: Ranked) -> Mask | None:
    """The candidates whose text trains the tokenizer; None where it is given.

    A token stands for a byte at least: so many bytes as tokens are asked are of documents that go out.
    """
    if not isinstance(tokenizer, Train):
        return None
    sizes, marks = candidates["bytes"].to_numpy() + 1, np.zeros(candidates.num_rows, np.bool_)
    there = {name: int(sizes[rows].sum()) for name, rows in ranked.items()}
    most = replace(mixture, tokens=min(mixture.tokens, tokenizer.max_bytes)).asked(there)
    for name, rows in ranked.items():
        marks[rows[: np.searchsorted(np.cumsum(sizes[rows]), most[name], side="right")]] = True
    return marks


def _marked(frozen: pa.Table, marks: Mask | None) -> pa.Table:
    if marks is None:
        return frozen
    others = np.zeros(frozen.num_rows - marks.size, np.bool_)
    return frozen.append_column("trained_on", pa.array(np.concatenate([marks, others])))


def _counted(recipe: DatasetRecipe, candidates: pa.Table, counting: Counting) -> tuple[Ints, float]:
    """The tokens of each candidate, and the CPU seconds that it took."""
    tasks = shard_tasks(
        recipe,
        candidates,
        counting.documents,
        folder=counting.folder,
        batch_rows=counting.batch_rows,
        processes=counting.processes,
    )[: recipe.shards]
    parts, cpu_s = list[Ints](), 0.0
    for tokens, cost in engine.run_tasks(count_tokens, tasks, processes=counting.processes):
        parts.append(tokens)
        cpu_s += cost
        if counting.progress:
            counting.progress("counted", len(parts), len(tasks))
    return np.concatenate(parts), cpu_s


def _groups(mixture: Mixture, ranked: Ranked, tokens: Ints) -> dict[str, Group]:
    there = {name: int(tokens[rows].sum()) for name, rows in ranked.items()}
    asked = mixture.asked(there)
    return {
        name: Group(asked[name], rows.size, there[name], mixture.most(name)) for name, rows in sorted(ranked.items())
    }


def _copies(groups: Mapping[str, Group], ranked: Ranked, tokens: Ints) -> Ints:
    copies = np.zeros(tokens.size, np.int64)
    for name, rows in ranked.items():
        copies[rows] = copies_of(tokens[rows], groups[name].asked, groups[name].most)
    if not copies.any():
        raise CheckFailed(
            f"a mixture of {sum(group.asked for group in groups.values()):,} tokens takes no document: the first of "
            "each group has more than twice what is asked of it",
            allowed="tokens for one document at least",
            do="raise tokens, or select shorter documents",
        )
    return copies


def copies_of(tokens: Ints, asked: int, most: int) -> Ints:
    """How often each document of a group goes out, documents in the order in which they are taken.

    Their tokens in all are the nearest to ``asked`` that this order gives, or each goes out ``most`` times.
    """
    ends = np.cumsum(tokens)
    whole, left = divmod(asked, int(ends[-1]))
    if whole >= most:
        return np.full(tokens.size, most, np.int64)
    below = int(np.searchsorted(ends, left, side="right"))
    over, under = int(ends[below]) - left, left - (int(ends[below - 1]) if below else 0)
    return whole + (np.arange(tokens.size) < below + (over < under)).astype(np.int64)


def _repeated(recipe: DatasetRecipe, frozen: pa.Table, copies: Ints) -> pa.Table:
    """The frozen table with a row for each copy, in the order of the release; copies: of its first rows, then one."""
    times = np.concatenate([copies, np.ones(frozen.num_rows - copies.size, np.int64)])
    copy = np.arange(times.sum()) - np.repeat(np.cumsum(times) - times, times)
    rows = frozen.take(np.repeat(np.arange(times.size), times))
    shard = (rows["shard"].to_numpy() + copy) % recipe.shards
    columns = {"shard": pa.array(shard, pa.int32()), "copy": pa.array(copy, pa.int32())}
    if "trained_on" in rows.column_names:
        columns["trained_on"] = pc.and_(rows["trained_on"], pa.array(copy == 0))
    split = pc.index_in(rows["split"], pa.array([name for name, _ in recipe.splits])).to_numpy()
    named = [f"{name}/{each}" if each else name for name, each in zip(ids(rows), copy.tolist(), strict=True)]
    table = pa.table({**{name: rows[name] for name in rows.column_names}, **columns})
    place = np.lexsort((hashes("order", recipe.seed, named), shard, split))
    return table.select(frozen_schema(table.column_names).names).take(place)


def summary(recipe: DatasetRecipe, groups: Mapping[str, Group], documents: pa.Table) -> dict[str, Any]:
    """What the manifest says of the mixture: asked and got of each group; documents: the frozen table with tokens."""
    if recipe.mixture is None:
        return {}
    first = documents.filter(pc.equal(documents["split"], recipe.splits[0][0]))
    sums = first.group_by("group").aggregate([("tokens", "sum"), ("doc_id", "count_distinct"), ("doc_id", "count")])
    held = {row.pop("group"): row for row in sums.to_pylist()}
    return {
        "by": recipe.mixture.by,
        "split": recipe.splits[0][0],
        "asked": recipe.mixture.tokens,
        "tokens": int(pc.sum(first["tokens"]).as_py()),
        "groups": {name: _got(group, held.get(name, {})) for name, group in groups.items()},
    }


def _got(group: Group, held: Mapping[str, int]) -> dict[str, Any]:
    tokens = held.get("tokens_sum", 0)
    return {
        "asked": group.asked,
        "tokens": tokens,
        "documents": held.get("doc_id_count_distinct", 0),
        "copies": held.get("doc_id_count", 0),
        "epochs": round(tokens / group.tokens, 6),
        "most_epochs": group.most,
        "ran_out": group.asked > group.most * group.tokens,
        "there": {"documents": group.documents, "tokens": group.tokens},
    }
