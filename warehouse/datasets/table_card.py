"""The cards of a release of rows, from its manifest, recipe and rows alone: as ``card`` gives them for tokens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from warehouse.datasets.attribution import attribution
from warehouse.datasets.croissant import Node, croissant, record_set
from warehouse.datasets.hub import Config, front_matter
from warehouse.datasets.licences import UNKNOWN
from warehouse.datasets.table_recipe import TableRecipe
from warehouse.manifest import CARDS, SAMPLES, TABLE, TableManifest

DESCRIPTION = "A training data set of rows."


def table_cards(manifest: TableManifest, recipe: TableRecipe, rows: pa.Table) -> dict[str, str]:
    """The text of each of CARDS. rows: what was selected, in any order."""
    samples = {name: split.samples for name, split in manifest.splits.items()}
    files = _files(manifest, recipe)
    texts = _stated(manifest, rows)
    licences = sorted(pc.unique(texts["licence"]).to_pylist())
    front = front_matter(
        name=recipe.name,
        licences=licences,
        languages=[],
        samples=manifest.samples,
        tasks=["tabular-regression"] if manifest.kind == TABLE else [],
        configs=[Config("rows", files, samples)] if files else [],
    )
    readme = "\n".join(["---", front + "---", "", *_body(manifest, recipe)]) + "\n"
    machine = croissant(
        name=recipe.name,
        identity=manifest.id,
        description=recipe.description or DESCRIPTION,
        credits=recipe.credits,
        licences=licences,
        languages=[],
        files=manifest.files,
        records=[_records(manifest, rows, files)] if files else [],
        splits=samples,
        rai={"dataCollection": f"Rows of tables {', '.join(manifest.inputs)}; {_synthetic(manifest)}"},
    )
    return dict(zip(CARDS, (readme, machine, _owed(recipe, texts, rows)), strict=True))


def _files(manifest: TableManifest, recipe: TableRecipe) -> dict[str, str]:
    """The Parquet files of each split; none of samples without that target."""
    folder = "targets/parquet/data/" if manifest.kind == SAMPLES else ""
    there = manifest.kind == TABLE or "parquet" in recipe.targets
    return {name: f"{folder}{name}-*.parquet" for name in manifest.splits} if there else {}


def _records(manifest: TableManifest, rows: pa.Table, files: Mapping[str, str]) -> Node:
    """The rows, without columns of bytes: Croissant has no type for them."""
    left = [field.name for field in rows.schema if pa.types.is_large_binary(field.type)]
    about = f"The rows, without the columns of bytes {', '.join(left)}." if left else "The rows."
    return record_set("rows", list(files.values()), rows.drop_columns(left).schema, about=about, key=manifest.key)


def _stated(manifest: TableManifest, rows: pa.Table) -> pa.Table:
    """licence, source and uri of each row where the select gives a licence; else a row a source that it reads."""
    if "licence" not in rows.column_names:
        sources = manifest.licences or {"": UNKNOWN}
        values = [{"licence": licence, "source": source, "uri": ""} for source, licence in sources.items()]
        return pa.Table.from_pylist(values)
    columns = {name: rows[name] if name in rows.column_names else [""] * rows.num_rows for name in ("source", "uri")}
    return pa.table({"licence": pc.fill_null(rows["licence"].cast(pa.string()), UNKNOWN), **columns})


def _owed(recipe: TableRecipe, texts: pa.Table, rows: pa.Table) -> str:
    each = "licence" in rows.column_names
    counted = texts.group_by("licence").aggregate([("source", "count")]).to_pylist()
    counts = {row["licence"]: {"rows" if each else "sources": row["source_count"]} for row in counted}
    where = "the columns `licence`, `source` and `uri` of the Parquet files" if each else "the sources named here"
    changed = ["Rows are what the SELECT in `recipe/select.sql` makes of the tables that it reads."]
    return attribution(recipe.name, counts, texts, changed=changed, where=where)


def _synthetic(manifest: TableManifest) -> str:
    return f"{manifest.synthetic_share:.2%} of the rows synthetic."


def _body(manifest: TableManifest, recipe: TableRecipe) -> Iterator[str]:
    yield f"# {recipe.name}\n"
    yield f"{recipe.description or DESCRIPTION}\n"
    yield f"Id `{manifest.id}`. {manifest.samples:,} rows of {len(manifest.columns)} columns, named by"
    yield f"{', '.join(manifest.key)}, split by {manifest.split_by}."
    yield f"Synthetic: {_synthetic(manifest)}\n"
    yield "| split | rows | shards | first | last |\n|---|--:|--:|---|---|"
    for name, split in manifest.splits.items():
        yield f"| {name} | {split.samples:,} | {len(split.shards)} | {split.first or ''} | {split.last or ''} |"
    yield from _samples(manifest) if manifest.kind == SAMPLES else _rows(manifest)
    yield "`warehouse verify path/to/this/folder` checks every hash of `manifest.json`; with `--rebuild` it splits,"
    yield "orders and writes all rows again and compares the bytes."


def _samples(manifest: TableManifest) -> Iterator[str]:
    """The columns of samples, and how to read them."""
    yield "\n## Columns\n\n| column | type | in MDS |\n|---|---|---|"
    for column in manifest.columns:
        yield f"| {column.name} | {column.type} | `{column.dtype}` |"
    yield "\n## Load\n\n```python\nfrom streaming import StreamingDataset  # pip install mosaicml-streaming\n"
    split = next(iter(manifest.splits))
    yield f'for sample in StreamingDataset(local="path/to/this/folder", split="{split}", batch_size=1):'
    yield f"    ...  # sample[{manifest.columns[0].name!r}]\n```\n"


def _rows(manifest: TableManifest) -> Iterator[str]:
    """The columns of rows, their places in a .bin, and how to read them."""
    yield "\n## Columns\n\n| column | type | in the .bin | byte | validity byte |\n|---|---|---|--:|--:|"
    for column in manifest.columns:
        mark = "" if column.valid is None else str(column.valid)
        yield f"| {column.name} | {column.type} | `{column.dtype.strip('|')}` | {column.offset} | {mark} |"
    yield f"\nA row of a .bin is {manifest.row_bytes} bytes, little-endian, packed. A validity byte is 0 for null; a"
    yield "column without one has NaN or NaT. The Parquet file beside it holds the same rows in the same order.\n"
    yield "## Load\n\n```python\nfrom warehouse.loader import TableLoader  # pip install ml-warehouse: numpy, xxhash\n"
    yield f'for columns in TableLoader("path/to/this/folder", split="{next(iter(manifest.splits))}", batch=8):'
    yield f"    ...  # columns[{manifest.columns[0].name!r}]: numpy, 8 values\n```\n"
