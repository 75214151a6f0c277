"""A release of rows: selected, split, ordered by hashes of their keys, written as Parquet and as fixed-width rows.

Of ``kind: samples`` any columns go out, as shards in the layout of MDS (``samples``) in place of both.

The Parquet files, of samples the shards, are the frozen selection: ``rebuild`` reads them, splits, orders and writes
everything again. Split, shard and order depend on a row's own key or time alone (with split_by time: and on the times
of all), so one row less changes one shard. Lost: the whole selection is held in memory, twice while it is arranged.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from warehouse import __version__, query
from warehouse.contracts import digest
from warehouse.datasets import samples
from warehouse.datasets.description import content_files, summary
from warehouse.datasets.lineage import locate
from warehouse.datasets.release import Basis, Draft, Release, shelve
from warehouse.datasets.rows import encode, layout, releasable
from warehouse.datasets.selection import hashes, run_select, split_of
from warehouse.datasets.shards import write_parquet
from warehouse.datasets.table_card import table_cards
from warehouse.datasets.table_recipe import TableRecipe, refuse_columns, resolved_table
from warehouse.datasets.targets import RowTask, SampleTask, write_row_targets, write_sample_targets
from warehouse.datasets.timing import cut
from warehouse.errors import CheckFailed, RecipeError
from warehouse.manifest import (
    SAMPLES,
    SCHEMA_VERSION,
    Column,
    TableManifest,
    TableShard,
    TableSplit,
    content_id,
    read_rows_manifest,
    refuse_part,
)

SYNTHETIC = "synthetic"


@dataclass(frozen=True, slots=True)
class Placed:
    """Rows in their order; split and shard, int64[rows], say where each goes."""

    rows: pa.Table
    split: npt.NDArray[np.int64]
    shard: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TableRendered:
    """The files of a table release in ``folder``, by split."""

    folder: Path
    columns: tuple[Column, ...]
    row_bytes: int
    splits: Mapping[str, TableSplit]
    synthetic_share: float


def export_table(
    recipe: TableRecipe,
    basis: Basis,
    *,
    attached: Mapping[str, str] | None = None,
    drawn: Collection[str] = (),
    licences: Mapping[str, str] | None = None,
) -> Release[TableManifest]:
    """Make a release of the rows that ``recipe`` selects.

    attached: further files of its folder recipe/, name to text (the definitions of feature sets). drawn: tables of
    synthetic rows that the SELECT reads, which it must then mark. licences: what the recipes of the sources that it
    reads state, by name. What it raises: as ``export``.
    """

    def make(folder: Path) -> Draft[TableManifest]:
        rows = select_rows(recipe, basis.con, drawn=drawn)
        made = render_table(recipe, rows, folder=folder, attached=attached or {})
        manifest = replace(_described(recipe, made, basis), licences=dict(licences or {}))
        return Draft(manifest, table_cards(manifest, recipe, rows), {})

    return shelve(basis, recipe.name, make)


def select_rows(recipe: TableRecipe, con: query.Connection, *, drawn: Collection[str] = ()) -> pa.Table:
    """What the recipe's SELECT gives, in types that a row can hold.

    Raises RecipeError for an empty selection, a column that is missing, a type that no row holds, and a key that is
    null or met twice; CheckFailed if synthetic rows pass the cap, or if the SELECT reads some and does not mark them.
    """
    table = run_select(con, recipe.select, at=recipe.at)
    refuse_columns(recipe, table.column_names)
    if not table.num_rows:
        raise RecipeError(f"{recipe.at}: the select gives no row", do="run it with 'warehouse sql'")
    rows = (samples.releasable if recipe.kind == SAMPLES else releasable)(table, at=recipe.at)
    refuse_keys(rows, recipe.key, (*recipe.key, *recipe.about, *([recipe.time] if recipe.time else [])), at=recipe.at)
    refuse_unmarked(rows, drawn, at=recipe.at)
    share = _synthetic_share(rows)
    if share > recipe.max_synthetic_share:
        raise CheckFailed(
            f"{share:.1%} of the {rows.num_rows:,} selected rows are synthetic ({_synthetic_rows(rows):,})",
            allowed=f"max_synthetic_share of {recipe.max_synthetic_share:.1%}",
            do="select more real rows, fewer synthetic ones, or raise the share in the recipe",
            share=share,
        )
    return rows


def refuse_unmarked(rows: pa.Table, drawn: Collection[str], *, at: str) -> None:
    """Raise CheckFailed where rows that were drawn are read and not marked."""
    if drawn and SYNTHETIC not in rows.column_names:
        raise CheckFailed(
            f"{at}: the select reads {', '.join(sorted(drawn))} and gives no column {SYNTHETIC}",
            allowed=f"a boolean column {SYNTHETIC}, by which max_synthetic_share is held",
            do=f"select it too, false AS {SYNTHETIC} for real rows",
        )


def refuse_keys(rows: pa.Table, key: Sequence[str], named: Sequence[str], *, at: str) -> None:
    """Raise RecipeError for a column of ``named`` that is null or of floats, and for a key that is met twice."""
    for name in named:
        kind = rows[name].type
        odd = pa.types.is_floating(kind) or pa.types.is_nested(kind) or pa.types.is_large_binary(kind)
        if rows[name].null_count or odd:
            came = "null" if rows[name].null_count else str(kind)
            allowed = "keys and times that are not null: numbers without fractions, texts, booleans, times"
            raise RecipeError(f"{at}: {name} is {came}", allowed=allowed)
    distinct = len(set(names_of(rows, key)))
    if distinct != rows.num_rows:
        raise RecipeError(
            f"{at}: the select gives {rows.num_rows:,} rows but {distinct:,} of {', '.join(key)}",
            allowed="each key once",
            do="add DISTINCT or a further column to key",
        )


def _synthetic_share(rows: pa.Table) -> float:
    """The share of rows whose column ``synthetic`` is true; 0 where there is none."""
    if SYNTHETIC not in rows.column_names or not rows.num_rows:
        return 0.0
    return _synthetic_rows(rows) / int(rows.num_rows)


def _synthetic_rows(rows: pa.Table) -> int:
    return int(pc.sum(pc.fill_null(rows[SYNTHETIC], False)).as_py() or 0)


def names_of(rows: pa.Table, columns: Sequence[str]) -> list[str]:
    """A digest of some columns of each row."""
    texts = [_as_text(rows[name]).to_pylist() for name in columns]
    return [digest(*values) for values in zip(*texts, strict=True)]


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    elif pa.types.is_date32(column.type):
        column = column.cast(pa.int32())
    return column.cast(pa.string())


def render_table(recipe: TableRecipe, rows: pa.Table, *, folder: Path, attached: Mapping[str, str]) -> TableRendered:
    """Write recipe/, every shard and the targets of the recipe into ``folder``."""
    (folder / "recipe").mkdir()
    texts = {"recipe.yaml": resolved_table(recipe), "select.sql": recipe.select + "\n", **attached}
    for name, text in texts.items():
        (folder / "recipe" / name).write_text(text, "utf-8")
    columns, row_bytes = (samples.layout(rows), 0) if recipe.kind == SAMPLES else layout(rows, at=recipe.at)
    placed = arranged(recipe, rows)
    splits = {
        name: _split(recipe, placed, number, folder=folder, columns=columns, row_bytes=row_bytes)
        for number, (name, _) in enumerate(recipe.splits)
    }
    if recipe.kind == SAMPLES:
        write_sample_targets(folder, recipe.targets, list(_sample_tasks(folder, splits, columns, at=recipe.at)))
    else:
        write_row_targets(recipe.targets, list(_target_tasks(folder, splits, at=recipe.at)))
    return TableRendered(folder, columns, row_bytes, splits, round(_synthetic_share(rows), 6))


def _target_tasks(folder: Path, splits: Mapping[str, TableSplit], *, at: str) -> Iterator[RowTask]:
    for name, split in splits.items():
        first = 0
        for shard in split.shards:
            yield RowTask(folder, name, shard.parquet, first, at)
            first += shard.samples


def _sample_tasks(
    folder: Path, splits: Mapping[str, TableSplit], columns: tuple[Column, ...], *, at: str
) -> Iterator[SampleTask]:
    for name, split in splits.items():
        first = 0
        for number, shard in enumerate(split.shards):
            yield SampleTask(folder, name, number, len(split.shards), shard, first, columns, at)
            first += shard.samples


def arranged(recipe: TableRecipe, rows: pa.Table) -> Placed:
    """The rows by split, shard, seeded hash and digest of the key: the same whatever order they came in."""
    keys = names_of(rows, recipe.key)
    split = _by_time(recipe, rows) if recipe.split_by == "time" else _by_entity(recipe, rows)
    shard = (hashes("shard", recipe.seed, keys) % np.uint64(recipe.shards)).astype(np.int64)
    place = np.lexsort((np.array(keys), hashes("order", recipe.seed, keys), shard, split))
    return Placed(rows.take(place), split[place], shard[place])


def _by_entity(recipe: TableRecipe, rows: pa.Table) -> npt.NDArray[np.int64]:
    return split_of(recipe.splits, hashes("split", recipe.seed, names_of(rows, recipe.about)))


def _by_time(recipe: TableRecipe, rows: pa.Table) -> npt.NDArray[np.int64]:
    """Cuts at the times that stand at the cumulated shares of all rows: rows of one time are never in two splits."""
    return cut(recipe.splits, _times(recipe, rows))


def _times(recipe: TableRecipe, rows: pa.Table) -> npt.NDArray[np.int64]:
    column = rows[str(recipe.time)]
    plain = column.cast(pa.int32()) if pa.types.is_date32(column.type) else column
    if pa.types.is_string(plain.type) or pa.types.is_large_string(plain.type):
        raise RecipeError(f"{recipe.at}: time {recipe.time} is a text", allowed="a date, a timestamp or a whole number")
    numbers: npt.NDArray[np.int64] = plain.cast(pa.int64()).combine_chunks().to_numpy(zero_copy_only=False)
    return numbers


def _split(
    recipe: TableRecipe, placed: Placed, number: int, *, folder: Path, columns: tuple[Column, ...], row_bytes: int
) -> TableSplit:
    """Write the shards of a split."""
    bounds = np.searchsorted(placed.split, [number, number + 1])
    mine = placed.rows.slice(bounds[0], bounds[1] - bounds[0])
    ends = np.searchsorted(placed.shard[bounds[0] : bounds[1]], np.arange(recipe.shards + 1))
    shards, name = [], recipe.splits[number][0]
    for shard, (first, last) in enumerate(pairwise(ends)):
        part = mine.slice(first, last - first)
        if recipe.kind == SAMPLES:
            shards.append(samples.write_shard(folder, name, shard, part, at=recipe.at))
        else:
            shards.append(_write_shard(folder, f"{name}-{shard:05d}-of-{recipe.shards:05d}", part, columns, row_bytes))
    if recipe.kind == SAMPLES:
        samples.write_index(folder, name, shards, columns)
    return TableSplit(mine.num_rows, tuple(shards), *_span(recipe, mine))


def _write_shard(folder: Path, stem: str, part: pa.Table, columns: tuple[Column, ...], row_bytes: int) -> TableShard:
    (folder / f"{stem}.bin").write_bytes(encode(part, columns, row_bytes).tobytes())
    write_parquet(folder / f"{stem}.parquet", part)
    return TableShard(f"{stem}.bin", f"{stem}.parquet", part.num_rows)


def _span(recipe: TableRecipe, rows: pa.Table) -> tuple[str | None, str | None]:
    """The first and last time of some rows."""
    if recipe.time is None or not rows.num_rows:
        return None, None
    ends = pc.min_max(rows[recipe.time]).as_py()
    first, last = (value.isoformat() if hasattr(value, "isoformat") else str(value) for value in ends.values())
    return first, last


def _described(recipe: TableRecipe, made: TableRendered, basis: Basis) -> TableManifest:
    files = content_files(made.folder)
    return TableManifest(
        schema_version=SCHEMA_VERSION,
        kind=recipe.kind,
        name=recipe.name,
        id=content_id(files.values()),
        row_bytes=made.row_bytes,
        columns=made.columns,
        key=recipe.key,
        entity=recipe.about,
        time=recipe.time,
        split_by=recipe.split_by,
        seed=recipe.seed,
        splits=made.splits,
        synthetic_share=made.synthetic_share,
        inputs=dict(sorted(basis.inputs.items())),
        model_fingerprints=dict(sorted(basis.model_fingerprints.items())),
        checks=summary(basis.checks),
        recipe_sha256=files["recipe/recipe.yaml"].sha256,
        code={"warehouse": __version__, "pyarrow": pa.__version__},
        files=files,
    )


def read_rows(path: Path, manifest: TableManifest) -> pa.Table:
    """Every row of a release, in the order of splits and shards."""
    shards = [shard for split in manifest.splits.values() for shard in split.shards]
    return pa.concat_tables([_rows_of(path, manifest, shard) for shard in shards])


def _rows_of(path: Path, manifest: TableManifest, shard: TableShard, only: slice = slice(None)) -> pa.Table:
    """The rows of a shard, or a slice of them."""
    if manifest.kind == SAMPLES:
        return samples.read_shard(path / shard.data, manifest.columns, only)
    first, last, _ = only.indices(shard.samples)
    return pq.read_table(path / shard.parquet, partitioning=None).slice(first, last - first)


def read_row(path: Path, split: str, sample: int) -> dict[str, Any]:
    """A row of a split, numbered as the loader does, as Python values. Raises NotFound for one that is not there."""
    refuse_part(path)
    manifest = read_rows_manifest(path)
    shard, local = locate(manifest, split, sample)
    row: dict[str, Any] = _rows_of(path, manifest, shard, slice(local, local + 1)).to_pylist()[0]
    return row


RENDERED_TEXTS = ("recipe.yaml", "select.sql")


def attached_of(path: Path) -> dict[str, str]:
    """The files that a release's folder recipe/ was given besides those it writes itself."""
    found = sorted(each for each in (path / "recipe").iterdir() if each.name not in RENDERED_TEXTS)
    return {each.name: each.read_text("utf-8") for each in found}
