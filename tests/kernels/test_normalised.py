"""The hash of a normalised text goes through a buffer of 4 kB and lanes of 32 bytes: no size is a special one."""

from __future__ import annotations

import pyarrow as pa

from warehouse.kernels import profile
from warehouse.kernels.texts import texts

SIZES = (*range(200), *range(4_000, 4_400), *range(8_100, 8_300), 100_000)
HASH = profile.COLUMNS.index("text_hash")


def hashes(some: list[str]) -> list[int]:
    return profile.measure(texts(pa.array(some, pa.large_string())))[0][:, HASH].tolist()


def cut(size: int, word: int) -> str:
    """So many characters in words of so many bytes, as they are when normalised."""
    return (("a" * word + " ") * (size // word + 1))[:size].rstrip()


def test_a_text_of_any_size_has_the_hash_that_it_has_with_more_white_space() -> None:
    for word in (1, 3, 31, 32, 63, 64, 65, 500):
        plain = [cut(size, word) for size in SIZES]
        spread = ["\n\u3000" + text.replace(" ", "\t \u00a0\r\n").upper() + " \u2028\n" for text in plain]
        assert hashes(plain) == hashes(spread)
        assert len(set(hashes(plain))) == len(set(plain))


def test_texts_that_differ_in_their_last_byte_or_in_one_zero_byte_more_have_other_hashes() -> None:
    ends = [("b" * size, "b" * max(size - 1, 0) + "c", "b" * size + "\0") for size in SIZES]
    found = hashes([text for texts_of_size in ends for text in texts_of_size])
    assert len(set(found)) == len({text for texts_of_size in ends for text in texts_of_size})


def test_a_text_has_the_same_hash_wherever_in_its_column_it_lies() -> None:
    some = [cut(size, 7) + "\u6c49\n" for size in range(300)]
    assert hashes(some) == [hashes([text])[0] for text in some] == hashes(some[::-1])[::-1]
