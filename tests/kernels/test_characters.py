"""Stepping through UTF-8 and the table of code points, against Python's own strings."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from fontTools.unicodedata import script as unicode_script
from hypothesis import given, settings
from hypothesis import strategies as st
from word_shapes import shape

from warehouse.kernels import characters, scripts
from warehouse.kernels.hashing import hash_bytes
from warehouse.kernels.jit import compiled
from warehouse.kernels.memory import fold


@compiled
def folded(left: int, right: int) -> int:
    return fold(left, right)


def address(raw: bytes) -> tuple[int, np.ndarray]:
    held = np.frombuffer(raw + b"\0", np.uint8).copy()
    return held.ctypes.data, held


@given(st.text(max_size=40))
@settings(max_examples=200, deadline=None)
def test_reading_forwards_and_backwards_gives_the_code_points_of_the_text(text: str) -> None:
    raw = text.encode()
    begin, _held = address(raw)
    at, points = begin, []
    while at < begin + len(raw):
        character = characters.read(at, begin + len(raw))
        points.append(character >> 3)
        at += character & 7
    assert points == [ord(char) for char in text]
    assert characters.count(begin, begin + len(raw)) == len(text)
    assert not text or characters.last(begin, begin + len(raw)) >> 3 == ord(text[-1])


@given(st.binary(max_size=12))
@settings(max_examples=300, deadline=None)
def test_bytes_that_are_no_utf8_never_lead_outside(raw: bytes) -> None:
    begin, _held = address(raw)
    at = begin
    while at < begin + len(raw):
        at += characters.read(at, begin + len(raw)) & 7
    assert at == begin + len(raw)
    assert not raw or 1 <= characters.last(begin, begin + len(raw)) & 7 <= len(raw)


def test_the_table_says_what_python_says_of_every_code_point() -> None:
    chars = [chr(point) for point in range(0x110000)]
    for flag, says in {
        characters.SPACE: str.isspace,
        characters.ALPHA: str.isalpha,
        characters.DIGIT: str.isdecimal,
        characters.BREAK: lambda char: len(f"{char}a".splitlines()) == 2,
    }.items():
        wanted = np.fromiter(map(says, chars), bool, len(chars))
        assert np.array_equal(characters.TABLE & flag > 0, wanted)


@given(st.binary(max_size=40), st.binary(max_size=40))
@settings(max_examples=300, deadline=None)
def test_hashes_of_byte_ranges_are_equal_exactly_for_equal_bytes(left: bytes, right: bytes) -> None:
    (first, _one), (second, _two) = address(left), address(right)
    equal = hash_bytes(first, first + len(left)) == hash_bytes(second, second + len(right))
    assert equal == (left == right)


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1))
@settings(max_examples=200, deadline=None)
def test_fold_is_the_unsigned_product_with_its_halves_combined(left: int, right: int) -> None:
    product = (left % 2**64) * (right % 2**64)
    assert folded(left, right) % 2**64 == (product >> 64) ^ (product % 2**64)


def test_the_low_bits_of_hashes_are_spread_evenly() -> None:
    lines = [f"{number}".encode() for number in range(1 << 14)]
    held = [address(line) for line in lines]
    buckets = np.array(
        [hash_bytes(begin, begin + len(line)) & 255 for (begin, _), line in zip(held, lines, strict=True)]
    )
    counts = np.bincount(buckets, minlength=256)
    assert ((counts - 64) ** 2 / 64).sum() < 350  # chi-squared, 255 degrees of freedom: 1 in 10,000 by chance


def imported(home: Path, **variables: str) -> str:
    """The cache folder that a fresh process chooses."""
    environment = {name: value for name, value in os.environ.items() if "CACHE" not in name} | {"HOME": str(home)}
    code = "import numba, warehouse.kernels.jit; print(numba.config.CACHE_DIR)"
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(
        command, env=environment | variables, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_the_cache_lies_where_the_variable_says_or_in_the_users_cache(tmp_path: Path) -> None:
    named = imported(tmp_path, NUMBA_CACHE_DIR=str(tmp_path / "named"))
    assert Path(named).parent == tmp_path / "named"
    assert imported(tmp_path, NUMBA_CACHE_DIR=named) == named  # a child process inherits the whole path
    assert Path(imported(tmp_path)).parent == tmp_path / ".cache" / "ml-warehouse"
    assert Path(imported(tmp_path, XDG_CACHE_HOME=str(tmp_path / "x"))).parent == tmp_path / "x" / "ml-warehouse"


def test_a_cache_folder_that_cannot_be_made_is_replaced_by_a_temporary_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    chosen = imported(tmp_path, NUMBA_CACHE_DIR=str(tmp_path / "file" / "below"), TMPDIR=str(tmp_path))
    assert Path(chosen).parent == tmp_path
    assert Path(chosen).is_dir()


def test_every_letter_has_the_script_that_unicode_gives_it() -> None:
    letters = [point for point in range(0x110000) if chr(point).isalpha()]
    found = [scripts.CODES[code] for code in scripts.TABLE[letters]]
    assert found == [unicode_script(chr(point)) for point in letters]


def test_words_without_spaces_are_those_of_characters_by_name() -> None:
    kinds = {characters.ALONE: "a", characters.KATAKANA: "k", characters.MARK: "m"}
    for flag, letter in kinds.items():
        wanted = [shape(chr(point)) == letter for point in range(0x110000) if not 0xD800 <= point < 0xE000]
        assert np.array_equal(np.delete(characters.TABLE & flag > 0, np.s_[0xD800:0xE000]), wanted)
