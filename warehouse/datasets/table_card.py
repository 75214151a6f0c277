"""The data set card of a table release: README.md with Hugging Face front matter, from manifest and recipe alone."""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from warehouse.datasets.card import SIZES
from warehouse.datasets.table_recipe import TableRecipe
from warehouse.manifest import TableManifest


def table_card(manifest: TableManifest, recipe: TableRecipe) -> str:
    """The whole README.md."""
    return "\n".join(["---", _front_matter(manifest, recipe) + "---", "", *_body(manifest, recipe)]) + "\n"


def _front_matter(manifest: TableManifest, recipe: TableRecipe) -> str:
    data = [{"split": name, "path": f"{name}-*.parquet"} for name in manifest.splits]
    values = {
        "pretty_name": recipe.name,
        "size_categories": [next((size for most, size in SIZES if manifest.samples < most), "n>10M")],
        "task_categories": ["tabular-regression"],
        "configs": [{"config_name": "default", "data_files": data}],
    }
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def _body(manifest: TableManifest, recipe: TableRecipe) -> Iterator[str]:
    yield f"# {recipe.name}\n"
    yield f"{recipe.description or 'A training data set of rows.'}\n"
    yield f"Id `{manifest.id}`. {manifest.samples:,} rows of {len(manifest.columns)} columns, named by"
    yield f"{', '.join(manifest.key)}, split by {manifest.split_by}."
    yield f"Synthetic: {manifest.synthetic_share:.2%} of the rows.\n"
    yield "| split | rows | shards | first | last |\n|---|--:|--:|---|---|"
    for name, split in manifest.splits.items():
        yield f"| {name} | {split.samples:,} | {len(split.shards)} | {split.first or ''} | {split.last or ''} |"
    yield "\n## Columns\n\n| column | type | in the .bin | byte | validity byte |\n|---|---|---|--:|--:|"
    for column in manifest.columns:
        mark = "" if column.valid is None else str(column.valid)
        yield f"| {column.name} | {column.type} | `{column.dtype.strip('|')}` | {column.offset} | {mark} |"
    yield f"\nA row of a .bin is {manifest.row_bytes} bytes, little-endian, packed. A validity byte is 0 for null; a"
    yield "column without one has NaN or NaT. The Parquet file beside it holds the same rows in the same order.\n"
    yield "## Load\n\n```python\nfrom warehouse.loader import TableLoader  # pip install ml-warehouse: numpy, xxhash\n"
    yield f'for columns in TableLoader("path/to/this/folder", split="{next(iter(manifest.splits))}", batch=8):'
    yield f"    ...  # columns[{manifest.columns[0].name!r}]: numpy, 8 values\n```\n"
    yield "`warehouse verify path/to/this/folder` checks every hash of `manifest.json`; with `--rebuild` it splits,"
    yield "orders and writes all rows again and compares the bytes."
