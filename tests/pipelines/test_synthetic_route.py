"""Synthetic text and rows through the whole route: marked, never from synthetic rows, capped, audited."""

from __future__ import annotations

import hashlib
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from pipelines import takedown
from pipelines.definitions import build_definitions
from pipelines.run import run_assets
from warehouse import sketches
from warehouse.answers.synthetic import audit
from warehouse.contracts import DOCUMENTS
from warehouse.errors import CheckFailed, RecipeError
from warehouse.project import Project, load
from warehouse.query import attach_repository, connect, fetch_all
from warehouse.repository import Repository

SOURCES = {
    "chips": "reader: csv\nuri: data/chips.csv\ntable: chips\ncolumns: {units: int64, mw: double, day: date}\n",
    "notes": "uri: data/notes.jsonl\nlicence: CC0-1.0\n",
}
MART = """\
/* model
description: Chips by owner
kind: table
grain: [owner, day]
owner: team:x
*/
SELECT owner, day, units, mw FROM repository.chips
QUALIFY row_number() OVER (PARTITION BY owner, day ORDER BY _known_at DESC) = 1
"""
FACTS = """\
kind: facts
licence: CC0-1.0
document: [owner]
title: Chips of {owner}
facts:
  chips:
    select: SELECT owner, day, units, mw FROM marts.chips
    key: [owner, day]
    sentences:
      - On {day:date}, {owner} had {units:,} chips in the ground floor of its only building.
      - The {units:,} chips that {owner} had on {day:date} drew {mw:.1f} megawatts.
"""
ROWS = """\
kind: table
select: SELECT owner, units, mw FROM marts.chips
rows: 40
min_count: 1
seed: 5
"""
TEXTS = "select: SELECT doc_id FROM repository.documents\ntokenizer: {train: {vocab_size: 300}}\nsequence_length: 16\n"
MIXED = """\
kind: table
select: |
  SELECT 'd' || row_number() OVER () AS id, units, synthetic FROM repository.synthetic_drawn
  UNION ALL SELECT 'r' || row_number() OVER () AS id, units, false FROM marts.chips
key: [id]
max_synthetic_share: 0.9
"""
EVERYTHING = [
    *("sources/chips", "sources/notes", "repository/chips", "synthetic/told", "synthetic/drawn"),
    *("repository/documents", "repository/synthetic_statements", "repository/synthetic_drawn", "published/snapshot"),
]


def chips(days: range = range(1, 7), *, more: int = 0) -> str:
    rows = [(owner, day) for owner in ("Ada", "Bob") for day in days]
    lines = [f"{owner},2024-01-{day:02d},{1000 * day + more},{day + 0.25}" for owner, day in rows]
    return "\n".join(["owner,day,units,mw", *lines, ""])


@pytest.fixture(scope="module")
def made(memory_folder: Path) -> Project:
    """The project after one run of everything, which each test gets a copy of."""
    folder = memory_folder / "made"
    files = {
        **{f"recipes/sources/{name}.yaml": text for name, text in SOURCES.items()},
        "sql/marts/chips.sql": MART,
        "recipes/synthetic/told.yaml": FACTS,
        "recipes/synthetic/drawn.yaml": ROWS,
        "recipes/datasets/texts.yaml": TEXTS,
        "recipes/datasets/mixed.yaml": MIXED,
        "data/chips.csv": chips(),
        "data/notes.jsonl": json.dumps({"uri": "n", "text": "A long real text of the project. " * 400}) + "\n",
        "warehouse.toml": 'name = "synthetic"\nbuiltin = false\n',
    }
    for name, text in files.items():
        write(folder / name, text)
    run_assets(load(folder), EVERYTHING)
    return load(folder)


@pytest.fixture
def project(made: Project, memory_folder: Path, request: pytest.FixtureRequest) -> Project:
    return load(shutil.copytree(made.folder, memory_folder / request.node.name))


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def stored(project: Project, sql: str) -> list[tuple[object, ...]]:
    repository = Repository(project.root)
    with connect() as con:
        attach_repository(con, [repository.snapshot(name) for name in repository.tables()])
        return fetch_all(con, sql)


def test_text_and_rows_come_marked_with_what_they_were_made_of_and_a_second_run_changes_nothing(
    project: Project,
) -> None:
    told = stored(
        project, "SELECT uri, synthetic, generation, licence, source FROM repository.documents WHERE source = 'told'"
    )
    assert told == [(f"synthetic/told/{owner}", True, 1, "CC0-1.0", "told") for owner in ("Ada", "Bob")]
    said = stored(project, "SELECT count(*), min(reads), min(inputs) FROM repository.synthetic_statements")
    assert said == [(12, "marts.chips", '{"chips":0}')]
    drawn = stored(project, "SELECT DISTINCT synthetic, generation, seed, model FROM repository.synthetic_drawn")
    assert drawn == [(True, 1, 5, "bn/1")]
    ((sha256, fingerprint, rows),) = stored(
        project, "SELECT any_value(_object_sha256), any_value(sketch), count(*) FROM repository.synthetic_drawn"
    )
    raw = Repository(project.root).object_path(str(sha256)).read_bytes()
    assert hashlib.sha256(raw).hexdigest() == sha256 and rows == 40
    assert sketches.from_bytes(raw).fingerprint == fingerprint
    versions = {name: Repository(project.root).snapshot(name).version for name in ("documents", "synthetic_drawn")}
    run_assets(project, EVERYTHING)
    assert versions == {name: Repository(project.root).snapshot(name).version for name in versions}
    found = audit(project)
    assert found.faults == 0 and (found.texts[0].documents, found.texts[0].statements) == (2, 12)
    assert [(each.table, each.rows, each.unmarked) for each in found.tables] == [("synthetic_drawn", 40, 0)]


def test_a_changed_fact_gives_its_document_again_and_the_audit_finds_what_has_moved(project: Project) -> None:
    write(project.folder / "data/chips.csv", chips().replace("Ada,2024-01-03,3000", "Ada,2024-01-03,3333"))
    run_assets(project, ["sources/chips", "repository/chips", "published/snapshot"])
    moved = audit(project)
    assert (moved.faults, moved.texts[0].moved, moved.texts[0].wrong) == (1, 1, 0)
    assert "units is '3,000' in the text, 3333 in the row" in moved.texts[0].findings[0].why
    run_assets(project, EVERYTHING)
    assert audit(project).faults == 0
    counts = stored(
        project, "SELECT uri, count(*) FROM repository.documents WHERE source = 'told' GROUP BY uri ORDER BY uri"
    )
    assert counts == [("synthetic/told/Ada", 2), ("synthetic/told/Bob", 1)]


def test_the_audit_finds_a_text_that_was_changed_and_a_document_that_lost_its_mark(project: Project) -> None:
    repository = Repository(project.root)
    with connect() as con:
        attach_repository(con, [repository.snapshot("documents")])
        row = con.sql("FROM repository.documents WHERE source = 'told' LIMIT 1").to_arrow_table().to_pylist()[0]
    row |= {"text": row["text"].replace("1,000", "1,001"), "synthetic": False}
    row["known_at"] = row["known_at"].replace(year=row["known_at"].year + 1)
    batch = pa.RecordBatch.from_pylist([row], schema=DOCUMENTS)
    repository.append("documents", [batch], schema=DOCUMENTS, source="told", run_id="r")
    run_assets(project, ["published/snapshot"])
    found = audit(project).texts[0]
    assert (found.wrong, found.unmarked) == (1, 1) and "units is '1,001' in the text" in found.findings[0].why


def test_a_recipe_that_reads_anything_synthetic_through_sql_is_refused_with_the_path(project: Project) -> None:
    write(project.folder / "sql/marts/mixed.sql", MART.replace("repository.chips", "repository.synthetic_drawn"))
    write(project.folder / "recipes/synthetic/told.yaml", FACTS.replace("FROM marts.chips", "FROM marts.mixed"))
    path = r"told\.yaml:7: reads marts\.mixed, which reads repository\.synthetic_drawn: it may hold synthetic rows"
    with pytest.raises(RecipeError, match=path):
        build_definitions(project)
    write(project.folder / "sql/marts/mixed.sql", MART.replace("repository.chips", "repository.documents"))
    with pytest.raises(RecipeError, match=r"which reads repository\.documents"):
        build_definitions(project)
    read = "SELECT * FROM read_csv('data/chips.csv')"
    write(
        project.folder / "recipes/synthetic/told.yaml",
        FACTS.replace("SELECT owner, day, units, mw FROM marts.chips", read),
    )
    with pytest.raises(RecipeError, match=r"told\.yaml:7: reads read_csv"):
        build_definitions(project)


def test_an_input_table_with_a_synthetic_row_is_refused_with_the_numbers(project: Project) -> None:
    text = chips().replace("mw\n", "mw,synthetic\n", 1).replace(".25\n", ".25,false\n").replace("false", "true", 1)
    write(project.folder / "data/chips.csv", text)
    with_bool = SOURCES["chips"].replace("day: date", "day: date, synthetic: bool")
    write(project.folder / "recipes/sources/chips.yaml", with_bool)
    with pytest.raises(CheckFailed, match=r"1 of 24 rows of chips are synthetic, and .*(told|drawn)\.yaml reads it"):
        run_assets(project, EVERYTHING)
    assert Repository(project.root).snapshot("synthetic_drawn").version == 0


def test_an_export_over_the_cap_is_refused_with_the_numbers_and_one_under_it_states_its_share(project: Project) -> None:
    outcome = run_assets(project, ["datasets/texts"])
    manifest = json.loads((Path(outcome.assets[-1].metadata["path"]) / "manifest.json").read_text())
    assert 0.02 < manifest["synthetic_share"] < 0.30
    only = TEXTS.replace("repository.documents", "repository.documents WHERE synthetic OR source = 'notes'")
    write(project.folder / "recipes/datasets/texts.yaml", only + "max_synthetic_share: 0.01\n")
    numbers = r"\d\.\d% of the text that goes out is synthetic \([\d,]+ of 1\d,\d+ bytes\).*1\.0%"
    with pytest.raises(CheckFailed, match=numbers):
        run_assets(project, ["datasets/texts"])
    assert [each.name for each in (project.datasets / "texts").iterdir() if each.name.isdecimal()] == ["1"]


def test_drawn_rows_go_out_only_with_their_mark_and_under_the_cap(project: Project) -> None:
    outcome = run_assets(project, ["datasets/mixed"])
    manifest = json.loads((Path(outcome.assets[-1].metadata["path"]) / "manifest.json").read_text())
    assert manifest["synthetic_share"] == round(40 / 52, 6)
    write(project.folder / "recipes/datasets/mixed.yaml", MIXED.replace("max_synthetic_share: 0.9\n", ""))
    with pytest.raises(CheckFailed, match=r"76\.9% of the 52 selected rows are synthetic \(40\).*30\.0%"):
        run_assets(project, ["datasets/mixed"])
    unmarked = MIXED.replace(", synthetic FROM", " FROM").replace("units, false FROM", "units FROM")
    write(project.folder / "recipes/datasets/mixed.yaml", unmarked)
    with pytest.raises(CheckFailed, match=r"reads repository\.synthetic_drawn and gives no column synthetic"):
        run_assets(project, ["datasets/mixed"])


def test_a_table_that_is_not_there_yet_makes_the_rest_wait_not_fail(project: Project) -> None:
    shutil.rmtree(project.root)
    names = ["sources/notes", "synthetic/told", "synthetic/drawn", "repository/documents", "repository/synthetic_drawn"]
    made = {asset.name: asset for asset in run_assets(project, names).assets}
    assert set(made) == {"sources/notes", "synthetic/told", "repository/documents"}
    assert made["synthetic/told"].metadata["skipped"] == "repository.chips has not been ingested"


def test_a_recipe_named_as_a_source_is_refused(project: Project) -> None:
    (project.folder / "recipes/synthetic/told.yaml").rename(project.folder / "recipes/synthetic/notes.yaml")
    with pytest.raises(RecipeError, match=r"notes\.yaml:1: notes is a source here"):
        build_definitions(project)


def test_what_was_made_of_rows_that_are_taken_down_goes_with_them_and_is_made_again_without(project: Project) -> None:
    write(project.folder / "data/more.csv", chips(range(7, 9)))
    recipe = SOURCES["chips"].replace("data/chips.csv", "data/*.csv")
    write(project.folder / "recipes/sources/chips.yaml", recipe)
    run_assets(project, ["sources/chips", "synthetic/told", "synthetic/drawn"])
    now = datetime(2026, 3, 1, tzinfo=UTC)
    done = takedown.remove(project, "uri", "data/chips.csv", "asked", run_id="t", now=now)
    assert {(each.table, each.why, each.rows) for each in done.plan.reach.rows} == {
        ("chips", "asked", 12),
        ("synthetic_drawn", "synthetic", 80),
    }
    assert {each.why for each in done.plan.reach.documents} == {"synthetic"}
    assert stored(project, "SELECT count(*) FROM repository.documents WHERE synthetic") == [(0,)]
    assert stored(project, "SELECT count(*) FROM repository.synthetic_drawn") == [(0,)]
    assert stored(project, "SELECT count(*) FROM repository.synthetic_statements") == [(0,)]
    takedown.prove(project, done.plan.id, run_id="t")
    run_assets(project, ["synthetic/told", "synthetic/drawn"])
    assert stored(project, "SELECT count(*) FROM repository.synthetic_statements") == [(4,)]
    assert stored(project, "SELECT count(*) FROM repository.synthetic_drawn") == [(40,)]
