"""A project with five documents, their decisions by two rule sets and a published snapshot, made in 0.3 s."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from warehouse import publish, query
from warehouse.contracts import DOCUMENTS, REJECTS, RUNS, Check, content_hash, digest, doc_id
from warehouse.project import Project, load, prepare
from warehouse.repository import Repository

DAY = datetime(2026, 1, 5, tzinfo=UTC)
TEXTS = {
    "a": "The first text of the small project.",
    "b": "The second text.\nIt has two lines, and a tab\there.",
    "copy_of_a": "The first text of the small project.",
    "short": "No.",
}
LATER = "The second text, corrected in February."

SIGNALS = pa.schema(
    [("doc_id", pa.string()), ("version", pa.int32()), ("words", pa.int64()), ("language", pa.string())]
)

CURATION = """
CREATE SCHEMA curation; CREATE SCHEMA marts;
CREATE TABLE marts.numbers AS SELECT range::INTEGER AS n, 'row ' || range AS name FROM range(1000);
CREATE VIEW curation.rules AS
    SELECT doc_id, 'tiny' AS rule_set,
           [{'reason': 'few_words', 'value': words::DOUBLE, 'threshold': 3.0::DOUBLE, 'failed': words < 3},
            {'reason': 'other_language', 'value': NULL, 'threshold': NULL, 'failed': language <> 'en'}] AS rules
    FROM repository.signals;
CREATE TABLE curation.decisions (
    doc_id VARCHAR, source VARCHAR, rule_set VARCHAR, kept BOOLEAN, reason VARCHAR, value DOUBLE, threshold DOUBLE,
    twin VARCHAR);
"""


def identity(uri: str, text: str) -> str:
    """The doc_id of a text of this project."""
    return doc_id("notes", uri, "0", content_hash(text))


def document(uri: str, text: str, known_at: datetime, sha256: str) -> dict[str, Any]:
    """A row of ``documents``."""
    return {
        "doc_id": identity(uri, text),
        "source": "notes",
        "uri": uri,
        "record": "0",
        "object_sha256": sha256,
        "known_at": known_at,
        "published_at": None,
        "licence": "CC0-1.0",
        "title": uri.replace("_", " ").title(),
        "text": text,
        "content_hash": content_hash(text),
        "synthetic": False,
        "generation": 0,
        "receipt_id": digest(uri),
    }


def small_project(folder: Path) -> Project:
    """The project in ``folder``; uris are those of TEXTS, and b has a second text that is known later."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "warehouse.toml").write_text('name = "small"\n')
    (folder / "recipes" / "sources").mkdir(parents=True)
    (folder / "recipes" / "sources" / "notes.yaml").write_text("uri: notes.jsonl\nlicence: CC0-1.0\n")
    (folder / "notes.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS.values()))
    project = load(folder)
    prepare(project)
    _fill(Repository(project.root), folder / "notes.jsonl")
    publish_again(project, DECISIONS)
    return project


def _fill(repository: Repository, notes: Path) -> None:
    sha256, _ = repository.archive(notes)
    rows = [document(uri, text, DAY, sha256) for uri, text in TEXTS.items()]
    rows.append(document("b", LATER, DAY.replace(month=2), sha256))
    _append(repository, "documents", rows, DOCUMENTS)
    signals = [
        {"doc_id": row["doc_id"], "version": 1, "words": len(row["text"].split()), "language": "en"} for row in rows
    ]
    _append(repository, "signals", signals, SIGNALS)
    _append(repository, "rejects", [reject(number) for number in range(3)], REJECTS)
    _append(repository, "runs", [run("sources/notes", day, cpu_s) for day, cpu_s in ((1, 1.5), (2, 0.5))], RUNS)


def _append(repository: Repository, table: str, rows: Sequence[dict[str, Any]], schema: pa.Schema) -> None:
    batch = pa.RecordBatch.from_pylist(list(rows), schema=schema)
    repository.append(table, [batch], schema=schema, source="notes", run_id="run-1")


def reject(number: int) -> dict[str, Any]:
    """A row of ``rejects``; the first bytes hold an escape sequence, as hostile input does."""
    return {
        "reject_id": digest(str(number)),
        "source": "notes",
        "uri": "notes.jsonl",
        "record": str(number),
        "object_sha256": "0" * 64,
        "position": number,
        "reason": "not_json" if number else "empty_text",
        "exception": "JSONDecodeError" if number else None,
        "message": "a brace is missing",
        "first_bytes": b"\x1b[2J{broken",
        "known_at": DAY,
        "receipt_id": "r",
    }


def run(asset: str, day: int, cpu_s: float) -> dict[str, Any]:
    """A row of ``runs``."""
    return {
        "asset": asset,
        "run_id": f"run-{day}",
        "started_at": DAY.replace(day=day),
        "wall_s": 2.0,
        "cpu_s": cpu_s,
        "peak_rss": 100_000_000,
        "rows": day,
        "bytes_read": 10,
        "bytes_written": 20,
    }


DECISIONS = (
    (identity("a", TEXTS["a"]), "notes", "tiny", True, None, None, None, None),
    (identity("b", LATER), "notes", "tiny", True, None, None, None, None),
    (
        identity("copy_of_a", TEXTS["copy_of_a"]),
        "notes",
        "tiny",
        False,
        "duplicate_document",
        None,
        None,
        identity("a", TEXTS["a"]),
    ),
    (identity("short", TEXTS["short"]), "notes", "tiny", False, "few_words", 1.0, 3.0, None),
    (identity("a", TEXTS["a"]), "notes", "other", True, None, None, None, None),
)


def publish_again(
    project: Project,
    decisions: Sequence[tuple[Any, ...]],
    *,
    curated: bool = True,
    also: tuple[str, list[str]] | None = None,
) -> publish.Published:
    """A further snapshot with these decisions and what ``also`` makes; or, not ``curated``, with no model at all."""
    repository = Repository(project.root)
    inputs = [repository.snapshot(name) for name in repository.tables()]
    path = publish.building(project.published, "prod")
    with query.connect(path) as con:
        query.attach_repository(con, inputs)
        if curated:
            con.execute(CURATION)
            con.executemany("INSERT INTO curation.decisions VALUES (?, ?, ?, ?, ?, ?, ?, ?)", list(decisions))
        if also is not None:
            con.execute(*also)
    check = Check("suite", "curation.decisions", "expect_table_row_count_to_be_between", None, {}, True, 5, 0)
    return publish.publish(
        project.published, "prod", path, inputs=inputs, checks=[check], models=[], created_at=DAY, run_id="run-1"
    )
