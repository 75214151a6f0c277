"""A shard of conversations made, beside the ids and masks that ``tokenizers`` makes of the same words.

    make bench AREA=chats
    make bench AREA=chats ARGS="--conversations 4000"          400 else

Conversations are pieces of texts of all kinds (samples.py) as one to four turns, a third with a system message: what is
asked of 40 to 400 characters, what is answered of 200 to 2,500. The vocabulary has 8,192 entries trained on them.
shard: what a worker does, by each template: words, ids, mask, the proof on its sample, packing and the files. words:
the template with its guards. encode: ids, masks and places of these words by the kernel, beside ``tokenizers``, one
thread; equal_share: of the conversations of which both make the same. CPU seconds (user and system) in turns, medians
of ROUNDS. Last line: JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import samples
from datasets import in_turns

from warehouse.datasets.chat_encoding import Encoded, encode, encode_fast, make_chat_encoder
from warehouse.datasets.chat_guard import make_speller
from warehouse.datasets.chat_shards import make_chat_shard
from warehouse.datasets.chat_template import BUILT_IN, Worded, worded
from warehouse.datasets.conversations import MESSAGES
from warehouse.datasets.recipe import Chat, DatasetRecipe, Train
from warehouse.datasets.shards import ShardTask
from warehouse.datasets.vocabulary import open_vocabulary, trained

LENGTH, CHARACTERS, SYSTEM = 2048, 4_000, {"role": "system", "content": "You are a helpful assistant."}


def main() -> None:
    """Everything above, a line each, and all of it as JSON in the last line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--conversations", type=int, default=400)
    rows = conversations(parser.parse_args().conversations)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    measured: dict[str, float] = {"conversations": len(rows)}
    for name in BUILT_IN:
        with tempfile.TemporaryDirectory(prefix="bench-chats-") as folder:
            measured |= {f"{name}_{what}": value for what, value in measure(task_of(Path(folder), name, rows)).items()}
    for name, value in measured.items():
        print(f"{name:32} {value}")
    print(json.dumps(measured))


def conversations(count: int) -> list[list[dict[str, str]]]:
    """Messages of seeded pieces of texts."""
    texts = samples.of(samples.whole(samples.DATA, count * CHARACTERS * 2))
    chance, whole, at = random.Random(1), "\n\n".join(texts), 0
    rows: list[list[dict[str, str]]] = []
    for number in range(count):
        rows.append([SYSTEM] if number % 3 == 0 else [])
        for _ in range(chance.randint(1, 4)):
            for role, least, most in (("user", 40, 400), ("assistant", 200, 2_500)):
                size = chance.randint(least, most)
                rows[-1].append({"role": role, "content": whole[at : at + size]})
                at = (at + size) % (len(whole) - 2_500)
    return rows


def task_of(folder: Path, template: str, rows: list[list[dict[str, str]]]) -> ShardTask:
    """The task of one shard of all conversations by a built-in template, its tokenizer made."""
    made = BUILT_IN[template]
    chat = Chat(("id",), made.text, made.special, called=template)
    recipe = DatasetRecipe("bench", "SELECT", tokenizer=Train(8192), sequence_length=LENGTH, chat=chat)
    keys, train = pa.array([str(number) for number in range(len(rows))]), pa.array(["train"] * len(rows))
    sizes = pa.array([sum(len(message["content"].encode()) for message in row) for row in rows])
    columns = {"doc_id": keys, "split": train, "bytes": sizes, "key": keys, "messages": pa.array(rows, MESSAGES)}
    (folder / "recipe").mkdir()
    tokenizer = trained(Train(8192), 0, pa.table(columns), None, special=made.special)
    (folder / "recipe" / "tokenizer.json").write_text(tokenizer, "utf-8")
    return ShardTask(folder, "train", 0, recipe, pa.table(columns), None, 4096, threads=False)


def measure(task: ShardTask) -> dict[str, float]:
    """The figures of a template by name."""
    vocabulary = open_vocabulary(task.folder / "recipe" / "tokenizer.json", task.recipe)
    kernel, chat = make_chat_encoder(vocabulary), task.recipe.chat
    assert kernel is not None and chat is not None
    speller, rows = make_speller(list(vocabulary.special)), task.wanted["messages"].to_pylist()

    def words() -> list[Worded]:
        return [worded(chat, row, speller, named=vocabulary.named, where="bench") for row in rows]

    texts = words()
    mine, theirs = list(encode_fast(texts, vocabulary, kernel)), list(encode(texts, vocabulary))
    make_chat_shard(replace(task, wanted=task.wanted.slice(0, 20)))
    spent = in_turns(
        {
            "shard": lambda: make_chat_shard(task),
            "words": words,
            "encode": lambda: list(encode_fast(texts, vocabulary, kernel)),
            "tokenizers": lambda: list(encode(texts, vocabulary)),
        }
    )
    tokens = sum(each.ids.size for each in mine)
    paces = {f"{name}_tokens_per_cpu_s": round(tokens / seconds) for name, seconds in spent.items()}
    return {"tokens": tokens, **paces, "equal_share": sum(map(equal, mine, theirs)) / len(mine)}


def equal(one: Encoded, other: Encoded) -> bool:
    """Whether ids, places and masks are the same."""
    pairs = ((one.ids, other.ids), (one.ends, other.ends), (one.learnt, other.learnt))
    return all(np.array_equal(left, right) for left, right in pairs)


if __name__ == "__main__":
    main()
