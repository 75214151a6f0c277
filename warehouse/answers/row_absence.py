"""Why a release lacks rows: what the snapshot that it was selected from gives of their keys, by both selects.

A row of a release names no row of a table, so what can be known is whether the select of one recipe or of the other
gives its key from that snapshot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from warehouse.answers.absence import selected_from
from warehouse.answers.features import released_sets, upstream
from warehouse.answers.keys import Truths, held
from warehouse.contracts import Snapshot
from warehouse.datasets import TableManifest, TableRecipe
from warehouse.datasets.tables import select_keys
from warehouse.errors import NotFound, RecipeError
from warehouse.features import FeatureSet, compiled_on, fingerprint, show
from warehouse.project import Project
from warehouse.query import Connection
from warehouse.repository import Repository

NOT_KNOWN = "not_known"


class Compared(Protocol):
    """A release of rows that is compared."""

    @property
    def path(self) -> Path: ...
    @property
    def manifest(self) -> TableManifest: ...
    @property
    def recipe(self) -> TableRecipe: ...


@dataclass(frozen=True, slots=True)
class Absence:
    """Of each row why it is not in a release.

    not_selected: the select of the release that has it gives it from the snapshot of the one that lacks it, whose own
    select does not; not_there: neither does; selected: the release's own select does give it from the snapshot that was
    asked; not_known: no snapshot, or a select that fails there (says). exact: that snapshot is the one that the release
    was selected from.
    """

    why: pa.Array
    exact: bool
    says: str = ""


def row_absences(
    project: Project, env: str, lacking: Compared, having: Compared, keys: pa.Table, *, or_current: bool
) -> Absence:
    """Why ``lacking`` lacks the rows with these keys, which ``having`` has.

    or_current: ask the current snapshot where its own is gone; never of feature sets, whose rows are of one snapshot.
    """
    sets = {side.path: released_sets(side.path) for side in (lacking, having)}
    try:
        stored = _stored(project, lacking, [made for each in sets.values() for made in each])
    except NotFound as error:
        return Absence(pa.repeat(NOT_KNOWN, keys.num_rows), False, str(error))
    also, or_current = list(stored.values()), or_current and not stored
    with selected_from(project, env, lacking.manifest, or_current=or_current, also=also) as asked:
        if asked.con is None or not keys.num_rows:
            return Absence(pa.repeat(NOT_KNOWN, keys.num_rows), asked.exact)
        mine, says = _given(asked.con, lacking, sets[lacking.path], stored, keys)
        theirs, said = mine, says
        if mine is not None and having.recipe.select != lacking.recipe.select:
            theirs, said = _given(asked.con, having, sets[having.path], stored, keys)
        return Absence(pa.array(_whys(mine, theirs, keys.num_rows), pa.string()), asked.exact, says or said)


def _whys(mine: Truths | None, theirs: Truths | None, rows: int) -> npt.NDArray[np.str_]:
    if mine is None:
        return np.full(rows, NOT_KNOWN)
    if theirs is None:
        return np.where(mine, "selected", NOT_KNOWN)
    return np.where(mine, "selected", np.where(theirs, "not_selected", "not_there"))


def _stored(project: Project, lacking: Compared, sets: Sequence[FeatureSet]) -> dict[str, Snapshot]:
    """By table the rows of feature sets at the versions that a release names."""
    repository, inputs = Repository(project.root), lacking.manifest.inputs
    tables = {made.table for made in sets if made.table in inputs}
    return {table: repository.snapshot(table, version=inputs[table]) for table in sorted(tables)}


def _given(
    con: Connection, side: Compared, sets: Sequence[FeatureSet], stored: Mapping[str, Snapshot], keys: pa.Table
) -> tuple[Truths | None, str]:
    """Which of these keys the select of a release gives on this connection; None where it fails, and what it says."""
    try:
        for made in sets:
            if made.table in stored:
                mark = fingerprint(compiled_on(con, made), upstream(con, made))
                show(con, made, stored[made.table], mark=mark)
        return held(keys, select_keys(side.recipe, con)), ""
    except RecipeError as error:
        return None, str(error)
