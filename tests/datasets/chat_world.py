"""Conversations made up by a seed, and releases of them. A module of its own, for another environment's test."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from tiny_world import basis, texts

from warehouse import query
from warehouse.curation import pii
from warehouse.datasets import Chat, DatasetRecipe, Manifest, Release, Train, export_chat
from warehouse.datasets.chat_template import BUILT_IN

MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
SCHEMA = pa.schema([("id", pa.int64()), ("messages", MESSAGES), ("_source", pa.string()), ("licence", pa.string())])
CHATML = BUILT_IN["chatml"]
RECIPE = DatasetRecipe(
    name="chats",
    select="SELECT * FROM chats",
    splits=(("train", 0.8), ("validation", 0.2)),
    tokenizer=Train(vocab_size=500, max_bytes=20_000),
    sequence_length=256,
    shards=2,
    seed=7,
    chat=Chat(("id",), CHATML.text, CHATML.special, called="chatml"),
)


def conversations(count: int) -> list[dict[str, Any]]:
    """Rows of one to three turns, some with a system message, some that begin or end with white space."""
    chance, words = random.Random(5), " ".join(texts(40)).split()
    odd = ("  leading and trailing \n", "émoji 👩‍👩‍👧 and 中文", "", "a  b\t\r\nc", "```python\nprint('<s>')\n```")
    made = []
    for number in range(count):
        messages = [{"role": "system", "content": "Answer in few words."}] if number % 3 == 0 else []
        for turn in range(1 + number % 3):
            answer = " ".join(chance.choices(words, k=chance.randint(1, 40)))
            messages.append({"role": "user", "content": f"{chance.choice(words)} {number}?"})
            messages.append({"role": "assistant", "content": odd[number % 5] if turn == number % 4 else answer})
        made.append(
            {"id": number, "messages": messages, "_source": ("made", "other")[number % 2], "licence": "CC0-1.0"}
        )
    return made


def export(
    folder: Path, rows: Sequence[dict[str, Any]], recipe: DatasetRecipe = RECIPE, *, out: str = "out", **options: Any
) -> Release[Manifest]:
    """A release of ``recipe`` from a table ``chats`` of these rows."""
    assert recipe.chat is not None
    with query.connect() as con:
        con.register("chats", pa.Table.from_pylist(list(rows), schema=SCHEMA))
        stated, rest = basis(con, folder / out, {"inputs": {"chats": 3}, "model_fingerprints": {}} | options)
        return export_chat(recipe, recipe.chat, stated, **({"find": pii} | rest))
