"""Our reading of lid.176.ftz says what the package of fastText says of every text."""

from __future__ import annotations

import re
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import fasttext
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from warehouse.curation import language
from warehouse.errors import FormatError
from warehouse.kernels import fasttext as kernel

Guess = tuple[str, float, str, float]
WORDS = [
    "the",
    "Menschen",
    "être",
    "свобода",
    "自由",
    "حرية",
    "स्वतंत्रता",
    "มนุษย์",
    "a",
    "</s>",
    "__label__de",
    "__label_",
    "\0",
    "x\0y",
]
SPACES = [" ", "\n", "\t ", "\u3000", "\x85", "\xa0", ""]
TEXTS = st.one_of(
    st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from(SPACES))).map(
        lambda pairs: "".join(map("".join, pairs))
    ),
    st.text(max_size=80),
)


@cache
def package() -> Any:
    return fasttext.load_model(str(language.model_file()))


def peer(text: str) -> Guess:
    """What the package says of the first 1,000 characters; a second language of next to no chance it may leave out."""
    flat = " ".join(text[:1000].split())
    labels, chances = package().predict(flat, k=2)
    said = [*zip((label.removeprefix("__label__") for label in labels), map(float, chances), strict=True), ("und", 0.0)]
    return *said[0], *said[1]


def ours(texts: list[str]) -> list[Guess]:
    return list(zip(*(side.to_pylist() for side in language.identify(pa.array(texts, pa.large_string()))), strict=True))


def agree(found: Guess, wanted: Guess) -> bool:
    """Equal to 4 decimals; of two within a thousandth either may come first, and one of no chance has no name."""
    language_found, chance, second, chance_2nd = found
    same = abs(chance - wanted[1]) < 2e-4 and abs(chance_2nd - wanted[3]) < 2e-4
    if wanted[1] - wanted[3] < 1e-3:
        return same
    return same and language_found == wanted[0] and (second == wanted[2] or chance_2nd < 1e-3)


@given(st.lists(TEXTS.filter(lambda text: text.replace("\0", " ").strip()), min_size=1, max_size=6))
@example(["0ä\U0003b1fd"])
@example(["x </s> der Mensch", "__label__de the", "the __label__", "</s>", "\0a", "é" * 1200, "a " * 900])
@settings(max_examples=200, deadline=None)
def test_languages_and_chances_are_those_of_the_package(texts: list[str]) -> None:
    for text, found in zip(texts, ours(texts), strict=True):
        assert agree(found, peer(text)), (text, found, peer(text))


def test_they_are_on_declarations_in_400_languages(shared_data: Path) -> None:
    with zipfile.ZipFile(shared_data / "udhr_xml.zip") as packed:
        names = [name for name in packed.namelist() if name.endswith(".xml")]
        texts = [re.sub("<[^>]*>", " ", packed.read(name).decode("utf-8", "replace")) for name in names]
    pieces = [text[at : at + 900] for text in texts for at in (0, 900) if text[at : at + 900].strip()]
    found = ours(pieces)
    assert len(pieces) > 700
    assert [text for text, guess in zip(pieces, found, strict=True) if not agree(guess, peer(text))] == []
    assert ours(pieces[::-1]) == found[::-1]


def test_a_text_without_a_word_has_no_language() -> None:
    assert ours(["", " \n", "\0", "\u3000"]) == [("und", 0.0, "und", 0.0)] * 4


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.ftz").write_bytes(language.model_file().read_bytes()[:4] + bytes(200))
    with pytest.raises(FormatError, match="quantised fastText classifier"):
        language.load(tmp_path / "model.ftz")


@given(st.integers(0, 2**32 - 1), st.integers(1, 3_000_000))
@example(2**32 - 1, 1)
@example(2**32 - 1, 2_000_000)
def test_the_bucket_of_a_hash_is_its_remainder(state: int, buckets: int) -> None:
    shift = 29 + buckets.bit_length()
    inverse = (1 << shift) // buckets + 1
    assert state * inverse < 2**63
    assert kernel.bucket_of(state, buckets, inverse, shift) == state % buckets
