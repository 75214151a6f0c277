"""Write a release with every export target into the folder that is named: run in the environment that has the stack."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "datasets"))

from tiny_world import RECIPE, row, texts, write_world

from warehouse.datasets.recipe import TARGETS

if __name__ == "__main__":
    world = write_world(Path(sys.argv[1]), [row(number, text) for number, text in enumerate(texts(60))])
    print(world.export(replace(RECIPE, targets=TARGETS)).path)
