"""Tables for people: they fit, they let no control character through, and numbers stand to the right."""

from __future__ import annotations

import unicodedata
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse.cli import table

VALUES = st.one_of(st.none(), st.integers(), st.text(max_size=60), st.booleans(), st.floats(), st.binary(max_size=9))


def terminal_columns(text: str) -> int:
    """Columns of a terminal by East Asian Width (UAX 11); combining marks and format characters take none."""
    wide = {"W": 2, "F": 2}
    return sum(
        0 if unicodedata.category(char) in ("Mn", "Me", "Cf") or unicodedata.combining(char) else
        wide.get(unicodedata.east_asian_width(char), 1)
        for char in text
    )  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 5).flatmap(lambda n: st.lists(st.tuples(*[VALUES] * n), max_size=6)), st.integers(20, 120))
def test_no_line_is_wider_than_the_terminal_and_none_is_broken(rows, width):
    names = [f"column_{at}" for at in range(len(rows[0]) if rows else 2)]
    lines = list(table.lines(names, rows, width=width))
    assert len(lines) == len(rows) + 2
    assert all(terminal_columns(line) <= width for line in lines)
    assert not any(unicodedata.category(char) == "Cc" for line in lines for char in line)


def test_numbers_stand_to_the_right_and_text_to_the_left():
    rows = [("a", 1, Decimal("10.50"), "1.2 MB"), ("long word", 1000, None, "999 B")]
    assert list(table.lines(("name", "n", "price", "size"), rows)) == [
        "name          n  price    size",
        "─────────  ────  ─────  ──────",
        "a             1  10.50  1.2 MB",
        "long word  1000   NULL   999 B",
    ]


def test_null_is_not_the_empty_string_nor_the_word_none():
    rows = [(None,), ("",), ("None",)]
    assert [line.strip() for line in table.lines(("x",), rows)][2:] == ["NULL", "", "None"]


def test_escape_sequences_and_bidirectional_overrides_are_shown_not_sent():
    assert table.cell("\x1b[31mred\u202e\n\t\x00") == "\\x1b[31mred\\u202e\\n\\t\\x00"


def test_columns_that_find_no_room_are_left_out_from_the_last():
    placed = table.layout([f"column{at}" for at in range(50)], [tuple(range(50))], width=80)
    assert placed.left_out == 50 - len(placed.names)
    assert placed.names[0] == "column0"


@pytest.mark.parametrize(("number", "said"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (45_600_000, "45.6 MB")])
def test_sizes_are_in_decimal_units(number, said):
    assert table.size(number) == said
