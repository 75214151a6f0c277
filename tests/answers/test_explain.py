"""``answers.explain``: the right document, the decision as it stands in the table, every rule, twin and fact."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from decided_project import decided_project
from small_project import DAY, DECISIONS, LATER, TEXTS, document, identity, publish_again, small_project

from warehouse.answers.examples import examples
from warehouse.answers.explain import Explanation, explain, find_documents
from warehouse.answers.texts import Span, difference, masked, masked_part
from warehouse.curation import CONTAMINATION_VERSION, PII, pii
from warehouse.errors import NotFound, UsageError
from warehouse.project import Project
from warehouse.repository import Repository


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return small_project(tmp_path_factory.mktemp("answers") / "project")


def told(project: Project, uri: str, text: str) -> Explanation:
    return explain(project, identity(uri, text))


def test_a_uri_a_doc_id_and_its_first_digits_mean_the_same_document(project):
    doc_id = identity("a", TEXTS["a"])
    for name in ("a", doc_id, doc_id[:8]):
        assert [item.doc_id for item in find_documents(project, name)] == [doc_id]


def test_a_uri_with_two_texts_gives_the_current_one_first(project):
    found = find_documents(project, "b")
    assert [(item.doc_id, item.current) for item in found] == [
        (identity("b", LATER), True),
        (identity("b", TEXTS["b"]), False),
    ]


@pytest.mark.parametrize("name", ["nowhere", "abc", "", "%", "0" * 32, "A", "a' OR 1=1 --"])
def test_what_is_not_there_is_not_found(name, project):
    with pytest.raises(NotFound):
        find_documents(project, name)


def test_a_kept_document_passes_every_rule_and_has_no_reason(project):
    verdict = next(item for item in told(project, "a", TEXTS["a"]).verdicts if item.rule_set == "tiny")
    assert (verdict.kept, verdict.reason, verdict.twin) == (True, None, None)
    assert [(rule.reason, rule.failed) for rule in verdict.rules] == [("few_words", False), ("other_language", False)]


def test_a_dropped_document_has_the_reason_value_and_threshold_of_its_decision(project):
    [verdict] = told(project, "short", TEXTS["short"]).verdicts
    row = next(row for row in DECISIONS if row[0] == identity("short", TEXTS["short"]))
    assert (verdict.rule_set, verdict.kept, verdict.reason, verdict.value, verdict.threshold) == row[2:7]
    assert [rule.failed for rule in verdict.rules] == [True, False]


def test_a_copy_names_its_twin(project):
    [verdict] = told(project, "copy_of_a", TEXTS["copy_of_a"]).verdicts
    assert verdict.twin is not None
    assert (verdict.twin.uri, verdict.twin.doc_id) == ("a", identity("a", TEXTS["a"]))


def test_the_history_holds_every_fact_of_the_uri_newest_first(project):
    answer = told(project, "b", LATER)
    facts = [(fact.known_at, fact.doc_id) for fact in answer.history]
    assert facts == [(DAY.replace(month=2), identity("b", LATER)), (DAY, identity("b", TEXTS["b"]))]
    assert [fact.bytes for fact in answer.history] == [len(LATER.encode()), len(TEXTS["b"].encode())]


def test_a_superseded_text_is_told_without_a_verdict(project):
    answer = told(project, "b", TEXTS["b"])
    assert (answer.document.current, answer.verdicts, answer.known_at) == (False, (), DAY)


def test_the_object_is_in_the_archive_and_holds_the_text(project):
    answer = told(project, "short", TEXTS["short"])
    assert answer.object is not None
    assert TEXTS["short"] in answer.object.read_text()


def test_signals_are_those_of_the_document(project):
    assert told(project, "short", TEXTS["short"]).signals == {
        "doc_id": identity("short", TEXTS["short"]),
        "version": 1,
        "words": 1,
        "language": "en",
    }


def test_personal_data_is_counted_by_kind_and_not_shown(tmp_path: Path):
    project = small_project(tmp_path / "project")
    assert told(project, "a", TEXTS["a"]).pii is None
    secrets = ["me@mail.de, you@mail.de, 85.12.3.4", "nothing"]
    ids = [identity("a", TEXTS["a"]), identity("short", TEXTS["short"])]
    batch = pa.record_batch({"doc_id": ids, "text": secrets})
    Repository(project.root).append("pii", [pii(batch)], schema=PII, source="curation", run_id="run-2")
    publish_again(project, DECISIONS)
    answers = [told(project, uri, TEXTS[uri]) for uri in ("a", "short", "copy_of_a")]
    assert [answer.pii for answer in answers] == [{"email": 2, "ip": 1}, {}, None]
    assert "mail.de" not in repr(answers)


def test_one_rule_set_is_told_alone_and_an_unknown_one_is_refused(project):
    doc_id = identity("a", TEXTS["a"])
    assert [item.rule_set for item in explain(project, doc_id).verdicts] == ["other", "tiny"]
    assert [item.rule_set for item in explain(project, doc_id, rules="other").verdicts] == ["other"]
    with pytest.raises(UsageError, match="tiny"):
        explain(project, doc_id, rules="tiyn")


def test_the_answer_is_of_the_published_snapshot_not_of_what_came_after(tmp_path: Path):
    project = small_project(tmp_path / "project")
    publish_again(project, DECISIONS[:1])
    assert told(project, "short", TEXTS["short"]).verdicts == ()


def test_a_snapshot_without_rules_still_tells_what_the_document_is(tmp_path: Path):
    project = small_project(tmp_path / "project")
    publish_again(project, (), curated=False)
    answer = told(project, "a", TEXTS["a"])
    assert (answer.verdicts, answer.licence, answer.signals["words"]) == ((), "CC0-1.0", 7)
    with pytest.raises(UsageError, match="decides nothing"):
        explain(project, identity("a", TEXTS["a"]), rules="tiny")


def test_copies_of_a_text_name_each_other_and_personal_data_is_masked_where_text_is_shown(tmp_path: Path):
    text = "Write to me@mail.de about it, and not to anybody else in that house.\nThe rest of the text.\n"
    rows = [document(uri, text, DAY, "0" * 64) for uri in ("one", "two")]
    project = decided_project(tmp_path / "decided", rows)
    answer = explain(project, rows[0]["doc_id"])
    assert [copy.uri for copy in answer.copies] == ["two"]
    assert [(span.kind, text.encode()[span.start : span.stop]) for span in answer.spans] == [("email", b"me@mail.de")]
    shown = examples(project, "gopher_short_doc", rules="house").shown
    assert {item.uri for item in shown} == {"one", "two"}
    assert "mail.de" not in repr((answer, shown))
    assert f"Write to {answer.spans[0].mask} about it" in shown[0].excerpt


def test_contamination_is_told_by_benchmark_with_its_places_and_personal_data_masked(tmp_path: Path):
    text = "Before it. Ask me@mail.de für the answer, and then again."
    rows = [document(uri, each, DAY, "0" * 64) for uri, each in (("met", text), ("clean", "Nothing of it."))]
    shared, (start, stop) = "Ask me@mail.de für the answer", (11, 41)
    assert text.encode()[start:stop].decode() == shared
    place = {"version": CONTAMINATION_VERSION, "passages": 3, "text_words": 9}
    met = [
        {**place, "doc_id": row["doc_id"], "benchmark": name, "start": -1}
        for row in rows
        for name in ("alpha", "quiz")
        if (row["uri"], name) != ("met", "quiz")
    ]
    span = {"start": start, "stop": stop, "words": 7, "ngrams": 2, "item": "quiz#4"}
    met.append({**place, "doc_id": rows[0]["doc_id"], "benchmark": "quiz", **span})
    project = decided_project(tmp_path / "decided", rows, met=met)
    answer, clean = (explain(project, row["doc_id"]) for row in rows)
    [found] = answer.contamination or ()
    assert (found.benchmark, found.item, found.ngrams, found.threshold, found.contaminated) == (
        "quiz", "quiz#4", 2, 0.0, True,
    )  # fmt: skip
    assert found.share == round(7 / 9, 6)
    [held] = found.spans
    assert (held.start, held.stop, held.words, held.item) == (start, stop, 7, "quiz#4")
    assert held.excerpt == shared.replace("me@mail.de", answer.spans[0].mask)
    assert (answer.compared, clean.compared, clean.contamination) == (("alpha", "quiz"), ("alpha", "quiz"), ())


def test_a_snapshot_without_the_model_says_nothing_of_benchmarks(project):
    answer = told(project, "a", TEXTS["a"])
    assert (answer.contamination, answer.compared) == (None, None)


def test_a_difference_is_the_first_changed_lines_cut_around_the_change():
    text = "same\n" + "x" * 200 + "one\nsame\nleft\n"
    assert difference(text, text) == ()
    found = difference(text, text.replace("one", "two").replace("left\n", ""))
    assert found == ("- …" + "x" * 30 + "one", "+ …" + "x" * 30 + "two", "- left")
    assert len(difference("a\n" * 50, "b\n" * 50)) == 6


def test_a_part_of_a_text_shows_no_byte_of_a_span_that_it_cuts():
    text, spans = "ab 1234 é 5678", [Span("ip", 3, 7, "IP"), Span("card", 11, 15, "CARD")]
    assert [masked_part(text, spans, *ends) for ends in ((0, 15), (0, 5), (5, 10), (8, 13))] == [
        "ab IP é CARD", "ab IP", "IP é", "é CARD",
    ]  # fmt: skip


def test_a_mask_takes_the_place_of_each_span_in_bytes():
    spans = [Span("email", 2, 6, "EMAIL"), Span("ip", 7, 8, "IP")]
    assert masked("é1234 5 6", spans) == "éEMAIL IP 6"
