"""The manifest of a rendered release: counts, composition, inputs and hashes, all of it deterministic."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from warehouse.contracts import Check
from warehouse.datasets import masks
from warehouse.datasets.chat_shards import counts, described
from warehouse.datasets.rendering import Rendered, code_versions
from warehouse.datasets.selection import synthetic_share
from warehouse.datasets.shards import MASK
from warehouse.datasets.source_ids import ENDING
from warehouse.datasets.timing import span
from warehouse.manifest import SCHEMA_VERSION, FileEntry, Manifest, Shard, Split, content_id, hash_file

DIMENSIONS = ("source", "language", "licence")
NOTHING: Mapping[str, Any] = MappingProxyType({})


def describe(
    made: Rendered,
    *,
    inputs: Mapping[str, int],
    checks: Sequence[Check],
    model_fingerprints: Mapping[str, str],
    contamination: Mapping[str, Any] = NOTHING,
    lines: Mapping[str, Any] = NOTHING,
    timing: Mapping[str, Any] = NOTHING,
    mixture: Mapping[str, Any] = NOTHING,
) -> Manifest:
    """The manifest over the content files, not yet sealed: the card's entry is still to come."""
    files = content_files(made.folder, {done.bin.path: done.bin for done in made.done})
    return Manifest(
        schema_version=SCHEMA_VERSION,
        name=made.recipe.name,
        id=content_id(files.values()),
        dtype=made.vocabulary.dtype,
        sequence_length=made.recipe.sequence_length,
        packing=made.recipe.packing,
        vocab_size=made.vocabulary.size,
        eos_id=made.vocabulary.eos_id,
        pad_id=made.vocabulary.pad_id,
        seed=made.recipe.seed,
        splits=_splits(made),
        documents=made.documents.num_rows,
        synthetic_share=round(synthetic_share(made.documents), 6),
        composition={name: _composition(made.documents, name) for name in DIMENSIONS},
        inputs=dict(sorted(inputs.items())),
        model_fingerprints=dict(sorted(model_fingerprints.items())),
        checks=summary(checks),
        pii=masks.summary(made.recipe, made.documents),
        contamination=dict(contamination),
        lines=dict(lines),
        sources=made.sources,
        chat={**described(made.recipe.chat), **counts(made.documents)} if made.recipe.chat else {},
        timing=dict(timing),
        mixture=dict(mixture),
        recipe_sha256=files["recipe/recipe.yaml"].sha256,
        tokenizer_sha256=made.vocabulary.sha256,
        code=code_versions(),
        files=files,
    )


def content_files(folder: Path, known: Mapping[str, FileEntry] = MappingProxyType({})) -> dict[str, FileEntry]:
    """The entry of every file in the folder, by path relative to it; those ``known`` are not read."""
    paths = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return {path: known.get(path) or hash_file(folder, path) for path in paths}


def _splits(made: Rendered) -> dict[str, Split]:
    shards: dict[str, list[Shard]] = {name: [] for name, _ in made.recipe.splits}
    first = 0
    for task, done in zip(made.tasks, made.done, strict=True):
        names = (f"{task.stem}.bin", f"{task.stem}.idx", f"{task.stem}.segments.parquet")
        sizes = (done.samples, int(done.tokens.sum()), first, int(done.tokens.size))
        mask = f"{task.stem}{MASK}" if task.recipe.chat else ""
        shards[task.split].append(Shard(*names, *sizes, f"{task.stem}{ENDING}", mask))
        first += int(done.tokens.size)
    return {name: _split(made.documents, found) for name, found in shards.items()}


def _split(documents: pa.Table, shards: list[Shard]) -> Split:
    rows = sum(shard.documents for shard in shards)
    mine = documents.slice(shards[0].first_document, rows)
    first, last = span(mine)
    return Split(
        samples=sum(shard.samples for shard in shards),
        tokens=sum(shard.tokens for shard in shards),
        documents=rows,
        text_bytes=int(pc.sum(mine["bytes"]).as_py() or 0),
        shards=tuple(shards),
        first=first,
        last=last,
    )


def _composition(documents: pa.Table, name: str) -> dict[str, dict[str, int]]:
    """Documents, tokens and text bytes by the values of a column; unknown ones under ``unknown``."""
    named = pc.fill_null(documents[name], "unknown")
    known = pa.table({"key": named, "tokens": documents["tokens"], "bytes": documents["bytes"]})
    sums = known.group_by("key").aggregate([("tokens", "count"), ("tokens", "sum"), ("bytes", "sum")])
    rows = sorted(sums.to_pylist(), key=lambda row: row["key"])
    return {
        row["key"]: {"documents": row["tokens_count"], "tokens": row["tokens_sum"], "bytes": row["bytes_sum"]}
        for row in rows
    }


def summary(checks: Sequence[Check]) -> dict[str, object]:
    """How many expectations of which suites held."""
    held = sum(check.success for check in checks)
    return {"expectations": len(checks), "held": held, "suites": dict(sorted(Counter(c.suite for c in checks).items()))}
