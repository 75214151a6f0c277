"""A release of conversations: selected with their messages, frozen, then made as one of documents is.

The select runs on the published snapshot; what it gives goes into documents.parquet, from which ``rebuild`` makes every
file again without the repository. Lost: the whole selection is held in memory, as Arrow and as Python values.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from warehouse.datasets.card import cards
from warehouse.datasets.chat_masks import FindPersonal
from warehouse.datasets.conversations import select_conversations
from warehouse.datasets.description import describe
from warehouse.datasets.recipe import Chat, DatasetRecipe
from warehouse.datasets.release import Basis, Draft, Release, earlier_of, rendering_facts, shelve
from warehouse.datasets.rendering import Progress, render
from warehouse.manifest import Manifest


def export_chat(
    recipe: DatasetRecipe,
    chat: Chat,
    basis: Basis,
    *,
    find: FindPersonal,
    drawn: Collection[str] = (),
    processes: int = 1,
    batch_rows: int = 4096,
    progress: Progress | None = None,
) -> Release[Manifest]:
    """Make a release of the conversations that ``recipe`` selects.

    find: personal data in messages, where the recipe masks some; drawn: tables of synthetic rows that the SELECT reads,
    which it must then mark. The rest, and what it raises: as ``export``; RecipeError too for messages that the template
    refuses.
    """

    def make(folder: Path) -> Draft[Manifest]:
        made = render(
            recipe,
            select_conversations(recipe, chat, basis.con, drawn, find),
            None,
            folder=folder,
            processes=processes,
            batch_rows=batch_rows,
            progress=progress,
            earlier=earlier_of(basis.datasets / recipe.name, Manifest),
        )
        manifest = describe(made, inputs=basis.inputs, checks=basis.checks, model_fingerprints=basis.model_fingerprints)
        run = rendering_facts(made, batch_rows=batch_rows, processes=processes)
        return Draft(manifest, cards(manifest, recipe, made.documents), run)

    return shelve(basis, recipe.name, make)
