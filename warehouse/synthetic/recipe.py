"""A synthetic recipe as its YAML states it: recipes/synthetic/<name>.yaml as a value, refused with its file and line.

Two kinds. ``facts``: rows of SELECTs put into sentences, documents marked synthetic. ``table``: a SELECT counted into a
sketch, and rows drawn from it into the table ``synthetic_<name>``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from warehouse.errors import UsageError
from warehouse.recipes import Check, Keys, Stated, checked, choice, description, mapping, share, string, strings, whole
from warehouse.synthetic.bins import Fineness
from warehouse.synthetic.bins import Stated as StatedColumn
from warehouse.synthetic.network import MAX_PARENTS
from warehouse.synthetic.templates import places

NAME = re.compile(r"[a-z][a-z0-9_]{0,50}")
MARKS = ("synthetic", "generation", "seed", "sketch", "model")
"""Columns that a table of drawn rows has beside the SELECT's own."""


@dataclass(frozen=True, slots=True)
class Fact:
    """Rows and the ways to say one. key: columns that name a row, once each; sentences: templates, one is chosen."""

    name: str
    select: str
    key: tuple[str, ...]
    sentences: tuple[str, ...]
    at: str = field(default="recipe:1", compare=False)


@dataclass(frozen=True, slots=True)
class FactsRecipe:
    """Documents made of facts. document: columns that every fact has; rows that are equal there make one document."""

    name: str
    document: tuple[str, ...]
    title: str
    facts: tuple[Fact, ...]
    licence: str
    description: str = ""
    seed: int = 0
    max_reject_share: float = 0.05
    path: Path = field(default=Path("recipe"), compare=False)

    @property
    def selects(self) -> tuple[tuple[str, str], ...]:
        """Every SELECT with its place, ``file:line``."""
        return tuple((fact.select, fact.at) for fact in self.facts)


@dataclass(frozen=True, slots=True)
class RowsRecipe:
    """Rows drawn from the sketch of a SELECT. columns: stated edges or levels; holdout: the share of rows that is not
    counted, and that quality is measured against.
    """

    name: str
    select: str
    rows: int
    description: str = ""
    columns: Mapping[str, StatedColumn] = field(default_factory=dict)
    fineness: Fineness = field(default_factory=Fineness)
    max_parents: int = MAX_PARENTS
    holdout: float = 0.2
    seed: int = 0
    at: str = field(default="recipe:1", compare=False)
    path: Path = field(default=Path("recipe"), compare=False)

    @property
    def table(self) -> str:
        """Its table in the repository."""
        return f"synthetic_{self.name}"

    @property
    def selects(self) -> tuple[tuple[str, str], ...]:
        """Its SELECT with its place, ``file:line``."""
        return ((self.select, self.at),)


def load_synthetic(path: Path) -> FactsRecipe | RowsRecipe:
    """The recipe in ``path``. Raises RecipeError, ``file:line: ...``, for anything that is not as it should be."""
    stated = Stated.read(path, allowed=", ".join(FACTS_KEYS))
    if not NAME.fullmatch(path.stem):
        stated.refuse((), f"name {path.stem!r}", "a file name of small letters, digits and _, a letter first")
    kind = stated.values.get("kind")
    if kind not in ("facts", "table"):
        stated.refuse(("kind",), f"kind is {kind!r}", "facts, table")
    return _facts_recipe(path, stated) if kind == "facts" else _rows_recipe(path, stated)


def _facts_recipe(path: Path, stated: Stated) -> FactsRecipe:
    values = checked(stated, (), FACTS_KEYS, required=("licence", "document", "title", "facts"))
    del values["kind"]
    made = FactsRecipe(name=path.stem, path=path, **values)
    for place in places(made.title):
        if place.column not in made.document or place.format:
            stated.refuse(("title",), f"{{{place.column}}} in the title", ", ".join(f"{{{x}}}" for x in made.document))
    return made


def _rows_recipe(path: Path, stated: Stated) -> RowsRecipe:
    values = checked(stated, (), ROWS_KEYS, required=("select", "rows"))
    del values["kind"]
    fine = {name: values.pop(name) for name in ("bins", "max_levels", "min_count") if name in values}
    return RowsRecipe(name=path.stem, path=path, at=stated.place(("select",)), fineness=Fineness(**fine), **values)


def _facts(stated: Stated, key: Keys) -> tuple[Fact, ...]:
    return tuple(_fact(stated, (*key, str(name))) for name in mapping(stated, key, "facts, by name"))


def _fact(stated: Stated, key: Keys) -> Fact:
    mapping(stated, key, "select, key and sentences")
    values = checked(stated, key, FACT_KEYS, required=("select", "key", "sentences"))
    return Fact(name=key[-1], at=stated.place((*key, "select")), **values)


def _template(stated: Stated, key: Keys) -> str:
    return _sentence(stated, key, string(stated, key))


def _sentences(stated: Stated, key: Keys) -> tuple[str, ...]:
    return tuple(_sentence(stated, key, each) for each in strings(stated, key))


def _sentence(stated: Stated, key: Keys, value: str) -> str:
    try:
        places(value)
    except UsageError as error:
        stated.refuse(key, error.came, error.allowed)
    return value


def _columns(stated: Stated, key: Keys) -> Mapping[str, StatedColumn]:
    return {
        str(name): _column(stated, (*key, str(name))) for name in mapping(stated, key, "columns with edges or levels")
    }


def _column(stated: Stated, key: Keys) -> StatedColumn:
    value = stated.get(key)
    texts = isinstance(value, list) and value and all(isinstance(each, str) for each in value)
    numbers = isinstance(value, list) and len(value) > 1 and all(type(each) in (int, float) for each in value)
    if not (texts or numbers) or list(dict.fromkeys(value)) != value or (numbers and sorted(value) != value):
        stated.refuse(key, f"{key[-1]} is {value!r}", "edges of bins, ascending, or levels: [0, 10, 100], [yes, no]")
    return tuple(value)


FACT_KEYS: Mapping[str, Check] = {"select": string, "key": strings, "sentences": _sentences}
FACTS_KEYS: Mapping[str, Check] = {
    "kind": choice("facts"),
    "description": description,
    "licence": string,
    "document": strings,
    "title": _template,
    "facts": _facts,
    "seed": whole(0, 2**63 - 1),
    "max_reject_share": share,
}
ROWS_KEYS: Mapping[str, Check] = {
    "kind": choice("table"),
    "description": description,
    "select": string,
    "rows": whole(1, 10**9),
    "columns": _columns,
    "bins": whole(2, 4096),
    "max_levels": whole(1, 4096),
    "min_count": whole(1, 10**9),
    "max_parents": whole(0, MAX_PARENTS),
    "holdout": share,
    "seed": whole(0, 2**63 - 1),
}
