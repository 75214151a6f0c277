"""A release of rows: selected, split, ordered by hashes of their keys, written as Parquet and as fixed-width rows.

Of ``kind: samples`` any columns go out, as shards in the layout of MDS (``samples``) in place of both.

The Parquet files, of samples the shards, are the frozen selection: ``rebuild`` reads them, splits, orders and writes
everything again. Split, shard and order depend on a row's own key or time alone (with split_by time: and on the times
of all), so one row less changes one shard, and the others are those of the version before (``row_shards``). Lost: the
whole selection is held in memory, twice while it is arranged.
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

from warehouse import query
from warehouse.contracts import digest
from warehouse.datasets import samples
from warehouse.datasets.description import content_files, summary
from warehouse.datasets.lineage import locate
from warehouse.datasets.release import Basis, Draft, Release, earlier_of, shelve
from warehouse.datasets.row_shards import Earlier, Layout, code_versions, earlier_in, read_shard, write_shards
from warehouse.datasets.rows import layout, releasable
from warehouse.datasets.selection import hashes, run_select, split_of
from warehouse.datasets.table_card import table_cards
from warehouse.datasets.table_recipe import TableRecipe, refuse_columns, resolved_table
from warehouse.datasets.targets import RowTask, SampleTask, write_row_targets, write_sample_targets
from warehouse.datasets.timing import cut
from warehouse.errors import CheckFailed, RecipeError
from warehouse.manifest import (
    SAMPLES,
    SCHEMA_VERSION,
    Column,
    FileEntry,
    TableManifest,
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
    """The files of a table release in ``folder``, by split. taken: the entries of those of the version before."""

    folder: Path
    layout: Layout
    splits: Mapping[str, TableSplit]
    synthetic_share: float
    taken: Mapping[str, FileEntry]


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
        earlier = earlier_of(basis.datasets / recipe.name, TableManifest)
        made = render_table(recipe, rows, folder=folder, attached=attached or {}, earlier=earlier)
        manifest = replace(_described(recipe, made, basis), licences=dict(licences or {}))
        return Draft(manifest, table_cards(manifest, recipe, rows), {"reused_shards": _reused(made)})

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


def select_keys(recipe: TableRecipe, con: query.Connection) -> pa.Table:
    """The keys that the recipe's SELECT gives, in the types of a release; its other columns are not read.

    Raises RecipeError where the SELECT does not run or gives no such columns.
    """
    names = ", ".join(map(query.quoted, recipe.key))
    table = run_select(con, f"SELECT {names} FROM (\n{recipe.select.rstrip().rstrip(';')}\n)", at=recipe.at)
    return (samples.releasable if recipe.kind == SAMPLES else releasable)(table, at=recipe.at)


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


def render_table(
    recipe: TableRecipe, rows: pa.Table, *, folder: Path, attached: Mapping[str, str], earlier: Path | None = None
) -> TableRendered:
    """Write recipe/, every shard and the targets of the recipe into ``folder``.

    earlier: a release, of which shards with the same rows are taken over.
    """
    (folder / "recipe").mkdir()
    texts = {"recipe.yaml": resolved_table(recipe), "select.sql": recipe.select + "\n", **attached}
    for name, text in texts.items():
        (folder / "recipe" / name).write_text(text, "utf-8")
    columns, row_bytes = (samples.layout(rows), 0) if recipe.kind == SAMPLES else layout(rows, at=recipe.at)
    shape = Layout(recipe.kind, columns, row_bytes, code_versions())
    splits, taken = _splits(recipe, arranged(recipe, rows), folder, shape, earlier_in(earlier, shape))
    if recipe.kind == SAMPLES:
        write_sample_targets(folder, recipe.targets, list(_sample_tasks(folder, splits, columns, at=recipe.at)))
    else:
        write_row_targets(recipe.targets, list(_target_tasks(folder, splits, at=recipe.at)))
    return TableRendered(folder, shape, splits, round(_synthetic_share(rows), 6), taken)


def _reused(made: TableRendered) -> int:
    return sum(shard.data in made.taken for split in made.splits.values() for shard in split.shards)


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


def _splits(
    recipe: TableRecipe, placed: Placed, folder: Path, shape: Layout, earlier: Earlier | None
) -> tuple[dict[str, TableSplit], dict[str, FileEntry]]:
    """Write the shards of every split; the files that were taken over."""
    splits, taken = dict[str, TableSplit](), dict[str, FileEntry]()
    for number, (name, _) in enumerate(recipe.splits):
        parts = _parts(recipe, placed, number)
        written = list(write_shards(folder, name, parts, shape, earlier, at=recipe.at))
        shards = tuple(each.shard for each in written)
        if recipe.kind == SAMPLES:
            samples.write_index(folder, name, shards, shape.columns)
        rows = pa.concat_tables(parts)
        splits[name] = TableSplit(rows.num_rows, shards, *_span(recipe, rows))
        taken |= {path: entry for each in written for path, entry in each.taken.items()}
    return splits, taken


def _parts(recipe: TableRecipe, placed: Placed, number: int) -> list[pa.Table]:
    """The rows of each shard of a split."""
    start, end = np.searchsorted(placed.split, [number, number + 1])
    ends = start + np.searchsorted(placed.shard[start:end], np.arange(recipe.shards + 1))
    return [placed.rows.slice(first, last - first) for first, last in pairwise(ends)]


def _span(recipe: TableRecipe, rows: pa.Table) -> tuple[str | None, str | None]:
    """The first and last time of some rows."""
    if recipe.time is None or not rows.num_rows:
        return None, None
    ends = pc.min_max(rows[recipe.time]).as_py()
    first, last = (value.isoformat() if hasattr(value, "isoformat") else str(value) for value in ends.values())
    return first, last


def _described(recipe: TableRecipe, made: TableRendered, basis: Basis) -> TableManifest:
    files = content_files(made.folder, made.taken)
    return TableManifest(
        schema_version=SCHEMA_VERSION,
        kind=recipe.kind,
        name=recipe.name,
        id=content_id(files.values()),
        row_bytes=made.layout.row_bytes,
        columns=made.layout.columns,
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
        code=made.layout.code,
        files=files,
    )


def read_row(path: Path, split: str, sample: int) -> dict[str, Any]:
    """A row of a split, numbered as the loader does, as Python values. Raises NotFound for one that is not there."""
    refuse_part(path)
    manifest = read_rows_manifest(path)
    shard, local = locate(manifest, split, sample)
    row: dict[str, Any] = read_shard(path, manifest, shard, slice(local, local + 1)).to_pylist()[0]
    return row


RENDERED_TEXTS = ("recipe.yaml", "select.sql")


def attached_of(path: Path) -> dict[str, str]:
    """The files that a release's folder recipe/ was given besides those it writes itself."""
    found = sorted(each for each in (path / "recipe").iterdir() if each.name not in RENDERED_TEXTS)
    return {each.name: each.read_text("utf-8") for each in found}
