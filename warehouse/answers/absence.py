"""Why a release lacks documents: what the snapshot that it was selected from says of each.

That snapshot is one of the published generations, found by the Delta versions and model fingerprints that the release's
manifest states; the last few are kept. Where it is gone, the current one may be asked instead, and says what holds
today.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from warehouse.contracts import Snapshot
from warehouse.datasets import DatasetRecipe, run_select, selected
from warehouse.errors import RecipeError
from warehouse.manifest import AnyManifest
from warehouse.project import Project
from warehouse.publish import connect_current, connect_file, generation_of, generations
from warehouse.query import Connection, fetch_all, relations
from warehouse.repository import Repository, keyed_hash


@dataclass(frozen=True, slots=True)
class Why:
    """Why a document is not in a release.

    reason: of the rule set, as in curation.decisions, with its value and threshold (other: the twin that was kept);
    not_current: its uri holds another version by then (other, known later); not_in_repository: no version of the
    table had it yet, or any more; taken_down (says: why); not_selected: the rules keep it, the recipe's select does not
    give it; left_out: selected, but nothing of it was left by the recipe's contamination or lines; not_taken: selected,
    by a recipe with a mixture whose tokens were reached without it, or with dates that it is later than, if anything of
    it was left; not_known: the snapshot is no longer there. rule_set: where a rule decided.
    """

    reason: str
    rule_set: str | None = None
    value: float | None = None
    threshold: float | None = None
    other: str | None = None
    says: str | None = None


NOT_KNOWN = Why("not_known")


@dataclass(frozen=True, slots=True)
class Asked:
    """The snapshot that is asked. exact: it is the one that the release was selected from; con: None for none."""

    con: Connection | None
    exact: bool


@contextmanager
def selected_from(
    project: Project, env: str, manifest: AnyManifest, *, or_current: bool, also: Sequence[Snapshot] = ()
) -> Iterator[Asked]:
    """The snapshot that a release was selected from; where it is gone the current one, or none.

    also: tables that it read beside the snapshot, to be asked too.
    """
    beside = [each.table for each in also]
    found = generation_of(project.published, env, manifest.inputs, manifest.model_fingerprints, beside=beside)
    with ExitStack() as stack:
        if found is not None:
            yield Asked(stack.enter_context(connect_file(found.path, root=project.root, also=also)), True)
        elif or_current and generations(project.published, env):
            yield Asked(stack.enter_context(connect_current(project.published, env)), False)
        else:
            yield Asked(None, False)


def absences(asked: Asked, project: Project, recipe: DatasetRecipe, documents: pa.Table) -> dict[str, Why]:
    """By doc_id why the release of ``recipe`` lacks each of ``documents`` (doc_id, source, uri, record, content_hash).

    Raises NotFound where a file of a pinned version is gone.
    """
    names = documents["doc_id"].to_pylist()
    if asked.con is None or not names:
        return dict.fromkeys(names, NOT_KNOWN)
    if recipe.chat:  # conversations are rows of other tables: the select alone says
        return _not_selected(asked.con, recipe, names)
    held = relations(asked.con)
    asked.con.register("lacking", documents)
    answers = [
        _not_selected(asked.con, recipe, names),
        _decided(asked.con, recipe.rule_set) if "curation.decisions" in held and recipe.rule_set else {},
        _superseded(asked.con) if "staging.current_documents" in held else {},
        _not_there(asked.con, project),
    ]
    return {name: why for answer in answers for name, why in answer.items()}


_NOT_THERE = """
SELECT doc_id, content_hash FROM lacking ANTI JOIN repository.documents USING (doc_id)
"""
_SUPERSEDED = """
SELECT lacking.doc_id, arg_max(later.doc_id, (later.record = lacking.record, later.known_at, later.doc_id))
FROM lacking
SEMI JOIN repository.documents AS held ON held.doc_id = lacking.doc_id
ANTI JOIN staging.current_documents AS now ON now.doc_id = lacking.doc_id
LEFT JOIN staging.current_documents AS later ON later.source = lacking.source AND later.uri = lacking.uri
GROUP BY lacking.doc_id
"""
_DECIDED = """
SELECT doc_id, reason, value, threshold, twin
FROM curation.decisions SEMI JOIN lacking USING (doc_id)
WHERE rule_set = $1 AND NOT kept
"""


def _not_there(con: Connection, project: Project) -> dict[str, Why]:
    found = fetch_all(con, _NOT_THERE)
    taken = _taken_down(project, [content for _, content in found])
    return {
        name: Why("taken_down", says=taken[content]) if content in taken else Why("not_in_repository")
        for name, content in found
    }


def _taken_down(project: Project, contents: list[str]) -> dict[str, str]:
    """By content hash why it was taken down; of those that were."""
    repository = Repository(project.root)
    if not contents or "takedowns" not in repository.tables():
        return {}
    key, files = repository.takedown_key(), repository.snapshot("takedowns").files
    rows = [row for file in files for row in pq.read_table(file, columns=["keyed_hash", "why"]).to_pylist()]
    barred = {row["keyed_hash"]: row["why"] for row in rows}
    hashed = {content: keyed_hash(key, content) for content in contents}
    return {content: barred[name] for content, name in hashed.items() if name in barred}


def _superseded(con: Connection) -> dict[str, Why]:
    return {name: Why("not_current", other=other) for name, other in fetch_all(con, _SUPERSEDED)}


def _decided(con: Connection, rule_set: str) -> dict[str, Why]:
    rows = fetch_all(con, _DECIDED, [rule_set])
    return {name: Why(reason, rule_set, value, threshold, twin) for name, reason, value, threshold, twin in rows}


def _not_selected(con: Connection, recipe: DatasetRecipe, names: list[str]) -> dict[str, Why]:
    try:
        given = (
            selected(recipe, recipe.chat, con)
            if recipe.chat
            else set(run_select(con, recipe.select, at=recipe.at)["doc_id"].to_pylist())
        )
    except RecipeError as error:
        return dict.fromkeys(names, Why("not_known", says=str(error)))
    otherwise = "not_taken" if recipe.mixture or recipe.until else "left_out"
    return {name: Why(otherwise if name in given else "not_selected") for name in names}
