"""One shard of conversations: put into words, tokenised with a note of what is learnt, packed and written as documents.

Ids are those of ``tokenizers`` for the whole text, special tokens of the template included, and no token is added. A
conversation with a message that held anything of a special token (chat_guard.py) is tokenised between the special
tokens of its template instead, so that nothing else becomes one. A token is learnt if any character that it stands for
is. A conversation of more tokens than a sample is left out, or cut at a sample's end, and one of which then nothing is
learnt is left out. Lost: 3,000 conversations of 75 tokens take 2.1 CPU s, of which ``tokenizers`` alone takes 0.65 and
the template 0.9; the kernel that encodes documents is not used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from tokenizers import Encoding

from warehouse.datasets.chat_guard import Spans, make_speller
from warehouse.datasets.chat_template import Worded, worded
from warehouse.datasets.packing import Ints
from warehouse.datasets.recipe import Chat
from warehouse.datasets.shards import ShardDone, ShardTask, Stream, written
from warehouse.datasets.vocabulary import Ids, Vocabulary
from warehouse.errors import RecipeError

BESIDE = pa.schema([("learnt", pa.int64()), ("left_out", pa.string())])
"""Of a conversation in documents.parquet: its tokens that are learnt, and why it does not go out, if so."""

CONVERSATION = ("key", "messages")
"""Columns of the frozen table that a conversation is made of."""

TOO_LONG, NOTHING_LEARNT = "too_long", "nothing_learnt"

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Encoded:
    """A conversation as ids; ends: UTF-8 bytes of its text up to each id's end; left_out: why it does not go out."""

    ids: Ids
    ends: Ints
    learnt: Bools
    left_out: str | None = None


def make_chat_shard(task: ShardTask) -> ShardDone:
    """Write the files of a shard of conversations into the task's folder. Raises RecipeError for one of documents."""
    chat = task.recipe.chat
    if chat is None:
        raise RecipeError(f"{task.recipe.at}: a recipe of documents", allowed="kind: chat")
    return written(task, partial(_stream, chat=chat))


def _stream(task: ShardTask, vocabulary: Vocabulary, *, chat: Chat) -> Stream:
    size = task.recipe.sequence_length
    found = [_fitted(each, size, chat) for each in _encoded(task, chat, vocabulary)]
    lengths = np.array([each.ids.size for each in found], np.int64)
    beside = pa.table([[int(each.learnt.sum()) for each in found], [each.left_out for each in found]], schema=BESIDE)
    ids = np.concatenate([np.empty(0, vocabulary.dtype), *(each.ids for each in found)])
    ends = np.concatenate([np.empty(0, np.int64), *(each.ends for each in found)])
    learnt = np.concatenate([np.empty(0, np.bool_), *(each.learnt for each in found)])
    return Stream(ids, lengths, ends, "", learnt, beside)


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


def _encoded(task: ShardTask, chat: Chat, vocabulary: Vocabulary) -> Iterator[Encoded]:
    speller, named = make_speller(list(vocabulary.special)), vocabulary.named
    for batch in task.wanted.to_batches(max_chunksize=task.batch_rows):
        rows = zip(batch["key"].to_pylist(), batch["messages"].to_pylist(), strict=True)
        texts = [
            worded(chat, messages, speller, named=named, where=f"{task.recipe.at}: conversation {key}")
            for key, messages in rows
        ]
        yield from encode(texts, vocabulary)


def encode(texts: Sequence[Worded], vocabulary: Vocabulary) -> Iterator[Encoded]:
    """Each conversation as ids, with what of them is learnt."""
    for text, encoding in zip(texts, _whole(texts, vocabulary), strict=True):
        yield _of_parts(text, vocabulary) if encoding is None else _of(text, [(0, encoding)], vocabulary)


def _whole(texts: Sequence[Worded], vocabulary: Vocabulary) -> Iterator[Encoding | None]:
    """The encoding of each text as a whole; None where that has other special tokens than the template wrote."""
    tokenizer = vocabulary.tokenizer
    tokenizer.encode_special_tokens = False
    encodings = iter(tokenizer.encode_batch([text.text for text in texts if text.plain], add_special_tokens=False))
    special = frozenset(vocabulary.special.values())
    for text in texts:
        encoding = next(encodings) if text.plain else None
        wrote = [vocabulary.special[text.text[start:stop]] for start, stop in text.special]
        same = encoding is not None and wrote == [token for token in encoding.ids if token in special]
        yield encoding if same else None


def _of_parts(text: Worded, vocabulary: Vocabulary) -> Encoded:
    """The special tokens of the template, and what lies between them tokenised by itself."""
    tokenizer = vocabulary.tokenizer
    edges = [0, *(edge for span in text.special for edge in span), len(text.text)]
    found = []
    for number, start in enumerate(edges[:-1]):
        tokenizer.encode_special_tokens = number % 2 == 0
        found.append((start, tokenizer.encode(text.text[start : edges[number + 1]], add_special_tokens=False)))
    return _of(text, found, vocabulary)


def _of(text: Worded, encodings: Sequence[tuple[int, Encoding]], vocabulary: Vocabulary) -> Encoded:
    """What encodings of parts of the text, each with the character at which it starts, are together."""
    ids = np.array([token for _, encoding in encodings for token in encoding.ids], vocabulary.dtype)
    places = [(start + first, start + last) for start, encoding in encodings for first, last in encoding.offsets]
    first, last = np.array(places, np.int64).reshape(-1, 2).T
    points = np.frombuffer(text.text.encode("utf-32-le"), "<u4")
    sizes = np.append(0, np.cumsum(1 + (points > 0x7F) + (points > 0x7FF) + (points > 0xFFFF)))
    return Encoded(ids, sizes[np.maximum.accumulate(last)], _within(first, last, text.learnt))


def _within(first: Ints, last: Ints, spans: Spans) -> Bools:
    """Which of the tokens first..last hold a character of a span; one without characters is taken for its first."""
    starts, stops = np.array(spans, np.int64).reshape(-1, 2).T
    after = np.searchsorted(stops, first, side="right")
    begins = np.append(starts, np.iinfo(np.int64).max)[after]
    return begins < np.maximum(last, first + 1)


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
