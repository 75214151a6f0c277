"""The rules in SQL decide as their definitions in plain Python do, on current documents, in any order of arrival."""

from __future__ import annotations

import random
import sysconfig
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import rules
import twins
from corpus import MODELS, append, arrive, build, decided, empty, row
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_signals import TEXTS

from examples import dear
from warehouse import query
from warehouse.curation import measure, paragraphs
from warehouse.gate import load_suites, run_suite
from warehouse.models import create, load_models
from warehouse.project import FURTHER_RULE_SETS
from warehouse.runway import Settings

COPIED = ("duplicate_document", "near_duplicate")
RULE_SETS = ("c4", "fineweb", "gopher", "house")
SUITES = (
    *("repository.signals", "repository.paragraphs", "repository.minhash", "repository.pairs"),
    *("repository.contamination", "curation.contamination"),
    *("curation.near_pairs", "curation.clusters", "curation.decisions"),
)
PROSE = (
    "The warehouse holds every document that a model is trained on, and it keeps the raw bytes of each of them. "
    "Rules decide what is kept; they are written in SQL over numbers that were measured once. "
    "Nobody has to read the text again to change a threshold, for the numbers are stored with the document. "
    "What falls out of the corpus is a row with a reason, a value and the limit that it was compared with. "
    "That is how a question about one document can be answered a year later, with the evidence at hand.\n"
)


def verdicts(con: query.Connection, rule_set: str) -> dict[str, tuple[str | None, float | None, float | None]]:
    """uri -> (reason, value, threshold) of one rule set."""
    found = query.fetch_all(
        con,
        "SELECT uri, reason, value, threshold FROM curation.decisions JOIN staging.current_documents USING (doc_id)"
        " WHERE rule_set = ?",
        [rule_set],
    )
    return {uri: (reason, value, threshold) for uri, reason, value, threshold in found}


def first_failures(con: query.Connection, rule_set: str) -> dict[str, tuple[str | None, float | None, float | None]]:
    """The same of a rule set that a project asks for, from its model."""
    found = query.fetch_all(
        con,
        "SELECT uri, first.reason, first.value, first.threshold FROM staging.current_documents JOIN (SELECT doc_id,"
        f" list_filter(rules, lambda rule: rule.failed)[1] AS first FROM curation.{rule_set}) USING (doc_id)",
    )
    return {uri: (reason, value, threshold) for uri, reason, value, threshold in found}


def library_texts() -> Iterator[str]:
    folder = Path(sysconfig.get_path("stdlib"))
    paths = sorted([*folder.glob("*.py"), *folder.glob("test/*.txt"), *folder.glob("idlelib/*.txt")])
    for path in random.Random(7).sample(paths, 60):
        yield path.read_bytes()[:6_000].decode("utf-8", "replace")


def odd_texts() -> Iterator[str]:
    """Texts that each break another rule, and their neighbours."""
    yield from ("", " \n", "a", PROSE, PROSE.replace(".", "..."), PROSE * 3, PROSE + PROSE.replace("r", "s"))
    yield from (PROSE.replace(" ", " # "), PROSE.replace(" ", "... "), PROSE.replace(" ", "\n- "), PROSE.upper())
    yield from (PROSE.replace(" ", " 12 "), PROSE.replace("e", "eeeeeeeeee"), PROSE.replace(" ", "\n"), "a b " * 60)
    yield from (
        PROSE + "Lorem ipsum dolor sit amet.\n",
        PROSE + "f() { return 1. }\n",
        PROSE + "Enable javascript now.",
    )
    for symbol in (
        " https://a.org/b%20c ",
        " (x) ",
        " \u2026 ",
        "\n\nUse cookies! ",
        "\n* ",
        "\n\u25cf ",
        ". Read more\n",
        "\n ",
    ):
        yield PROSE.replace(" ", symbol)
    yield from (PROSE + "\n\n" + PROSE, PROSE + "x y z\n" * 20, (PROSE[:150] + "\n") * 4, "word " * 100_100)


def agrees(checkout: Path, texts: Sequence[str]) -> None:
    """Every verdict, value and threshold of the published rule sets equals the definition's."""
    con = decided(checkout, [row(str(index), text) for index, text in enumerate(texts)])
    wanted = [rules.decide(text) for text in texts]
    for rule_set in ("gopher", "c4", "fineweb", "dolma", "nemo"):
        found = first_failures(con, rule_set) if rule_set in FURTHER_RULE_SETS else verdicts(con, rule_set)
        for index, want in enumerate(wanted):
            expected = want[rule_set] or (None, None, None)
            if found[str(index)][0] not in COPIED:
                assert found[str(index)] == expected, (rule_set, texts[index][:200])


def test_verdicts_equal_the_published_rules_on_texts_that_break_each(checkout: Path) -> None:
    agrees(checkout, list(odd_texts()))


def test_verdicts_equal_the_published_rules_on_the_standard_library(checkout: Path) -> None:
    agrees(checkout, list(library_texts()))


def test_verdicts_equal_the_published_rules_on_books(checkout: Path, shared_data: Path) -> None:
    with zipfile.ZipFile(shared_data / "books_en.zip") as archive:
        names = sorted(name for name in archive.namelist() if not name.endswith("/"))[::9]
        agrees(checkout, [archive.read(name)[40_000:46_000].decode("utf-8", "replace") for name in names])


def test_an_empty_document_fails_every_rule_set_with_a_reason(checkout: Path) -> None:
    con = decided(checkout, [row("null", None), row("empty", ""), row("blank", "\n \n")])
    found = query.fetch_all(con, "SELECT kept, reason IS NULL, value IS NULL FROM curation.decisions")
    assert found == [(False, False, False)] * 3 * len(RULE_SETS)
    assert {reason for reason, _, _ in verdicts(con, "house").values()} == {"empty"}


def test_the_house_decides_alike_whether_lines_end_with_carriage_returns_or_not(checkout: Path) -> None:
    con = empty(words_mode="'spacy_en'")
    build(con, checkout)

    @given(st.lists(TEXTS.map(lambda text: text.replace("\r", "")), min_size=1, max_size=20))
    @settings(max_examples=dear(60), deadline=None)
    @example(["A line that ends a sentence and is long.\n" * 3, f"{'x ' * 15}\n\n{'x ' * 15}\n\n", "é. " * 400])
    def holds(some: list[str]) -> None:
        texts = [text for each in some for text in (each, each.replace("\n", "\r\n"))]
        batch = pa.RecordBatch.from_pydict({"doc_id": [f"{at:03}" for at in range(len(texts))], "text": texts})
        con.execute("DELETE FROM repository.signals")
        append(con, "signals", pa.Table.from_batches([measure(batch)]))
        found = [rules for (rules,) in query.fetch_all(con, "SELECT rules FROM curation.house ORDER BY doc_id")]
        assert found[::2] == found[1::2] and len(found) == len(texts)
        lines = paragraphs(batch)["hashes"].to_pylist()
        assert lines[::2] == lines[1::2]

    holds()


def test_a_document_without_signals_is_unmeasured_and_not_kept(checkout: Path) -> None:
    con = decided(checkout, [row("a", PROSE)], measured=False)
    assert set(query.fetch_all(con, "SELECT kept, reason FROM curation.decisions")) == {(False, "unmeasured")}
    assert query.fetch_all(con, "SELECT DISTINCT language, documents FROM curation.funnel") == [("und", 1)]


ODD = """/* model
description: Rules that are put together from those of others, and one that no document answers
kind: view
grain: [doc_id]
owner: team:test
rule_set: odd
*/
SELECT doc_id, list_reverse(rules) || [{'reason': 'unanswered', 'value': 1, 'threshold': NULL, 'failed': NULL}] AS rules
FROM curation.house WHERE doc_id > '8'
"""


def test_every_reason_is_the_first_failing_of_the_rules_that_explain_shows(checkout: Path, tmp_path: Path) -> None:
    rows = [row(str(index), text) for index, text in enumerate(odd_texts())]
    con = decided(checkout, rows)
    found = query.fetch_all(
        con,
        "SELECT reason, list_filter(rules, lambda rule: rule.failed)[1].reason"
        " FROM curation.decisions JOIN curation.rules USING (doc_id, rule_set)",
    )
    assert len(found) == len(RULE_SETS) * len(rows)
    assert all(reason == first or reason in COPIED for reason, first in found)

    arrive(con, [row("not measured", PROSE)], measured=False)
    (tmp_path / "curation").mkdir()
    (tmp_path / "curation" / "odd.sql").write_text(ODD)
    models = load_models([*(checkout / "sql").rglob("*.sql"), tmp_path / "curation" / "odd.sql"])
    every = {model.name: model for model in models}
    create(con, every["curation.odd"])
    told = every["curation.rules"]
    by_lists, by_case = (query.fetch_all(con, f"FROM ({sql}) ORDER BY ALL") for sql in (told.sql, told.statement()))
    assert len(by_case) == (len(RULE_SETS) + len(FURTHER_RULE_SETS) + 1) * (len(rows) + 1)
    assert by_case == by_lists
    assert (told.sql.count("list_filter"), told.statement().count("list_filter")) == (9, 1)


def test_a_variable_changes_a_threshold_without_measuring_again(checkout: Path) -> None:
    short = "The end of the story is to be told with care."
    assert verdicts(decided(checkout, [row("a", short)]), "gopher")["a"] == ("gopher_short_doc", 11, 50)
    con = decided(checkout, [row("a", short)], gopher_min_words=12)
    assert verdicts(con, "gopher")["a"] == ("gopher_short_doc", 11, 12)


def test_every_variable_named_in_a_header_moves_its_threshold(checkout: Path) -> None:
    for path in sorted((checkout / "sql" / "curation").glob("*.sql")):
        header, _, body = path.read_text().partition("*/")
        for name in {part.split("'")[1] for part in body.split("getvariable(")[1:]}:
            assert f"{name} " in header.replace("\n", " "), (path.name, name)


COPIES = [
    row("b", PROSE),
    row("a", PROSE.upper() + " "),
    row("synthetic", PROSE + "\n", synthetic=True),
    row("unlicensed", "  " + PROSE, licence=None),
    row("other", PROSE.replace("warehouse", "storehouse")),
]


def test_of_copies_the_first_by_rank_and_identity_is_kept_in_any_order(checkout: Path) -> None:
    expected = min(str(copy["doc_id"]) for copy in COPIES[:2])
    for seed in range(3):
        con = decided(checkout, random.Random(seed).sample(COPIES, len(COPIES)), house_min_stop_words=0)
        found = query.fetch_all(
            con,
            "SELECT twin, reason, count(*) FROM curation.decisions WHERE rule_set = 'house' GROUP BY ALL ORDER BY ALL",
        )
        assert found == [(expected, "duplicate_document", 3), (expected, "near_duplicate", 1), (None, None, 1)]


def test_a_copy_that_fails_another_rule_takes_nobody_down(checkout: Path) -> None:
    shouted, plain = row("a", PROSE.upper()), row("b", PROSE)
    con = decided(checkout, [shouted, plain])
    assert verdicts(con, "gopher") == {"a": ("gopher_enough_stop_words", 0, 2), "b": (None, None, None)}


def test_only_what_a_uri_held_last_is_decided(checkout: Path) -> None:
    rows = [row("a", PROSE, day=1), row("a", PROSE * 2, day=2), row("b", PROSE, day=1), row("a", PROSE, day=3)]
    for seed in range(3):
        con = decided(checkout, random.Random(seed).sample(rows, 4))
        current = query.fetch_all(con, "SELECT uri, doc_id FROM staging.current_documents ORDER BY uri")
        assert current == [("a", rows[0]["doc_id"]), ("b", rows[2]["doc_id"])]


def test_the_funnel_counts_every_decision_and_byte_once(checkout: Path) -> None:
    texts = list(odd_texts())
    con = decided(checkout, [row(str(index), text) for index, text in enumerate(texts)])
    size = sum(len(text.encode()) for text in texts)
    totals = query.fetch_all(con, "SELECT rule_set, sum(documents), sum(bytes) FROM curation.funnel GROUP BY 1")
    assert sorted(totals) == [(name, len(texts), size) for name in RULE_SETS]
    groups = query.fetch_all(con, "SELECT bytes, tokens FROM curation.funnel")
    assert groups == [(held, int(held / Settings().bytes_per_token)) for held, _ in groups]
    kept = query.fetch_all(con, "SELECT rule_set, count(*) FROM curation.decisions WHERE kept GROUP BY 1 ORDER BY 1")
    assert kept == query.fetch_all(
        con, "SELECT rule_set, sum(documents) FROM curation.funnel WHERE reason = 'kept' GROUP BY 1 ORDER BY 1"
    )


def test_a_paragraph_counts_as_a_duplicate_wherever_an_earlier_place_holds_it(checkout: Path) -> None:
    texts = [PROSE + PROSE.lower(), PROSE + "\n" + PROSE, "a short line\n" + PROSE.replace("a", "o"), "x" * 19, ""]
    texts.append(PROSE + " ".join(f"word{number}" for number in range(200)))
    rows = sorted((row(str(index), text) for index, text in enumerate(texts)), key=lambda value: str(value["doc_id"]))
    con = decided(checkout, rows, common_paragraph_documents=1)
    clusters = dict(query.fetch_all(con, "FROM curation.clusters"))
    held = Counter(
        paragraph
        for paragraph, _ in {
            (paragraph, clusters[document["doc_id"]])
            for document in rows
            for paragraph in twins.paragraphs(str(document["text"]))
        }
    )
    seen: set[str] = set()
    expected = []
    for document in rows:
        found = twins.paragraphs(str(document["text"]))
        again = [p for index, p in enumerate(found) if p in seen or p in found[:index]]
        common = [p for p in found if held[p] > 1]
        seen |= set(found)
        if found:
            duplicate, shared = ((len(some), sum(map(len, some))) for some in (again, common))
            most = max(held[p] for p in found)
            expected.append((document["doc_id"], *duplicate, sum(map(len, found)), *shared, most))
    assert max(held.values()) > 1
    assert query.fetch_all(con, "FROM curation.paragraph_duplicates ORDER BY doc_id") == expected


def test_lines_of_more_than_six_documents_are_common_and_near_copies_count_as_one(checkout: Path) -> None:
    footer = [f"All rights are reserved by the holder of part {number} of this page." for number in range(4)]
    pages = [[f"Page {page} has a line of its own, {page} times {line}." for line in range(3)] for page in range(8)]
    copies = [" ".join(f"word{number}" for number in range(99)) + f" {version}" for version in range(9)]
    texts = ["\n".join([*page, *footer]) for page in pages[:7]]
    texts += ["\n".join([*pages[7], *footer, footer[0].replace("All", "No")]), *copies]
    con = decided(checkout, [row(f"{index:02}", text) for index, text in enumerate(texts)], house_max_common_lines=0.5)
    sql = """
        SELECT common_paragraphs, most_documents, rules[-2].reason, rules[-2].failed
        FROM curation.paragraph_duplicates JOIN staging.current_documents USING (doc_id)
        JOIN curation.house USING (doc_id) ORDER BY uri"""
    assert query.fetch_all(con, sql) == [(4, 8, "common_lines", True)] * 8 + [(0, 1, "common_lines", False)] * 9


def test_the_models_are_accepted_and_their_suites_pass(checkout: Path) -> None:
    names = {model.name for model in load_models((checkout / "sql").rglob("*.sql"))}
    assert names >= set(MODELS)
    con = decided(checkout, [row(str(index), text) for index, text in enumerate([*odd_texts(), *library_texts()])])
    suites = [checkout / "expectations" / f"{name}.json" for name in SUITES]
    for suite in load_suites(suites):
        assert [check.expectation for check in run_suite(con, suite) if not check.success] == []


def test_the_house_keeps_prose_and_drops_stubs_tables_and_listings(checkout: Path) -> None:
    table = "\n".join(" ".join(f"{i * j}.{j:03}" for j in range(1, 9)) for i in range(1, 40))
    listing = "for i in x[0]:\n    y = (i + 1) * {'a': 2}[z]; w |= ~y & 0xff\n" * 3
    con = decided(checkout, [row("prose", PROSE), row("stub", "Helper."), row("table", table), row("code", listing)])
    reasons = {uri: reason for uri, (reason, _, _) in verdicts(con, "house").items()}
    assert reasons["prose"] is None
    assert all(reasons[uri] is not None for uri in ("stub", "table", "code"))
