"""A recipe of any kind: documents as tokens, rows of a table, or samples of any columns."""

from __future__ import annotations

from pathlib import Path

from warehouse.datasets.recipe import DatasetRecipe
from warehouse.datasets.recipe import load_recipe as load_token_recipe
from warehouse.datasets.table_recipe import TableRecipe, kind_of, load_table_recipe


def load_recipe(path: Path) -> DatasetRecipe | TableRecipe:
    """The recipe in ``path``. Raises RecipeError, ``file:line: ...``, for anything that is not as it should be."""
    return load_token_recipe(path) if kind_of(path) == "tokens" else load_table_recipe(path)
