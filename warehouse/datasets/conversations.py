"""Which conversations a release holds: the recipe's SELECT, frozen with their messages and facts.

The frozen table is that of documents with the messages themselves, so a release is made again from it alone. A
conversation is named by its key. Unless the select gives a cluster, it is what stands before the first message that is
learnt, case and white space folded: one prompt with several answers never lies in two splits.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from warehouse import query
from warehouse.contracts import content_hash, digest
from warehouse.datasets.chat_masks import FindPersonal, without_personal
from warehouse.datasets.recipe import Chat, DatasetRecipe
from warehouse.datasets.selection import FROZEN, arranged, check_synthetic, run_select
from warehouse.datasets.tables import names_of, refuse_keys, refuse_unmarked
from warehouse.errors import RecipeError

MESSAGES = pa.list_(pa.field("element", pa.struct([("role", pa.string()), ("content", pa.string())])))
CONVERSATION = pa.schema([("key", pa.string()), ("messages", MESSAGES)])
CONVERSATIONS = pa.schema([*FROZEN, *CONVERSATION])
"""FROZEN, the key as JSON, and the messages."""

NONCHARACTER = re.compile("[\ufdd0-\ufdd2]")
ROLE = re.compile(r"[\w-]{1,64}")
STATED = ("source", "uri", "record", "object_sha256", "known_at", "licence", "language", "synthetic", "generation")
"""Facts of a conversation where the select gives them, by these names or those that typed tables have (``_uri``)."""

LEARNT = ("assistant",)
"""Roles taken for those that are learnt where the template says it and not the recipe."""

Conversation = list[dict[str, str]]


def select_conversations(
    recipe: DatasetRecipe, chat: Chat, con: query.Connection, drawn: Collection[str], find: FindPersonal
) -> pa.Table:
    """What the recipe's SELECT gives, frozen (CONVERSATIONS): sorted by split, shard, seeded hash.

    drawn: tables of synthetic rows that it reads; find: personal data in messages, where the recipe masks some. Raises
    RecipeError for anything but conversations, each named once; CheckFailed if synthetic text passes the cap or is not
    marked.
    """
    table = _given(recipe, chat, con)
    refuse_unmarked(table, drawn, at=recipe.at)
    facts = _facts(recipe, chat, table, find)
    check_synthetic(recipe, facts)
    return arranged(recipe, facts, CONVERSATIONS)


def selected(recipe: DatasetRecipe, chat: Chat, con: query.Connection) -> set[str]:
    """The doc_id of every conversation that the SELECT gives now."""
    return set(names_of(_given(recipe, chat, con), chat.key))


def _given(recipe: DatasetRecipe, chat: Chat, con: query.Connection) -> pa.Table:
    table = run_select(con, recipe.select, at=recipe.at)
    missing = [name for name in chat.key if name not in table.column_names]
    if missing:
        raise RecipeError(f"{recipe.at}: the select gives no {missing[0]}", allowed=", ".join(table.column_names))
    if not table.num_rows:
        raise RecipeError(f"{recipe.at}: the select gives no conversation", do="run it with 'warehouse sql'")
    refuse_keys(table, chat.key, chat.key, at=recipe.at)
    return table


def _facts(recipe: DatasetRecipe, chat: Chat, table: pa.Table, find: FindPersonal) -> pa.Table:
    """The table as CONVERSATIONS but for split and shard, of messages as they go out."""
    given, keys = list(_conversations(recipe, table)), _keys(chat, table)
    for key, messages in zip(keys, given, strict=True):
        _refuse_odd(messages, f"{recipe.at}: conversation {key}")
    rows, masks = without_personal(recipe, given, find)
    columns = {
        "doc_id": names_of(table, chat.key),
        "cluster": _given_clusters(table) or [_cluster(chat, each) for each in rows],
        "content_hash": [content_hash(json.dumps(each, ensure_ascii=False)) for each in rows],
        "bytes": [sum(len(message["content"].encode()) for message in each) for each in rows],
        "masked": masks,
        "key": keys,
        "messages": rows,
        **{name: _stated(recipe, table, name) for name in STATED},
    }
    arrays = {
        name: pa.array(values, CONVERSATIONS.field(name).type) if isinstance(values, list) else values
        for name, values in columns.items()
    }
    found = pa.table(arrays)
    record = pc.if_else(pc.equal(found["record"], ""), found["key"], found["record"])
    return found.set_column(found.column_names.index("record"), "record", record)


def _stated(recipe: DatasetRecipe, table: pa.Table, name: str) -> Any:
    """A fact of each conversation; what is not given is empty, and null where that means that it is not known."""
    kind, nullable = CONVERSATIONS.field(name).type, ("source", "licence", "language", "known_at")
    given = next((each for each in (name, f"_{name}") if each in table.column_names), None)
    if given is None:
        empty = None if name in nullable else {"synthetic": False, "generation": 0}.get(name, "")
        return pa.array([empty] * table.num_rows, kind)
    try:
        values = table[given].cast(kind)
    except pa.ArrowException as error:
        raise RecipeError(
            f"{recipe.at}: column {given}: {error}", allowed=str(kind), do="CAST it in the select"
        ) from None
    return values if name in nullable else pc.fill_null(values, {"synthetic": False, "generation": 0}.get(name, ""))


def _conversations(recipe: DatasetRecipe, table: pa.Table) -> Iterator[Conversation]:
    """The messages of each row, from ``messages`` or from ``prompt`` and ``response`` with ``system`` before them."""
    names = set(table.column_names)
    if "messages" in names:
        yield from _listed(recipe, table["messages"])
    elif names >= {"prompt", "response"}:
        roles = {"system": "system", "prompt": "user", "response": "assistant"}
        there = {role: table[name].to_pylist() for name, role in roles.items() if name in names}
        for values in zip(*there.values(), strict=True):
            pairs = zip(there, values, strict=True)
            yield [{"role": role, "content": text} for role, text in pairs if role != "system" or text is not None]
    else:
        raise RecipeError(
            f"{recipe.at}: the select gives {', '.join(table.column_names)}",
            allowed="messages, or prompt and response (and system)",
            do="name them so in the select, with AS",
        )


def _listed(recipe: DatasetRecipe, column: pa.ChunkedArray) -> Iterator[Conversation]:
    kind = column.type
    fields = (
        {field.name for field in kind.value_type}
        if pa.types.is_list(kind) and pa.types.is_struct(kind.value_type)
        else None
    )
    if fields != {"role", "content"}:
        raise RecipeError(
            f"{recipe.at}: messages is {kind}",
            allowed="a list of structs of role and content",
            do="make it by list_transform(messages, lambda m: {'role': m.role, 'content': m.content})",
        )
    yield from ([dict(role=each["role"], content=each["content"]) for each in row or ()] for row in column.to_pylist())


def _refuse_odd(messages: Sequence[Mapping[str, Any]], where: str) -> None:
    """Raise RecipeError for messages that no template can put into words."""
    if not messages:
        raise RecipeError(f"{where} has no message", do="leave it out in the select")
    for number, message in enumerate(messages):
        role, content = message["role"], message["content"]
        if not isinstance(role, str) or not ROLE.fullmatch(role):
            raise RecipeError(f"{where}: message {number} has the role {role!r}", allowed="a word, such as user")
        if not isinstance(content, str):
            raise RecipeError(f"{where}: the content of message {number} is {content!r}", allowed="a text")
        if NONCHARACTER.search(content):
            raise RecipeError(
                f"{where}: message {number} holds a noncharacter of Unicode",
                allowed="any text without U+FDD0 to U+FDD2",
                do="replace it in the select",
            )


def _given_clusters(table: pa.Table) -> list[str | None]:
    """The column ``cluster`` as texts; empty where there is none."""
    return table["cluster"].cast(pa.string()).to_pylist() if "cluster" in table.column_names else []


def _keys(chat: Chat, table: pa.Table) -> list[str]:
    rows = table.select(chat.key).to_pylist()
    return [json.dumps(row, ensure_ascii=False, default=str) for row in rows]


def _cluster(chat: Chat, messages: Conversation) -> str:
    """What stands before the first message that is learnt, or all, folded."""
    learnt = chat.loss or LEARNT
    first = next((at for at, message in enumerate(messages) if message["role"] in learnt), 0)
    before = messages[:first] or messages
    return digest(*(" ".join(message["content"].lower().split()) for message in before))
