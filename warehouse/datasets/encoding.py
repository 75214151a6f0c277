"""The ids of texts, by the compiled kernel where the tokenizer is of the kind it knows, else by ``tokenizers``.

Known: byte-level BPE with GPT-2's pattern and nothing else, as we train. The kinds of characters are asked of
``tokenizers`` itself, 256 at a time, so both follow the same edition of Unicode. The kernel is trusted with a proof:
the ids of a sample of each shard are made by both, and where they differ ``tokenizers`` makes the whole shard.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from functools import cache, lru_cache
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from tokenizers import Regex, Tokenizer, normalizers

from warehouse.kernels import bpe

Ids = npt.NDArray[np.unsignedinteger[Any]]
Ints = npt.NDArray[np.int64]
Made = TypeVar("Made")

CLASSES = {bpe.LETTER: r"\p{L}", bpe.NUMBER: r"\p{N}", bpe.SPACE: r"\s"}
MARK = "\ue000"
"""A character of none of the classes."""

PROVEN_EVERY = 256
"""Of so many documents of a shard one is encoded by both, unless it is longer than PROVEN_BYTES: some 3 % of the time.
"""
PROVEN_BYTES = 1 << 16


class Encoder:
    """Documents to ids for one tokenizer; ``make_encoder`` makes it. For one thread."""

    def __init__(self, merges: bpe.Merges, eos: int, dtype: str) -> None:
        self._merges, self._eos, self._dtype = merges, eos, dtype
        self._memo = bpe.make_memo()

    def __call__(self, texts: Sequence[str]) -> Iterator[tuple[Ids, Ints]]:
        """For each text its ids with the end-of-text one, and the UTF-8 byte at which each id ends."""
        ids, ends, lengths = self.joined(texts)
        last = np.cumsum(lengths)
        for begin, end in zip((last - lengths).tolist(), last.tolist(), strict=True):
            yield ids[begin:end], ends[begin:end]

    def joined(self, texts: Sequence[str]) -> tuple[Ids, Ints, Ints]:
        """The same of all texts, one after another, and how many ids each has."""
        parts = [text.encode() for text in texts]
        bounds = np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64)
        joined, kinds = np.frombuffer(b"".join(parts), np.uint8), _kinds()
        ids, ends = np.empty(joined.size + len(parts), np.uint32), np.empty(joined.size + len(parts), np.int64)
        lengths = np.empty(len(parts), np.int64)
        task = (joined, bounds, kinds, self._merges, self._memo, self._eos, ids, ends, lengths)
        if bpe.encode(*task) < 0:
            _look_up(texts, kinds)
            bpe.encode(*task)
        total = int(lengths.sum())
        return ids[:total].astype(self._dtype), ends[:total].copy(), lengths


def make_encoder(tokenizer: Tokenizer, eos: int, dtype: str, *, divided: bool = False) -> Encoder | None:
    """The fast encoder of ``tokenizer``, or None if it is of another kind than byte-level BPE with GPT-2's pattern.

    divided: special tokens are found in the texts too, whose ids must be those of the tokens and of what lies between.
    """
    merges = _merges(tokenizer.to_str(), divided)
    return Encoder(merges, eos, dtype) if merges else None


class DifferentError(Exception):
    """The document, by doc_id, whose ids the kernel makes otherwise than ``tokenizers``."""


def proven(stem: str, fast: Callable[[], Made] | None, slow: Callable[[], Made]) -> tuple[Made, str]:
    """What ``fast`` makes of a shard by the kernel, or ``slow`` by ``tokenizers`` where there is no such or it raises
    DifferentError; and a warning that says so, or empty.
    """
    if fast is None:
        return slow(), ""
    try:
        return fast(), ""
    except DifferentError as error:
        warning = f"{stem}: the kernel's ids of document {error} differ from those of tokenizers, which made all"
        return slow(), warning


@lru_cache(maxsize=2)
def _merges(content: str, divided: bool) -> bpe.Merges | None:
    """The merges of a tokenizer.json that the kernel knows; a process makes many shards of one."""
    whole = json.loads(content)
    vocabulary, alphabet = whole["model"].get("vocab"), _alphabet()
    if not _known(whole) or (divided and not _divides(whole)) or not vocabulary.keys() >= set(alphabet):
        return None
    ranks = {(left, right): rank for rank, (left, right) in enumerate(whole["model"]["merges"])}
    ordered = sorted(ranks, key=ranks.__getitem__)  # of a pair that stands twice the last counts
    pairs = np.array([(vocabulary[left], vocabulary[right]) for left, right in ordered], np.int64).reshape(-1, 2)
    made = np.array([vocabulary[left + right] for left, right in ordered], np.int64)
    return bpe.make_merges(pairs, made, np.array([vocabulary[letter] for letter in alphabet], np.int64))


def _known(content: dict[str, Any]) -> bool:
    """Whether a tokenizer.json says nothing that the kernel does not do."""
    model, before = content["model"], content["pre_tokenizer"] or {}
    plain = (
        "dropout",
        "unk_token",
        "continuing_subword_prefix",
        "end_of_word_suffix",
        "byte_fallback",
        "ignore_merges",
    )
    return (
        model.get("type") == "BPE"
        and not any(model.get(name) for name in plain)
        and content["normalizer"] is None
        and before.get("type") == "ByteLevel"
        and before.get("use_regex") is True
        and before.get("add_prefix_space") is False
        and all(token["special"] for token in content["added_tokens"])
    )


def _divides(content: dict[str, Any]) -> bool:
    """Whether special tokens take nothing that stands beside them, and ids keep the places that they were found at."""
    after = content["post_processor"] or {"type": "ByteLevel", "trim_offsets": False}
    taking = ("lstrip", "rstrip", "single_word")
    return (
        after["type"] == "ByteLevel"
        and not after["trim_offsets"]
        and not any(token[each] for token in content["added_tokens"] for each in taking)
    )


def _alphabet() -> list[str]:
    """The letter that stands for each byte: itself where it prints, else the next from U+0100 on (GPT-2)."""
    prints = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return [chr(byte if byte in prints else next(others)) for byte in range(256)]


@cache
def _kinds() -> npt.NDArray[np.uint8]:
    """The kind of each character, UNKNOWN until looked up: one table a process."""
    return np.full(0x110000, bpe.UNKNOWN, np.uint8)


def _look_up(texts: Sequence[str], kinds: npt.NDArray[np.uint8]) -> None:
    """Fill in the kinds of the characters of ``texts`` and of their neighbours in Unicode."""
    points = np.frombuffer("".join(texts).encode("utf-32-le"), "<u4")
    met = np.zeros(kinds.size >> 8, np.bool_)
    met[points >> 8] = True
    for block in np.flatnonzero(met).tolist():
        if kinds[block << 8] == bpe.UNKNOWN:
            kinds[block << 8 : (block + 1) << 8] = kinds_of(block)


def kinds_of(block: int) -> npt.NDArray[np.uint8]:
    """The kinds of the 256 characters from ``block`` << 8 on, by the regular expressions of ``tokenizers``."""
    kinds = np.full(256, bpe.OTHER, np.uint8)
    if 0xD8 <= block < 0xE0:  # surrogates, which no text has
        return kinds
    text = "".join(map(chr, range(block << 8, (block + 1) << 8)))
    for kind, pattern in CLASSES.items():
        marked = normalizers.Replace(Regex(pattern), MARK).normalize_str(text)
        kinds[[before != after for before, after in zip(text, marked, strict=True)]] = kind
    return kinds
