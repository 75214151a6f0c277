"""A data set of conversations: recipes/datasets/<name>.yaml with ``kind: chat``, refused with its file and line.

What it shares with documents (tokenizer, samples, splits, seed) is checked as there; ``template`` is a built-in name or
a Jinja file beside the recipe, whose text the recipe then holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import jinja2

from warehouse.datasets.chat_template import BUILT_IN, environment, reads_loss
from warehouse.datasets.recipe import KEYS, Chat, DatasetRecipe, name
from warehouse.recipes import Check, Keys, Stated, checked, choice, string, strings


def load_chat_recipe(path: Path) -> DatasetRecipe:
    """The recipe in ``path``. Raises RecipeError, ``file:line: ...``, for anything that is not as it should be."""
    stated = Stated.read(path, allowed=", ".join(CHAT_KEYS))
    values = checked(stated, (), CHAT_KEYS, required=("select", "key", "template"))
    del values["kind"]
    values |= {"mask": values.pop("pii")} if "pii" in values else {}
    values.setdefault("name", name(stated, None))
    called, text, special = values.pop("template")
    if special and "special" in values:
        stated.refuse(("special",), f"special beside the built-in template {called}", "special for a template's file")
    if not reads_loss(text):
        if "loss" in values:
            stated.refuse(("loss",), f"loss beside {called}", "one of both: it says by {% generation %} what is learnt")
        values["loss"] = ()
    values.setdefault("special", special)
    own = {key: values.pop(key) for key in _OWN if key in values}
    return DatasetRecipe(**values, chat=Chat(template=text, called=called, **own), at=stated.place(("select",)))


def _template(stated: Stated, key: Keys) -> tuple[str, str, tuple[str, ...]]:
    """What a template is called, its text, and the special tokens of a built-in one."""
    called = string(stated, key)
    if called in BUILT_IN:
        return called, BUILT_IN[called].text, BUILT_IN[called].special
    path = stated.path.parent / called
    if path.suffix != ".jinja" or not path.is_file():
        stated.refuse(key, f"template is {called!r}", f"{', '.join(BUILT_IN)}, or a file *.jinja beside the recipe")
    try:
        text = path.read_text("utf-8")
        environment().from_string(text)
    except jinja2.TemplateSyntaxError as error:
        stated.refuse(key, f"{called}:{error.lineno}: {error.message}", "a Jinja template, as Hugging Face's")
    except UnicodeDecodeError:
        stated.refuse(key, f"{called} is not in UTF-8", "a Jinja template, as Hugging Face's")
    return called, text, ()


_OWN = tuple(field.name for field in fields(Chat) if field.name not in ("template", "called"))
_SHARED = (
    *("name", "description", "select", "splits", "tokenizer", "sequence_length"),
    *("packing", "shards", "seed", "max_synthetic_share", "pii", "targets", "credits"),
)

CHAT_KEYS: Mapping[str, Check] = {
    "kind": choice("chat"),
    "key": strings,
    "template": _template,
    "special": strings,
    "loss": strings,
    "longer": choice("drop", "cut"),
    "bos": string,
    **{shared: KEYS[shared] for shared in _SHARED},
}
