"""A release of conversations: selected with their messages, frozen, then made as one of documents is.

The select runs on the published snapshot; what it gives goes into documents.parquet, from which ``rebuild`` makes every
file again without the repository. Lost: the whole selection is held in memory, as Arrow and as Python values.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from warehouse import query
from warehouse.contracts import Check
from warehouse.datasets.card import cards
from warehouse.datasets.conversations import select_conversations
from warehouse.datasets.description import describe
from warehouse.datasets.recipe import Chat, DatasetRecipe
from warehouse.datasets.release import (
    Draft,
    Release,
    cpu_seconds,
    earlier_of,
    refuse_failed,
    rendering_facts,
    run_facts,
    shelve,
)
from warehouse.datasets.rendering import Progress, render
from warehouse.energy import Rate
from warehouse.manifest import Manifest


def export_chat(
    recipe: DatasetRecipe,
    chat: Chat,
    *,
    con: query.Connection,
    inputs: Sequence[tuple[str, int]],
    datasets: Path,
    created_at: datetime,
    run_id: str,
    checks: Sequence[Check],
    model_fingerprints: Mapping[str, str],
    at: Rate | None = None,
    drawn: Collection[str] = (),
    processes: int = 1,
    batch_rows: int = 4096,
    progress: Progress | None = None,
    signing_key: Path | None = None,
) -> Release[Manifest]:
    """Make a release of the conversations that ``recipe`` selects from ``con``.

    drawn: tables of synthetic rows that the SELECT reads, which it must then mark. The rest, and what it raises: as
    ``export``; RecipeError too for messages that the template refuses.
    """
    refuse_failed(checks)
    before = time.perf_counter(), cpu_seconds()

    def make(folder: Path) -> Draft[Manifest]:
        made = render(
            recipe,
            select_conversations(recipe, chat, con, drawn),
            None,
            folder=folder,
            processes=processes,
            batch_rows=batch_rows,
            progress=progress,
            earlier=earlier_of(datasets / recipe.name),
        )
        manifest = describe(made, inputs=inputs, checks=checks, model_fingerprints=model_fingerprints)
        run = rendering_facts(made, batch_rows=batch_rows, processes=processes)
        facts = run_facts(before, created_at=created_at, run_id=run_id, at=at)
        return Draft(manifest, cards(manifest, recipe, made.documents), {**facts, **run})

    return shelve(datasets / recipe.name, make, signing_key)
