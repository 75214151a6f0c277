"""What C4's rules leave of a text: the spans of the kernel applied to it, beside plain Python."""

from __future__ import annotations

import pyarrow as pa
import pytest
import twins
from c4_twin import c4_left
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_signals import TEXTS, batch_of, library_texts

from warehouse.curation import measure
from warehouse.kernels import c4, words
from warehouse.kernels.texts import texts
from warehouse.kernels.words import MODES, Words

LINES = [
    *(
        "One two three.",
        "[1] One two three.",
        "One two three. [2]",
        "one [3] two[4]three !",
        "[1] [2] [3]",
        "[edit][7][]",
    ),
    *(
        "no mark here",
        "two words.",
        "",
        "  ",
        "it uses cookies here.",
        "a { b c.",
        "Lorem ipsum d\u00f6lor.",
        "a b c [12",
        "a b c [",
    ),
    *("\U0001f600 \U0001f600 \u4f60.", f"a b {'w' * 1001}.", "a b c...", "[citation needed] a b c?", "a javascript b."),
]
BREAKS = ["\n", "\r\n", "\r", " \n", "\n\n", "\n ", "\n\t", "\x85", "\u2028", "\x1c ", " \x0b"]
PAGES = st.lists(st.tuples(st.sampled_from(LINES), st.sampled_from(BREAKS)), max_size=12).map(
    lambda pairs: "".join(line + stop for line, stop in pairs)
)


def left(bodies: list[str], *, needs_mark: bool) -> list[str]:
    """The texts with the kernel's spans applied; they lie in order, apart, and are not empty."""
    spans, counts = c4.edits(texts(pa.array(bodies, pa.large_string())), needs_mark=needs_mark)
    rest, made = iter(spans.tolist()), list[str]()
    for body, found in zip(bodies, counts[:, -1].tolist(), strict=True):
        raw, at, parts = body.encode(), 0, list[bytes]()
        for _ in range(found):
            start, stop, feed = next(rest)
            assert at <= start < stop <= len(raw)
            parts += [raw[at:start], b"\n" * feed]
            at = stop
        made.append(b"".join([*parts, raw[at:]]).decode())
    assert next(rest, None) is None
    return made


@pytest.mark.parametrize("needs_mark", [True, False], ids=["c4", "c4_open"])
@given(st.lists(st.one_of(PAGES, TEXTS), max_size=4))
@settings(max_examples=150, deadline=None)
@example(["", "\n", "a b c.", " a b c. \n", "x\na b c.\ny", "a b c.\r\nd e f."])
@example(["a b [1]\nd e f.", "[1] a b c.\n[2] d e f. [3]", "a b c.\n[1] [2] [3]\nd e f. [4]\n[1] [2] [3]"])
@example(["[ [1] a b c.", "a b c.[[1]]", "a b c.\n\nd\ne f g."])
def test_a_text_without_its_spans_is_what_c4_leaves(needs_mark: bool, bodies: list[str]) -> None:
    assert left(bodies, needs_mark=needs_mark) == [c4_left(body, needs_mark=needs_mark) for body in bodies]


@pytest.mark.parametrize("mode", MODES)
@given(PAGES)
@settings(max_examples=150, deadline=None)
@example("[1] [2] [3]\n[1] a b c [2]\n a b c\n[1] [2] [3]")
@example("a b :) (x[1]:) ok\r\n:) [2]  x:)")
def test_counts_of_what_is_left_are_those_of_that_text(mode: Words, body: str) -> None:
    found = measure(batch_of([body]), words=mode).to_pylist()[0]
    wanted = twins.what_c4_leaves(body, mode)
    assert {name: found[name] for name in wanted} == wanted


@pytest.mark.parametrize("mode", ["whitespace", "unicode"])
@pytest.mark.parametrize("needs_mark", [True, False], ids=["c4", "c4_open"])
def test_spans_and_counts_are_those_of_the_signals_on_real_text(mode: Words, needs_mark: bool) -> None:
    bodies = [*library_texts(), "彼は門を開けた。\n「誰もいない」\n静か…\nチームは二つある\n", ""]
    assert left(bodies, needs_mark=needs_mark) == [c4_left(body, needs_mark=needs_mark) for body in bodies]
    column = texts(pa.array(bodies, pa.large_string()))
    measured = c4.measure(column, mode, words.measure(column, mode)[1])
    counts = c4.edits(column, needs_mark=needs_mark, words=mode)[1]
    prefix = "c4_" if needs_mark else "c4_open_"
    for at, name in enumerate(c4.EDITED[:6]):
        assert (counts[:, at] == measured[:, c4.COLUMNS.index(f"{prefix}{name}_lines")]).all()
    assert (counts[:, :8].sum(axis=1) == measured[:, 0]).all()
    assert (counts[:, 7] == needs_mark * measured[:, c4.COLUMNS.index("c4_no_terminal_lines")]).all()
