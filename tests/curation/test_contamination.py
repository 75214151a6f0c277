"""Overlap with benchmarks: spans equal those of plain sets of words, in any batching; what is planted is found."""

from __future__ import annotations

import gzip
import json
import random
from collections import Counter
from functools import partial
from pathlib import Path

import corpus
import numpy as np
import pyarrow as pa
import pytest
import twins
from hypothesis import given, settings
from hypothesis import strategies as st
from test_decisions import PROSE

from warehouse import query
from warehouse.contracts import DOCUMENTS
from warehouse.curation import CONTAMINATION
from warehouse.curation.contamination import Benchmarks, contamination
from warehouse.engine import run_threads
from warehouse.errors import UsageError
from warehouse.kernels import contamination as kernel
from warehouse.kernels.texts import texts

N = kernel.WORDS
Span = tuple[int, int, int, int, int, int]
Cut = list[tuple[str, int, int]]


def cut(text: str) -> Cut:
    """(word, start, stop) of every word: runs of word characters, A-Z as a-z, places in bytes."""
    found, size = list[tuple[str, int, int]](), 0
    for char in text:
        start, size = size, size + len(char.encode())
        if twins.is_word(char):
            before = found.pop() if found and found[-1][2] == start and start else ("", start, start)
            found.append((before[0] + char.translate(twins.ASCII_LOWER), before[1], size))
    return found


def known(items: list[tuple[int, str]]) -> dict[int, dict[tuple[str, ...], int]]:
    """Of each group every word 13-gram with the first item that has it."""
    found: dict[int, dict[tuple[str, ...], int]] = {group: {} for group in sorted({group for group, _ in items})}
    for item, (group, body) in enumerate(items):
        for gram in grams(cut(body)):
            if not all(word.isascii() and word.isdigit() for word in gram):
                found[group].setdefault(gram, item)
    return found


def grams(words: Cut) -> list[tuple[str, ...]]:
    return [tuple(word for word, _, _ in words[at : at + N]) for at in range(len(words) - N + 1)]


def reference(text: str, held: dict[int, dict[tuple[str, ...], int]]) -> tuple[list[Span], int]:
    """Spans (group, start, stop, words, ngrams, item) by dictionaries of word 13-grams, and the words of the text."""
    words = cut(text)
    every, spans = grams(words), list[Span]()
    for group, first in held.items():
        at = [place for place, gram in enumerate(every) if gram in first]
        while at:
            size = next((i for i in range(1, len(at)) if at[i] - at[i - 1] >= N), len(at))
            run, at = at[:size], at[size:]
            votes = Counter(first[every[place]] for place in run)
            item = min(votes, key=lambda each: (-votes[each], each))
            last = run[-1] + N
            spans.append((group, words[run[0]][1], words[last - 1][2], last - run[0], len(run), item))
    return spans, len(words)


def indexed(items: list[tuple[int, str]]) -> kernel.Index:
    groups, bodies = ([item[side] for item in items] for side in (0, 1))
    return kernel.index(texts(pa.array(bodies, pa.large_string())), np.array(groups, np.int64))


def measured(column: pa.Array, index: kernel.Index) -> list[tuple[list[Span], int]]:
    found, words = kernel.spans(texts(column), index)
    rows = zip(found.group, found.start, found.stop, found.words, found.ngrams, found.text, strict=True)
    spans: list[tuple[list[Span], int]] = [([], int(count)) for count in words]
    for document, row in zip(found.document, rows, strict=True):
        spans[document][0].append(tuple(map(int, row)))
    return spans


WORDS = st.lists(
    st.sampled_from(["a", "B", "b", "é", "É", "_", *"1122", "abcdefghi", "ABCDEFGHI", "汉字", "A\u0301"]), max_size=60
)
TEXTS = st.one_of(
    WORDS.map(" ".join),
    WORDS.map("\u3000".join),
    WORDS.map(", ".join),
    st.text(max_size=80),
    st.text("ab ", max_size=150),
)
LONG = "the quick brown fox jumps over the lazy dog and then it sleeps for a very long time indeed"


@given(
    st.lists(st.tuples(st.integers(0, 2), TEXTS), max_size=6),
    st.lists(st.one_of(TEXTS, st.none()), max_size=5),
    st.data(),
)
@settings(max_examples=400, deadline=None)
def test_spans_equal_those_of_sets_of_word_13_grams(
    items: list[tuple[int, str]], some: list[str | None], data: st.DataObject
) -> None:
    some += [f"{data.draw(TEXTS)} {body} {data.draw(TEXTS)}" for _, body in items[:3]]
    wanted = [reference(text or "", known(items)) for text in some]
    index = indexed(items)
    for kind in (pa.large_string(), pa.string(), pa.string_view()):
        padded = pa.array(["cut off", *some, "cut off too"], pa.string()).cast(kind)
        assert measured(padded.slice(1, len(some)), index) == wanted


@pytest.mark.parametrize("before", range(0, 140, 3))
def test_a_word_is_found_wherever_it_lies_in_a_block_of_64_bytes(before: int) -> None:
    for text in (LONG, LONG.replace("o", "é"), LONG.replace("the", "汉字\U00020000")):
        padding = "x" * before + " "
        ours = measured(pa.array([padding + text.upper().replace("É", "é")]), indexed([(0, text)]))
        assert ours == [reference(padding + text, known([(0, text)]))] and ours[0][0]


def test_hashes_that_collide_are_no_hit() -> None:
    index = indexed([(0, LONG)])
    body = pa.array([LONG.replace("dog", "cat")])
    hashes, _, _ = kernel._cut(texts(body))
    index.arrays[0][:] = hashes[: index.arrays[0].size]
    index.arrays[2][:] = index.arrays[3][:] = index.arrays[4][:] = 0
    kernel._fill(index.header.ctypes.data)
    assert measured(body, index) == [([], 19)]


def test_runs_of_numbers_alone_are_no_hit() -> None:
    numbers = " ".join(map(str, range(40)))
    assert measured(pa.array([numbers, f"{numbers} x"]), indexed([(0, numbers)])) == [([], 40), ([], 41)]
    (spans, _), (more, _) = measured(pa.array([f"{numbers} x", f"0, {numbers} x y"]), indexed([(0, f"{numbers} x y")]))
    assert [span[3:5] for span in spans + more] == [(13, 1), (14, 2)]


def benchmarks(**bodies: list[str]) -> Benchmarks:
    """Benchmarks of these names, items numbered through."""
    names = sorted(bodies)
    items = [(group, body) for group, name in enumerate(names) for body in bodies[name]]
    labels = pa.array([f"{names[group]}#{at}" for at, (group, _) in enumerate(items)], pa.string())
    return Benchmarks(
        pa.array(names, pa.string()), np.array([len(bodies[name]) for name in names]), labels, indexed(items)
    )


def batch_of(some: list[str]) -> pa.RecordBatch:
    ids = pa.array([str(at) for at in range(len(some))])
    return pa.RecordBatch.from_arrays([ids, pa.array(some, pa.large_string())], ["doc_id", "text"])


def test_neither_threads_nor_batches_nor_order_change_a_row() -> None:
    draw = random.Random(5)
    items = {name: [" ".join(draw.choices("abcdefg", k=30)) for _ in range(20)] for name in ("one", "two")}
    some = [" ".join([*draw.choices("abcdefg", k=20), draw.choice(items["one"] + items["two"])]) for _ in range(200)]
    whole = contamination(batch_of(some), benchmarks(**items))
    assert whole.schema == CONTAMINATION and whole["start"].to_pylist().count(-1) >= 200
    compared = partial(contamination, against=benchmarks(**items))
    for threads, rows in ((1, 33), (2, 33), (7, 9)):
        parts = [batch_of(some).slice(at, rows) for at in range(0, 200, rows)]
        assert pa.concat_batches(run_threads(compared, parts, threads=threads)) == whole
    turned = contamination(batch_of(some).take(pa.array(range(199, -1, -1))), benchmarks(**items))
    key = [("doc_id", "ascending"), ("benchmark", "ascending"), ("start", "ascending")]
    assert turned.sort_by(key) == whole.sort_by(key)


def test_a_document_that_meets_nothing_says_what_it_was_compared_with() -> None:
    rows = contamination(batch_of([LONG, "", "short"]), benchmarks(fox=[LONG], none=["too short"])).to_pylist()
    assert [(row["doc_id"], row["benchmark"], row["start"], row["item"]) for row in rows] == [
        ("0", "fox", 0, "fox#0"),
        ("0", "none", -1, None),
        *[(str(at), name, -1, None) for at in (1, 2) for name in ("fox", "none")],
    ]
    assert [row["text_words"] for row in rows] == [19, 19, 0, 0, 1, 1]
    assert rows[0]["words"] == 19 and rows[0]["ngrams"] == 7 and rows[0]["stop"] == len(LONG)


def test_without_benchmarks_there_are_no_rows() -> None:
    assert contamination(batch_of([LONG]), benchmarks()).num_rows == 0
    with pytest.raises(UsageError, match="without text"):
        contamination(pa.RecordBatch.from_pydict({"doc_id": ["a"]}), benchmarks())


def test_every_planted_item_of_13_words_or_more_is_found(shared_data: Path) -> None:
    folder = shared_data / "benchmarks"
    with (folder / "gsm8k_test.jsonl").open(encoding="utf-8") as lines:
        gsm8k = [f"{row['question']}\n{row['answer']}" for row in map(json.loads, lines)]
    with gzip.open(folder / "HumanEval.jsonl.gz", "rt") as lines:
        code = [f"{row['prompt']}\n{row['canonical_solution']}" for row in map(json.loads, lines)]
    draw, against = random.Random(1), benchmarks(gsm8k=gsm8k, humaneval=code)
    planted = draw.sample([*gsm8k, *code], 400)
    some = [f"{LONG} {draw.random()}\n{body}\n{LONG[::-1]}" for body in planted]
    rows = contamination(batch_of([*some, *[LONG[::-1]] * 5]), against).to_pylist()
    found = {int(row["doc_id"]) for row in rows if row["start"] >= 0}
    assert found == {at for at, body in enumerate(planted) if len(cut(body)) >= N}
    for row in rows:
        if row["start"] >= 0:
            raw = some[int(row["doc_id"])].encode()[row["start"] : row["stop"]].decode()
            assert len(cut(raw)) == row["words"]


OTHER = "It says nothing of what computers do with the power, and nobody who bought them has ever asked that before."


def judged(checkout: Path, **thresholds: float) -> query.Connection:
    """Models over four documents: two that hold what benchmarks hold, one that holds nothing, one not compared."""
    added = {"a": LONG, "b": OTHER, "c": "", "d": ""}
    rows = [corpus.row(name, f"{PROSE} {name}\n{more}") for name, more in added.items()]
    batch = pa.RecordBatch.from_pylist(rows, DOCUMENTS).select(["doc_id", "text"]).slice(0, 3)
    con = corpus.empty(**thresholds)
    corpus.arrive(con, rows)
    found = contamination(batch, benchmarks(fox=[LONG], halls=[OTHER, LONG[:70]]))
    older = found.set_column(3, "passages", pa.array([0] * found.num_rows))
    corpus.append(con, "contamination", pa.Table.from_batches([found, older]))
    corpus.build(con, checkout)
    return con


def test_the_model_sums_the_newest_spans_of_each_document_and_benchmark(checkout: Path) -> None:
    sql = """SELECT uri, benchmark, spans, ngrams, words, share, item, threshold, contaminated
             FROM curation.contamination JOIN staging.current_documents USING (doc_id) ORDER BY ALL"""
    size = len(cut(f"{PROSE} a"))
    share = [round(words / (size + more), 6) for words, more in ((19, 19), (15, 19), (20, 20))]
    assert query.fetch_all(judged(checkout), sql) == [
        ("a", "fox", 1, 7, 19, share[0], "fox#0", 0, True),
        ("a", "halls", 1, 3, 15, share[1], "halls#2", 0, True),
        ("b", "fox", 0, 0, 0, 0, None, 0, False),
        ("b", "halls", 1, 8, 20, share[2], "halls#1", 0, True),
        ("c", "fox", 0, 0, 0, 0, None, 0, False),
        ("c", "halls", 0, 0, 0, 0, None, 0, False),
    ]


@pytest.mark.parametrize(("most", "fallen"), [(0, {"a": 7, "b": 8}), (7, {"b": 8}), (8, {})])
def test_the_house_drops_what_is_contaminated_and_the_variable_moves_the_threshold(
    checkout: Path, most: int, fallen: dict[str, int]
) -> None:
    con = judged(checkout, contamination_max_ngrams=most, near_duplicate_jaccard=2)
    sql = """SELECT rule_set, uri, reason, value, threshold FROM curation.decisions
             JOIN staging.current_documents USING (doc_id) WHERE reason = 'contaminated' ORDER BY uri"""
    assert query.fetch_all(con, sql) == [("house", uri, "contaminated", value, most) for uri, value in fallen.items()]
