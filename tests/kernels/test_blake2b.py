"""BLAKE2b of many strings at once: the digests of hashlib, whatever their lengths, and the identities made of them."""

import hashlib

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
    monkeypatch.setattr(blake2b.hashlib, "blake2b", None)
    found = hexadecimal(digests(pa.array(strings, pa.large_binary()))).to_pylist()
    monkeypatch.undo()
    assert found == hashlibs(strings)


ROWS = st.lists(st.tuples(st.text(max_size=30), st.text(max_size=8), st.text(max_size=300)), max_size=20)


@given(st.text(max_size=8), ROWS)
def test_identities_are_those_of_the_contracts(source: str, rows: list[tuple[str, str, str]]) -> None:
    uris, records, texts = (pa.array([row[at] for row in rows], pa.string()) for at in range(3))
    hashes = content_hashes(texts.cast(pa.large_string()))
    assert hashes.to_pylist() == [content_hash(text) for _, _, text in rows]
    made = [doc_id(source, uri, record, content_hash(text)) for uri, record, text in rows]
    assert doc_ids(source, uris, records, hashes).to_pylist() == made
