"""``warehouse explain`` reads like an answer, and lists the documents where a name means several."""

from __future__ import annotations

import pyarrow as pa
import pytest
from small_project import DAY, DECISIONS, LATER, TEXTS, document, identity, publish_again, small_project

from warehouse.cli.documents import measured, number
from warehouse.contracts import DOCUMENTS
from warehouse.publish import current
from warehouse.repository import Repository


def test_the_first_lines_are_the_answer(inside, warehouse):
    lines = warehouse("explain", "short").out.splitlines()
    assert lines[0] == f"{identity('short', TEXTS['short'])}  Short"
    assert lines[1] == "Dropped by tiny: few_words, as 1 is below the limit of 3."


def test_a_uri_means_its_current_text_and_shows_the_other_in_its_history(inside, warehouse):
    out = warehouse("explain", "b").out
    assert out.startswith(identity("b", LATER))
    assert f"another text, {identity('b', TEXTS['b'])}" in out


def test_a_rule_is_one_line_with_the_limit_of_each_set_that_has_it(inside, warehouse):
    lines = warehouse("explain", "short").out.splitlines()
    assert [line.split() for line in lines if line.startswith("few_words")] == [["few_words", "1", "✗", "3"]]
    assert [line.split() for line in lines if line.startswith("other_language")] == [["other_language", "✓"]]


def test_several_documents_are_listed_and_the_status_is_2(tmp_path, warehouse):
    project = small_project(tmp_path / "project")
    rows = [document("many", f"Text {number}.", DAY, "0" * 64) | {"record": str(number)} for number in range(2)]
    batch = pa.RecordBatch.from_pylist(rows, schema=DOCUMENTS)
    Repository(project.root).append("documents", [batch], schema=DOCUMENTS, source="notes", run_id="run-2")
    publish_again(project, DECISIONS)
    assert current(project.published, "prod").n == 2
    ended = warehouse("explain", "many", "--project", str(project.folder))
    assert (ended.status, len(ended.err.splitlines())) == (2, 1)
    assert {line.split()[0] for line in ended.out.splitlines()} == {row["doc_id"] for row in rows}


def test_a_near_twin_is_named_with_what_the_two_share(tmp_path, warehouse):
    project = small_project(tmp_path / "project")
    near, twin = identity("short", TEXTS["short"]), identity("a", TEXTS["a"])
    publish_again(project, [*DECISIONS, (near, "notes", "near", False, "near_duplicate", 0.845, 0.8, twin)])
    said = warehouse("explain", "short", "--project", str(project.folder)).out.splitlines()
    shared = "has 84.5% of its word 5-grams in common (limit 0.8) and was kept"
    assert f"Dropped by near: near_duplicate. a ({twin[:8]}) {shared}." in said


def test_examples_of_a_reason_are_told_with_value_limit_and_beginning(inside, warehouse):
    lines = warehouse("explain", "--reason", "few_words").out.splitlines()
    assert lines[0] == "few_words: 1 of 1 documents fell for it; looked for in tiny"
    assert lines[2:] == [
        f"{identity('short', TEXTS['short'])[:12]}  short",
        "  notes, tiny: 1 is below the limit of 3",
        "  No.",
    ]
    copies = warehouse("explain", "--reason", "duplicate_document", "--source", "notes", "--rules", "tiny").out
    assert f"notes, tiny: the same text as a ({identity('a', TEXTS['a'])[:8]})" in copies
    none = warehouse("explain", "--reason", "other_language", "--rules", "tiny")
    assert (none.status, none.out) == (0, "other_language: no document fell for it; looked for in tiny\n")


def test_a_near_duplicate_among_examples_names_its_twin(tmp_path, warehouse):
    project = small_project(tmp_path / "project")
    near, twin = identity("short", TEXTS["short"]), identity("a", TEXTS["a"])
    publish_again(project, [*DECISIONS, (near, "notes", "near", False, "near_duplicate", 0.8155, 0.8, twin)])
    out = warehouse("explain", "--reason", "near_duplicate", "--project", str(project.folder)).out
    assert f"  notes, near: a near duplicate of a ({twin[:8]}), similarity 0.8155, limit 0.8" in out.splitlines()


@pytest.mark.parametrize("option", ["--sample=3", "--source=notes"])
def test_what_is_for_examples_only_is_refused_beside_a_document(inside, warehouse, option):
    ended = warehouse("explain", "a", option)
    assert ended.status == 2
    assert f"{option.partition('=')[0]} came with DOC" in ended.err


def test_every_signal_is_shown(inside, warehouse):
    lines = warehouse("explain", "a").out.splitlines()
    assert lines[lines.index("Signals") + 1] == "  version 1, words 7, language en"


@pytest.mark.parametrize(
    ("value", "threshold", "said"),
    [
        (6.0, 50.0, "6 is below the limit of 50"),
        (0.25, 0.2, "0.25 is above the limit of 0.2"),
        (2.0, 2.0, "2 is the limit itself"),
        (None, 1.0, "it was found"),
    ],
)
def test_a_value_is_told_against_its_limit(value, threshold, said):
    assert measured(value, threshold) == said


@pytest.mark.parametrize(
    ("value", "said"), [(100000.0, "100,000"), (0.123456, "0.1235"), (None, ""), (float("nan"), "nan")]
)
def test_numbers_are_short(value, said):
    assert number(value) == said
