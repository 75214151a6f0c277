"""Stage datasets: a recipe becomes an immutable, verifiable release of token shards, or of rows of a table.

    recipe -> select -> leave out -> freeze -> mix -> tokenise and pack each shard -> describe -> one rename

``export``, ``export_chat`` and ``export_table`` make one of a ``Basis``, ``verify``, ``rebuild`` and ``verify_same``
check one, ``trace`` leads from a sample to its documents and ``holding`` back, and ``list_releases`` and ``resolve``
find them. ``warehouse.loader`` reads them.
"""

from warehouse.datasets.chat import export_chat
from warehouse.datasets.conversations import selected
from warehouse.datasets.decontamination import Overlap
from warehouse.datasets.holding import Piece, holding
from warehouse.datasets.integrity import Verified, rebuild, verify, verify_same
from warehouse.datasets.kinds import load_recipe
from warehouse.datasets.lineage import Segment, trace, vocabulary_of
from warehouse.datasets.mixture import Mixture
from warehouse.datasets.recipe import Chat, DatasetRecipe, Given, Train
from warehouse.datasets.release import Basis, Release, export
from warehouse.datasets.rendering import DOCUMENTS
from warehouse.datasets.selection import run_select
from warehouse.datasets.shelf import Listed, list_releases, named, resolve, revoke, versions_of
from warehouse.datasets.table_recipe import TableRecipe
from warehouse.datasets.tables import export_table, read_row
from warehouse.manifest import Manifest, TableManifest, read_any, read_manifest

__all__ = [
    "DOCUMENTS",
    "Basis",
    "Chat",
    "DatasetRecipe",
    "Given",
    "Listed",
    "Manifest",
    "Mixture",
    "Overlap",
    "Piece",
    "Release",
    "Segment",
    "TableManifest",
    "TableRecipe",
    "Train",
    "Verified",
    "export",
    "export_chat",
    "export_table",
    "holding",
    "list_releases",
    "load_recipe",
    "named",
    "read_any",
    "read_manifest",
    "read_row",
    "rebuild",
    "resolve",
    "revoke",
    "run_select",
    "selected",
    "trace",
    "verify",
    "verify_same",
    "versions_of",
    "vocabulary_of",
]
