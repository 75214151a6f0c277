"""One shard of conversations: put into words, tokenised with a note of what is learnt, packed and written as documents.

A conversation of more tokens than a sample is left out, or cut at a sample's end, and one of which then nothing is
learnt is left out. 4,000 conversations of 356 tokens take 1.9 CPU s where the kernel knows the tokenizer: the template
with its guards 0.9, ids and mask 0.5, the files the rest. By ``tokenizers`` and its places they take some 7.5.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from warehouse.datasets.chat_encoding import Encoded, encode, encode_fast, make_chat_encoder
from warehouse.datasets.chat_guard import make_speller
from warehouse.datasets.chat_template import Worded, worded
from warehouse.datasets.encoding import PROVEN_BYTES, PROVEN_EVERY, DifferentError, Encoder, proven
from warehouse.datasets.recipe import Chat
from warehouse.datasets.shards import ShardDone, ShardTask, Stream, written
from warehouse.datasets.vocabulary import Vocabulary
from warehouse.errors import RecipeError

BESIDE = pa.schema([("learnt", pa.int64()), ("left_out", pa.string())])
"""Of a conversation in documents.parquet: its tokens that are learnt, and why it does not go out, if so."""

CONVERSATION = ("key", "messages")
"""Columns of the frozen table that a conversation is made of."""

TOO_LONG, NOTHING_LEARNT = "too_long", "nothing_learnt"


def make_chat_shard(task: ShardTask) -> ShardDone:
    """Write the files of a shard of conversations into the task's folder. Raises RecipeError for one of documents."""
    chat = task.recipe.chat
    if chat is None:
        raise RecipeError(f"{task.recipe.at}: a recipe of documents", allowed="kind: chat")
    return written(task, partial(_stream, chat=chat))


def _stream(task: ShardTask, vocabulary: Vocabulary, *, chat: Chat) -> Stream:
    kernel = make_chat_encoder(vocabulary)
    fast = partial(_conversations, task, chat, vocabulary, kernel) if kernel else None
    found, warning = proven(task.stem, fast, partial(_conversations, task, chat, vocabulary, None))
    lengths = np.array([each.ids.size for each in found], np.int64)
    beside = pa.table([[int(each.learnt.sum()) for each in found], [each.left_out for each in found]], schema=BESIDE)
    ids = np.concatenate([np.empty(0, vocabulary.dtype), *(each.ids for each in found)])
    ends = np.concatenate([np.empty(0, np.int64), *(each.ends for each in found)])
    learnt = np.concatenate([np.empty(0, np.bool_), *(each.learnt for each in found)])
    return Stream(ids, lengths, ends, warning, learnt, beside)


def _conversations(task: ShardTask, chat: Chat, vocabulary: Vocabulary, kernel: Encoder | None) -> list[Encoded]:
    """The conversations of a shard as they go out, by the kernel or by ``tokenizers``."""
    return [_fitted(each, task.recipe.sequence_length, chat) for each in _encoded(task, chat, vocabulary, kernel)]


def _fitted(each: Encoded, size: int, chat: Chat) -> Encoded:
    """The conversation as it goes out: as it is, cut, or without a token."""
    longer = each.ids.size > size
    part = slice(0 if longer and chat.longer == "drop" else size)
    learnt = each.learnt[part]
    if learnt.any():
        return Encoded(each.ids[part], each.ends[part], learnt)
    return Encoded(
        each.ids[:0], each.ends[:0], learnt[:0], TOO_LONG if longer and each.learnt.any() else NOTHING_LEARNT
    )


def _encoded(task: ShardTask, chat: Chat, vocabulary: Vocabulary, kernel: Encoder | None) -> Iterator[Encoded]:
    speller, named, number = make_speller(list(vocabulary.special)), vocabulary.named, 0
    for batch in task.wanted.to_batches(max_chunksize=task.batch_rows):
        keys = batch["key"].to_pylist()
        texts = [
            worded(chat, messages, speller, named=named, where=f"{task.recipe.at}: conversation {key}")
            for key, messages in zip(keys, batch["messages"].to_pylist(), strict=True)
        ]
        found = encode_fast(texts, vocabulary, kernel) if kernel else encode(texts, vocabulary)
        for key, text, each in zip(keys, texts, found, strict=True):
            if kernel and number % PROVEN_EVERY == 0 and len(text.text) <= PROVEN_BYTES:
                _prove(text, each, vocabulary, key)
            number += 1
            yield each


def _prove(text: Worded, found: Encoded, vocabulary: Vocabulary, key: str) -> None:
    (expected,) = encode([text], vocabulary)
    pairs = ((found.ids, expected.ids), (found.ends, expected.ends), (found.learnt, expected.learnt))
    if not all(np.array_equal(one, other) for one, other in pairs):
        raise DifferentError(key)


def described(chat: Chat) -> dict[str, Any]:
    """What decides the tokens of conversations, as the manifest has it."""
    return {
        "template": chat.called,
        "template_sha256": hashlib.sha256(chat.template.encode()).hexdigest(),
        "loss": list(chat.loss),
        "longer": chat.longer,
        "bos": chat.bos,
    }


def counts(documents: pa.Table) -> dict[str, Any]:
    """Of conversations: the tokens that are learnt, and how many do not go out, by reason."""
    reasons = documents["left_out"].drop_null().to_pylist()
    left_out = {reason: reasons.count(reason) for reason in (TOO_LONG, NOTHING_LEARNT)}
    return {"learnt": int(pc.sum(documents["learnt"]).as_py() or 0), "left_out": left_out}
