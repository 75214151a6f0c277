"""From a row of a table release back to the definitions it was made by, the tables it was made of, and their objects.

Lost: lineage ends at the table. A feature is a sum over many rows, so what is listed is every object of the tables that
its definitions read, at the versions that the release pins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from warehouse.datasets import read_row
from warehouse.datasets.table_recipe import load_table_recipe
from warehouse.errors import NotFound
from warehouse.features import FeatureSet, load_features
from warehouse.manifest import TableManifest, read_rows_manifest
from warehouse.models.lineage import parsed
from warehouse.project import Project
from warehouse.publish import connect_current
from warehouse.query import fetch_all
from warehouse.repository import Repository


@dataclass(frozen=True, slots=True)
class Origin:
    """An object that a table was read from; path: in the archive, None where it is no longer there."""

    table: str
    version: int
    uri: str
    sha256: str
    path: Path | None


@dataclass(frozen=True, slots=True)
class TracedRow:
    """A row of a release: its key and values.

    features: the sets it was made by; reads: the models and tables that these and the select read, down to repository
    tables; origins: the objects that those tables were read from.
    """

    split: str
    sample: int
    key: Mapping[str, Any]
    values: Mapping[str, Any]
    features: tuple[str, ...]
    reads: tuple[str, ...]
    origins: tuple[Origin, ...]


def trace_row(
    project: Project, release: Path, sample: int, *, split: str | None = None, env: str = "prod"
) -> TracedRow:
    """Where a row comes from. split: default the release's first.

    Raises NotFound for a split or row that is not there.
    """
    manifest = read_rows_manifest(release)
    split = split or next(iter(manifest.splits))
    values = read_row(release, split, sample)
    sets = [load_features(path) for path in sorted((release / "recipe").glob("features.*.yaml"))]
    reads = _reached(project, env, _stated(release, sets))
    return TracedRow(
        split,
        sample,
        {name: values[name] for name in manifest.key},
        values,
        tuple(made.name for made in sets),
        tuple(sorted(reads)),
        tuple(_origins(project, manifest, reads)),
    )


def _stated(release: Path, sets: list[FeatureSet]) -> set[str]:
    """What the select and the feature sets name themselves."""
    recipe = release / "recipe"
    select = load_table_recipe(recipe / "recipe.yaml").select
    found = {name for name, _ in parsed(recipe / "select.sql", select, 1).tables}
    for made in sets:
        found |= {view.relation for view in made.views}
        found |= {name for name, _ in parsed(made.path, made.spine.select, 1).tables}
    return found


def _reached(project: Project, env: str, named: set[str]) -> set[str]:
    """All models and repository tables that the named ones are made of, as the published snapshot knows them."""
    try:
        with connect_current(project.published, env) as con:
            rows = fetch_all(con, "SELECT name, depends_on, reads FROM meta.models")
    except NotFound:
        return named
    below = {name: {*depends_on, *reads} for name, depends_on, reads in rows}
    found, waiting = set[str](), set(named)
    while waiting:
        name = waiting.pop()
        found.add(name)
        waiting |= below.get(name, set()) - found
    return found


def _origins(project: Project, manifest: TableManifest, reads: set[str]) -> list[Origin]:
    """The objects of the repository tables among ``reads``, up to the version that the release pins."""
    repository, found = Repository(project.root), dict[tuple[str, str, str], Origin]()
    for table in sorted(name.removeprefix("repository.") for name in reads if name.startswith("repository.")):
        pinned = manifest.inputs.get(table, -1)
        receipts = repository.receipts(table) if table in repository.tables() else []
        for fact in (fact for receipt in receipts if receipt.version <= pinned for fact in receipt.objects):
            path = _archived(repository, fact.sha256)
            found[table, fact.uri, fact.sha256] = Origin(table, pinned, fact.uri, fact.sha256, path)
    return list(found.values())


def _archived(repository: Repository, sha256: str) -> Path | None:
    try:
        return repository.object_path(sha256)
    except NotFound:
        return None
