"""The selection of a release made again from the versions of tables that it names, and compared byte for byte.

What the select reads is a published generation of these versions while one is kept, else the models of ``sql/`` built
anew on them in a file of its own: maintenance keeps the versions that live releases name.
"""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from pipelines.export import basis, features_of, of_conversations, of_documents, of_rows
from warehouse import datasets, models, publish
from warehouse.answers.features import released_sets
from warehouse.contracts import Snapshot
from warehouse.datasets import DatasetRecipe, TableRecipe, Verified
from warehouse.errors import NotFound
from warehouse.features import FeatureSet
from warehouse.manifest import AnyManifest, refuse_part
from warehouse.project import Project
from warehouse.query import Connection, attach_repository, connect, literal
from warehouse.repository import Repository

RUN = "reselect"
Stored = Mapping[FeatureSet, Snapshot]


@dataclass(frozen=True, slots=True)
class Reselected:
    """A release of which the selection came out again. generation: of the environment; None: the models were built."""

    same: Verified
    generation: int | None


def reselect(project: Project, path: Path, *, env: str) -> Reselected:
    """Select again what the release in ``path`` was selected from, make it again, and compare every byte.

    Raises IntegrityError where anything differs, NotFound where a version of a table or a model is gone, FormatError
    for a part of a release, StorageFull.
    """
    refuse_part(path)
    manifest, recipe = datasets.read_any(path), datasets.load_recipe(path / "recipe" / "recipe.yaml")
    stored = _stored(project, path, recipe, manifest)
    with (
        tempfile.TemporaryDirectory(prefix=f"{RUN}-", dir=project.state) as scratch,
        _snapshot(project, manifest, stored, env, Path(scratch)) as (con, generation),
    ):
        stated = replace(basis(project, con, RUN), datasets=Path(scratch), signing_key=None)
        return Reselected(datasets.verify_same(path, _made(project, recipe, stated, stored)), generation)


def _made(project: Project, recipe: DatasetRecipe | TableRecipe, stated: datasets.Basis, stored: Stored) -> Path:
    if isinstance(recipe, TableRecipe):
        return of_rows(project, recipe, stated, stored).path
    if recipe.chat:
        return of_conversations(recipe, recipe.chat, stated, processes=1).path
    return of_documents(project, recipe, stated, processes=1).path


def _stored(project: Project, path: Path, recipe: DatasetRecipe | TableRecipe, manifest: AnyManifest) -> Stored:
    """The rows of feature sets that a release of rows read, as these were defined and stored."""
    if not isinstance(recipe, TableRecipe):
        return {}
    known = {made.name: made for made in released_sets(path)}
    return {made: _as_it_was(project, made.table, manifest) for made in features_of(recipe, known)}


def _as_it_was(project: Project, table: str, manifest: AnyManifest) -> Snapshot:
    if table not in manifest.inputs:
        raise NotFound(f"the release names no version of {table}", allowed=", ".join(manifest.inputs))
    return Repository(project.root).snapshot(table, version=manifest.inputs[table])


@contextmanager
def _snapshot(
    project: Project, manifest: AnyManifest, stored: Stored, env: str, scratch: Path
) -> Iterator[tuple[Connection, int | None]]:
    """What the release was selected from, and the number of its generation if that is kept."""
    also = list(stored.values())
    found = publish.generation_of(
        project.published,
        env,
        manifest.inputs,
        manifest.model_fingerprints,
        beside=[each.table for each in also],
    )
    path = found.path if found else _built(project, manifest, scratch / "models.duckdb")
    with publish.connect_file(path, root=project.root, memory_limit=project.memory_limit, also=also) as con:
        yield con, found.n if found else None


def _built(project: Project, manifest: AnyManifest, path: Path) -> Path:
    """A file of the models on the tables as they were, as ``publish`` would show them."""
    loaded = models.load_models(project.files("sql", "*.sql"))
    inputs = [_as_it_was(project, table, manifest) for table in manifest.inputs]
    with connect(path, memory_limit=project.memory_limit) as con:
        attach_repository(con, inputs)
        con.execute(f"SET VARIABLE words_mode = {literal(project.words)}")
        built = list(models.build(con, loaded))
    _refuse_other_models({each.model.name: each.model.fingerprint for each in built if not each.skipped}, manifest)
    publish.write_meta(
        path,
        root=project.root,
        n=0,
        env=RUN,
        inputs=inputs,
        checks=[],
        models=built,
        created_at=datetime.now(UTC),
        run_id=RUN,
    )
    return path


def _refuse_other_models(now: Mapping[str, str], manifest: AnyManifest) -> None:
    then = manifest.model_fingerprints
    changed = sorted(name for name in {*now, *then} if now.get(name) != then.get(name))
    if changed:
        raise NotFound(
            f"no generation that {manifest.name} was selected from is kept, and these models changed since: "
            f"{', '.join(changed[:5])}{f' and {len(changed) - 5} more' if len(changed) > 5 else ''}",
            allowed="the models as they were",
            do="check out sql/ as it was when the release was made, or verify with --rebuild",
        )
