"""Stage datasets: a recipe becomes an immutable, verifiable release of token shards.

    recipe -> select -> freeze -> tokenise and pack each shard -> describe -> one rename

``export`` makes one, ``verify`` and ``rebuild`` check one, ``trace`` leads from a sample to its documents, and
``list_releases`` and ``resolve`` find them. ``warehouse.loader`` reads them.
"""

from warehouse.datasets.integrity import Verified, rebuild, verify
from warehouse.datasets.lineage import Segment, trace
from warehouse.datasets.recipe import DatasetRecipe, Given, Train, load_recipe
from warehouse.datasets.release import Release, export
from warehouse.datasets.shelf import Listed, list_releases, resolve, versions_of
from warehouse.manifest import Manifest, read_manifest

__all__ = [
    "DatasetRecipe",
    "Given",
    "Listed",
    "Manifest",
    "Release",
    "Segment",
    "Train",
    "Verified",
    "export",
    "list_releases",
    "load_recipe",
    "read_manifest",
    "rebuild",
    "resolve",
    "trace",
    "verify",
    "versions_of",
]
