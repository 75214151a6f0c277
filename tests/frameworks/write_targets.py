"""Write releases of tokens, rows and samples with every export target into the folder that is named, and print where
they lie: run in the environment that has the stack.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "datasets"))

from test_sample_release import RECIPE as SAMPLES
from test_table_release import RECIPE as ROWS
from tiny_world import KNOWN, RECIPE, row, texts, write_world

from warehouse import query
from warehouse.datasets import TableRecipe, export_table
from warehouse.datasets.recipe import TARGETS
from warehouse.datasets.table_recipe import SAMPLE_TARGETS


def exported(recipe: TableRecipe, folder: Path) -> Path:
    """A release of rows or samples."""
    stated = {"inputs": [], "checks": [], "model_fingerprints": {}, "run_id": "run", "created_at": KNOWN}
    with query.connect() as con:
        return export_table(recipe, con=con, datasets=folder, **stated).path


if __name__ == "__main__":
    world = write_world(Path(sys.argv[1]), [row(number, text) for number, text in enumerate(texts(60))])
    print(world.export(replace(RECIPE, targets=TARGETS)).path)
    print(exported(ROWS, Path(sys.argv[1])))
    print(exported(replace(SAMPLES, targets=SAMPLE_TARGETS), Path(sys.argv[1])))
