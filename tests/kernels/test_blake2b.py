"""BLAKE2b of many strings at once: the digests of hashlib, whatever their lengths, and the identities made of them."""

import hashlib
from functools import cache
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse.contracts import content_hash, doc_id
from warehouse.kernels import blake2b
from warehouse.kernels.blake2b import BLOCK, digests, hexadecimal
from warehouse.repository.documents import content_hashes, doc_ids

EDGES = [0, 1, 7, 8, 9, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 2 * BLOCK + 1, 40 * BLOCK]
LENGTHS = st.lists(st.sampled_from(EDGES) | st.integers(0, 600), max_size=40)


def hashlibs(strings: list[bytes]) -> list[str]:
    return [hashlib.blake2b(each, digest_size=16).hexdigest() for each in strings]


@pytest.mark.parametrize("few", [0, 1 << 18])
@given(LENGTHS, st.integers(0, 3), st.binary(min_size=1, max_size=64))
def test_digests_are_hashlibs(few: int, lengths: list[int], skipped: int, pattern: bytes) -> None:
    """few 0: by vectors wherever no string is far longer than the others."""
    strings = [(pattern * (size // len(pattern) + 1))[:size] for size in lengths]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(blake2b, "FEW_BYTES", few)
        found = digests(pa.array(strings, pa.large_binary()).slice(skipped))
    assert hexadecimal(found).to_pylist() == hashlibs(strings[skipped:])


def test_a_megabyte_of_strings_goes_by_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    strings = [bytes([at % 251]) * (at * 37 % 5_000) for at in range(1_000)]
    monkeypatch.setattr(blake2b, "pairwise", None)  # of the way by hashlib
    assert hexadecimal(digests(pa.array(strings, pa.large_binary()))).to_pylist() == hashlibs(strings)


def test_the_code_is_compiled_once_a_machine_and_again_where_what_was_kept_is_torn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An emptied ``cache`` stands for a process of its own."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    made, module = [], blake2b._module
    monkeypatch.setattr(blake2b, "_module", lambda: made.append(1) or module())
    strings = [bytes([at]) * 200 for at in range(9)]
    column = pa.array(strings, pa.large_binary())
    for tear, compiled in ((None, 1), (None, 1), (-1, 2), (0, 3), (None, 3)):
        for kept in tmp_path.iterdir():
            kept.write_bytes(kept.read_bytes()[:tear])
        monkeypatch.setattr(blake2b, "_code", cache(blake2b._code.__wrapped__))
        monkeypatch.setattr(blake2b, "FEW_BYTES", 0)
        assert hexadecimal(digests(column)).to_pylist() == hashlibs(strings)
        assert (len(made), len(list(tmp_path.iterdir()))) == (compiled, 1)


def test_a_cache_that_cannot_be_written_costs_time_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "not there"))
    monkeypatch.setattr(blake2b, "_code", cache(blake2b._code.__wrapped__))
    monkeypatch.setattr(blake2b, "FEW_BYTES", 0)
    strings = [b"x" * 200] * 9
    assert hexadecimal(digests(pa.array(strings, pa.large_binary()))).to_pylist() == hashlibs(strings)


ROWS = st.lists(st.tuples(st.text(max_size=30), st.text(max_size=8), st.text(max_size=300)), max_size=20)


@given(st.text(max_size=8), ROWS)
def test_identities_are_those_of_the_contracts(source: str, rows: list[tuple[str, str, str]]) -> None:
    uris, records, texts = (pa.array([row[at] for row in rows], pa.string()) for at in range(3))
    hashes = content_hashes(texts.cast(pa.large_string()))
    assert hashes.to_pylist() == [content_hash(text) for _, _, text in rows]
    made = [doc_id(source, uri, record, content_hash(text)) for uri, record, text in rows]
    assert doc_ids(source, uris, records, hashes).to_pylist() == made
