"""A data set of rows, recipes/datasets/<name>.yaml of kind ``table`` or ``samples``: refused with its file and line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from warehouse.datasets.credits import NONE, Credits, credits_of
from warehouse.datasets.recipe import name
from warehouse.errors import RecipeError
from warehouse.recipes import (
    Check,
    Stated,
    checked,
    choice,
    choices,
    description,
    share,
    shares,
    string,
    strings,
    whole,
)

SplitBy = Literal["entity", "time"]
Kind = Literal["table", "samples"]

ROW_TARGETS = ("webdataset", "jsonl")
"""Formats that a release of rows is written in beside its shards, which are Parquet already."""

SAMPLE_TARGETS = ("webdataset", "parquet", "litdata", "jsonl")
"""Those of samples, whose shards are MDS already."""


@dataclass(frozen=True, slots=True)
class TableRecipe:
    """A data set of rows: what is selected, what names a row, how it is split and sharded.

    select: one SELECT over the published snapshot and the feature sets (``features.<name>``), whose columns go out.
    key: columns that name a row, once each; entity: those that say what it is about (default: the key); time: the
    column of its time, for split_by: time. max_synthetic_share: of the rows, by a boolean column ``synthetic``.
    targets: formats of other projects to write too, of ROW_TARGETS or SAMPLE_TARGETS. kind: rows of one width, or
    samples of any columns, binary ones and lists too. credits: what its cards say of who made it.
    """

    name: str
    select: str
    key: tuple[str, ...]
    description: str = ""
    entity: tuple[str, ...] = ()
    time: str | None = None
    split_by: SplitBy = "entity"
    splits: tuple[tuple[str, float], ...] = (("train", 1.0),)
    shards: int = 1
    seed: int = 0
    max_synthetic_share: float = 0.30
    targets: tuple[str, ...] = ()
    credits: Credits = NONE
    kind: Kind = "table"
    at: str = field(default="recipe", compare=False)

    @property
    def about(self) -> tuple[str, ...]:
        """The columns of the entity."""
        return self.entity or self.key


def load_table_recipe(path: Path) -> TableRecipe:
    """The recipe in ``path``. Raises RecipeError, ``file:line: ...``, for anything that is not as it should be."""
    stated = Stated.read(path, allowed=", ".join(TABLE_KEYS))
    values = checked(stated, (), TABLE_KEYS, required=("select", "key"))
    if "targets" in values:
        choices(*(SAMPLE_TARGETS if values["kind"] == "samples" else ROW_TARGETS))(stated, ("targets",))
    values.setdefault("name", name(stated, None))
    if values.get("split_by") == "time" and "time" not in values:
        stated.refuse(("split_by",), "split_by time without time", "time: the column to split by")
    return TableRecipe(**values, at=stated.place(("select",)))


def resolved_table(recipe: TableRecipe) -> str:
    """The recipe as YAML with every default stated."""
    values: dict[str, Any] = {
        "kind": recipe.kind,
        "name": recipe.name,
        "description": recipe.description,
        "select": recipe.select,
        "key": list(recipe.key),
        "entity": list(recipe.about),
        "time": recipe.time,
        "split_by": recipe.split_by,
        "splits": dict(recipe.splits),
        "shards": recipe.shards,
        "seed": recipe.seed,
        "max_synthetic_share": recipe.max_synthetic_share,
        "targets": list(recipe.targets) or None,
        "credits": recipe.credits.stated() or None,
    }
    stated = {key: value for key, value in values.items() if value is not None}
    return yaml.safe_dump(stated, sort_keys=False, allow_unicode=True, width=100)


def kind_of(path: Path) -> str:
    """``tokens``, ``chat``, ``table`` or ``samples``, as the recipe states it. Raises RecipeError for another kind."""
    stated = Stated.read(path, allowed="keys of a data set")
    if "kind" not in stated.values:
        return "tokens"
    kind: str = choice("tokens", "chat", "table", "samples")(stated, ("kind",))
    return kind


def refuse_columns(recipe: TableRecipe, columns: list[str]) -> None:
    """Raise RecipeError for a column of the recipe that the select does not give."""
    named = (*recipe.key, *recipe.entity, *([recipe.time] if recipe.time else []))
    missing = [column for column in named if column not in columns]
    if missing:
        raise RecipeError(f"{recipe.at}: the select gives no {missing[0]}", allowed=", ".join(columns))


TABLE_KEYS: Mapping[str, Check] = {
    "kind": choice("table", "samples"),
    "name": name,
    "description": description,
    "select": string,
    "key": strings,
    "entity": strings,
    "time": string,
    "split_by": choice("entity", "time"),
    "splits": shares,
    "shards": whole(1, 99_999),
    "seed": whole(0, (1 << 63) - 1),
    "max_synthetic_share": share,
    "targets": choices(*SAMPLE_TARGETS),
    "credits": credits_of,
}
