"""From a training sample back to its documents, why they were kept, and the bytes they were read from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from warehouse.datasets import Segment, TableRecipe, load_recipe, read_manifest, trace
from warehouse.errors import NotFound
from warehouse.project import Project
from warehouse.publish import connect_current
from warehouse.query import CatalogError, Connection, fetch_all
from warehouse.repository import Repository


@dataclass(frozen=True, slots=True)
class Decision:
    """What the published snapshot says of a document today, by the rule set that the release was selected with."""

    rule_set: str
    kept: bool
    reason: str | None
    value: float | None
    threshold: float | None


@dataclass(frozen=True, slots=True)
class Traced:
    """A piece of a sample with the object it was read from and its decision; None where either is no longer here."""

    segment: Segment
    object: Path | None
    object_bytes: int | None
    decision: Decision | None


def trace_sample(
    project: Project,
    release: Path,
    sample: int,
    *,
    split: str | None = None,
    token: int | None = None,
    env: str = "prod",
) -> tuple[Traced, ...]:
    """Each piece of the sample, in order; or the one that holds ``token``. split: default the release's first.

    Raises NotFound for a split, sample or token that is not there.
    """
    segments = trace(release, split or next(iter(read_manifest(release).splits)), sample, token)
    decisions = _decisions(project, env, release, [segment.doc_id for segment in segments])
    repository = Repository(project.root)
    return tuple(_traced(repository, segment, decisions.get(segment.doc_id)) for segment in segments)


def _traced(repository: Repository, segment: Segment, decision: Decision | None) -> Traced:
    try:
        path = repository.object_path(segment.object_sha256)
    except NotFound:
        return Traced(segment, None, None, decision)
    return Traced(segment, path, path.stat().st_size, decision)


def _decisions(project: Project, env: str, release: Path, documents: list[str]) -> dict[str, Decision]:
    """By doc_id; empty where the release states no rule set or nothing is published."""
    recipe = load_recipe(release / "recipe" / "recipe.yaml")
    rule_set = None if isinstance(recipe, TableRecipe) else recipe.rule_set
    if rule_set is None:
        return {}
    try:
        with connect_current(project.published, env) as con:
            return {row[0]: Decision(*row[1:]) for row in _rows(con, rule_set, documents)}
    except NotFound:
        return {}


def _rows(con: Connection, rule_set: str, documents: list[str]) -> list[tuple[Any, ...]]:
    sql = """
        SELECT doc_id, rule_set, kept, reason, value, threshold
        FROM curation.decisions WHERE rule_set = $1 AND list_contains($2, doc_id)"""
    try:
        return fetch_all(con, sql, [rule_set, documents])
    except CatalogError:  # the snapshot was built without curation.decisions
        return []
