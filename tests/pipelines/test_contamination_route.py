"""Documents and benchmarks, in whatever order they come, end in the same table; nothing is compared twice."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import test_pairs

from pipelines.measures import measure, measured_tables
from pipelines.parts import Added
from warehouse.cli.app import run
from warehouse.contracts import DOCUMENTS, doc_id
from warehouse.query import attach_repository, connect, fetch_all
from warehouse.repository import Repository

DRAW = random.Random(2)
BODIES = [" ".join(DRAW.choices("abcdefgh", k=40)) for _ in range(12)]
PASSAGES = pa.schema([(name, pa.string()) for name in ("item", "field", "text", "_source")]).append(
    pa.field("ordinal", pa.int32())
)
ROWS = "SELECT * EXCLUDE (version) FROM repository.contamination ORDER BY ALL"


def register(repository: Repository, name: str, bodies: list[str]) -> None:
    rows = [
        {"item": f"{name}#{at}", "field": "q", "ordinal": 0, "text": body, "_source": name}
        for at, body in enumerate(bodies)
    ]
    batch = pa.RecordBatch.from_pylist(rows, PASSAGES)
    repository.append("benchmarks", [batch], schema=PASSAGES, source=name, run_id=f"r{len(bodies)}")


def arrive(repository: Repository, numbers: range) -> None:
    rows = [
        {
            "doc_id": doc_id("s", str(at), "0", ""),
            "source": "s",
            "uri": str(at),
            "record": "0",
            "known_at": 0,
            "text": text(at),
        }
        for at in numbers
    ]
    repository.append(
        "documents", [pa.RecordBatch.from_pylist(rows, DOCUMENTS)], schema=DOCUMENTS, source="s", run_id="r"
    )


def text(number: int) -> str:
    return f"{number} of them, {BODIES[number % 12][:50]}; and then {BODIES[number % 5]}."


def compare(repository: Repository, *, run_id: str = "r", commit_bytes: int = 1 << 20) -> Added:
    wanted = [each for each in measured_tables("unicode") if each.table == "contamination"]
    found = measure(repository, wanted, run_id=run_id, memory_limit="1GB", commit_bytes=commit_bytes)
    return found["contamination"]


def rows(repository: Repository) -> list[tuple[Any, ...]]:
    with connect() as con:
        attach_repository(con, [repository.snapshot("contamination")])
        return fetch_all(con, ROWS)


def together(root: Path) -> Repository:
    """Two benchmarks and twenty documents, stored and not compared."""
    repository = Repository(root)
    register(repository, "one", BODIES[:4])
    register(repository, "two", BODIES[3:8])
    arrive(repository, range(20))
    return repository


def test_a_benchmark_registered_later_is_all_that_earlier_documents_are_compared_with(memory_folder: Path) -> None:
    whole, parts = together(memory_folder / "whole"), Repository(memory_folder / "parts")
    assert compare(whole).compared == 20
    register(parts, "two", BODIES[3:8])
    arrive(parts, range(12))
    first = compare(parts)
    assert (first.rows, first.compared) == (sum(row[1] == "two" for row in rows(parts)), 12)
    register(parts, "one", BODIES[:4])
    arrive(parts, range(12, 20))
    before = rows(parts)
    rest = compare(parts)
    assert rows(parts) == rows(whole) and rest.rows == len(rows(whole)) - len(before) and rest.compared == 20
    assert set(before) <= set(rows(parts))
    assert {(row[0], row[1]) for row in rows(whole)} == {
        (doc_id("s", str(at), "0", ""), name) for at in range(20) for name in ("one", "two")
    }
    version = parts.snapshot("contamination").version
    assert compare(parts) == Added() and parts.snapshot("contamination").version == version


def test_passages_added_to_a_benchmark_are_met_by_all_documents(memory_folder: Path) -> None:
    repository = together(memory_folder / "grown")
    compare(repository)
    register(repository, "one", BODIES[:11])
    assert compare(repository).compared == 20
    found = [row for row in rows(repository) if row[1] == "one" and row[2] == 11 and row[4] >= 0]
    assert {row[0] for row in found} == {doc_id("s", str(at), "0", "") for at in range(20)}
    register(repository, "one", BODIES[:11])
    assert compare(repository, run_id="again").compared == 0, "the same passages again are no news"


def test_cut_off_at_any_commit_the_next_run_ends_with_the_same_rows(
    memory_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pristine = together(memory_folder / "pristine")
    whole = Repository(shutil.copytree(pristine.root, memory_folder / "uncut"))
    compare(whole, commit_bytes=1)
    for number in range(1, whole.snapshot("contamination").version + 2):
        for after in (False, True):
            repository = Repository(shutil.copytree(pristine.root, memory_folder / f"cut{number}{after}"))
            with monkeypatch.context() as patched, pytest.raises(test_pairs.Cut):
                test_pairs.cut_at(patched, number, after=after)
                compare(repository, commit_bytes=1)
            compare(repository)
            assert rows(repository) == rows(whole)


def test_without_benchmarks_the_table_is_made_empty(memory_folder: Path) -> None:
    repository = Repository(memory_folder / "none")
    arrive(repository, range(2))
    assert compare(repository) == Added() and repository.snapshot("contamination").rows == 0


ITEM = {
    "question": "How many bolts of blue fiber does a robe take, and how many of white, if it is half?",
    "answer": "Two.",
}
HELD_OUT = """\
select: |
  SELECT doc_id FROM curation.decisions WHERE rule_set = 'house' AND (kept OR reason = 'contaminated')
tokenizer: {train: {vocab_size: 400}}
sequence_length: 64
contamination: %s
"""
LEAK = "kind: table\nselect: SELECT item, text FROM repository.benchmarks\nkey: [item]\n"


def told(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> str:
    assert run(arguments) == status, capsys.readouterr()
    out, err = capsys.readouterr()
    return out + err


def test_a_registered_benchmark_stays_out_of_training(
    memory_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = memory_folder / "project"
    told(capsys, "init", str(folder))
    monkeypatch.chdir(folder)
    notes = [json.loads(line) for line in Path("data/notes.jsonl").read_text().splitlines()]
    notes[3]["text"] += f"\nmenu\n{ITEM['question']} {ITEM['answer']}\nAnd so on."
    Path("data/notes.jsonl").write_text("".join(json.dumps(note) + "\n" for note in notes))
    Path("items.jsonl").write_text(
        json.dumps(ITEM) + "\n" + json.dumps({"choices": ["a", "b"], "id": 3}) + '\n{"id": 4}\n'
    )
    said = told(capsys, "ingest", "items.jsonl", "--as", "benchmark:robes")
    assert "rows: 4 in, 3 written" in said and "no_text 1" in said
    assert "table: benchmarks" in Path("recipes/sources/robes.yaml").read_text()
    for name, keys in {"cut": "cut", "drop": "drop", "lines": "cut\nlines: c4_open"}.items():
        Path(f"recipes/datasets/{name}.yaml").write_text(HELD_OUT % keys)
    Path("recipes/datasets/leak.yaml").write_text(LEAK)
    told(capsys, "run")
    sql = "SELECT value, threshold FROM curation.decisions WHERE reason = 'contaminated'"
    assert json.loads(told(capsys, "sql", sql, "--json")) == [{"value": 8.0, "threshold": 0.0}]
    sources = "SELECT DISTINCT source FROM repository.documents"
    assert json.loads(told(capsys, "sql", sources, "--json")) == [{"source": "example"}]
    for name, how in (("cut", "cut"), ("drop", "drop"), ("lines", "cut")):
        told(capsys, "export", name)
        made = json.loads(Path(f".warehouse/datasets/{name}/1/manifest.json").read_text())
        assert made["contamination"] == {how: {"robes": 1}, "documents": 1, "items": 1, "benchmarks": {"robes": 3}}
        assert made.get("lines", {}).get("dropped", {}).get("few_words", 0) == (name == "lines")
        assert "every byte is the same" in told(capsys, "verify", f"{name}@1", "--rebuild")
    assert "the select reads benchmarks" in told(capsys, "export", "leak", status=2)
