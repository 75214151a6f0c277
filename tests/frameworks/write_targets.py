"""Write releases of tokens, rows, samples and conversations with every export target into the folder that is named, and
print where they lie: run in the environment that has the stack.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "datasets"))

from chat_world import RECIPE as CHATS
from chat_world import conversations, export
from test_sample_release import RECIPE as SAMPLES
from test_table_release import RECIPE as ROWS
from tiny_world import RECIPE, export_rows, row, texts, write_world

from warehouse.datasets.recipe import TARGETS
from warehouse.datasets.table_recipe import SAMPLE_TARGETS

if __name__ == "__main__":
    world = write_world(Path(sys.argv[1]), [row(number, text) for number, text in enumerate(texts(60))])
    print(world.export(replace(RECIPE, targets=TARGETS)).path)
    print(export_rows(ROWS, Path(sys.argv[1])).path)
    print(export_rows(replace(SAMPLES, targets=SAMPLE_TARGETS), Path(sys.argv[1])).path)
    print(export(Path(sys.argv[1]), conversations(60), replace(CHATS, targets=TARGETS)).path)
