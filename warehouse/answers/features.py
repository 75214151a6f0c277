"""Which feature sets a project has, what is stored of them, what they read, and the SQL that computes one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from warehouse.features import FeatureSet, compiled_on, load_features, printed
from warehouse.models.lineage import parsed
from warehouse.project import Project
from warehouse.publish import connect_current
from warehouse.query import Connection, fetch_all
from warehouse.repository import Repository


@dataclass(frozen=True, slots=True)
class StoredFeatures:
    """A feature set: its definition, its names, and the rows of its table, of all definitions so far."""

    name: str
    path: Path
    table: str
    features: tuple[str, ...]
    rows: int


@dataclass(frozen=True, slots=True)
class FeatureSql:
    """The SELECT of a feature set, with the values of its parameters in comments before it and by name."""

    name: str
    sql: str
    parameters: Mapping[str, int | str]


def feature_sets(project: Project) -> tuple[StoredFeatures, ...]:
    """Every feature set of the project, by name. Raises RecipeError for a definition that is refused."""
    repository = Repository(project.root)
    held = repository.tables()
    sets = [load_features(path) for path in project.files("recipes/features", "*.yaml")]
    rows = [repository.snapshot(made.table).rows if made.table in held else 0 for made in sets]
    return tuple(
        StoredFeatures(made.name, made.path, made.table, made.features, count)
        for made, count in zip(sets, rows, strict=True)
    )


def feature_sql(project: Project, name: str, *, env: str = "prod") -> FeatureSql:
    """What computes a feature set on the published snapshot. Raises RecipeError, NotFound where there is none."""
    made = load_features(project.folder / "recipes" / "features" / f"{name}.yaml")
    with connect_current(project.published, env) as con:
        compiled = compiled_on(con, made)
    return FeatureSql(name, printed(compiled), compiled.parameters)


def released_sets(release: Path) -> list[FeatureSet]:
    """The feature sets that the release of rows in a folder was made by, as they were defined."""
    return [load_features(path) for path in sorted((release / "recipe").glob("features.*.yaml"))]


def tables_read(path: Path, sql: str, line: int) -> set[str]:
    """The models, repository tables and feature sets that a SELECT reads. Raises RecipeError with the file's line."""
    return {name for name, _ in parsed(path, sql, line).tables}


def reads(made: FeatureSet) -> set[str]:
    """The models and repository tables that a feature set reads."""
    line = int(made.spine.at.rpartition(":")[2]) if made.spine.at.rpartition(":")[2].isdecimal() else 1
    return {view.relation for view in made.views} | tables_read(made.path, made.spine.select, line)


def upstream(con: Connection, made: FeatureSet) -> Mapping[str, str]:
    """The fingerprints of the models that a feature set reads, as published."""
    prints = dict(fetch_all(con, "SELECT name, fingerprint FROM meta.models WHERE skipped IS NULL"))
    return {name: prints[name] for name in sorted(reads(made)) if name in prints}
