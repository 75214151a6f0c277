"""The kernel's ids are those of Hugging Face tokenizers on any text, and their ends those of its offsets."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from warehouse.datasets.encoding import Encoder, kinds_of, make_encoder
from warehouse.kernels import bpe

CORPUS = [
    "It's what they'll say: we've been there, I'd go, you're it; don't 'tell 'em.   Two  spaces,\n\n\tand\u00a0more.\n",
    "def encode(self):\n        return [1234, 56.789]  # été, naïve, Größe, Ελλάδα, Привет мир, 12³½Ⅷ\r\n",
    "日本語のテキスト、中文文本 한국어 텍스트 👩‍👩‍👧‍👦🇩🇪 e\u0301 \u200b\u2028\u3000 العربية हिन्दी\n",
    "aaaa aaaaaaaa abababab bababa " * 4,
]
WORDS = [
    "'s", "'re", "'ll", "'LL", "''ve", "'", "<|endoftext|>", "\0", " ", "  ", "\n", "\r\n \t", "\u00a0", "\u0085",
    "don't", " they", "\u200b", "\u180e", "e\u0301", "\u0300", "日本語", "👩‍👩‍👧", "½", "Ⅷ", "१२", "a" * 70, " " * 60,
    "ab" * 40, "\u3000", "\U0010ffff", "\ufffe", "\u0378", "ǅ", "ª", "_", "encode",
]  # fmt: skip
HOSTILE = st.lists(st.one_of(st.sampled_from(WORDS), st.text(max_size=6), st.text("ab '\n", max_size=60))).map("".join)


@cache
def trained(size: int = 700) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS * 3, trainer)
    tokenizer.encode_special_tokens = True
    return tokenizer


def fast(tokenizer: Tokenizer) -> Encoder:
    encoder = make_encoder(tokenizer, 0, "<u2")
    assert encoder is not None
    return encoder


def slow(text: str, tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """Ids, and the bytes of their entries added up."""
    encoding = tokenizer.encode(text, add_special_tokens=False)
    ends = np.cumsum([len(token) for token in encoding.tokens], dtype=int).tolist()
    return [*encoding.ids, 0], [*ends, len(text.encode())]


def listed(encoder: Encoder, texts: list[str]) -> list[tuple[list[int], list[int]]]:
    return [(ids.tolist(), ends.tolist()) for ids, ends in encoder(texts)]


@settings(max_examples=300, deadline=None)
@given(st.lists(HOSTILE, min_size=1, max_size=5))
@example(CORPUS)
@example(["", "\n", " a", "a ", "\n\n", "  a", "\t a", "x" * 5000, "ab" * 3000 + "'s"])
def test_ids_are_those_of_tokenizers(texts: list[str]) -> None:
    tokenizer = trained()
    assert listed(fast(tokenizer), texts) == [slow(text, tokenizer) for text in texts]


@pytest.mark.parametrize(
    "block", [*range(0x34), 0x4D, 0x9F, 0xA4, 0xAB, 0xD7, 0xD8, 0xDF, 0xFB, 0xFE, 0xFF, 0x1F6, 0x10FF]
)
def test_every_character_is_of_the_kind_that_tokenizers_gives_it(block: int) -> None:
    points = [point for point in range(block << 8, (block + 1) << 8) if not 0xD800 <= point < 0xE000]
    text = "".join(f"a{chr(point)} {chr(point)}1{chr(point)}\n{chr(point)}." for point in points)
    tokenizer = trained()
    assert listed(fast(tokenizer), [text]) == [slow(text, tokenizer)]


def test_kinds_of_ascii() -> None:
    names = {bpe.LETTER: str.isalpha, bpe.NUMBER: str.isdigit, bpe.SPACE: str.isspace}
    for point, kind in enumerate(kinds_of(0)[:128].tolist()):
        told = [name for name, holds in names.items() if holds(chr(point)) and not 0x1C <= point < 0x20]
        assert [kind] == (told or [bpe.OTHER])


def test_a_full_memo_forgets_and_goes_on() -> None:
    tokenizer = trained()
    encoder = fast(tokenizer)
    words = [f"w{number:x}".translate(str.maketrans("0123456789", "ghijklmnop")) for number in range(bpe.SLOTS)]
    text = " ".join(words)
    assert listed(encoder, [text, text]) == [slow(text, tokenizer)] * 2


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("normalizer", {"type": "NFC"}),
        ("pre_tokenizer", {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}),
        ("pre_tokenizer", {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}),
        ("pre_tokenizer", {"type": "Whitespace"}),
        ("pre_tokenizer", None),
        ("model", {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}),
    ],
)
def test_other_kinds_of_tokenizers_are_left_to_tokenizers(part: str, change: Any) -> None:
    content = json.loads(trained().to_str())
    assert make_encoder(Tokenizer.from_str(json.dumps({**content, part: change})), 0, "<u2") is None


@pytest.mark.parametrize("change", [{"ignore_merges": True}, {"dropout": 0.1}, {"byte_fallback": True}])
def test_other_kinds_of_bpe_are_left_to_tokenizers(change: dict[str, Any]) -> None:
    content = json.loads(trained().to_str())
    other = {**content, "model": {**content["model"], **change}}
    assert make_encoder(Tokenizer.from_str(json.dumps(other)), 0, "<u2") is None


def test_ids_of_real_texts_are_those_of_tokenizers(shared_data: Path) -> None:
    texts = [path.read_bytes().decode("utf-8", "replace") for path in sorted(shared_data.rglob("*.json*"))]
    kept = [text[:20_000] for text in texts][:60]
    tokenizer = trained(4000)
    assert listed(fast(tokenizer), kept) == [slow(text, tokenizer) for text in kept]
