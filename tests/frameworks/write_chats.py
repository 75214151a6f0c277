"""Write releases of conversations by several templates: run in the environment that has the stack."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "datasets"))

from chat_world import RECIPE, conversations, export

from warehouse.datasets import Chat, Train
from warehouse.datasets.chat_template import BUILT_IN

OWN = (Path(__file__).parent / "own.jinja").read_text("utf-8")

if __name__ == "__main__":
    chats = {name: Chat(("id",), made.text, made.special, called=name) for name, made in BUILT_IN.items()}
    chats["own"] = Chat(("id",), OWN, ("<|user|>", "<|bot|>"), loss=(), bos="<|begin|>")
    for name, chat in chats.items():
        recipe = replace(RECIPE, name=name, chat=chat, sequence_length=1024, tokenizer=Train(vocab_size=600))
        print(export(Path(sys.argv[1]), conversations(60), recipe).path)
