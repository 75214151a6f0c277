"""Write the releases that the examples train on, small, into the folder that is named, with the stack's environment.

Paragraphs of the checkout's own documentation stand in for the demo's corpus: curated are the long ones, raw is all,
other is raw with its clusters dealt to splits in another way.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "datasets"))

from tiny_world import KNOWN, RECIPE, export_rows, row, write_world

from warehouse.datasets.recipe import Given, Train
from warehouse.datasets.table_recipe import TableRecipe

ALL = "SELECT doc_id FROM repository.documents"
LONG = f"{ALL} WHERE strlen(text) > 400"
RULES = {"curated": LONG, "raw": ALL, "unseen": ALL, "other": ALL}
REQUESTS = """
    SELECT 'made' AS trace, range AS number, TIMESTAMPTZ '2025-01-01' + to_seconds(range) AS moment,
        hash(range) % 1000 AS context_tokens, (hash(range) % 1000) / 2 + hash(range, 1) % 9 AS generated_tokens
    FROM range(2000)"""
ROWS = TableRecipe(
    name="requests",
    select=f"SELECT trace, moment, context_tokens::BIGINT AS context_tokens, "
    f"generated_tokens::BIGINT AS generated_tokens FROM ({REQUESTS})",
    key=("trace", "moment"),
    entity=("trace",),
    time="moment",
    split_by="time",
    splits=(("train", 0.8), ("validation", 0.2)),
)


def main(folder: Path) -> None:
    pages = [page.read_text("utf-8") for page in sorted((Path(__file__).parents[2] / "docs").glob("*.md"))]
    sections = [part for page in pages for part in page.split("\n\n") if part.strip()]
    world = write_world(folder, [row(number, text) for number, text in enumerate(sections)])
    tokenizer: Train | Given = Train(vocab_size=600, max_bytes=300_000)
    for name, select in RULES.items():
        seed = 8 if name == "other" else 7
        recipe = replace(RECIPE, name=name, select=select, tokenizer=tokenizer, sequence_length=128, seed=seed)
        made = world.export(recipe)
        tokenizer = Given(made.path / "recipe" / "tokenizer.json")
    export_rows(ROWS, folder / "out", created_at=KNOWN + timedelta(days=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
