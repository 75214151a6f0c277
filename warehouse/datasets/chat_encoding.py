"""Conversations in words to ids, with what of them is learnt: by the kernel (encoding.py), else by ``tokenizers``.

Ids are those of ``tokenizers`` for the whole text, special tokens of the template included, and no token is added. A
conversation with a message that held anything of a special token (chat_guard.py) is tokenised between the special
tokens of its template instead, so that nothing else becomes one; where the kernel knows the tokenizer both are the
same, and all are made so, a batch of conversations at once. A token is learnt if any character that it stands for is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from tokenizers import Encoding

from warehouse.datasets.chat_guard import Spans
from warehouse.datasets.chat_template import Worded
from warehouse.datasets.encoding import Encoder, make_encoder
from warehouse.datasets.packing import Ints
from warehouse.datasets.vocabulary import Ids, Vocabulary

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Encoded:
    """A conversation as ids; ends: UTF-8 bytes of its text up to each id's end; left_out: why it does not go out."""

    ids: Ids
    ends: Ints
    learnt: Bools
    left_out: str | None = None


def make_chat_encoder(vocabulary: Vocabulary) -> Encoder | None:
    """The kernel's encoder for ``encode_fast``, or None if the tokenizer is of another kind than it knows."""
    return make_encoder(vocabulary.tokenizer, vocabulary.eos_id, vocabulary.dtype, divided=True)


def encode_fast(texts: Sequence[Worded], vocabulary: Vocabulary, encoder: Encoder) -> Iterator[Encoded]:
    """As ``encode``. The end-of-text id that the kernel puts after each part gives way to the special token there."""
    parts, after = _parts(texts)
    counts = np.array([len(each.special) + 1 for each in texts], np.int64)
    ids, ends, lengths = encoder.joined(parts)
    slots, final = np.cumsum(lengths) - 1, np.cumsum(counts) - 1
    specials = np.array([vocabulary.special.get(token, 0) for token in after], ids.dtype)
    sizes = np.array([len(token.encode()) for token in after], np.int64)
    ends[slots] += sizes
    whole = ends[slots]
    ends += np.repeat(np.cumsum(whole) - whole, lengths)
    ids[slots] = specials
    kept = np.ones(ids.size, np.bool_)
    kept[slots[final]] = False
    return _divided(ids[kept], ends[kept], texts, np.add.reduceat(lengths, final - counts + 1) - 1)


def _parts(texts: Sequence[Worded]) -> tuple[list[str], list[str]]:
    """What lies between special tokens, and the token after each part, empty after the last of a text."""
    parts, after = [], []
    for each in texts:
        at = 0
        for start, stop in each.special:
            parts.append(each.text[at:start])
            after.append(each.text[start:stop])
            at = stop
        parts.append(each.text[at:])
        after.append("")
    return parts, after


def _divided(ids: Ids, ends: Ints, texts: Sequence[Worded], lengths: Ints) -> Iterator[Encoded]:
    """Ids and ends of texts one after another as conversations."""
    spans = [_bytes_of(each.text, each.learnt) for each in texts]
    sizes = np.array([size for _, size in spans], np.int64)
    bases = np.cumsum(sizes) - sizes
    placed = zip(spans, bases.tolist(), strict=True)
    learnt = tuple((base + start, base + stop) for (found, _), base in placed for start, stop in found)
    within = _within(np.append(0, ends[:-1]), ends, learnt)
    ends -= np.repeat(bases, lengths)
    last = np.cumsum(lengths)
    for begin, end in zip((last - lengths).tolist(), last.tolist(), strict=True):
        yield Encoded(ids[begin:end], ends[begin:end], within[begin:end])


def _bytes_of(text: str, spans: Spans) -> tuple[Spans, int]:
    """Spans of characters as spans of UTF-8 bytes, and the bytes of the text."""
    if text.isascii():
        return spans, len(text)
    return tuple((len(text[:start].encode()), len(text[:stop].encode())) for start, stop in spans), len(text.encode())


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
    ends = np.cumsum(vocabulary.byte_lengths[ids])
    if ids.size and ends[-1] != len(text.text.encode()):
        ends = _ends(text.text, last)
    return Encoded(ids, ends, _within(first, last, text.learnt))


def _ends(text: str, last: Ints) -> Ints:
    """The bytes up to the last characters of tokens, for tokenizers that rewrite text."""
    points = np.frombuffer(text.encode("utf-32-le"), "<u4")
    sizes = np.append(0, np.cumsum(1 + (points > 0x7F) + (points > 0x7FF) + (points > 0xFFFF)))
    return sizes[np.maximum.accumulate(last)]


def _within(first: Ints, last: Ints, spans: Spans) -> Bools:
    """Which of the tokens first..last hold a character of a span; one without characters is taken for its first."""
    starts, stops = np.array(spans, np.int64).reshape(-1, 2).T
    after = np.searchsorted(stops, first, side="right")
    begins = np.append(starts, np.iinfo(np.int64).max)[after]
    return begins < np.maximum(last, first + 1)
