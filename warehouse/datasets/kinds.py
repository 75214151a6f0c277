"""A recipe of any kind: documents or conversations as tokens, rows of a table, or samples of any columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from warehouse.datasets.chat_recipe import load_chat_recipe
from warehouse.datasets.recipe import DatasetRecipe
from warehouse.datasets.recipe import load_recipe as load_document_recipe
from warehouse.datasets.table_recipe import TableRecipe, kind_of, load_table_recipe
from warehouse.errors import RecipeError

LOAD: Mapping[str, Callable[[Path], DatasetRecipe | TableRecipe]] = {
    "tokens": load_document_recipe,
    "chat": load_chat_recipe,
    "table": load_table_recipe,
    "samples": load_table_recipe,
}


def load_recipe(path: Path) -> DatasetRecipe | TableRecipe:
    """The recipe in ``path``. Raises RecipeError, ``file:line: ...``, for anything that is not as it should be."""
    return LOAD[kind_of(path)](path)


def load_tokens(path: Path) -> DatasetRecipe:
    """The recipe in ``path``, of documents or conversations. Raises RecipeError for rows and samples too."""
    found = load_recipe(path)
    if isinstance(found, TableRecipe):
        raise RecipeError(f"{path}: kind is {found.kind!r}", allowed="tokens, chat")
    return found
