"""Charsets of text and CSV: whatever bytes the same text comes in, the same text is read."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from warehouse.sources import Dialect
from warehouse.sources.charset import guessed

FOREIGN = Path(__file__).with_name("charsets.txt").read_text("utf-8").splitlines()
"""Language, the charsets that are in use for it, and some 100 to 200 characters of it, between tabs."""
TEXTS = {line.split("\t")[0]: line.split("\t")[2] for line in FOREIGN}
PAIRS = [(language, name) for language, names, _ in (line.split("\t") for line in FOREIGN) for name in names.split()]


@pytest.mark.parametrize(("language", "name"), PAIRS)
def test_text_in_any_charset_is_the_text_that_it_was(reading, language, name):
    raw = TEXTS[language].encode(name, "ignore")
    for times in (1, 40):
        assert reading(raw * times, "a.txt").column("text") == [raw.decode(name) * times]
    stated = reading(raw, "a.txt", dialect=Dialect(encoding=name))
    assert stated.column("text") == [raw.decode(name)]


@pytest.mark.parametrize(("language", "name"), PAIRS)
def test_a_csv_in_any_charset_gives_the_rows_that_were_written(reading, language, name):
    text = TEXTS[language].encode(name, "ignore").decode(name)
    rows = [[str(at), word] for at, word in enumerate([text, *text.split()])]
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([["n", text[:12]], *rows])
    result = reading(out.getvalue().encode(name), "a.csv", table="t")
    assert not result.rejects
    assert [list(row.values())[1] for row in result.rows] == [word for _, word in rows]


@pytest.mark.parametrize("language", TEXTS)
def test_utf_8_is_utf_8_also_where_a_byte_of_it_is_damaged_or_its_end_is_cut(reading, language):
    raw = TEXTS[language].encode()
    assert guessed(raw) == guessed(raw[:-1]) == guessed(b"x" * 9 + raw + b"\xff" + raw) == "utf-8"
    assert guessed("\ufffd".encode() + raw) == guessed("\ufffd".encode()) == "utf-8"
    assert reading(raw + b"\xff", "a.txt").column("text") == [TEXTS[language] + "\ufffd"]


def test_ascii_and_a_few_western_words_are_read_as_they_were(reading):
    for text in (
        "plain",
        "caf\u00e9 au lait",
        "it\u2019s \u201cfine\u201d \u2013 really",
        "M\u00fcller, Z\u00fcrich",
        "\u20ac5",
    ):
        assert reading(text.encode("cp1252"), "a.txt").column("text") == [text]
        assert reading(f"x\n{text.replace(',', ';')}\n".encode("cp1252"), "a.csv", table="t").met == 1


def test_a_stated_encoding_is_held_to(reading):
    assert reading("\u00e9".encode("latin-1"), "a.txt", dialect=Dialect(encoding="utf-8")).reasons == {
        "invalid_encoding": 1
    }
    assert reading("\ufeff\u00e9".encode(), "a.txt", dialect=Dialect(encoding="utf-8")).column("text") == ["\u00e9"]
    assert reading(b"ab\0cd\xff", "a.txt").reasons == {"binary_content": 1}
