"""``answers.whatif`` says what a rebuild with the variable decides, document for document, and writes nothing."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
from decided_project import decided_project, published_again, row
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_project import publish_again, small_project

from examples import dear
from warehouse.answers.examples import examples
from warehouse.answers.explain import explain
from warehouse.answers.whatif import WhatIf, whatif
from warehouse.errors import NotFound, UsageError
from warehouse.project import Project, load
from warehouse.publish import connect_current
from warehouse.query import fetch_all

Decisions = dict[str, tuple[str, bool, str | None]]
_TEXT = """The warehouse holds every document that a model is trained on, and it keeps the raw bytes of each of them.
Rules decide what is kept; they are written in SQL over numbers that were measured once. Nobody has to read the text
again to change a threshold, for the numbers are stored with the document."""
PROSE = _TEXT.split()


TWINS = [
    row("twins/1", " ".join(PROSE).replace("document.", "record."), source="twins", licence="MIT"),
    row("twins/2", " ".join(PROSE).replace("document.", "record, longer."), source="twins", licence=None),
]
"""The second has a word more, and comes after the first."""
SHARED = [
    row(f"shared/{n}", f"{_TEXT}\n{' '.join(f'{word}{n}' for word in PROSE)}.", source="one", licence=None)
    for n in range(3)
]
"""Half of each is in both others, and they are no near duplicates."""


def documents(seed: int) -> list[dict[str, object]]:
    """Texts of 5 to 50 words with copies, near duplicates and repetition, of two sources."""
    rng = random.Random(seed)
    rows: list[dict[str, object]] = []
    for base in range(12):
        words = [f"{word}{rng.choice(['', '', base])}" for word in PROSE[: rng.randint(5, len(PROSE))]]
        for version in range(rng.randint(1, 4)):
            changed = list(words)
            if version and rng.random() < 0.7:
                changed[rng.randrange(len(changed))] = f"x{version}"
            text = " ".join(changed * rng.choice([1, 1, 2])) + "."
            source, licence = rng.choice(["one", "two"]), rng.choice(["MIT", None])
            rows.append(row(f"{base}/{version}", text, source=source, licence=licence))
    return rows


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return decided_project(tmp_path_factory.mktemp("whatif") / "project", [*documents(5), *TWINS, *SHARED])


@pytest.fixture(scope="module")
def rebuilt(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy of the project, to be built again with other variables."""
    folder = tmp_path_factory.mktemp("rebuilt") / "project"
    shutil.copytree(project.folder, folder)
    return load(folder)


def decisions(project: Project, rule_set: str) -> Decisions:
    sql = "SELECT doc_id, source, kept, reason FROM curation.decisions WHERE rule_set = $1"
    with connect_current(project.published, "prod") as con:
        return {doc_id: (source, kept, reason) for doc_id, source, kept, reason in fetch_all(con, sql, [rule_set])}


def check(answer: WhatIf, now: Decisions, then: Decisions) -> None:
    """The answer is the difference of the two decisions, as examples, by reason and by source."""
    moved = {name for name in now if now[name][1] != then[name][1]}
    assert {example.doc_id: example.kept for example in answer.examples} == {name: then[name][1] for name in moved}
    for example in answer.examples:
        assert example.reason == (now if example.kept else then)[example.doc_id][2]
    assert sum(each.documents for each in answer.reasons) == len(moved)
    for each in answer.sources:
        own = [name for name in now if now[name][0] == each.source]
        assert each.documents == len(own)
        assert each.kept_now == sum(now[name][1] for name in own)
        assert each.kept_then == sum(then[name][1] for name in own)
        assert each.newly_kept == sum(then[name][1] for name in own if name in moved)
        assert each.newly_dropped == sum(now[name][1] for name in own if name in moved)


VARIABLES = st.one_of(
    st.tuples(st.just("min_words"), st.integers(0, 60)),
    st.tuples(st.just("max_duplicate_10_grams"), st.sampled_from([0.0, 0.25, 1.0])),
    st.tuples(st.just("near_duplicate_jaccard"), st.sampled_from([0.5, 0.6, 0.7, 0.9, 1.0])),
    st.tuples(st.just("min_terminal_lines"), st.sampled_from([0, 2])),
    st.tuples(st.just("common_paragraph_documents"), st.sampled_from([0, 1, 2, 3])),
    st.tuples(st.just("max_common_lines"), st.sampled_from([0.0, 0.3])),
    st.tuples(st.just("cluster_jaccard"), st.sampled_from([0.5, 1.0])),
)


@given(st.lists(VARIABLES, min_size=1, max_size=3))
@settings(max_examples=dear(8), deadline=None, suppress_health_check=list(HealthCheck))
def test_the_answer_is_what_a_rebuild_decides(
    project: Project, rebuilt: Project, chosen: list[tuple[str, float]]
) -> None:
    values = dict(chosen)
    answer = whatif(project, "house", {name: str(value) for name, value in values.items()}, sample=1000)
    full = {change.name: change.value for change in answer.changes}
    published_again(rebuilt, goal="curation.decisions", **full)
    check(answer, decisions(project, "house"), decisions(rebuilt, "house"))


def test_a_variable_of_a_table_before_the_rules_makes_it_again(project: Project) -> None:
    values = {"common_paragraph_documents": "2", "max_common_lines": "0.3"}
    answer = whatif(project, "house", values, sample=1000)
    fallen = {example.doc_id for example in answer.examples if example.reason == "common_lines"}
    assert {str(each["doc_id"]) for each in SHARED} <= fallen
    assert whatif(project, "house", {**values, "common_paragraph_documents": "3"}).reasons == ()


def test_taking_a_document_out_brings_its_twin_back(project: Project) -> None:
    first, second = (str(each["doc_id"]) for each in TWINS)
    answer = whatif(project, "house", {"min_words": str(len(PROSE) + 1)}, sample=1000)
    changed = {example.doc_id: (example.kept, example.reason, example.twin) for example in answer.examples}
    assert changed[first] == (False, "gopher_short_doc", None)
    assert changed[second] == (True, "near_duplicate", first)


def test_a_set_a_file_and_both_names_of_a_variable_mean_the_same(project: Project) -> None:
    answers = [
        whatif(project, rules, {name: "40"}, sample=9)
        for rules in ("house", "sql/curation/house.sql")
        for name in ("min_words", "house_min_words")
    ]
    assert answers.count(answers[0]) == 4
    assert answers[0].changes[0].default == "30"
    assert whatif(project, "sql/curation/gopher.sql", {"min_words": "1"}).rule_set == "gopher"
    assert whatif(project, "fineweb", {"gopher_min_words": "1"}).changes[0].name == "gopher_min_words"


def test_nothing_changes_where_nothing_is_set_and_nothing_was_edited(project: Project) -> None:
    answer = whatif(project, "house", {}, sample=10)
    assert (answer.edited, answer.reasons, answer.examples) == ((), (), ())


def test_an_edit_of_the_file_counts_like_a_variable(project: Project, checkout: Path) -> None:
    own = project.folder / "sql" / "curation" / "house.sql"
    own.parent.mkdir(parents=True, exist_ok=True)
    wanted = whatif(project, "house", {"min_words": "45"}, sample=100)
    own.write_text((checkout / "sql/curation/house.sql").read_text().replace("_min_words'), 30)", "_min_words'), 45)"))
    try:
        answer = whatif(project, "house", {}, sample=100)
    finally:
        own.unlink()
    assert "curation.house" in answer.edited
    assert (answer.sources, answer.reasons, answer.examples) == (wanted.sources, wanted.reasons, wanted.examples)


def test_the_published_files_stay_as_they_were(project: Project) -> None:
    before = {path: path.stat().st_mtime_ns for path in project.root.rglob("*") if path.is_file()}
    whatif(project, "house", {"min_words": "1"}, sample=5)
    assert {path: path.stat().st_mtime_ns for path in project.root.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("rules", "values", "said"),
    [
        ("hose", {}, "house"),
        ("sql/curation/hose.sql", {}, "house"),
        ("house", {"mn_words": "1"}, "min_words"),
        ("house", {"gopher_min_words": "1"}, "min_words"),
        ("house", {"min_words": "many"}, "a number"),
        ("house", {"min_words": "nan"}, "a number"),
        ("house", {"min_words'": "1"}, "min_words"),
        ("house", {"near_duplicate_jaccard": "0.3"}, "0.3.*0.5 to 1, for pairs of texts are stored"),
        ("house", {"near_duplicate_jaccard": "1.01"}, "0.5 to 1"),
        ("house", {"cluster_jaccard": "0.49"}, "0.5 to 1"),
        ("house", {"min_words": "1", "house_min_words": "2"}, "house_min_words is set twice"),
        ("c4", {"common_paragraph_documents": "1"}, "which curation.paragraph_duplicates reads"),
        ("sql/nowhere/house.sql", {}, "no file"),
        ("/etc/house.sql", {}, "no file"),
        ("sql/curation/decisions.sql", {}, "no file of a rule set.*house.sql"),
    ],
)
def test_what_cannot_be_is_refused_with_what_is_allowed(project, rules, values, said) -> None:
    with pytest.raises(UsageError, match=said):
        whatif(project, rules, values)


def test_a_snapshot_that_decides_nothing_is_refused(tmp_path: Path) -> None:
    small = small_project(tmp_path / "project")
    publish_again(small, (), curated=False)
    with pytest.raises(UsageError, match="decides nothing"):
        whatif(small, "house", {})
    with pytest.raises(NotFound, match="decides nothing"):
        examples(small, "few_words")


def test_what_explain_says_is_what_the_table_decides(project: Project) -> None:
    decided = {rule_set: decisions(project, rule_set) for rule_set in ("house", "gopher")}
    for doc_id in decided["house"]:
        verdicts = {verdict.rule_set: verdict for verdict in explain(project, doc_id).verdicts}
        for rule_set, own in decided.items():
            verdict, (_, kept, reason) = verdicts[rule_set], own[doc_id]
            assert (verdict.kept, verdict.reason) == (kept, reason)
            failed = [rule.reason for rule in verdict.rules if rule.failed]
            assert failed[:1] == ([] if kept or verdict.twin else [reason])


def test_a_near_twin_is_shown_with_the_lines_that_differ(project: Project) -> None:
    [verdict] = explain(project, str(TWINS[1]["doc_id"]), rules="house").verdicts
    assert verdict.twin is not None
    assert verdict.twin.doc_id == TWINS[0]["doc_id"]
    assert verdict.difference == (
        "- …ers are stored with the record, longer.",
        "+ …ers are stored with the record.",
    )


def test_examples_of_a_reason_are_decisions_of_it_and_the_same_every_time(project: Project) -> None:
    found = examples(project, "gopher_short_doc", sample=3, rules="house", source="one")
    assert found == examples(project, "gopher_short_doc", sample=3, rules="house", source="one")
    decided = decisions(project, "house")
    want = [name for name, (source, _, reason) in decided.items() if (source, reason) == ("one", "gopher_short_doc")]
    assert (found.total, len(found.shown)) == (len(want), min(3, len(want)))
    for item in found.shown:
        assert item.doc_id in want
        [fall] = item.falls
        assert fall.value is not None
        assert fall.threshold is not None
        assert fall.value < fall.threshold == 30


def test_a_sample_is_of_documents_each_with_every_set_that_drops_it(project: Project) -> None:
    decided = {rule_set: decisions(project, rule_set) for rule_set in ("fineweb", "gopher", "house")}
    want = {
        (doc_id, rule_set)
        for rule_set, own in decided.items()
        for doc_id, (_, _, reason) in own.items()
        if reason == "gopher_short_doc"
    }
    found = examples(project, "gopher_short_doc", sample=1000)
    assert {(item.doc_id, fall.rule_set) for item in found.shown for fall in item.falls} == want
    assert found.rule_sets == ("fineweb", "gopher", "house")
    assert found.total == len(found.shown) == len({doc_id for doc_id, _ in want}) < len(want)
    assert len(examples(project, "gopher_short_doc", sample=2).shown) == 2
    [near] = [item for item in examples(project, "near_duplicate", rules="house").shown if item.source == "twins"]
    assert [(fall.twin, fall.twin_uri) for fall in near.falls] == [(TWINS[0]["doc_id"], TWINS[0]["uri"])]


def test_a_rule_that_dropped_nothing_is_told_from_one_that_is_not_there(project: Project) -> None:
    nothing = examples(project, "lorem_ipsum")
    assert (nothing.total, nothing.shown, nothing.rule_sets) == (0, (), ("c4", "fineweb", "house"))
    assert examples(project, "unmeasured", rules="gopher").rule_sets == ("gopher",)
    with pytest.raises(UsageError, match=r"no rule has the reason 'gopher_short'.*gopher_short_doc"):
        examples(project, "gopher_short")
    with pytest.raises(UsageError, match=r"gopher has no rule with the reason 'lorem_ipsum'.*c4, fineweb, house"):
        examples(project, "lorem_ipsum", rules="gopher")
    with pytest.raises(UsageError, match="one, twins, two"):
        examples(project, "gopher_short_doc", source="three")
    with pytest.raises(UsageError, match=r"rule_set 'hose'.*house"):
        examples(project, "gopher_short_doc", rules="hose")


STUBS = """/* model
description: Documents of enough bytes
kind: view
grain: [doc_id]
owner: team:data
rule_set: stubs
*/
WITH thresholds AS (SELECT CAST(coalesce(getvariable('stub_bytes'), 200) AS DOUBLE) AS bytes)
SELECT doc_id, [{'reason': 'stub', 'value': CAST(signals.bytes AS DOUBLE), 'threshold': thresholds.bytes,
                 'failed': signals.bytes < thresholds.bytes}] AS rules
FROM staging.current_signals AS signals CROSS JOIN thresholds
"""


def test_a_model_whose_header_names_a_rule_set_is_one(tmp_path: Path) -> None:
    rows = [*documents(5), *TWINS]
    project = decided_project(tmp_path / "project", rows, models={"curation/stubs.sql": STUBS})
    decided = decisions(project, "stubs")
    assert len(decided) == len(rows)
    sizes = {str(each["doc_id"]): len(str(each["text"]).encode()) for each in rows}
    for doc_id, (_, _, reason) in decided.items():
        assert (reason == "stub") == (sizes[doc_id] < 200)
    assert {"stub", "duplicate_document", None} <= {reason for _, _, reason in decided.values()}
    answer = whatif(project, "stubs", {"stub_bytes": "0"}, sample=1000)
    assert {example.reason for example in answer.examples if example.kept} == {"stub"}
    for file in ("sql/curation/stubs.sql", str(project.folder / "sql/curation/stubs.sql")):
        assert whatif(project, file, {}).rule_set == "stubs"
    [verdict] = explain(project, next(iter(decided)), rules="stubs").verdicts
    assert [rule.reason for rule in verdict.rules] == ["stub"]
