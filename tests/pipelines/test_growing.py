"""The law of objects that grow: in the same steps, the tables say what reading the whole each time says."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from examples import dear
from pipelines import growing, takedown
from pipelines.intake import Ingested, ingest, retry
from warehouse.contracts import ObjectFact
from warehouse.errors import InputError
from warehouse.project import Project, load, prepare
from warehouse.query import attach_repository, fetch_all, shared
from warehouse.repository import Reading, Repository
from warehouse.sources import load_source

CHECKOUT = Path(__file__).parents[2]
CURRENT = (CHECKOUT / "sql/staging/current_documents.sql").read_text()
PLAIN = "uri: data.jsonl\nmax_reject_share: 1\nfields: {text: text, title: title, published_at: at}\n"
ADDRESSED = PLAIN.replace("title: title", "uri: url")
DATED = PLAIN.replace("published_at: at", "known_at: at")
TYPED = "uri: data.jsonl\nmax_reject_share: 1\ntable: t\n"
KEYED = TYPED + "mode: upsert\nkeys: [text]\n"


def day(number: int) -> datetime:
    return datetime(2026, 1, number, tzinfo=UTC)


def made(folder: Path, recipe: str) -> Project:
    (folder / "recipes" / "sources").mkdir(parents=True)
    (folder / "warehouse.toml").write_text('name = "made"\n')
    (folder / "recipes" / "sources" / "s.yaml").write_text(recipe)
    project = load(folder)
    prepare(project)
    return project


def run(project: Project, content: bytes, at: int, **options: Any) -> Ingested:
    (project.folder / "data.jsonl").write_bytes(content)
    source = load_source(project.folder / "recipes" / "sources" / "s.yaml")
    return ingest(project, source, run_id=f"r{at}", known_at=day(at), **options)


def asked(project: Project, sql: str) -> list[tuple[Any, ...]]:
    repository = Repository(project.root)
    con = shared("500MB")
    attach_repository(con, [repository.snapshot(name) for name in repository.tables()])
    return fetch_all(con, sql)


def current(project: Project) -> list[tuple[Any, ...]]:
    """The current documents, without when they became known and the object they were read from."""
    named = "doc_id, uri, record, title, licence, published_at, content_hash, bytes, keep_rank"
    return sorted(asked(project, f"SELECT {named} FROM ({CURRENT})"), key=repr)


def said(project: Project, table: str) -> dict[str, Any]:
    """What the tables say apart from how often they say it."""
    texts = "doc_id, uri, record, title, published_at, text, min(known_at)"
    rows = (
        asked(project, f"SELECT {texts} FROM repository.documents GROUP BY ALL")
        if table == "documents"
        else asked(project, f"SELECT * EXCLUDE (_known_at, _object_sha256, _receipt_id), min(_known_at) "
                   f"FROM repository.{table} GROUP BY ALL")
    )  # fmt: skip
    rejects = "uri, record, position, reason, exception, first_bytes"
    return {
        "rows": sorted(rows, key=repr),
        "rejects": sorted(asked(project, f"SELECT DISTINCT {rejects} FROM repository.rejects"), key=repr),
        "current": current(project) if table == "documents" else [],
        "facts": [counts(fact) for fact in facts(project, table)],
    }


def facts(project: Project, table: str = "documents") -> list[ObjectFact]:
    return [fact for receipt in Repository(project.root).receipts(table) for fact in receipt.objects]


def counts(fact: ObjectFact) -> tuple[Any, ...]:
    assert fact.rows_in == fact.rows_out + fact.unchanged + fact.rejected + fact.dropped
    met = (fact.rows_in, fact.rows_out + fact.unchanged, fact.rejected, fact.dropped)
    return (fact.sha256, fact.size, fact.known_at, fact.reader, *met)


def whole(*given: Any, **_: Any) -> Reading:
    """Instead of growing.read_on: the reading of the whole object."""
    reading: Reading = given[4]
    return reading


def compared(folder: Path, recipe: str, steps: Sequence[bytes], table: str = "documents") -> int:
    """Hold both ways against each other after every step; how many objects were read on."""
    with tempfile.TemporaryDirectory(dir=folder) as name, patch.object(growing, "STATED_URIS_BYTES", 0):
        one, other = made(Path(name) / "on", recipe), made(Path(name) / "whole", recipe)
        for at, content in enumerate(steps, 1):
            done = run(one, content, at)
            with patch("pipelines.intake.read_on", whole):
                again = run(other, content, at)
            assert said(one, table) == said(other, table)
            assert done.unchanged_objects == again.unchanged_objects
        rows = asked(one, f"SELECT count(*) FROM repository.{table}")[0][0]
        assert rows == sum(fact.rows_out for fact in facts(one, table))
        return sum(fact.grown_from is not None for fact in facts(one, table))


LINES = st.sampled_from(
    [
        b'{"text": "a", "title": "A", "url": "u1", "at": "2026-01-02"}',
        b'{"text": "b", "url": "u2"}',
        b'{"text": "c", "url": "u1", "at": "2026-03-02"}',
        b'{"text": "\xc3\xa9", "title": 5}',
        b'{"text": 5, "url": "u1"}',
        b'{"text": null}',
        b'{"text": " "}',
        b'{"text": "n", "url": "u2", "at": "no time"}',
        b'{"text": "half \\ud800", "url": "u3"}',
        b'{"text": "cut',
        b'{"text": "\xff"}',
        b"",
        b"  ",
        b"12",
        b"null",
        b'"bare"',
        b"[1, 2]",
    ]
)
TYPED_LINES = st.sampled_from(
    [
        b'{"text": "a", "n": 1}',
        b'{"text": "b", "n": 2, "in": {"x": 1}}',
        b'{"text": "c", "n": 2.5}',
        b'{"text": "d", "n": "three"}',
        b'{"text": "e", "in": {"x": 1, "y": [1]}}',
        b'{"text": "f", "new": true}',
        b'{"text": "g", "n": null}',
        b'{"text": "h", "n": {}}',
        b'{"text": "cut',
        b"",
        b"12",
        b'"bare"',
    ]
)
ENDS = st.sampled_from([b"\n", b"\n", b"\n", b"\r\n"])


@st.composite
def histories(draw: st.DrawFn, lines: st.SearchStrategy[bytes]) -> list[bytes]:
    """What a file held, step by step: it grows at any byte, and sometimes is edited or cut."""
    first = draw(st.sampled_from([b"", b"\xef\xbb\xbf"])) + b'{"text": "first", "n": 1, "url": "u1"}' + draw(ENDS)
    content = first + b"".join(draw(lines) + draw(ENDS) for _ in range(draw(st.integers(1, 8))))
    edges = [at + 1 for at, byte in enumerate(content) if byte == 10]
    places = st.one_of(st.sampled_from(edges), st.integers(1, len(content)))
    steps = [content[:at] for at in sorted(draw(st.sets(places, min_size=1, max_size=3)))] + [content]
    if draw(st.integers(0, 3)) == 0:
        at = draw(st.integers(0, len(content) - 1))
        steps.append(content[:at] + b"x" + content[at + 1 :] + b'{"text": "last"}\n')
    if draw(st.integers(0, 5)) == 0:
        steps += [steps[0], content]
    return steps


@settings(max_examples=dear(15), deadline=None)
@given(histories(LINES))
def test_documents_of_a_file_that_grows_in_any_steps_are_those_of_reading_it_whole_each_time(
    memory_folder: Path, steps: list[bytes]
) -> None:
    compared(memory_folder, PLAIN, steps)


@settings(max_examples=dear(10), deadline=None)
@given(histories(LINES))
def test_documents_that_state_their_uris_keep_their_occurrences(memory_folder: Path, steps: list[bytes]) -> None:
    compared(memory_folder, ADDRESSED, steps)


@settings(max_examples=dear(12), deadline=None)
@given(histories(TYPED_LINES))
def test_rows_of_a_typed_table_have_the_types_and_rejects_of_reading_it_whole(
    memory_folder: Path, steps: list[bytes]
) -> None:
    compared(memory_folder, TYPED, steps, table="t")


def document(number: int) -> bytes:
    return json.dumps({"text": f"text {number}", "title": "T", "url": f"u{number % 3}", "n": number}).encode()


def test_only_what_is_new_is_read_and_written(memory_folder: Path) -> None:
    first = b"".join(document(at) + b"\n" for at in range(50))
    steps = [first + document(50)[:20], first + document(50) + b"\n", first + document(50) + b"\n" + document(51)]
    for recipe, table in ((PLAIN, "documents"), (ADDRESSED, "documents"), (TYPED, "t")):
        assert compared(memory_folder, recipe, steps, table) == 2
    with tempfile.TemporaryDirectory() as name:
        project = made(Path(name) / "p", PLAIN)
        for at, content in enumerate(steps, 1):
            run(project, content, at)
        assert [(fact.rows_out, fact.unchanged, fact.rejected) for fact in facts(project)] == [
            (50, 0, 1),
            (1, 50, 0),
            (1, 51, 0),
        ]
        grown = facts(project)[1:]
        assert [(fact.start, fact.start_record, fact.grown_since) for fact in grown] == [
            (len(first), 50, day(1)),
            (len(steps[1]), 51, day(1)),
        ]
        assert [fact.grown_from for fact in grown] == [fact.sha256 for fact in facts(project)[:2]]
        assert asked(project, "SELECT count(*) FROM repository.documents") == [(52,)]


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (b'{"text": "a"}\n{"text": "b"}', b'{"text": "a"}\n{"text": "b"} {"text": "c"}\n'),
        (b'{"text": "a"}\n12', b'{"text": "a"}\n123\n'),
        (b'{"text": "a"}\n ', b'{"text": "a"}\n {"text": "b"}\n'),
        (b'{"text": "a"}\n"\\ud800', b'{"text": "a"}\n"\\ud800"\n'),
        (b'{"text": "a"}\n', b'{"text": "z"}\n{"text": "b"}\n'),
        (b'{"text":\n"a"}\n', b'{"text":\n"a"}\n{"text": "b"}\n'),
        ('{"text": "a"}\n'.encode("utf-16"), '{"text": "a"}\n{"text": "b"}\n'.encode("utf-16")),
        (b"\n\n", b'\n\n{"text": "b"}\n'),
    ],
)
def test_what_cannot_be_told_apart_is_read_whole(memory_folder: Path, before: bytes, now: bytes) -> None:
    assert compared(memory_folder, PLAIN, [before, now]) == 0


def test_another_recipe_keys_and_documents_that_state_their_time_are_read_whole(
    tmp_path: Path, memory_folder: Path
) -> None:
    first = document(1) + b"\n"
    assert compared(memory_folder, KEYED, [first, first + document(2) + b"\n"], table="t") == 0
    assert compared(memory_folder, DATED, [first, first + document(2) + b"\n"]) == 0
    project = made(tmp_path / "p", PLAIN)
    run(project, first, 1)
    (tmp_path / "p/recipes/sources/s.yaml").write_text(PLAIN.replace("title: title", "title: url"))
    run(project, first + document(2) + b"\n", 2)
    assert [(fact.rows_out, fact.grown_from) for fact in facts(project)] == [(1, None), (2, None)]
    assert [row[3] for row in current(project)] == ["u1", "u2"] or [row[3] for row in current(project)] == ["u2", "u1"]


def test_the_share_of_rejects_is_that_of_the_whole_object(tmp_path: Path) -> None:
    project = made(tmp_path / "p", PLAIN.replace("max_reject_share: 1", "max_reject_share: 0.1"))
    first = b"".join(document(at) + b"\n" for at in range(20))
    run(project, first, 1)
    run(project, first + b'{"text": "torn', 2)
    with pytest.raises(InputError, match="3 of 23 records were rejected"):
        run(project, first + b"{\n{\n{\n", 3)
    assert [fact.rejected for fact in facts(project)] == [0, 1]


def test_reading_again_reads_the_whole_and_a_retry_what_was_read(tmp_path: Path) -> None:
    recipe = PLAIN.replace("{text: text,", "{text: body,")
    project = made(tmp_path / "p", recipe)
    first = b'{"body": "one"}\n{"text": "early"}\n{"body": "two"}\n'
    second = first + b'{"text": "late"}\n{"body": "three"}\n'
    run(project, first, 1)
    run(project, second, 2)
    assert [fact.start_record for fact in facts(project)] == [0, 3]
    (tmp_path / "p/recipes/sources/s.yaml").write_text(PLAIN)
    source = load_source(project.folder / "recipes" / "sources" / "s.yaml")
    done = retry(project, source, run_id="r3", known_at=day(3))
    assert (done.resolved, done.total("rows_out")) == (2, 2)
    rows = asked(project, "SELECT record, text, known_at FROM repository.documents ORDER BY record::INT")
    known = [("one", 1), ("early", 1), ("two", 1), ("late", 2), ("three", 2)]
    assert rows == [(str(at), text, day(number)) for at, (text, number) in enumerate(known)]
    assert len(current(project)) == 5
    run(project, second, 4, reread=True)
    last = facts(project)[-1]
    assert (last.grown_from, last.start, last.rows_in) == (None, 0, 5)


def test_what_was_taken_down_goes_out_of_every_object_that_grew_from_it(tmp_path: Path) -> None:
    project = made(tmp_path / "p", PLAIN)
    taken = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron"
    first = document(1) + b"\n" + json.dumps({"text": taken}).encode() + b"\n"
    second = first + document(2) + b"\n"
    run(project, first, 1)
    run(project, second, 2)
    ids = asked(project, f"SELECT doc_id FROM repository.documents WHERE text = '{taken}'")[0][0]
    plan = takedown.remove(project, "doc", ids, "asked", run_id="t", now=day(3)).plan
    (tmp_path / "p/data.jsonl").unlink()
    assert takedown.prove(project, plan.id, run_id="t").id == plan.id
    run(project, second + document(3) + b"\n", 4)
    last = facts(project)[-1]
    assert (last.grown_from, last.rows_in, last.rejected) == (None, 4, 1)
    left = [path for path in (project.root / "archive").rglob("*") if path.is_file()]
    assert left
    assert not any(taken.encode() in path.read_bytes() for path in left)
