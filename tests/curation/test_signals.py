"""Every signal equals its definition in plain Python (twins.py), on made-up and on real text, however it arrives."""

from __future__ import annotations

import json
import sysconfig
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
import twins
from hypothesis import example, given, settings
from hypothesis import strategies as st

from warehouse.contracts import Words
from warehouse.curation import MEANING, PARAGRAPHS, SIGNALS, measure, minhash, paragraphs, pii
from warehouse.curation.signals import COUNTS
from warehouse.engine import run_threads
from warehouse.errors import UsageError
from warehouse.kernels.words import MODES

PIECES = [
    *["abc", "the", "be", "to", "of", "and", "that", "have", "with", "don't", "näive", "e.g.", "3.14", "a.b", ""],
    *(
        "\n",
        "\n\n",
        "\r\n",
        "\r",
        "\x0b",
        "\x0c",
        "\x1c",
        "\x1f",
        "\x85",
        "\u2028",
        "\u2029",
        " ",
        "\t",
        "\xa0",
        "\u3000",
    ),
    *(
        ".",
        "...",
        "..",
        "\u2026",
        "!",
        "?",
        '"',
        "'",
        "#",
        "-",
        "\u2022",
        "{",
        "}",
        "[1]",
        "[\u0661]",
        "[edit]",
        "[",
        "]",
    ),
    *(
        "[citation needed]",
        "Lorem Ipsum",
        "JavaScript",
        "java[2]script",
        "Terms of Use",
        "privacy policy",
        "cookie policy",
    ),
    *(
        "uses cookies",
        "use of cookies",
        "use cookies",
        "x" * 999,
        "y" * 1001,
        "_",
        "\u3002",
        "\u4f60\u597d",
        "\U0001f600",
    ),
    *(
        "\U00011047",
        "\u0301",
        "\ufffd",
        "\x00",
        "\x01",
        "\u200d",
        "\u00bd",
        "\uff11",
        "\u2019",
        "one two three four five six ",
    ),
    *(
        "http://",
        "https://a.b/c?d=%2",
        "%41",
        "x:y",
        "read more",
        "read more..",
        "[...]",
        "(...)",
        "[…]",
        "-»",
        "* ",
        "‣ ○",
    ),
    *(
        "Privacy & Cookies policy",
        "privacy and cookies policy",
        "privacy overview",
        "//",
        "/*",
        "*/",
        "<!--",
        "-->",
        "--",
    ),
    *("<?xml version=", "⟨", "the\n\nthe", "z" * 254, "\n\n\n", "lorem ipsum "),
]
TEXTS = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=60).map("".join),
    st.lists(st.sampled_from(["a", "b", "c", ".", "\n"]), max_size=80).map(" ".join),
    st.lists(st.sampled_from(["a b", "", " ", "a", "\n", "c d e f."]), max_size=20).map("\n".join),
    st.text(max_size=80),
    st.lists(st.sampled_from(["a", "a.", "b c", " ", "", "\r"]), max_size=20).map("\r\n".join),
    st.lists(st.sampled_from([*twins.UNSPACED, "\n", "\n\n", ". ", "x" * 999]), max_size=40).map("".join),
)


def batch_of(texts: list[str | None], kind: pa.DataType | None = None) -> pa.RecordBatch:
    ids = pa.array([str(index) for index in range(len(texts))])
    return pa.RecordBatch.from_arrays([ids, pa.array(texts, kind or pa.large_string())], ["doc_id", "text"])


def counts(batch: pa.RecordBatch, **options: Words) -> list[dict[str, float]]:
    rows = measure(batch, **options).to_pylist()
    return [{name: row[name] for name in COUNTS if name != "text_hash"} for row in rows]


@pytest.mark.parametrize("mode", MODES)
@given(TEXTS)
@settings(max_examples=250, deadline=None)
@example("")
@example("\n")
@example("\na\n")
@example(" a\n\na\n\nb \n\nb")
@example("\ra\n\na")
@example("a\n\n\nb\n\na \n\n b")
@example("x" * 1001)
@example("a\n\na\r\n")
@example("a\r\n\r\na")
@example("\r\na\r\n\r\n a\r\nb\r\n\r\na\r\nb")
@example("a\r\n\r\na\r\n\r\nb.\r\n\r\n\r\nb.\r\n")
@example("a b c.\x1c")
@example("the\0 be\0\0 of")
@example("a b c.  [1] d e f. :) ok. (x:) )")
def test_every_count_equals_its_definition(mode: Words, text: str) -> None:
    assert counts(batch_of([text]), words=mode) == [twins.signals(text, mode)]


def library_texts() -> Iterator[str]:
    folder = Path(sysconfig.get_path("stdlib"))
    for name in ("argparse.py", "this.py", "LICENSE.txt", "pydoc_data/topics.py", "idlelib/HISTORY.txt", "ast.py"):
        path = folder / name
        if path.is_file():
            yield path.read_bytes()[:60_000].decode("utf-8", "replace")


@pytest.mark.parametrize("mode", MODES)
def test_every_count_equals_its_definition_on_the_standard_library(mode: Words) -> None:
    texts = list(library_texts())
    assert counts(batch_of(texts), words=mode) == [twins.signals(text, mode) for text in texts]


def test_every_count_equals_its_definition_on_pages_of_many_languages(shared_data: Path) -> None:
    with zipfile.ZipFile(shared_data / "udhr_xml.zip") as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".xml"))[::40]
        texts = [archive.read(name)[:8_000].decode("utf-8", "ignore") for name in names]
    assert counts(batch_of(texts)) == [twins.signals(text, "spacy_en") for text in texts]


@given(TEXTS, TEXTS)
@settings(max_examples=200, deadline=None)
@example("A  b\n", "a b")
@example("\u00c9", "\u00e9")
def test_texts_have_one_hash_exactly_if_they_are_equal_when_normalised(left: str, right: str) -> None:
    hashes = measure(batch_of([left, right, f" {left.upper()}\n" if left.isascii() else left]))["text_hash"].to_pylist()
    assert (hashes[0] == hashes[1]) == (twins.normalised(left) == twins.normalised(right))
    assert hashes[2] == hashes[0]


MIXED = [
    "The first of all.\n" * 4,
    None,
    "",
    "  ",
    "\u4f60\u597d\u3002\U0001f600\r\n- x...",
    "to be or not to be " * 30,
    "a",
]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()], ids=str)
@pytest.mark.parametrize("bounds", [(0, 7), (1, 5), (2, 2), (4, 7)])
def test_a_batch_means_the_same_in_every_string_type_and_slice(kind: pa.DataType, bounds: tuple[int, int]) -> None:
    sliced = batch_of(MIXED, kind).slice(bounds[0], bounds[1] - bounds[0])
    whole = measure(batch_of(MIXED)).to_pylist()[slice(*bounds)]
    assert measure(sliced).to_pylist() == whole
    assert counts(sliced) == [twins.signals(text or "", "spacy_en") for text in MIXED[slice(*bounds)]]


def test_dictionary_encoded_texts_are_measured_too() -> None:
    plain = batch_of(["a b.", "c", "a b."], pa.string())
    encoded = pa.RecordBatch.from_arrays([plain["doc_id"], plain["text"].dictionary_encode()], ["doc_id", "text"])
    assert measure(encoded).equals(measure(plain))


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("rows", [1, 2, 7])
def test_neither_threads_nor_batches_change_a_result(threads: int, rows: int) -> None:
    batch = batch_of(MIXED)
    parts = [batch.slice(start, rows) for start in range(0, len(MIXED), rows)]
    for function in (measure, paragraphs):
        split = pa.concat_batches(run_threads(function, parts, threads=threads))
        assert split.equals(function(batch))


def test_a_text_that_is_no_utf8_is_measured_within_its_bounds() -> None:
    broken = [
        b"\xff\xfe",
        b"ok \xe2\x80",
        b"\xf0\x9f",
        b"\xc2",
        b"\xed\xa0\x80.",
        b"a\x80\x80\x80\x80\x80b",
        b"\xc2\n\xe2",
    ]
    array = pa.array(broken, pa.large_binary()).view(pa.large_string())
    batch = pa.RecordBatch.from_arrays([pa.array(list("abcdefg")), array], ["doc_id", "text"])
    measured = measure(batch)
    assert measured["bytes"].to_pylist() == [len(text) for text in broken]
    assert all(row["chars"] <= row["bytes"] for row in measured.to_pylist())


def test_the_schema_is_documented_and_kept() -> None:
    assert list(MEANING) == SIGNALS.names
    assert measure(batch_of(MIXED)).schema.equals(SIGNALS)
    assert paragraphs(batch_of([])).schema.equals(PARAGRAPHS)
    assert measure(batch_of([])).num_rows == 0


@given(st.lists(TEXTS, max_size=6))
@settings(max_examples=150, deadline=None)
def test_paragraphs_are_the_trimmed_lines_of_twenty_bytes_or_more(texts: list[str]) -> None:
    rows = paragraphs(batch_of(texts)).to_pylist()
    wanted = [list(twins.paragraphs(text)) for text in texts]
    assert [row["lengths"] for row in rows] == [list(map(len, lines)) for lines in wanted]
    assert [row["doc_id"] for row in rows] == [str(index) for index in range(len(texts))]
    pairs = {pair for row, lines in zip(rows, wanted, strict=True) for pair in zip(row["hashes"], lines, strict=True)}
    assert len(pairs) == len({digest for digest, _ in pairs}) == len({line for _, line in pairs})


@pytest.mark.parametrize("function", [measure, minhash, paragraphs, pii])
def test_what_was_measured_keeps_no_text_in_memory(function: Callable[[pa.RecordBatch], pa.RecordBatch]) -> None:
    batch = pa.record_batch({"doc_id": ["a", "b"], "text": ["A line of more than twenty bytes."] * 2})
    lent = {buffer.address for column in batch.columns for buffer in column.buffers() if buffer}
    kept = {buffer.address for column in function(batch).columns for buffer in column.buffers() if buffer}
    assert not lent & kept


def test_a_batch_of_other_columns_is_refused() -> None:
    with pytest.raises(UsageError, match="doc_id and text"):
        measure(pa.RecordBatch.from_pydict({"text": ["a"]}))
    with pytest.raises(UsageError, match="string_view"):
        measure(pa.RecordBatch.from_pydict({"doc_id": ["a"], "text": [1]}))
    with pytest.raises(UsageError, match="spacy_en, unicode, whitespace"):
        measure(batch_of(["a"]), words="letters")  # type: ignore[arg-type]


SPOKEN = {
    "en": "All human beings are born free and equal in dignity and rights.",
    "de": "Alle Menschen sind frei und gleich an Würde und Rechten geboren.",
    "fr": "Tous les êtres humains naissent libres et égaux en dignité et en droits.",
    "ja": "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。",
}


def test_the_language_of_a_sentence_is_found_and_of_nothing_is_undetermined() -> None:
    rows = measure(batch_of([*SPOKEN.values(), None, " \n"])).to_pylist()
    assert [row["language"] for row in rows] == [*SPOKEN, "und", "und"]
    assert all(0 <= row["language_2nd_score"] <= row["language_score"] <= 1 for row in rows)


def test_a_language_does_not_depend_on_line_ends_or_on_what_follows_a_thousand_characters() -> None:
    text = (SPOKEN["fr"] + "\n") * 20
    rows = measure(batch_of([text, text.replace("\n", " "), text[:1000] + SPOKEN["ja"] * 50])).to_pylist()
    assert len({json.dumps([row["language"], row["language_score"]]) for row in rows}) == 1


@given(st.lists(st.one_of(TEXTS, st.text(st.characters(categories=["L"]), max_size=9)), max_size=6))
@settings(max_examples=200, deadline=None)
@example(["", "12 \u3002", "a\u0430", "\u0430a", "\u30fc", "aa\u6f22\u5b57\u304b\u306a", "\u00b5", "\uac00\ub098a"])
def test_the_script_is_that_of_most_letters(some: list[str]) -> None:
    assert measure(batch_of(list(some)))["script"].to_pylist() == [twins.script(text) for text in some]
