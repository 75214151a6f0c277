"""Texts of 100 MB, and texts that lie beyond 2 GB of their column, are measured as short ones are."""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from warehouse.contracts import Words
from warehouse.curation import SIGNALS, measure
from warehouse.kernels import lines, minhash, paragraphs, pii, profile, words
from warehouse.kernels.texts import texts

LINE = (
    "Ring 030 1234567 or write to ann@example.org: each line of this text is one and the same, as it may be. 汉字。\n"
)
PERIOD = 2_520
"""Divisible by 5 to 10."""
MANY = 100_000_000 // len(LINE.encode())


@pytest.fixture(scope="module")
def long() -> pa.Array:
    """One text of 100 MB."""
    return pa.array([LINE * MANY], pa.large_string())


def test_characters_and_lines_of_a_text_of_100_mb_add_up(long: pa.Array) -> None:
    one = texts(pa.array([LINE], pa.large_string()))
    column = texts(long)
    summed = [name for name in profile.COLUMNS if name != "text_hash"]
    single, many = (
        dict(zip(profile.COLUMNS, profile.measure(each)[0][0].tolist(), strict=True)) for each in (one, column)
    )
    assert [many[name] for name in summed] == [MANY * single[name] for name in summed]
    found = dict(zip(lines.COLUMNS, lines.measure(column)[0].tolist(), strict=True))
    assert (found["newlines"], found["filled_lines"], found["feed_terminal_lines"]) == (MANY, MANY, MANY)
    assert (found["duplicate_lines"], found["duplicate_line_chars"]) == (MANY - 1, (MANY - 1) * (len(LINE) - 1))


def test_paragraphs_and_shingles_of_a_text_of_100_mb_are_those_of_its_line(long: pa.Array) -> None:
    rows = paragraphs.rows(texts(long))
    assert len(rows) == MANY
    assert len(np.unique(rows[:, 2])) == 1
    few = texts(pa.array([LINE * 3], pa.large_string()))
    assert (minhash.bands(texts(long))[0] == minhash.bands(few)[0]).all()


def test_personal_data_of_a_text_of_100_mb_is_found_in_every_line(long: pa.Array) -> None:
    one = pii.rows(texts(pa.array([LINE], pa.large_string())))
    assert len(one) > 0
    assert len(pii.rows(texts(long))) == MANY * len(one)


@pytest.mark.parametrize(("mode", "times"), [("spacy_en", 349), ("unicode", 17)])
def test_every_signal_of_a_text_of_100_mb_grows_by_the_same_from_part_to_part(mode: Words, times: int) -> None:
    """Of 5 MB in ``unicode``; repeated n-grams, which do not overlap, fall into step after PERIOD lines."""
    one, two, many = (signals(LINE * PERIOD * parts, mode) for parts in (1, 2, times))
    for name in set(SIGNALS.names) - {"text_hash", "doc_id"}:
        if pa.types.is_integer(SIGNALS.field(name).type):
            assert many[name] - one[name] == (times - 1) * (two[name] - one[name]), name
        else:
            assert many[name] == pytest.approx(one[name], abs=2e-4), name


def signals(text: str, mode: Words) -> dict[str, Any]:
    """All signals of one text."""
    batch = pa.RecordBatch.from_arrays([pa.array(["one"]), pa.array([text], pa.large_string())], ["doc_id", "text"])
    (row,) = measure(batch, words=mode).to_pylist()
    return row


@pytest.mark.parametrize("mode", ["spacy_en", "unicode"])
def test_texts_beyond_two_gigabytes_of_their_column_are_measured_as_those_before(mode: Words) -> None:
    """The pages between are never touched, so they take no memory."""
    start, raw = (1 << 31) + 12_345, LINE.encode()
    held = mmap.mmap(-1, start + 2 * len(raw))
    held[start : start + 2 * len(raw)] = raw * 2
    offsets = np.array([0, start, start + len(raw), start + 2 * len(raw)], np.int64)
    whole = pa.Array.from_buffers(pa.large_string(), 3, [None, pa.py_buffer(offsets), pa.py_buffer(held)])
    far, near = texts(whole.slice(1)), texts(pa.array([LINE, LINE], pa.large_string()))
    assert (words.measure(far, mode)[0] == words.measure(near, mode)[0]).all()
    assert (profile.measure(far)[0] == profile.measure(near)[0]).all()
    assert (lines.measure(far) == lines.measure(near)).all()
    assert (minhash.bands(far)[0] == minhash.bands(near)[0]).all()
    assert (paragraphs.rows(far) == paragraphs.rows(near)).all()
    assert [row[1:] for row in pii.rows(far).tolist()] == [row[1:] for row in pii.rows(near).tolist()]
